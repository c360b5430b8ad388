"""Parse's values as they travel and as they are kept: plain JSON, special ones marked by `__type`.

The server keeps the wire form everywhere (a stored document is its own answer); this module knows how to
tell the types apart. Source: the Parse REST guide, and Parse Server 9.10's answers.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import orjson

from mbaas.kernel.clock import from_iso, iso

Json = Any
"""A JSON value: None, bool, int, float, str, list of Json, dict of str to Json."""
Object = dict[str, Any]
"""A JSON object."""

SPECIAL_TYPES = frozenset({"Date", "Bytes", "Pointer", "Relation", "GeoPoint", "Polygon", "File", "Object", "ACL"})


DEEPEST = 200
"""How deep what clients send may nest: twice what MongoDB stores, and no danger to the stack."""


def read_json(text: str | bytes) -> Json:
    """The value of a JSON text. ValueError if it is none, or nests too deeply."""
    value = orjson.loads(text)
    raw = text if isinstance(text, bytes) else text.encode()
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _nests(value, DEEPEST):
        raise ValueError("nested too deeply")
    return value


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


def same(left: Json, right: Json) -> bool:
    """Equality of JSON values: 1 equals 1.0, true does not equal 1, the order of keys does not count."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return len(left) == len(right) and all(k in right and same(v, right[k]) for k, v in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)
