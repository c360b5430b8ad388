"""Equality and order of wire values as queries see them: dates by instant, pointers by class and id, 1 equals 1.0,
true is no number, and values of different types are neither equal nor ordered."""

from __future__ import annotations

import base64
import struct
from collections.abc import Hashable
from typing import Any

import orjson

from mbaas.kernel.values import Json, date_ms
from mbaas.query.ast import Path
from mbaas.query.reach import ABSENT, leaves

_INT64 = 1 << 63


def canonical(value: Json) -> Hashable:
    """A hashable stand-in: two values are equal in a query exactly if theirs are."""
    if value is None or value is ABSENT:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return ("b", value)
    if isinstance(value, int):
        # Databases keep integers beyond 64 bits as floating point.
        return value if -_INT64 <= value < _INT64 else float(value)
    if isinstance(value, float):
        return value
    if isinstance(value, list):
        return ("l", tuple(map(canonical, value)))
    return _canonical_object(value)


def _canonical_object(value: dict[str, Json]) -> Hashable:
    kind = value.get("__type")
    if kind == "Date":
        instant = date_ms(value)
        if instant is not None:
            return ("d", instant)
    elif kind == "Pointer":
        return ("p", canonical(value.get("className")), canonical(value.get("objectId")))
    return ("o", frozenset((k, canonical(v)) for k, v in value.items()))


def equal(left: Json, right: Json) -> bool:
    """Whether a query takes them for the same value; null equals absent."""
    return canonical(left) == canonical(right)


def ordered(value: Json) -> tuple[str, Any] | None:
    """(type, comparable) for values that `<` and `>` know; None for all others."""
    if isinstance(value, str):
        return "s", value
    if isinstance(value, bool):
        return "b", value
    if isinstance(value, (int, float)):
        return "n", canonical(value)
    if value is None or value is ABSENT:
        return "0", 0
    instant = date_ms(value)
    if instant is not None:
        return "d", instant
    held = _bytes_of(value)
    return None if held is None else ("y", (len(held), held))


def _bytes_of(value: Json) -> bytes | None:
    """What a value of the type Bytes holds; MongoDB orders them by length first."""
    if not isinstance(value, dict) or value.get("__type") != "Bytes":
        return None
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (KeyError, TypeError, ValueError):
        return None


def sort_key(value: Json) -> bytes:
    """Bytes that sort as MongoDB sorts values of mixed types: null, numbers, strings, objects, lists, bytes, booleans, dates."""
    if value is None or value is ABSENT:
        return b"\x01"
    if isinstance(value, bool):
        return b"\x06\x01" if value else b"\x06\x00"
    if isinstance(value, (int, float)):
        return b"\x02" + _number_key(float(value))
    if isinstance(value, str):
        return b"\x03" + value.encode()
    if isinstance(value, list):
        return b"\x05" + b"".join(sort_key(v) for v in value)
    instant = date_ms(value)
    if instant is not None:
        return b"\x07" + _number_key(float(instant))
    held = _bytes_of(value)
    if held is not None:
        return b"\x05\xff" + len(held).to_bytes(4, "big") + held
    return b"\x04" + orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _number_key(number: float) -> bytes:
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return struct.pack(">Q", bits ^ 0xFFFFFFFFFFFFFFFF if bits >> 63 else bits | 1 << 63)


def order_key(body: dict[str, Json], path: Path, descending: bool) -> bytes:
    """The key by which a document sorts: of a list the least element, or the greatest where descending."""
    keys: list[bytes] = []
    for leaf in leaves(body, path):
        if isinstance(leaf, list):
            keys.extend(map(sort_key, leaf) if leaf else (b"\x00",))
        else:
            keys.append(sort_key(leaf))
    if not keys:
        return b"\x01"
    return max(keys) if descending else min(keys)
