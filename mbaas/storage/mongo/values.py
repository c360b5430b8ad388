"""Single values between the wire form and BSON, as Parse Server keeps them.

Dates become BSON dates and bytes BSON binaries wherever they stand. Pointers, geo points, polygons and files have a form
of their own only as the value of a column of that type; inside objects and lists they keep their wire form.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from typing import Any

from bson import Decimal128
from bson.datetime_ms import DatetimeMS

from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, date_ms, is_number, pointer
from mbaas.query.geo import point_of, polygon_of

_INT64 = 1 << 63
_EXACT = float(1 << 53)
_FIRST, _LAST = from_iso("0001-01-01") or 0, (from_iso("9999-12-31T23:59:59.999Z") or 0)
_POINTER = frozenset({"__type", "className", "objectId"})


def stored(value: Json) -> Any:
    """A value inside a document as BSON."""
    if isinstance(value, dict):
        return _stored_object(value)
    if isinstance(value, list):
        return [stored(v) for v in value]
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return float(value)
    return value


def _stored_object(value: dict[str, Json]) -> Any:
    kind = value.get("__type")
    if kind == "Date":
        instant = date_ms(value)
        if instant is not None:
            return DatetimeMS(instant)
    elif kind == "Bytes":
        try:
            return base64.b64decode(value["base64"], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            return {key: stored(v) for key, v in value.items()}
    elif kind == "Pointer" and value.keys() == _POINTER:
        # One order of keys, since MongoDB compares objects with it.
        return pointer(value["className"], value["objectId"])
    return {key: stored(v) for key, v in value.items()}


def shown(value: Any) -> Json:
    """A BSON value in wire form. Whole doubles are shown as integers, as JavaScript does, whose doubles most of them are."""
    kind = type(value)
    if kind is str or kind is bool or kind is int or value is None:
        return value
    if kind is float:
        return int(value) if -_EXACT < value < _EXACT and value.is_integer() else value
    if isinstance(value, dict):
        return {key: shown(v) for key, v in value.items()}
    if isinstance(value, list):
        return [shown(v) for v in value]
    return _shown_odd(value)


def _shown_odd(value: Any) -> Json:
    if isinstance(value, DatetimeMS):
        return {"__type": "Date", "iso": stamp(value)}
    if isinstance(value, bytes):
        return {"__type": "Bytes", "base64": base64.b64encode(value).decode()}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal128):
        number = value.to_decimal()
        return math.nan if number.is_nan() else float(number)
    return str(value)


def stamp(value: Any) -> str:
    """A BSON date as `createdAt` shows it."""
    return iso(min(max(int(value), _FIRST), _LAST)) if isinstance(value, DatetimeMS) else str(value)


def _pointer_in(value: Json) -> Any:
    return f"{value['className']}${value['objectId']}"


def _point_in(value: Json) -> Any:
    return [stored(value["longitude"]), stored(value["latitude"])]


def _polygon_in(value: Json) -> Any:
    ring = [[stored(longitude), stored(latitude)] for latitude, longitude in value["coordinates"]]
    return {"type": "Polygon", "coordinates": [ring if ring[0] == ring[-1] else [*ring, ring[0]]]}


def _is_pointer(value: Json) -> bool:
    return isinstance(value, dict) and value.keys() == _POINTER and value["__type"] == "Pointer" and "$" not in str(value["className"])


def _is_file(value: Json) -> bool:
    return isinstance(value, dict) and value.get("__type") == "File" and isinstance(value.get("name"), str)


_IN: dict[str, tuple[Callable[[Json], object], Callable[[Json], Any]]] = {
    "Pointer": (_is_pointer, _pointer_in),
    "GeoPoint": (point_of, _point_in),
    "Polygon": (polygon_of, _polygon_in),
    "File": (
        lambda value: isinstance(value, dict) and value.get("__type") == "File" and isinstance(value.get("name"), str),
        lambda v: v["name"],
    ),
}
"""Column type → (is this a value of it, its form as such a column's value)."""


def column_value(schema: ClassSchema, name: str, value: Json) -> Any:
    """The value of a column as BSON."""
    field = schema.fields.get(name)
    form = _IN.get(field.type) if field is not None else None
    return form[1](value) if form is not None and form[0](value) else stored(value)


def operand(schema: ClassSchema, name: str, value: Json) -> Any:
    """The value as a query compares it with the column; NEVER where the column cannot hold such a value."""
    field = schema.fields.get(name)
    form = _IN.get(field.type) if field is not None else None
    if form is None or value is None:
        return stored(value)
    return form[1](value) if form[0](value) else NEVER


NEVER: dict[str, str] = {"__type": "Never"}
"""A value that no column of a special type equals."""


def shown_pointer(value: Any) -> Json:
    """`Class$id` as a pointer."""
    class_name, _, object_id = str(value).partition("$")
    return pointer(class_name, object_id)


def _is_ring(value: Any) -> bool:
    """True for a polygon as Parse Server keeps one; whatever else somebody has put there is shown as it is."""
    rings = value.get("coordinates") if isinstance(value, dict) and value.get("type") == "Polygon" else None
    ring = rings[0] if isinstance(rings, list) and rings else None
    return isinstance(ring, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in ring)


def shown_column(schema: ClassSchema, name: str, value: Any) -> Json:
    """The wire form of a column's value."""
    field = schema.fields.get(name)
    kind = field.type if field is not None else None
    if kind == "GeoPoint" and isinstance(value, list) and len(value) == 2 and all(map(is_number, value)):
        return {"__type": "GeoPoint", "latitude": shown(value[1]), "longitude": shown(value[0])}
    if kind == "Polygon" and _is_ring(value):
        return {"__type": "Polygon", "coordinates": [[shown(pair[1]), shown(pair[0])] for pair in value["coordinates"][0]]}
    if kind == "File" and isinstance(value, str):
        return {"__type": "File", "name": value}
    return shown(value)
