"""The contract of text indexes."""

from __future__ import annotations

import pytest

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ops import Set
from mbaas.kernel.schema import Field, new_class
from mbaas.query.ast import And, Equals, Text
from mbaas.storage.ports import Delete, Find, Store, Update
from mbaas.testing.contracts.samples import POST, ids, insert

NOTE = new_class("Note", {"body": Field("String"), "kind": Field("String")}, indexes={"body_text": {"body": "text"}})
NOTES = [
    insert("a", NOTE, body="the quick brown fox", kind="x"),
    insert("b", NOTE, body="the lazy dog sleeps, the dog dreams", kind="x"),
    insert("c", NOTE, body="Café au lait for the fox", kind="y"),
    insert("d", NOTE, body=None),
    insert("e", NOTE),
]


@pytest.fixture
async def notes(store: Store) -> Store:
    await store.schemas.put(NOTE)
    await store.documents.commit(NOTES)
    return store


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("fox", {"a", "c"}),
        ("FOX", {"a", "c"}),
        ("cafe", {"c"}),
        ("café dog", {"b", "c"}),
        ('"brown fox"', {"a"}),
        ("fox -cafe", {"a"}),
        ('fox -"quick brown"', {"c"}),
        ("absent", set()),
        ("-fox", set()),
        ("", set()),
    ],
)
async def test_terms(notes: Store, term: str, expected: set[str]) -> None:
    """Words are alternatives, phrases must occur, words with a minus must not."""
    assert set(await ids(notes, Find(NOTE, Text(("body",), term)))) == expected


@pytest.mark.parametrize("term", ['"', '"fox', "fox)", "NEAR(", "a AND", "*", "body: fox", "'", "fox\x00", "^", "--", '-"', "{x}", "+fox"])
async def test_no_term_is_an_error(notes: Store, term: str) -> None:
    await notes.documents.find(Find(NOTE, Text(("body",), term)))


async def test_case_and_accents_count_on_request(notes: Store) -> None:
    assert await ids(notes, Find(NOTE, Text(("body",), "Cafe", case_sensitive=True))) == ["c"]
    assert await ids(notes, Find(NOTE, Text(("body",), "cafe", case_sensitive=True))) == []
    assert await ids(notes, Find(NOTE, Text(("body",), "café", diacritic_sensitive=True))) == ["c"]
    assert await ids(notes, Find(NOTE, Text(("body",), "cafe", diacritic_sensitive=True))) == []


async def test_the_best_come_first_with_their_score(notes: Store) -> None:
    for order in ((), ((("$score",), False),)):
        found = await notes.documents.find(Find(NOTE, Text(("body",), "dog fox"), order=order))
        scores = [document.body["score"] for document in found]
        assert scores == sorted(scores, reverse=True)
        assert all(score > 0 for score in scores)
    raw = await notes.documents.find_raw(Find(NOTE, Text(("body",), "dog")))
    assert [b'"score":' in document for document in raw] == [True]
    ordered = Find(NOTE, Text(("body",), "fox"), order=((("objectId",), True),))
    assert await ids(notes, ordered) == ["c", "a"]


async def test_other_conditions_hold_too(notes: Store) -> None:
    where = And((Text(("body",), "the"), Equals(("kind",), "y")))
    assert await ids(notes, Find(NOTE, where)) == ["c"]
    assert await notes.documents.count(Find(NOTE, where)) == 1


async def test_the_index_follows_writes(notes: Store) -> None:
    await notes.documents.commit([Update(NOTE, "e", [Set(("body",), "a new fox")]), Delete(NOTE, "a")])
    assert set(await ids(notes, Find(NOTE, Text(("body",), "fox")))) == {"c", "e"}
    await notes.documents.commit([Update(NOTE, "e", [Set(("body",), "no more")])])
    assert await ids(notes, Find(NOTE, Text(("body",), "fox"))) == ["c"]


async def test_a_column_without_a_text_index_is_refused(notes: Store) -> None:
    await notes.schemas.put(POST)
    for find in (Find(NOTE, Text(("kind",), "x")), Find(POST, Text(("title",), "x"))):
        with pytest.raises(ParseError) as raised:
            await notes.documents.find(find)
        assert (raised.value.code, raised.value.message) == (Code.INVALID_QUERY, "text index required for $text query")
