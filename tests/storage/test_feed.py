"""How long the feed is kept."""

from __future__ import annotations

from pathlib import Path

from mbaas.storage.sqlite.connection import Tuning
from mbaas.storage.sqlite.store import DAY_MS, SqliteStore, open_store
from mbaas.testing.clock import FakeClock
from mbaas.testing.contracts.samples import POST, insert


async def test_old_entries_are_forgotten(store: SqliteStore, clock: FakeClock) -> None:
    """A reader behind the window is told so; the last entry stays, so that numbers go on."""
    await store.schemas.put(POST)
    start = await store.feed.latest()
    await store.documents.commit([insert("a")])
    middle = await store.feed.latest()
    clock.advance(DAY_MS + 1)
    await store.documents.commit([insert("b")])
    await store.feed.trim(clock.now())
    assert await store.feed.after(start) is None
    kept = await store.feed.after(middle)
    assert kept is not None
    assert [e.object_id for e in kept] == ["b"]
    clock.advance(2 * DAY_MS)
    assert await store.feed.trim(clock.now()) == 0
    assert await store.feed.latest() == kept[-1].seq


async def test_the_feed_is_bounded_in_size(tmp_path: Path, clock: FakeClock) -> None:
    store = await open_store(tmp_path, clock, tuning=Tuning(synchronous="OFF"), feed_retention_bytes=10_000)
    await store.schemas.put(POST)
    start = await store.feed.latest()
    await store.documents.commit([insert(f"{n}", title="x" * 1000) for n in range(50)])
    assert 38 <= await store.feed.trim(clock.now()) <= 45
    assert await store.feed.after(start) is None
    await store.close()


async def test_positions_outlive_a_restart_and_no_other_store_takes_them(tmp_path: Path, clock: FakeClock) -> None:
    first = await open_store(tmp_path / "one", clock)
    await first.schemas.put(POST)
    position = await first.feed.latest()
    await first.documents.commit([insert("a")])
    await first.close()
    (tmp_path / "one" / "foreign.txt").write_text("left alone")
    again = await open_store(tmp_path / "one", clock)
    entries = await again.feed.after(position)
    assert entries is not None
    assert [e.object_id for e in entries] == ["a"]
    other = await open_store(tmp_path / "two", clock)
    assert await other.feed.after(position) is None
    await again.close()
    await other.close()
