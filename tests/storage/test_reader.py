"""Searches that take long: out of the loop's way, and not for ever."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from mbaas.kernel.errors import Code, ParseError
from mbaas.query.ast import And, Compare, Equals, In, Near, Or, Regex, WithinPolygon
from mbaas.storage.ports import Find
from mbaas.storage.sqlite.store import SqliteStore
from mbaas.testing.contracts.samples import POST, insert
from tests.storage.test_writer import turns_until, writer_of

SLOW = And((Equals(("extra", "nothing"), 1), Regex(("title",), "(x+x+)+y")))
"""Judged in memory, object by object."""


@pytest.fixture
async def large(store: SqliteStore) -> SqliteStore:
    await store.schemas.put(POST)
    objects = [insert(f"{n:06d}", score=n, title=f"title {n}", extra={"k": n}) for n in range(20_000)]
    await store.documents.commit(objects)
    return store


async def test_a_long_search_leaves_the_loop_alone(large: SqliteStore) -> None:
    """The result is whole, and others are served meanwhile."""
    search = asyncio.ensure_future(large.documents.count(Find(POST, Compare(("extra", "k"), ">=", 10_000))))
    turns = await turns_until(search.done)
    assert await search == 10_000
    assert turns > 5


async def test_a_search_beyond_its_limit_is_told_so(large: SqliteStore) -> None:
    started = time.perf_counter()
    with pytest.raises(ParseError) as raised:
        await large.documents.find(Find(POST, SLOW, timeout_ms=20))
    assert raised.value.code == Code.TIMEOUT
    assert time.perf_counter() - started < 2
    assert await large.documents.count(Find(POST, Equals(("score",), 5))) == 1


async def test_one_object_that_takes_long_is_no_exception(store: SqliteStore) -> None:
    """What judges it is not SQL, which could be interrupted."""
    await store.schemas.put(POST)
    points = [{"__type": "GeoPoint", "latitude": 89, "longitude": n / 100} for n in range(2000)]
    await store.documents.commit([insert("a", extra={"places": points})])
    corners = tuple((50 * math.cos(n), 40 * math.sin(n)) for n in range(2000))
    where = WithinPolygon(("extra", "places"), corners)
    search = asyncio.ensure_future(store.documents.count(Find(POST, where)))
    turns = await turns_until(search.done)
    assert await search == 0
    assert turns > 5
    with pytest.raises(ParseError) as raised:
        await store.documents.count(Find(POST, where, timeout_ms=20))
    assert raised.value.code == Code.TIMEOUT


async def test_a_class_that_goes_meanwhile_is_told_to_be_gone(store: SqliteStore) -> None:
    """Between the commit that drops it and the word of it, which a thread brings."""
    await store.schemas.put(POST)
    await store.documents.commit([insert("a")])
    writer = writer_of(store).connection
    [table] = [name for (name,) in writer.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'o\\__' ESCAPE '\\'")]
    writer.execute(f"DROP TABLE {table}")
    for asked in (store.documents.find(Find(POST)), store.documents.get(POST, "a"), store.documents.commit([insert("b")])):
        with pytest.raises(ParseError) as raised:
            await asked
        assert raised.value.code == Code.INVALID_CLASS_NAME


async def test_a_searcher_who_leaves_stops_the_search(large: SqliteStore) -> None:
    task = asyncio.ensure_future(large.documents.find(Find(POST, Or((SLOW, Equals(("extra", "x"), 2))))))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    started = time.perf_counter()
    await asyncio.gather(*(large.documents.count(Find(POST, Compare(("extra", "k"), ">", n))) for n in range(4)))
    assert time.perf_counter() - started < 5


async def test_a_pattern_that_runs_away_is_stopped(store: SqliteStore) -> None:
    """RE2 refuses the lookahead; the pattern then runs in a thread under a limit."""
    await store.schemas.put(POST)
    await store.documents.commit([insert("a", title="x" * 40)])
    search = asyncio.ensure_future(store.documents.find(Find(POST, Regex(("title",), "^(?!y)(x|xx|x)+(x+)+$(?<!x)"))))
    turns = await turns_until(search.done)
    with pytest.raises(ParseError) as raised:
        await search
    assert raised.value.code == Code.TIMEOUT
    assert turns > 5


async def test_an_absurd_query_is_refused_or_answered(store: SqliteStore) -> None:
    """Never an internal error."""
    await store.schemas.put(POST)
    await store.documents.commit([insert("a", score=1)])
    wide = Or(tuple(Equals(("score",), n) for n in range(5000)))
    assert len(await store.documents.find(Find(POST, wide))) == 1
    assert len(await store.documents.find(Find(POST, In(("score",), tuple(range(100_000)))))) == 1
    with pytest.raises(ParseError) as raised:
        await store.documents.find(Find(POST, Or(tuple(Equals(("score",), n) for n in range(40_000)))))
    assert raised.value.code == Code.INVALID_QUERY


async def test_indexes_are_used(store: SqliteStore) -> None:
    await store.schemas.put(POST)
    between = And((Compare(("score",), ">", 1), Compare(("score",), "<", 3)))
    for node in (Equals(("score",), 1), between, In(("score",), (1, 2)), Regex(("title",), r"^\Qab\E")):
        plan = await store.documents.explain(Find(POST, And((node, Equals(("done",), True))), frozenset({"*"})))
        assert "USING INDEX i_" in str(plan), node
    ordered = await store.documents.explain(Find(POST, order=((("score",), True),), limit=3))
    assert "TEMP B-TREE" not in str(ordered)


async def test_a_hint_names_an_index(store: SqliteStore) -> None:
    await store.schemas.put(POST)
    await store.documents.commit([insert("a", score=1)])
    for hint in ("by_title", "by_score", "_id_"):
        assert len(await store.documents.find(Find(POST, Equals(("score",), 1), hint=hint))) == 1
        assert len(await store.documents.find(Find(POST, Or((Equals(("score",), 1), Equals(("title",), "x"))), hint=hint))) == 1
    with pytest.raises(ParseError) as raised:
        await store.documents.find(Find(POST, hint="absent"))
    assert raised.value.code == Code.INVALID_QUERY


async def test_the_nearest_of_many_are_found_fast(store: SqliteStore) -> None:
    await store.schemas.put(POST)
    spots = [{"__type": "GeoPoint", "latitude": n % 170 - 85 + n / 1e5, "longitude": n * 7 % 360 - 180 + n / 1e5} for n in range(10_000)]
    await store.documents.commit([insert(f"{n}", spot=spot, score=n) for n, spot in enumerate(spots)])
    find = Find(POST, And((Near(("spot",), (12.3, 45.6)), Compare(("score",), ">", 100))), frozenset({"*"}), limit=10)
    best = 1.0
    for _ in range(5):
        started = time.perf_counter()
        assert len(await store.documents.find_raw(find)) == 10
        best = min(best, time.perf_counter() - started)
    assert best < 0.02
