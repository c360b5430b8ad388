"""Grouped commits: what shares a group, and what happens to a group when something fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from mbaas.kernel.clock import SystemClock
from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.ops import Increment, Set
from mbaas.storage.ports import Delete, Document, Find, PutRow, Update
from mbaas.storage.sqlite.connection import Tuning
from mbaas.storage.sqlite.store import FILE, SqliteStore, open_store
from mbaas.storage.sqlite.writer import Writer
from mbaas.testing.contracts.samples import POST, body, insert
from tests.storage.feeding import all_entries


def writer_of(store: SqliteStore) -> Writer:
    return store._writer


def count_commits(store: SqliteStore) -> list[int]:
    """A list that grows by one with every commit that reaches the disk."""
    commits: list[int] = []

    def count() -> bool:
        commits.append(1)
        return False

    writer_of(store).connection.set_commit_hook(count)
    return commits


async def test_units_of_one_turn_share_a_commit(store: SqliteStore) -> None:
    await store.schemas.put(POST)
    commits = count_commits(store)
    await asyncio.gather(*(store.documents.commit([insert(f"{n}")]) for n in range(32)))
    assert len(commits) <= 8, "a slow machine may end a turn early, but hardly after four units"
    await asyncio.gather(*(store.documents.commit([insert(f"x{n}")]) for n in range(200)))
    assert 1 < len(commits) < 80


async def test_a_failing_unit_fails_alone(store: SqliteStore) -> None:
    """Units of every kind around it, in the same group, commit."""
    await store.schemas.put(POST)
    await store.documents.commit([insert("taken", score=0)])
    units = [
        store.documents.commit([insert("a")]),
        store.documents.commit([insert("taken")]),
        store.documents.commit([insert("b"), insert("taken")]),
        store.documents.commit([Update(POST, "taken", [Increment(("score",), 1)]), Delete(POST, "absent")]),
        store.documents.commit([Update(POST, "taken", [Increment(("score",), 10)])]),
    ]
    results = await asyncio.gather(*units, return_exceptions=True)
    assert [type(r) for r in results] == [list, Duplicate, Duplicate, ParseError, list]
    assert {d.body["objectId"] for d in await store.documents.find(Find(POST))} == {"taken", "a"}
    assert await store.documents.get(POST, "taken") == Document(body("taken", score=10), version=2)


async def test_a_unit_that_breaks_halfway_without_a_savepoint_is_undone(store: SqliteStore) -> None:
    """Its group runs again, so nobody else notices."""
    await store.schemas.put(POST)
    writer = writer_of(store)

    def breaks() -> None:
        writer.cursor.execute("INSERT INTO rows(tbl, key, value) VALUES('t', 'half', '1')")
        raise RuntimeError("a defect")

    first = asyncio.ensure_future(store.documents.commit([insert("a")]))
    await asyncio.sleep(0)
    broken = writer.submit(breaks, shielded=False)
    last = asyncio.ensure_future(store.documents.commit([insert("b")]))
    with pytest.raises(ParseError) as raised:
        await broken
    assert (raised.value.code, raised.value.message) == (Code.INTERNAL_SERVER_ERROR, "Internal server error.")
    await asyncio.gather(first, last)
    assert await store.rows.get("t", "half") is None
    assert len(await store.documents.find(Find(POST))) == 2


async def test_a_commit_that_fails_fails_its_group_and_no_other(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.schemas.put(POST)
    writer = writer_of(store)
    writer.connection.set_commit_hook(lambda: True)
    results = await asyncio.gather(*(store.documents.commit([insert(f"{n}")]) for n in range(5)), return_exceptions=True)
    assert [r.code for r in results if isinstance(r, ParseError)] == [1] * 5
    assert [type(r.__cause__).__name__ for r in results if isinstance(r, ParseError)] == ["ConstraintError"] * 5
    writer.connection.set_commit_hook(None)
    await store.documents.commit([insert("0")])
    assert len(await store.documents.find(Find(POST))) == 1


async def test_a_full_disk_is_an_internal_error_and_passes(store: SqliteStore) -> None:
    await store.schemas.put(POST)
    connection = writer_of(store).connection
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages + 2)
    with pytest.raises(ParseError) as raised:
        await store.documents.commit([insert("big", title="x" * 100_000)])
    assert raised.value.code == Code.INTERNAL_SERVER_ERROR
    assert isinstance(raised.value.__cause__, apsw.FullError)
    connection.pragma("max_page_count", 1_000_000)
    await store.documents.commit([insert("big", title="x" * 100_000)])


async def test_a_caller_who_leaves_does_not_break_the_group(store: SqliteStore) -> None:
    await store.schemas.put(POST)
    tasks = [asyncio.ensure_future(store.documents.commit([insert(f"{n}")])) for n in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(r, list) for r in results[1::2])
    assert all(isinstance(r, asyncio.CancelledError) for r in results[::2])
    found = {d.body["objectId"] for d in await store.documents.find(Find(POST))}
    assert found >= {"1", "3", "5", "7", "9"}


async def test_a_definition_is_known_though_its_caller_left(store: SqliteStore) -> None:
    task = asyncio.ensure_future(store.schemas.put(POST))
    await asyncio.sleep(0.0005)
    task.cancel()
    await asyncio.wait([task])
    await store.documents.commit([insert("a")])
    assert len(await store.documents.find(Find(POST))) == 1


async def test_a_caller_reads_her_own_write(store: SqliteStore) -> None:
    await store.schemas.put(POST)

    async def cycle(name: str) -> None:
        await store.documents.commit([insert(name, score=0)])
        for n in range(1, 20):
            await store.documents.commit([Update(POST, name, [Set(("score",), n)])])
            found = await store.documents.get(POST, name)
            assert found is not None
            assert found.body["score"] == n

    await asyncio.gather(*(cycle(f"{n}") for n in range(16)))


async def test_mixed_units_at_once(store: SqliteStore) -> None:
    """Inserts, updates, deletes, rows, counters and failures of 64 tasks; the feed holds each write once."""
    await store.schemas.put(POST)
    start = await store.feed.latest()
    acknowledged: list[tuple[str, str]] = []

    async def task(n: int) -> None:
        for k in range(10):
            name = f"{n}-{k}"
            await store.documents.commit([insert(name, score=k), PutRow("t", name, k)])
            acknowledged.append(("create", name))
            with pytest.raises(Duplicate):
                await store.documents.commit([insert(name)])
            await store.documents.commit([Update(POST, name, [Increment(("score",), 1)])])
            acknowledged.append(("update", name))
            await store.rows.count_up("c", "all")
            if k % 2:
                await store.documents.commit([Delete(POST, name)])
                acknowledged.append(("delete", name))

    await asyncio.gather(*(task(n) for n in range(64)))
    entries = await all_entries(store.feed, start)
    assert sorted((e.op, e.object_id) for e in entries) == sorted(acknowledged)
    counter = await store.rows.get("c", "all")
    assert counter is not None
    assert counter.value == 640
    assert len(await store.rows.scan("t")) == 640


async def test_long_work_does_not_hold_the_loop(store: SqliteStore) -> None:
    """A unit of many steps runs in the thread."""
    await store.schemas.put(POST)
    work = asyncio.ensure_future(store.documents.commit([insert(f"{n:05d}", title="t" * 50) for n in range(5000)]))
    assert await turns_until(work.done) > 5
    assert len(await work) == 5000


async def turns_until(done: Callable[[], bool]) -> int:
    """How often the loop turned, until `done`: work that holds it leaves it no turn."""
    turns = 0
    while not done():
        await asyncio.sleep(0.001)
        turns += 1
    return turns


async def test_closing_finishes_what_is_queued(store: SqliteStore) -> None:
    await store.schemas.put(POST)
    tasks = [asyncio.ensure_future(store.documents.commit([insert(f"{n}")])) for n in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert all(isinstance(r, list) for r in await asyncio.gather(*tasks))
    with pytest.raises(ParseError) as raised:
        await store.documents.commit([insert("late")])
    assert raised.value.code == Code.INTERNAL_SERVER_ERROR
    await store.close()


@pytest.mark.parametrize("quick_seconds", [0.0, 10.0])
async def test_the_log_is_copied_back_and_begun_again(tmp_path: Path, quick_seconds: float) -> None:
    """However much is written, the write-ahead log stays as small as it may be."""
    store = await open_store(tmp_path, SystemClock(), tuning=Tuning(synchronous="OFF", checkpoint_pages=50, quick_seconds=quick_seconds))
    await store.schemas.put(POST)
    for n in range(60):
        await asyncio.gather(*(store.documents.commit([insert(f"{n}-{k}", title="x" * 2000)]) for k in range(10)))
    assert (tmp_path / FILE).stat().st_size > 600 * 2000
    assert (tmp_path / f"{FILE}-wal").stat().st_size < 100 * 4096
    await store.close()


async def test_another_process_may_hold_the_write_lock_for_a_while(store: SqliteStore, tmp_path: Path) -> None:
    """Commits wait for it in the thread, and then go through."""
    await store.schemas.put(POST)
    other = apsw.Connection(str(tmp_path / FILE))
    other.execute("BEGIN IMMEDIATE")
    work = asyncio.gather(*(store.documents.commit([insert(f"{n}")]) for n in range(10)))
    turns = asyncio.ensure_future(turns_until(work.done))
    await asyncio.sleep(0.3)
    assert not work.done()
    other.execute("ROLLBACK")
    other.close()
    assert len(await work) == 10
    assert await turns > 5


async def test_a_full_disk_is_told_and_ends_with_room(store: SqliteStore) -> None:
    """The client hears no more than that the server failed; why is kept for the log."""
    await store.schemas.put(POST)
    connection = writer_of(store).connection
    connection.pragma("max_page_count", connection.pragma("page_count") + 2)
    with pytest.raises(ParseError) as told:
        await store.documents.commit([insert("much", text="x" * 100_000)])
    assert told.value.code == Code.INTERNAL_SERVER_ERROR
    assert isinstance(told.value.__cause__, apsw.FullError)
    connection.pragma("max_page_count", 100_000)
    await store.documents.commit([insert("fits")])
