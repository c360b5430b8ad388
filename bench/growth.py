"""`python -m bench growth [documents]`: what a get and an indexed list cost when a class grows from 1,000 to 1,000,000 objects.

Objects are searched as a request does, through permissions and the store, without HTTP; figures are processor time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from rich.progress import Progress

from mbaas.app import open_app
from mbaas.data import find, schemas
from mbaas.data.app import App
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import Caller
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.kernel.values import Object
from mbaas.services import Services
from mbaas.storage.ports import Document, Insert

SMALL, LARGE, UNIT = 1_000, 1_000_000, 500
STAMP = "2026-01-31T09:05:00.123Z"
COLUMNS = {"title": {"type": "String"}, "score": {"type": "Number"}, "tags": {"type": "Array"}, "done": {"type": "Boolean"}}


def post(number: int) -> Object:
    body: Object = {"objectId": f"p{number * 7919 % 100_000_007:09d}", "createdAt": STAMP, "updatedAt": STAMP}
    return body | {"title": f"title {number}", "score": number, "tags": ["a", "b"], "done": False}


async def fill(app: App, first: int, last: int) -> None:
    """Objects with these numbers, with a progress bar."""
    schema = app.classes.get("Post")
    assert schema
    with Progress(transient=True) as progress:
        task = progress.add_task(f"filling up to {last:,} objects", total=last - first)
        for start in range(first, last, UNIT):
            await app.store.documents.commit([Insert(schema, Document(post(n))) for n in range(start, min(start + UNIT, last))])
            progress.advance(task, UNIT)


async def cost(work: Callable[[int], Awaitable[object]], times: int = 4000) -> float:
    """Microseconds of processor time of one call: the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        for number in range(times):
            await work(number)
        best = min(best, (time.process_time() - begun) / times * 1e6)
    return best


async def measure(folder: Path, large: int) -> None:
    options = AppOptions(app_id="bench", master_key="master", preset="parse", new_class_permissions="public", data_dir=folder)
    app = await open_app(options, Services(ServerOptions(), {}))
    await schemas.create(app, "Post", {"fields": COLUMNS, "indexes": {"by_score": {"score": 1}}})
    caller, figures, count = Caller(), [], 0
    for size in (SMALL, large):
        await fill(app, count, size)
        count = size
        ids = [post(n)["objectId"] for n in range(0, size, max(1, size // 1000))]
        lists = [
            FindOptions.parse({"where": {"score": {"$gt": n}}, "order": "score", "limit": 20}) for n in range(0, size - 20, size // 100)
        ]
        get = await cost(lambda n, ids=ids: find.get(app, caller, "Post", ids[n % len(ids)]))  # type: ignore[misc]
        listed = await cost(lambda n, lists=lists: find.find(app, caller, "Post", lists[n % len(lists)]))  # type: ignore[misc]
        figures.append((get, listed))
        print(f"{size:>9,} objects   get {get:6.1f} us   indexed list of 20 {listed:6.1f} us")
    (get, listed), (later_get, later_listed) = figures
    print(f"   growth by {large // SMALL:,}   get {later_get / get:5.2f} times   indexed list {later_listed / listed:5.2f} times")
    await app.close()


def main(large: int = LARGE) -> None:
    """Run in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(measure(Path(folder), large))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LARGE)
