"""What the compiler sends to MongoDB, where no server of the tests can show it, and where a client could mean harm."""

from __future__ import annotations

from typing import Any

import pytest

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import Field, new_class
from mbaas.kernel.values import date, pointer
from mbaas.query import ast
from mbaas.storage.mongo.compile import NOTHING, compile_where
from mbaas.storage.mongo.format import INSERTION
from mbaas.storage.mongo.search import search
from mbaas.storage.ports import Find

NOTE = new_class(
    "Note",
    {"body": Field("String"), "who": Field("Pointer", "Person"), "at": Field("Date"), "spot": Field("GeoPoint")},
    indexes={"body_text": {"body": "text"}},
)
FOX = ast.Text(("body",), "fox")
RANK = {"$meta": "textScore"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FOX, {"$search": "fox"}),
        (ast.Text(("body",), '"a fox" -dog', "french"), {"$search": '"a fox" -dog', "$language": "french"}),
        (ast.Text(("body",), "x", case_sensitive=True), {"$search": "x", "$caseSensitive": True}),
        (ast.Text(("body",), "x", None, False, True), {"$search": "x", "$diacriticSensitive": True}),
    ],
    ids=str,
)
def test_a_text_search(text: ast.Text, expected: dict[str, Any]) -> None:
    assert compile_where(NOTE, text) == {"$text": expected}


def test_a_text_search_with_other_conditions_and_readers() -> None:
    where = compile_where(NOTE, ast.And((FOX, ast.Equals(("who",), pointer("Person", "p")))), frozenset({"*", "u"}))
    [asked, readable] = where["$and"]
    assert asked == {"$and": [{"$text": {"$search": "fox"}}, {"_p_who": {"$eq": "Person$p"}}]}
    assert readable == {"_rperm": {"$in": [None, "*", "u"]}}


def test_a_column_without_a_text_index_is_refused() -> None:
    with pytest.raises(ParseError) as raised:
        compile_where(NOTE, ast.Text(("who",), "x"))
    assert (raised.value.code, raised.value.message) == (Code.INVALID_QUERY, "text index required for $text query")


@pytest.mark.parametrize(
    ("find", "sort"),
    [
        (Find(NOTE, FOX), [("score", RANK)]),
        (Find(NOTE, FOX, order=((("$score",), False),)), [("score", RANK)]),
        (Find(NOTE, FOX, order=((("at",), True), (("$score",), False))), [("at", -1), ("score", RANK)]),
        (Find(NOTE, order=((("$score",), False),)), INSERTION),
        (Find(NOTE), INSERTION),
    ],
    ids=["rank", "rank asked for", "rank second", "no rank", "insertion"],
)
def test_the_order_of_what_is_found(find: Find, sort: list[Any]) -> None:
    made = search(None, find)  # type: ignore[arg-type]
    assert made.order == sort
    assert made.ranked == (find.where is FOX)


@pytest.mark.parametrize("name", ["$where", "$expr", "$text", "$jsonSchema", "a.b", "", "a\0b"])
def test_no_key_is_an_operator(name: str) -> None:
    for path in ((name,), ("body", name)):
        for node in (ast.Equals(path, "x"), ast.Exists(path, True), ast.In(path, ("x",)), ast.Nor((ast.Compare(path, ">", 1),))):
            with pytest.raises(ParseError):
                compile_where(NOTE, node)


def test_no_value_is_an_operator() -> None:
    harm = {"$gt": ""}
    assert compile_where(NOTE, ast.Equals(("body",), harm)) == {"body": {"$eq": harm}}
    assert compile_where(NOTE, ast.NotEquals(("body",), harm)) == {"body": {"$ne": harm}}
    assert compile_where(NOTE, ast.Compare(("body",), ">", harm)) == NOTHING
    assert compile_where(NOTE, ast.Equals(("who",), harm))["_p_who"]["$eq"] != harm


def test_what_a_column_cannot_hold_is_not_found() -> None:
    """The text under which a pointer is kept is no pointer, and two numbers are no place."""
    assert compile_where(NOTE, ast.Equals(("who",), "Person$p")) != compile_where(NOTE, ast.Equals(("who",), pointer("Person", "p")))
    assert compile_where(NOTE, ast.Equals(("spot",), [1, 2])) == {"spot": {"$eq": {"__type": "Never"}}}


def test_dates_are_dates() -> None:
    found = compile_where(NOTE, ast.Compare(("createdAt",), "<", date(5)))
    assert int(found["_created_at"]["$lt"]) == 5


def test_quoted_patterns_are_spelled_for_every_engine() -> None:
    assert compile_where(NOTE, ast.Regex(("body",), r"^\Qa.b\E")) == {"body": {"$regex": r"^a\.b"}}
    assert compile_where(NOTE, ast.Regex(("body",), "a", "mi")) == {"body": {"$regex": "a", "$options": "im"}}
    with pytest.raises(ParseError):
        compile_where(NOTE, ast.Regex(("body",), "("))
