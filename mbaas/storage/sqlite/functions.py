"""The SQL functions that every connection of the store knows. The database file names `folded` in its unique indexes, so
no connection may write without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw
import orjson

from mbaas.query.geo import distance

Judge = Callable[[dict[str, Any]], Any]


def register(connection: apsw.Connection) -> None:
    """Make the functions known to a connection."""
    for name, arity, function in _FUNCTIONS:
        connection.create_scalar_function(name, function, arity, deterministic=True)


def _judge(judge: Judge, doc: str) -> Any:
    """What a Python function (a compiled query, an order key) says of the document."""
    return judge(orjson.loads(doc))


def _judge_with_hidden(judge: Judge, doc: str, hidden: str | None) -> Any:
    body = orjson.loads(doc)
    if hidden is not None:
        body.update(orjson.loads(hidden))
    return judge(body)


def _found(found: Callable[[str], bool], text: Any) -> bool:
    return isinstance(text, str) and found(text)


def folded(value: Any) -> Any:
    """The value as a unique index without regard to case keeps it."""
    return value.casefold() if isinstance(value, str) else value


def words(value: str | None) -> str:
    """The searchable text of a column's JSON: a string, or the strings of a list, one a line."""
    if value is None:
        return ""
    found = orjson.loads(value)
    if isinstance(found, str):
        return found
    return "\n".join(v for v in found if isinstance(v, str)) if isinstance(found, list) else ""


_FUNCTIONS: tuple[tuple[str, int, Any], ...] = (
    ("judge", 2, _judge),
    ("judge", 3, _judge_with_hidden),
    ("found", 2, _found),
    ("folded", 1, folded),
    ("words", 1, words),
    ("geo_distance", 4, distance),
)
