"""The contract of searching: each kind of query on one small set of objects, in the store and in memory."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mbaas.kernel.schema import Field, new_class
from mbaas.kernel.values import Json, Object, date, pointer
from mbaas.query import ast
from mbaas.query.match import match
from mbaas.storage.ports import Document, Find, Insert, Relate, Store
from mbaas.testing.contracts.samples import POST, body, filled, ids, insert

ANN, BOB = pointer("Person", "ann"), pointer("Person", "bob")
DAY = 86_400_000
OBJECTS = [
    insert("a", title="apple", score=1, done=True, due=date(DAY), author=ANN, tags=["red", "green"], extra={"k": 1, "l": {"m": "x"}}),
    insert(
        "b", title="Banana", score=2.5, done=False, due=date(2 * DAY), author=BOB, tags=["green", 1], extra={"k": [1, 2], "l": [{"m": "y"}]}
    ),
    insert("c", title="cherry.pie", score=-3, tags=[], extra={"k": None}),
    insert("d", title=None, score=None, done=None, due=None, author=None, tags=None, extra=None),
    insert("e"),
    insert("f", title="été", score=10, tags=[["red"], {"m": "x"}, ANN, None, True], extra={"k": "1", "é k": 1}),
]
T, S, TAGS = ("title",), ("score",), ("tags",)
K, LM = ("extra", "k"), ("extra", "l", "m")
CASES: list[tuple[ast.Node, str]] = [
    (ast.And(()), "abcdef"),
    (ast.Or(()), ""),
    (ast.And((ast.Compare(S, ">", 0), ast.Equals(("done",), True))), "a"),
    (ast.Or((ast.Equals(T, "apple"), ast.Compare(S, ">=", 10))), "af"),
    (ast.Nor((ast.Equals(T, "apple"), ast.Compare(S, ">=", 10))), "bcde"),
    (ast.Equals(T, "apple"), "a"),
    (ast.Equals(T, 1), ""),
    (ast.Equals(T, None), "de"),
    (ast.NotEquals(T, "apple"), "bcdef"),
    (ast.NotEquals(T, None), "abcf"),
    (ast.Equals(S, 1.0), "a"),
    (ast.Equals(S, "1"), ""),
    (ast.Equals(S, True), ""),
    (ast.Equals(("done",), False), "b"),
    (ast.Equals(("done",), 0), ""),
    (ast.Equals(("due",), {"__type": "Date", "iso": "1970-01-02T00:00:00Z"}), "a"),
    (ast.Equals(("author",), ANN), "a"),
    (ast.Equals(("author",), pointer("Other", "ann")), ""),
    (ast.NotEquals(("author",), ANN), "bcdef"),
    (ast.Equals(("objectId",), "c"), "c"),
    (ast.In(("objectId",), ("a", "e", "zz")), "ae"),
    (ast.Compare(S, "<", 2), "ac"),
    (ast.Compare(S, "<=", 2.5), "abc"),
    (ast.Compare(S, ">", "a"), ""),
    (ast.Compare(T, ">=", "apple"), "acf"),
    (ast.Compare(("due",), ">", date(DAY)), "b"),
    (ast.Compare(("createdAt",), ">", date(0)), "abcdef"),
    (ast.Compare(("createdAt",), "<=", date(0)), ""),
    (ast.In(T, ("apple", "été", 3)), "af"),
    (ast.In(T, (None, "apple")), "ade"),
    (ast.In(T, ()), ""),
    (ast.NotIn(T, ("apple", None)), "bcf"),
    (ast.NotIn(T, ()), "abcdef"),
    (ast.In(("author",), (ANN, BOB)), "ab"),
    (ast.Exists(T, True), "abcdf"),
    (ast.Exists(T, False), "e"),
    (ast.Exists(K, True), "abcf"),
    (ast.Exists(("absent",), False), "abcdef"),
    (ast.Equals(TAGS, "green"), "ab"),
    (ast.Equals(TAGS, 1), "b"),
    (ast.Equals(TAGS, True), "f"),
    (ast.Equals(TAGS, ANN), "f"),
    (ast.NotEquals(TAGS, "green"), "cdef"),
    (ast.In(TAGS, ("red", "blue")), "a"),
    (ast.All(TAGS, ("green", "red")), "a"),
    (ast.All(TAGS, ("green",)), "ab"),
    (ast.AllPrefixes(TAGS, ("^gr", "^re")), "a"),
    (ast.ContainedBy(TAGS, ("green", "red", "blue")), "acde"),
    (ast.Regex(T, "an"), "b"),
    (ast.Regex(T, "^b", "i"), "b"),
    (ast.Regex(T, r"^\Qcherry.\E"), "c"),
    (ast.Regex(T, r"\Qy.p\E"), "c"),
    (ast.Regex(T, "^a.*e$"), "a"),
    (ast.Regex(TAGS, "^re"), "a"),
    (ast.Equals(K, 1), "ab"),
    (ast.Equals(K, "1"), "f"),
    (ast.Equals(K, None), "cde"),
    (ast.Compare(K, ">", 1), "b"),
    (ast.Equals(LM, "x"), "a"),
    (ast.Equals(LM, "y"), "b"),
    (ast.Equals(("tags", "0"), "green"), "b"),
    (ast.Equals(("tags", "m"), "x"), "f"),
]


@pytest.mark.parametrize(("node", "expected"), CASES, ids=str)
async def test_a_search_finds_what_its_words_mean(store: Store, node: ast.Node, expected: str) -> None:
    """The store and the matcher agree with the table above."""
    await store.schemas.put(POST)
    await store.documents.commit(OBJECTS)
    assert await ids(store, Find(POST, node)) == list(expected)
    assert await store.documents.count(Find(POST, node, limit=1, skip=1)) == len(expected)
    assert [step.document.body["objectId"] for step in OBJECTS if match(node, step.document.body)] == list(expected)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((), "abcdef"),
        (((S, False),), "decabf"),
        (((S, True),), "fbac"),
        (((T, False),), "deBacé"),
        (((("due",), True), (S, False)), "ba"),
        (((("objectId",), True),), "fedcba"),
    ],
    ids=str,
)
async def test_results_come_in_the_order_asked_for(store: Store, order: Any, expected: str) -> None:
    """Null and absent first; equals in any order, so the ends that tie are left out."""
    await store.schemas.put(POST)
    await store.documents.commit(OBJECTS)
    found = await ids(store, Find(POST, order=order))
    names = {"deBacé": ["b", "a", "c", "f"]}.get(expected, list(expected))
    at = 2 if expected == "deBacé" else 0
    if expected == "decabf":
        assert set(found[:2]) == {"d", "e"}
        names, at = list("cabf"), 2
    assert found[at : at + len(names)] == names


async def test_limit_and_skip_cut_the_results(store: Store) -> None:
    await store.schemas.put(POST)
    await store.documents.commit([insert(f"{n:02d}", score=n) for n in range(10)])
    find = Find(POST, order=((S, True),), limit=3, skip=2)
    assert await ids(store, find) == ["07", "06", "05"]
    assert await ids(store, Find(POST, limit=0)) == []
    assert await ids(store, Find(POST, skip=9)) == ["09"]
    assert await ids(store, Find(POST, skip=10)) == []


async def test_long_lists_of_values_are_fine(store: Store) -> None:
    await store.schemas.put(POST)
    await store.documents.commit(OBJECTS)
    assert await ids(store, Find(POST, ast.In(T, ("apple", *(f"t{n}" for n in range(5000)))))) == ["a"]
    assert await ids(store, Find(POST, ast.In(S, (1, *(n + 0.25 for n in range(5000)))))) == ["a"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (T, ["apple", "Banana", "cherry.pie", "été", None]),
        (("due",), [date(DAY), date(2 * DAY), None]),
        (("author",), [ANN, BOB, None]),
        (("extra", "k"), [1, 2, None, "1"]),
        (("objectId",), list("abcdef")),
        (("absent",), []),
    ],
    ids=str,
)
async def test_distinct_values(store: Store, path: ast.Path, expected: list[Json]) -> None:
    await store.schemas.put(POST)
    await store.documents.commit(OBJECTS)
    found = await store.documents.distinct(Find(POST), path)
    assert sorted(map(str, found)) == sorted(map(str, expected))


async def test_related_objects_are_found_from_both_ends(store: Store) -> None:
    person = new_class("Person", {"name": Field("String")})
    await store.schemas.put(person)
    await store.schemas.put(POST)
    await store.documents.commit([insert(name, person) for name in ("ann", "bob", "cid")])
    await store.documents.commit(OBJECTS)
    await store.documents.commit([Relate(POST, "likes", "a", add=("bob", "ann")), Relate(POST, "likes", "b", add=("bob",))])
    assert await ids(store, Find(person, ast.RelatedTo("Post", "a", "likes"))) == ["ann", "bob"]
    assert await ids(store, Find(person, ast.RelatedTo("Post", "c", "likes"))) == []
    assert await ids(store, Find(person, ast.RelatedTo("Nothing", "c", "likes"))) == []
    assert await ids(store, Find(POST, ast.Relates("likes", ("ann", "cid")))) == ["a"]
    assert await ids(store, Find(POST, ast.Relates("likes", ("bob",)))) == ["a", "b"]
    assert await ids(store, Find(POST, ast.Relates("likes", ("bob",), negated=True))) == ["c", "d", "e", "f"]
    both = ast.And((ast.RelatedTo("Post", "a", "likes"), ast.Equals(("objectId",), "bob")))
    assert await ids(store, Find(person, both)) == ["bob"]


async def test_a_plan_can_be_explained(store: Store) -> None:
    await filled(store, [])
    assert await store.documents.explain(Find(POST, ast.Equals(S, 1)))


async def test_bytes_are_ordered_by_their_length_and_then_one_by_one(store: Store) -> None:
    held = new_class("Held", {"y": Field("Bytes")})
    await store.schemas.put(held)
    values = {"a": _bytes(b"\0"), "b": _bytes(b"ab"), "c": _bytes(b"b"), "d": _bytes(b"")}
    objects = [Insert(held, Document(body(name, y=value), version=1)) for name, value in values.items()]
    await store.documents.commit(objects)
    more = ast.Compare(("y",), ">", values["a"])
    assert await ids(store, Find(held, more)) == ["b", "c"]
    assert [one.document.body["objectId"] for one in objects if match(more, one.document.body)] == ["b", "c"]
    assert await ids(store, Find(held, order=((("y",), False),))) == ["d", "a", "c", "b"]


def _bytes(held: bytes) -> Object:
    return {"__type": "Bytes", "base64": base64.b64encode(held).decode()}
