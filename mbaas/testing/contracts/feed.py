"""The contract of the change feed."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from mbaas.kernel.errors import ParseError
from mbaas.kernel.ops import Increment, Set
from mbaas.kernel.schema import new_class
from mbaas.storage.ports import Delete, Document, Entry, Find, Insert, PutRow, Store, Update
from mbaas.testing.clock import FakeClock
from mbaas.testing.contracts.samples import POST, body, insert


async def entries(store: Store, since: str, limit: int = 1000) -> list[Entry]:
    found = await store.feed.after(since, limit)
    assert found is not None
    return found


async def test_every_write_leaves_one_entry(store: Store, clock: FakeClock) -> None:
    """With the object before and after, and without hidden fields."""
    await store.schemas.put(POST)
    start = await store.feed.latest()
    await store.documents.commit([insert("a", hidden={"_secret": 1}, score=1)])
    clock.advance(5)
    await store.documents.commit([Update(POST, "a", [Increment(("score",), 1)], {"_secret": 2})])
    await store.documents.commit([Delete(POST, "a")])
    first, second, third = await entries(store, start)
    assert (first.op, second.op, third.op) == ("create", "update", "delete")
    assert {(e.class_name, e.object_id) for e in (first, second, third)} == {("Post", "a")}
    assert first.before is None
    assert first.after == second.before == Document(body("a", score=1), version=1)
    assert second.after == third.before == Document(body("a", score=2), version=2)
    assert third.after is None
    assert second.at - first.at == 5


async def test_a_write_of_hidden_fields_alone_is_not_fed(store: Store) -> None:
    """It counts as a write of the object, and tells nobody."""
    await store.schemas.put(POST)
    await store.documents.commit([insert("a", score=1)])
    start = await store.feed.latest()
    await store.documents.commit([Update(POST, "a", hidden={"_secret": 2})])
    assert await entries(store, start) == []
    await store.documents.commit([Update(POST, "a", [Increment(("score",), 1)])])
    [entry] = await entries(store, start)
    assert entry.after == Document(body("a", score=2), version=3)


async def test_positions_page_through_the_feed(store: Store) -> None:
    await store.schemas.put(POST)
    start = await store.feed.latest()
    await store.documents.commit([insert(f"{n}") for n in range(5)])
    whole = await entries(store, start)
    assert [e.object_id for e in whole] == ["0", "1", "2", "3", "4"]
    first = await entries(store, start, 2)
    assert first == whole[:2]
    assert await entries(store, first[-1].seq, 10) == whole[2:]
    assert await entries(store, await store.feed.latest()) == []
    assert await store.feed.latest() == whole[-1].seq


async def test_a_page_is_short_where_its_entries_are_large(store: Store) -> None:
    """Whoever reads keeps a page in memory, whatever others have written."""
    await store.schemas.put(POST)
    start = await store.feed.latest()
    for n in range(3):
        await store.documents.commit([insert(f"{n}", title="x" * 3_000_000)])
    first = await store.feed.after(start)
    assert first is not None
    assert ([entry.object_id for entry in first], first.more) == (["0", "1"], True)
    rest = await store.feed.after(first[-1].seq)
    assert rest is not None
    assert ([entry.object_id for entry in rest], rest.more) == (["2"], False)


async def test_the_entries_of_some_classes(store: Store) -> None:
    other, third = new_class("Other"), new_class("Third")
    for schema in (POST, other, third):
        await store.schemas.put(schema)
    start = await store.feed.latest()
    for n in range(3):
        for schema in (POST, other, third):
            await store.documents.commit([Insert(schema, Document(body(f"{n}"), version=1))])
    found = await store.feed.after(start, 4, frozenset({"Other", "Third"}))
    assert found is not None
    assert [(e.class_name, e.object_id) for e in found] == [("Other", "0"), ("Third", "0"), ("Other", "1"), ("Third", "1")]
    assert await store.feed.after(start, 4, frozenset({"Absent"})) == []


async def test_a_position_that_is_none_asks_for_a_new_start(store: Store) -> None:
    assert await store.feed.after("nonsense") is None
    assert await store.feed.after("") is None


async def test_failures_and_rows_leave_none(store: Store) -> None:
    await store.schemas.put(POST)
    start = await store.feed.latest()
    with pytest.raises(ParseError):
        await store.documents.commit([insert("a"), Delete(POST, "absent")])
    await store.documents.commit([PutRow("t", "k", 1)])
    await store.rows.count_up("t", "n")
    assert await entries(store, start) == []


async def test_listeners_are_woken_after_commits(store: Store) -> None:
    """They find the entry; those who left are left alone."""
    await store.schemas.put(POST)
    woken = asyncio.Event()
    leave = store.feed.listen(woken.set)
    start = await store.feed.latest()
    await store.documents.commit([insert("a")])
    await asyncio.wait_for(woken.wait(), 10)
    assert [e.object_id for e in await entries(store, start)] == ["a"]
    leave()
    leave()
    woken.clear()
    await store.documents.commit([insert("b")])
    assert [e.object_id for e in await entries(store, start)] == ["a", "b"]
    assert not woken.is_set()


async def test_concurrent_writes_of_an_object_are_in_order(store: Store) -> None:
    """Each entry's before is the former entry's after."""
    await store.schemas.put(POST)
    await store.documents.commit([insert("a", score=0)])
    start = await store.feed.latest()
    await asyncio.gather(*(store.documents.commit([Update(POST, "a", [Set(("score",), n)])]) for n in range(1, 30)))
    found = await entries(store, start)
    assert len(found) == 29
    for former, entry in pairwise(found):
        assert former.after == entry.before
    [stored] = await store.documents.find(Find(POST))
    assert found[-1].after == stored
