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
    connection.create_scalar_function("judge", _judge, 2, deterministic=True)
    connection.create_scalar_function("judge", _judge_with_hidden, 3, deterministic=True)
    connection.create_scalar_function("found", _found, 2, deterministic=True)
    connection.create_scalar_function("folded", folded, 1, deterministic=True)
    connection.create_scalar_function("geo_distance", distance, 4, deterministic=True)
    connection.create_scalar_function("words", words, 1, deterministic=True)


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
