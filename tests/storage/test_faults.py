"""Disks that fail: what was acknowledged stays, what was not is refused in the server's own words, and all goes on once the disk does."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from mbaas.kernel.clock import SystemClock
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.storage.ports import Find, PutRow
from mbaas.storage.sqlite.connection import Tuning
from mbaas.storage.sqlite.store import SqliteStore, open_store
from mbaas.testing.contracts.samples import POST, insert
from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.storage.faulty import Faulty
from tests.storage.feeding import all_entries

MASTER = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}
FAULTS = {
    "full": (apsw.FullError, "", False),
    "read-only": (apsw.ReadOnlyError, "", False),
    "a log that cannot be written": (apsw.IOError, "-wal", False),
    "a log that cannot be synced": (apsw.IOError, "-wal", True),
}


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Faulty:
    return Faulty(f"faulty {request.node.name}")


@pytest.fixture(params=[0.0, 10.0], ids=["in the thread", "on the loop"])
async def store(request: pytest.FixtureRequest, disk: Faulty, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """With a log that is copied back often, commits being waited for in either way."""
    tuning = Tuning(vfs=disk.name, mmap=0, checkpoint_pages=20, quick_seconds=request.param)
    made = await open_store(tmp_path / "live", SystemClock(), tuning=tuning)
    await made.schemas.put(POST)
    yield made
    disk.fault = None
    await made.close()


async def names(store: SqliteStore) -> set[str]:
    return {document.body["objectId"] async for document in store.documents.scan(Find(POST))}


@pytest.mark.parametrize("what", FAULTS)
async def test_a_disk_that_fails_loses_nothing_that_was_acknowledged(store: SqliteStore, disk: Faulty, tmp_path: Path, what: str) -> None:
    acknowledged: set[str] = set()
    refused: set[str] = set()

    async def write(name: str) -> None:
        try:
            await store.documents.commit([insert(name, title="x" * 500), PutRow("marks", name, None)])
        except ParseError as error:
            assert (error.code, error.message) == (Code.INTERNAL_SERVER_ERROR, "Internal server error.")
            refused.add(name)
        else:
            acknowledged.add(name)

    await asyncio.gather(*(write(f"before{n}") for n in range(40)))
    assert refused == set()
    disk.fault, disk.of, disk.syncs = FAULTS[what]
    await asyncio.gather(*(write(f"during{n}") for n in range(40)))
    assert refused, "nothing failed"
    assert await names(store) >= {f"before{n}" for n in range(40)}, "what is there can be read"
    disk.fault = None
    await asyncio.gather(*(write(f"after{n}") for n in range(40)))
    assert {f"after{n}" for n in range(40)} <= acknowledged, "it goes on by itself"
    assert await names(store) == acknowledged
    await store.close()
    again = await open_store(tmp_path / "live", SystemClock())
    try:
        assert await names(again) == acknowledged
        assert {row.key for row in await again.rows.scan("marks")} == acknowledged
        assert again.documents is not None
    finally:
        await again.close()


@pytest.mark.parametrize("how", ["cut", "zeros", "noise", "a page in the middle"])
async def test_a_log_whose_last_page_is_damaged_costs_that_commit_alone(tmp_path: Path, how: str) -> None:
    """As a disk leaves it that lost power, or did not keep what it said it had: what was copied and written before is there."""
    live, found = tmp_path / "live", tmp_path / "found"
    store = await open_store(live, SystemClock(), tuning=Tuning(checkpoint_pages=100_000))
    await store.schemas.put(POST)
    for n in range(30):
        await store.documents.commit([insert(f"n{n:02}", title="x" * 3000)])
    found.mkdir()
    for file in live.iterdir():
        if file.is_file() and not file.name.endswith("-shm"):
            (found / file.name).write_bytes(file.read_bytes())
    await store.close()
    [log] = found.glob("*-wal")
    content = bytearray(log.read_bytes())
    frame = 24 + 4096
    assert len(content) > 30 * frame
    last = len(content) - frame
    if how == "cut":
        del content[-1000:]
    elif how == "zeros":
        content[last + 24 :] = b"\0" * 4096
    elif how == "noise":
        content[last + 100 : last + 200] = bytes(range(100))
    else:
        content[len(content) // 2 : len(content) // 2 + 50] = b"?" * 50
    log.write_bytes(content)
    again = await open_store(found, SystemClock())
    try:
        there = sorted(await names(again))
        assert there == [f"n{n:02}" for n in range(len(there))], "no commit is missing before one that is there"
        assert len(there) == 29 if how != "a page in the middle" else len(there) < 29
        await again.documents.commit([insert("new", title="x")])
        assert "new" in await names(again)
        entries = await all_entries(again.feed)
        assert [entry.object_id for entry in entries] == [*there, "new"]
    finally:
        await again.close()


async def test_a_damaged_database_is_named_and_left_alone(tmp_path: Path) -> None:
    store = await open_store(tmp_path, SystemClock())
    await store.schemas.put(POST)
    await store.close()
    [file] = [each for each in tmp_path.iterdir() if each.read_bytes()[:15] == b"SQLite format 3"]
    damaged = b"noise" * 2000
    file.write_bytes(damaged)
    with pytest.raises(MbaasError, match="damaged or no database"):
        await open_store(tmp_path, SystemClock())
    assert file.read_bytes() == damaged


def test_a_server_on_a_full_disk_answers_and_reads_on(tmp_path: Path) -> None:
    """A bound on the size of files stands for the disk. Nothing that was acknowledged is lost, and it goes on when there is room."""
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        assert server.process is not None
        acknowledged = [written(server)]
        bound = max(file.stat().st_size for file in (tmp_path / "data").iterdir()) + 2_000_000
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (bound, resource.RLIM_INFINITY))
        while (made := written(server)) is not None:
            acknowledged.append(made)
        assert len(acknowledged) > 5
        assert stored(server) == set(acknowledged)
        assert server.get("/livez")[0] == 200
        assert "the disk fails" in server.log.read_text(), "the operator is told"
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        acknowledged.append(written(server))
        assert stored(server) == set(acknowledged)
        server.kill()
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        assert stored(server) == set(acknowledged)


def written(server: TestServer) -> str | None:
    """The id of a new object; None if it was refused, in the server's own words."""
    status, body = server.call("POST", "/parse/classes/Post", {"text": "x" * 50_000}, MASTER)
    if status == 201:
        return str(body["objectId"])
    assert (status, body) == (500, {"code": 1, "error": "Internal server error."})
    return None


def stored(server: TestServer) -> set[str | None]:
    status, body = server.get("/parse/classes/Post?limit=1000&keys=objectId", MASTER)
    assert status == 200, body
    return {each["objectId"] for each in body["results"]}
