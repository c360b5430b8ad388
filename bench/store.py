"""`python -m bench.store [seconds]`: what the embedded store does in a second on this machine."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from mbaas.kernel.clock import SystemClock
from mbaas.kernel.ops import Increment, Set
from mbaas.kernel.schema import Field, new_class
from mbaas.kernel.values import Object, pointer
from mbaas.query.ast import And, Compare, Equals, Near
from mbaas.storage.ports import Document, Find, Insert, PutRow, Update
from mbaas.storage.sqlite.store import SqliteStore, open_store

STAMP = "2026-01-31T09:05:00.123Z"
EVERYBODY = frozenset({"*", "user1"})
SCHEMA = new_class(
    "Post",
    {"title": Field("String"), "score": Field("Number"), "owner": Field("Pointer", "_User"), "tags": Field("Array")},
    indexes={"by_score": {"score": 1}},
)
PLACES = new_class("Place", {"name": Field("String"), "spot": Field("GeoPoint")})


def post(number: int) -> Object:
    return {
        "objectId": f"p{number:09d}",
        "createdAt": STAMP,
        "updatedAt": STAMP,
        "title": f"A post with a number, and it is {number}",
        "score": number % 1000,
        "tags": ["red", "green"],
        "owner": pointer("_User", f"u{number % 100}"),
        "ACL": {"*": {"read": True}, f"u{number % 100}": {"read": True, "write": True}},
    }


async def rate(name: str, seconds: float, tasks: int, work: Callable[[int], Awaitable[object]]) -> None:
    """Print how often `work` is done in a second by so many tasks at once."""
    done = 0
    end = time.perf_counter() + seconds

    async def run() -> None:
        nonlocal done
        while time.perf_counter() < end:
            done += 1
            await work(done)

    started = time.perf_counter()
    await asyncio.gather(*(run() for _ in range(tasks)))
    elapsed = time.perf_counter() - started
    print(f"{name:34s} {done / elapsed:10,.0f} /s  {elapsed / done * 1e6:9.1f} us")


async def fill(store: SqliteStore) -> None:
    await store.schemas.put(SCHEMA)
    await store.schemas.put(PLACES)
    for start in range(0, 20_000, 500):
        await store.documents.commit([Insert(SCHEMA, Document(post(n))) for n in range(start, start + 500)])
    for start in range(0, 30_000, 500):
        await store.documents.commit([Insert(PLACES, Document(spot(n))) for n in range(start, start + 500)])


def spot(n: int) -> Object:
    where = {"__type": "GeoPoint", "latitude": (n * 7919) % 160 - 80 + n / 30_000, "longitude": (n * 104_729) % 360 - 180 + n / 30_000}
    return {"objectId": f"g{n}", "createdAt": STAMP, "updatedAt": STAMP, "name": f"spot {n}", "spot": where}


async def measure(folder: Path, seconds: float) -> None:
    store = await open_store(folder, SystemClock())
    await fill(store)
    documents = store.documents
    fresh = iter(range(1_000_000, 9_000_000))

    def read(n: int) -> Awaitable[object]:
        return documents.get_raw(SCHEMA, f"p{n % 20_000:09d}", EVERYBODY)

    def find(n: int) -> Awaitable[object]:
        return documents.find_raw(Find(SCHEMA, Equals(("score",), n % 1000), EVERYBODY, limit=20))

    def latest(n: int) -> Awaitable[object]:
        where = And((Compare(("score",), ">=", n % 1000), Equals(("owner",), pointer("_User", "u7"))))
        return documents.find_raw(Find(SCHEMA, where, EVERYBODY, order=((("score",), False),), limit=5))

    def near(n: int) -> Awaitable[object]:
        return documents.find_raw(Find(PLACES, Near(("spot",), (n % 160 - 80.0, n % 360 - 180.0)), EVERYBODY, limit=10))

    def insert(n: int) -> Awaitable[object]:
        return documents.commit([Insert(SCHEMA, Document(post(next(fresh))))])

    def update(n: int) -> Awaitable[object]:
        ops = (Increment(("score",), 1), Set(("updatedAt",), STAMP))
        return documents.commit([Update(SCHEMA, "p000000001", ops, writers=frozenset({"u1"}))])

    def scattered(n: int) -> Awaitable[object]:
        return documents.commit([Update(SCHEMA, f"p{n % 20_000:09d}", (Increment(("score",), 1),))])

    def mixed(n: int) -> Awaitable[object]:
        return documents.commit([Update(SCHEMA, f"p{n % 20_000:09d}", (Increment(("score",), 1),)), PutRow("t", str(n), {"n": n})])

    await rate("get_raw", seconds, 1, read)
    await rate("find_raw, indexed, 20 rows", seconds, 1, find)
    await rate("find_raw, ordered, 5 of 20000", seconds, 1, latest)
    await rate("find_raw, nearest 10 of 30000", seconds, 1, near)
    await rate("insert, 32 tasks", seconds, 32, insert)
    await rate("insert, 1 task", seconds, 1, insert)
    await rate("update of one object, 32 tasks", seconds, 32, update)
    await rate("update of many objects, 32 tasks", seconds, 32, scattered)
    await rate("object and row, 32 tasks", seconds, 32, mixed)
    await store.close()


def main(seconds: float = 2.0) -> None:
    """Run in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as made:
        uvloop.run(measure(Path(made), seconds))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
