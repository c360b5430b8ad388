"""Parse's values as they travel and as they are kept: plain JSON, special ones marked by `__type`.

The server keeps the wire form everywhere (a stored document is its own answer); this module knows how to
tell the types apart. Source: the Parse REST guide, and Parse Server 9.10's answers.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeGuard

import orjson

from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, ParseError

Json = Any
"""A JSON value: None, bool, int, float, str, list of Json, dict of str to Json."""
Object = dict[str, Any]
"""A JSON object."""

SPECIAL_TYPES = frozenset({"Date", "Bytes", "Pointer", "Relation", "GeoPoint", "Polygon", "File", "Object", "ACL"})


MOST_VALUES = 200_000
"""How many values one text may hold: what is done with each of them keeps everybody else waiting."""
DEEPEST = 200
"""How deep what clients send may nest: twice what MongoDB stores, and no danger to the stack."""


def read_json(text: str | bytes) -> Json:
    """The value of a JSON text. ValueError if it is none, or nests too deeply; ParseError 116 if it holds too many values."""
    raw = text if isinstance(text, bytes) else text.encode()
    if len(raw) <= 2 * DEEPEST:
        return orjson.loads(raw)
    inner = raw.count(b"{") + raw.count(b"[")
    if inner > MOST_VALUES:
        raise _too_many()
    value = orjson.loads(raw)
    if inner > DEEPEST and _nests(value, DEEPEST):
        raise ValueError("nested too deeply")
    if len(raw) > MOST_VALUES and raw.count(b",") > MOST_VALUES and _holds(value) > MOST_VALUES:
        raise _too_many()
    return value


def _too_many() -> ParseError:
    return ParseError(Code.OBJECT_TOO_LARGE, f"A request has no more than {MOST_VALUES} values.")


def _holds(value: Json) -> int:
    """How many values there are in it."""
    count, level = 0, [value]
    while level:
        count += sum(map(len, level))
        level = [inner for at in level for inner in (at.values() if isinstance(at, dict) else at) if type(inner) in (dict, list)]
    return count


def read_object(given: Json | bytes) -> Object | None:
    """An object, given as such or as the JSON text of one; None if it is neither."""
    if isinstance(given, (str, bytes)):
        try:
            given = read_json(given)
        except ValueError:
            return None
    return given if isinstance(given, dict) else None


def _nests(value: Json, depth: int) -> bool:
    """True if a value nests deeper than that."""
    level = [value]
    while level and depth >= 0:
        level = [inner for at in level for inner in (at.values() if isinstance(at, dict) else at) if type(inner) in (dict, list)]
        depth -= 1
    return bool(level)


def special(value: Json) -> str | None:
    """The `__type` of a special value, or None."""
    return value.get("__type") if isinstance(value, dict) else None


def pointer(class_name: str, object_id: str) -> Object:
    """The wire form of a pointer."""
    return {"__type": "Pointer", "className": class_name, "objectId": object_id}


def date(ms: int) -> Object:
    """The wire form of a date, from milliseconds since the epoch."""
    return {"__type": "Date", "iso": iso(ms)}


def date_ms(value: Json) -> int | None:
    """Milliseconds of a wire date, or None if it is not a valid one."""
    if isinstance(value, dict) and value.get("__type") == "Date" and isinstance(value.get("iso"), str):
        return from_iso(value["iso"])
    return None


def is_number(value: Json) -> TypeGuard[int | float]:
    """A JSON number; Python's booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def js_text(value: Json) -> str:
    """A value as JavaScript's string conversion shows it in Parse's messages."""
    if isinstance(value, list):
        return ",".join("" if inner is None else js_text(inner) for inner in value)
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def value_key(value: Json) -> Hashable:
    """A hashable stand-in for a JSON value: 1 equals 1.0, true does not equal 1, the order of keys does not count."""
    if isinstance(value, bool):
        return "b", value
    if isinstance(value, dict):
        return "o", frozenset((key, value_key(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return "l", tuple(map(value_key, value))
    plain: Hashable = value
    return plain
