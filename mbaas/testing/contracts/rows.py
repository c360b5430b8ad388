"""The contract of internal tables."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mbaas.kernel.errors import Conflict
from mbaas.storage.ports import ChangeRow, DropRow, PutRow, Row, Store
from mbaas.testing.clock import FakeClock

VALUES = [None, True, 1, 2.5, "text", "Zoë\u0000", [1, [2]], {"a": {"b": None}}]


async def test_rows_are_put_read_and_replaced(store: Store) -> None:
    rows = [Row(f"k{n}", value) for n, value in enumerate(VALUES)]
    await store.rows.put_many("t", rows)
    assert [await store.rows.get("t", row.key) for row in rows] == rows
    assert await store.rows.get("t", "absent") is None
    assert await store.rows.get("other", "k1") is None
    await store.rows.put_many("t", [Row("k1", "new", due=5)])
    found = await store.rows.get("t", "k1")
    assert found is not None
    assert (found.value, found.due) == ("new", 5)
    await store.rows.put_many("t", [])


async def test_many_rows_at_once(store: Store) -> None:
    await store.rows.put_many("t", [Row(f"{n:05d}", n) for n in range(3000)])
    assert len(await store.rows.scan("t", limit=5000)) == 3000


async def test_a_scan_pages_by_key(store: Store) -> None:
    await store.rows.put_many("t", [Row(key, key) for key in ("b/2", "a/1", "a/2", "c", "a/10", "a", "é", "a0")])
    await store.rows.put_many("u", [Row("a/3", 1)])
    assert [r.key for r in await store.rows.scan("t")] == ["a", "a/1", "a/10", "a/2", "a0", "b/2", "c", "é"]
    assert [r.key for r in await store.rows.scan("t", limit=2)] == ["a", "a/1"]
    assert [r.key for r in await store.rows.scan("t", after="a/1", limit=2)] == ["a/10", "a/2"]
    assert [r.key for r in await store.rows.scan("t", prefix="a/")] == ["a/1", "a/10", "a/2"]
    assert [r.key for r in await store.rows.scan("t", after="a/10", prefix="a/")] == ["a/2"]
    assert [r.key for r in await store.rows.scan("t", after="éé")] == []


async def test_expired_rows_are_not_there(store: Store, clock: FakeClock) -> None:
    now = clock.now()
    await store.rows.put_many("t", [Row("short", 1, expires=now + 10), Row("long", 2, expires=now + 1000), Row("ever", 3)])
    assert await store.rows.get("t", "short") is not None
    clock.advance(10)
    assert await store.rows.get("t", "short") is None
    assert [r.key for r in await store.rows.scan("t")] == ["ever", "long"]
    await store.documents.commit([PutRow("t", "short", "again", if_absent=True)])
    assert await store.rows.expire(clock.now() + 2000) == 1
    assert await store.rows.expire(clock.now() + 2000) == 0
    assert [r.key for r in await store.rows.scan("t")] == ["ever", "short"]


async def test_expiring_is_bounded(store: Store, clock: FakeClock) -> None:
    await store.rows.put_many("t", [Row(str(n), n, expires=1) for n in range(10)])
    assert [await store.rows.expire(clock.now(), limit=4) for _ in range(4)] == [4, 4, 2, 0]


async def test_due_rows_are_claimed_earliest_first(store: Store) -> None:
    """A claimed row is due again when its lease ends; its fence has grown."""
    await store.rows.put_many("jobs", [Row("a", 1, due=30), Row("b", 2, due=10), Row("c", 3, due=20), Row("d", 4, due=99), Row("e", 5)])
    claimed = await store.rows.claim("jobs", 50, "me", 100, limit=2)
    assert claimed == [Row("b", 2, 150, None, "me", 1), Row("c", 3, 150, None, "me", 1)]
    assert [r.key for r in await store.rows.claim("jobs", 50, "you", 100, limit=5)] == ["a"]
    assert await store.rows.claim("jobs", 50, "you", 100) == []
    again = await store.rows.claim("jobs", 150, "you", 100, limit=9)
    assert [(r.key, r.owner, r.fence) for r in again] == [("d", "you", 1), ("a", "you", 2), ("b", "you", 2), ("c", "you", 2)]


async def test_no_row_is_claimed_twice(store: Store) -> None:
    await store.rows.put_many("jobs", [Row(f"{n}", n, due=1) for n in range(30)])
    batches = await asyncio.gather(*(store.rows.claim("jobs", 5, f"w{n}", 1000, limit=3) for n in range(20)))
    keys = [row.key for batch in batches for row in batch]
    assert sorted(keys) == sorted(str(n) for n in range(30))


async def test_a_worker_that_lost_its_lease_can_do_nothing(store: Store) -> None:
    await store.rows.put_many("jobs", [Row("a", {"step": 0}, due=1)])
    [old] = await store.rows.claim("jobs", 5, "w1", 10)
    [new] = await store.rows.claim("jobs", 15, "w2", 10)
    assert not await store.rows.change("jobs", replace(old, value={"step": 1}), old.fence)
    assert not await store.rows.drop("jobs", "a", old.fence)
    assert await store.rows.change("jobs", replace(new, value={"step": 2}), new.fence)
    assert await store.rows.get("jobs", "a") == replace(new, value={"step": 2})
    assert await store.rows.drop("jobs", "a", new.fence)
    assert not await store.rows.drop("jobs", "a", new.fence)
    assert not await store.rows.change("jobs", new, new.fence)


async def test_a_row_leaves_under_its_fence_with_what_takes_its_place(store: Store) -> None:
    await store.rows.put_many("jobs", [Row("a", 1, due=1)])
    [old] = await store.rows.claim("jobs", 5, "w1", 10)
    [new] = await store.rows.claim("jobs", 15, "w2", 10)
    with pytest.raises(Conflict):
        await store.documents.commit([DropRow("jobs", "a", old.fence), PutRow("done", "a", "w1")])
    assert (await store.rows.get("jobs", "a"), await store.rows.get("done", "a")) == (new, None)
    await store.documents.commit([DropRow("jobs", "a", new.fence), PutRow("done", "a", "w2")])
    assert (await store.rows.get("jobs", "a"), await store.rows.get("done", "a")) == (None, Row("a", "w2"))
    with pytest.raises(Conflict):
        await store.documents.commit([DropRow("jobs", "a", new.fence)])


async def test_a_replaced_row_is_no_longer_its_old_holders(store: Store) -> None:
    await store.rows.put_many("jobs", [Row("a", 1, due=1), Row("b", 1, due=1)])
    held = await store.rows.claim("jobs", 5, "w1", 1000, limit=2)
    await store.rows.put_many("jobs", [Row("a", 2, due=9)])
    await store.documents.commit([PutRow("jobs", "b", 2, due=9)])
    for row in held:
        assert not await store.rows.drop("jobs", row.key, row.fence)
    assert [(r.key, r.value) for r in await store.rows.claim("jobs", 9, "w2", 10, limit=2)] == [("a", 2), ("b", 2)]


async def test_a_row_is_put_as_one_that_is_held(store: Store) -> None:
    await store.documents.commit([PutRow("jobs", "a", {"step": 0}, due=100, if_absent=True, owner="w1")])
    held = Row("a", {"step": 0}, due=100, owner="w1")
    assert await store.rows.get("jobs", "a") == held
    assert await store.rows.claim("jobs", 99, "w2", 50) == []
    await store.documents.commit([ChangeRow("jobs", replace(held, value={"step": 1}))])
    [taken] = await store.rows.claim("jobs", 100, "w2", 50)
    assert (taken.value, taken.owner) == ({"step": 1}, "w2")
    with pytest.raises(Conflict):
        await store.documents.commit([ChangeRow("jobs", replace(held, value={"step": 2}))])


async def test_a_unit_holds_only_under_the_fence_of_the_row_that_it_changes(store: Store) -> None:
    await store.rows.put_many("jobs", [Row("a", {"step": 0}, due=1)])
    [old] = await store.rows.claim("jobs", 5, "w1", 10)
    [new] = await store.rows.claim("jobs", 15, "w2", 10)
    with pytest.raises(Conflict):
        await store.documents.commit([PutRow("done", "late", 1), ChangeRow("jobs", replace(old, value={"step": 1}))])
    assert await store.rows.get("done", "late") is None
    await store.documents.commit([ChangeRow("jobs", replace(new, value={"step": 2})), PutRow("done", "right", 1)])
    assert await store.rows.get("jobs", "a") == replace(new, value={"step": 2})
    assert await store.rows.get("done", "right") is not None
    with pytest.raises(Conflict):
        await store.documents.commit([ChangeRow("jobs", replace(new, key="absent"))])


async def test_change_and_drop_without_a_fence(store: Store) -> None:
    assert not await store.rows.change("t", Row("k", 1))
    assert not await store.rows.drop("t", "k")
    await store.rows.put_many("t", [Row("k", 1)])
    assert await store.rows.change("t", Row("k", 2, due=7, expires=None, owner="me"))
    assert await store.rows.get("t", "k") == Row("k", 2, 7, None, "me", 0)
    assert await store.rows.drop("t", "k")


async def test_a_row_is_altered_with_nobody_in_between(store: Store, clock: FakeClock) -> None:
    end = clock.now() + 100

    def more(row: Row | None) -> Row:
        return Row("k", {"n": 1}, expires=end) if row is None else replace(row, value={"n": row.value["n"] + 1})

    altered = await asyncio.gather(*(store.rows.alter("t", "k", more) for _ in range(30)))
    assert sorted(row.value["n"] for row in altered) == list(range(1, 31))
    assert {row.expires for row in altered} == {end}
    clock.advance(100)
    end += 200
    assert (await store.rows.alter("t", "k", more)).value == {"n": 1}

    def refuse(row: Row | None) -> Row:
        raise Conflict

    with pytest.raises(Conflict):
        await store.rows.alter("t", "k", refuse)
    found = await store.rows.get("t", "k")
    assert found is not None
    assert (found.value, found.expires) == ({"n": 1}, end)


async def test_what_its_holder_changes_meanwhile_is_not_undone_by_who_alters_it(store: Store, clock: FakeClock) -> None:
    for number in range(20):
        key = f"k{number}"
        await store.rows.put_many("t", [Row(key, {}, due=clock.now())])
        (held,) = await store.rows.claim("t", clock.now(), "holder", 1000)

        def marked(row: Row | None) -> Row:
            assert row is not None
            return replace(row, value={**row.value, "altered": True})

        changed, altered = await asyncio.gather(
            store.rows.change("t", replace(held, value={"held": True}, due=None), held.fence), store.rows.alter("t", key, marked)
        )
        found = await store.rows.get("t", key)
        assert found is not None
        assert found.value == {**({"held": True} if changed else {}), "altered": True}
        assert (found.due is None) == changed
        assert altered.value == found.value
        await store.rows.drop("t", key)


async def test_counters_add_up(store: Store, clock: FakeClock) -> None:
    """From 0 again when they have expired; the expiry is that of the first count."""
    assert sorted(await asyncio.gather(*(store.rows.count_up("c", "k") for _ in range(50)))) == list(range(1, 51))
    assert await store.rows.count_up("c", "k", -20) == 30
    end = clock.now() + 100
    assert await store.rows.count_up("c", "t", expires=end) == 1
    assert await store.rows.count_up("c", "t", expires=end + 1000) == 2
    row = await store.rows.get("c", "t")
    assert row is not None
    assert (row.value, row.expires) == (2, end)
    clock.advance(100)
    assert await store.rows.get("c", "t") is None
    assert await store.rows.count_up("c", "t", 5) == 5
