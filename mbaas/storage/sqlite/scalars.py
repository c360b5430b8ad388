"""Wire values as SQLite compares them: what is bound for a column of a given type, and the JSON types of list elements."""

from __future__ import annotations

from typing import Any

from mbaas.kernel.clock import iso
from mbaas.kernel.values import Json, date_ms, is_number
from mbaas.storage.sqlite.columns import Column

_INT64 = 1 << 63

JSON_TYPES = {
    "text": "('text')",
    "number": "('integer','real')",
    "true": "('true')",
    "false": "('false')",
    "pointer": "('object')",
}
"""json_type's words by our kind of value."""


def kind_of(value: Json) -> str:
    """text, number, true, false, null, pointer; `other` for what SQL does not compare."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if is_number(value):
        return "number"
    if not isinstance(value, dict) or value.get("__type") != "Pointer":
        return "other"
    return "pointer" if isinstance(value.get("className"), str) and isinstance(value.get("objectId"), str) else "other"


def element(value: Json) -> Any:
    """A string or number as it is bound. Integers beyond 64 bits become floating point, as SQLite reads them from JSON."""
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return float(value)
    return value


def argument(at: Column, value: Json) -> Any:
    """What to bind for a comparison with the column: None if no value of its type equals it, NotImplemented if SQL cannot tell."""
    kind = at.kind
    if kind == "String":
        return value if isinstance(value, str) else None
    if kind == "Number":
        return element(value) if is_number(value) else None
    if kind == "Boolean":
        return int(value) if isinstance(value, bool) else None
    if kind == "Date":
        return _date(value)
    if kind == "Pointer" and at.target is not None:
        return value["objectId"] if kind_of(value) == "pointer" and value["className"] == at.target else None
    return NotImplemented


def _date(value: Json) -> Any:
    instant = date_ms(value)
    if instant is None:
        return NotImplemented if isinstance(value, dict) and value.get("__type") == "Date" else None
    try:
        return iso(instant)
    except (OverflowError, ValueError):
        return NotImplemented
