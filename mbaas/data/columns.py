"""Values against columns: which type a value has, in which form it is kept, and whether the class allows it.

Follows Parse Server's inference: the first write of a field fixes its column's type, a mismatch is 111.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import Field
from mbaas.kernel.values import Json, Object, date_ms, is_number
from mbaas.query.geo import MOST_CORNERS, crosses_itself

_PLAIN = {bool: Field("Boolean"), str: Field("String"), int: Field("Number"), float: Field("Number"), list: Field("Array")}
OBJECT = Field("Object")
ARRAY = Field("Array")
NUMBER = Field("Number")


def type_of(value: Json) -> Field | None:
    """The column that a value asks for; None for null and for an operator that asks for none. Raises 111 for a malformed one."""
    plain = _PLAIN.get(type(value))
    if plain is not None:
        return plain
    if value is None:
        return None
    if value.get("__type"):
        return _special(value)
    if value.get("__op"):
        return _operator(value)
    return OBJECT


def _special(value: Object) -> Field:
    kind = value["__type"]
    if kind in ("Pointer", "Relation") and isinstance(value.get("className"), str) and value["className"]:
        return Field(kind, value["className"])
    needed = {"File": "name", "Date": "iso", "Bytes": "base64", "Polygon": "coordinates"}.get(kind) if isinstance(kind, str) else None
    if needed and value.get(needed):
        return Field(kind)
    if kind == "GeoPoint" and value.get("latitude") is not None and value.get("longitude") is not None:
        return Field("GeoPoint")
    raise invalid(kind)


def _operator(value: Object) -> Field | None:
    name = value["__op"]
    if name == "Increment":
        return NUMBER
    if name == "Delete":
        return None
    if name in ("Add", "AddUnique", "Remove"):
        return ARRAY
    if name == "SetOnInsert":
        return type_of(value.get("amount"))
    if name in ("AddRelation", "RemoveRelation"):
        objects = value.get("objects")
        first = objects[0] if isinstance(objects, list) and objects else None
        if not isinstance(first, dict) or not isinstance(first.get("className"), str):
            raise ParseError(Code.INVALID_JSON, f"{name} needs a list of pointers")
        return Field("Relation", first["className"])
    if name == "Batch":
        ops = value.get("ops")
        if not isinstance(ops, list) or not ops or not all(isinstance(op, dict) and op.get("__op") for op in ops):
            raise ParseError(Code.INVALID_JSON, "Batch needs a list of operations")
        return type_of(ops[0])
    raise ParseError(Code.INVALID_JSON, f"unexpected op: {name}")


def invalid(kind: Json) -> ParseError:
    """111 in Parse's words for a malformed special value."""
    return ParseError(Code.INCORRECT_TYPE, f"This is not a valid {kind}")


def nested_key() -> ParseError:
    """121 in Parse's words, for a key inside a value or a dotted key that reaches into one."""
    return ParseError(Code.INVALID_NESTED_KEY, "Nested keys should not contain the '$' or '.' characters")


def stored(value: Json) -> Json:
    """The form in which a column's value is kept: special values checked and normalised, the ones inside it too.

    Raises 111 for a malformed value and 121 for a key inside it that contains `$` or `.`.
    """
    if isinstance(value, dict) and value.get("__type"):
        return _KEEP[value["__type"]](value)
    return stored_inside(value)


def stored_inside(value: Json) -> Json:
    """The same for what lies inside an object or a list."""
    if isinstance(value, dict):
        kind = value.get("__type")
        if kind in _KEEP_INSIDE:
            return _KEEP[kind](value)
        for key in value:
            if "$" in key or "." in key:
                raise nested_key()
        return {k: stored_inside(v) if type(v) in (dict, list) else v for k, v in value.items()}
    if isinstance(value, list):
        return [stored_inside(v) if type(v) in (dict, list) else v for v in value]
    return value


def _date(value: Object) -> Object:
    moment = value.get("iso")
    if is_number(moment):
        try:
            return {"__type": "Date", "iso": iso(int(moment))}
        except (OverflowError, ValueError):
            raise invalid("Date") from None
    ms = date_ms(value)
    if ms is None:
        raise invalid("Date")
    return {"__type": "Date", "iso": iso(ms)}


def _bytes(value: Object) -> Object:
    try:
        base64.b64decode(value["base64"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise invalid("Bytes") from None
    return {"__type": "Bytes", "base64": value["base64"]}


def _pointer(value: Object) -> Object:
    object_id = value.get("objectId")
    if object_id is None:
        object_id = ""
    if not isinstance(object_id, str):
        if not is_number(object_id):
            raise invalid("Pointer")
        object_id = str(object_id)
    return {"__type": "Pointer", "className": value.get("className"), "objectId": object_id}


def _geo_point(value: Object) -> Object:
    latitude, longitude = value.get("latitude"), value.get("longitude")
    if not is_number(latitude) or not is_number(longitude):
        raise invalid("GeoPoint")
    return {"__type": "GeoPoint", "latitude": latitude, "longitude": longitude}


def _polygon(value: Object) -> Object:
    ring = value.get("coordinates")
    if isinstance(ring, list) and len(ring) > MOST_CORNERS:
        raise ParseError(Code.INCORRECT_TYPE, f"A Polygon has no more than {MOST_CORNERS} points")
    if not isinstance(ring, list) or not all(isinstance(p, list) and len(p) == 2 and all(map(is_number, p)) for p in ring):
        raise invalid("Polygon")
    if len({tuple(p) for p in ring}) < 3:
        raise ParseError(Code.INCORRECT_TYPE, "This is not a valid Polygon: it needs at least 3 different points")
    closed = ring if ring[0] == ring[-1] else [*ring, ring[0]]
    if crosses_itself(closed):
        raise ParseError(Code.INCORRECT_TYPE, "This is not a valid Polygon: its edges cross")
    return {"__type": "Polygon", "coordinates": closed}


def _file(value: Object) -> Object:
    if not isinstance(value.get("name"), str) or not value["name"]:
        raise invalid("File")
    return {"__type": "File", "name": value["name"]}


def _relation(value: Object) -> Object:
    return {"__type": "Relation", "className": value.get("className")}


_KEEP: dict[str, Any] = {
    "Date": _date,
    "Bytes": _bytes,
    "Pointer": _pointer,
    "GeoPoint": _geo_point,
    "Polygon": _polygon,
    "File": _file,
    "Relation": _relation,
}
_KEEP_INSIDE = ("Date", "Bytes", "Pointer")
"""Special values that are normalised inside objects and lists; the others are kept as sent, a file with its address."""
