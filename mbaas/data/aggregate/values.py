"""Objects as a pipeline sees them, and back.

As in MongoDB the id is `_id` and dates are instants; a pointer is its object's id that remembers its class, so that it
equals a bare id in `$match`, groups by id, and is a pointer again when it is shown.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.values import Json, Object, date_ms, is_number, pointer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MANAGED = ("createdAt", "updatedAt")
_RAW_NAMES = {"createdAt": "_created_at", "updatedAt": "_updated_at"}
_PUBLIC_NAMES = {raw: name for name, raw in _RAW_NAMES.items()}
_LONGEST = 16 * 1024**2
_DEEPEST = 200
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "missing", "__bool__": lambda self: False})()
"""What a path leads to where there is nothing; not the same as null."""


class PointerId(str):
    """The id in a pointer column."""

    class_name: str
    __slots__ = ("class_name",)

    def __new__(cls, class_name: str, object_id: str) -> PointerId:
        made = super().__new__(cls, object_id)
        made.class_name = class_name
        return made


class RawPointer(str):
    """A pointer as MongoDB holds it: `Class$id`."""

    __slots__ = ()


def instant(ms: int) -> datetime:
    """The instant as the pipeline computes with it."""
    return _EPOCH + timedelta(milliseconds=ms)


def milliseconds(moment: datetime) -> int:
    """Back to milliseconds since the epoch."""
    return round((moment - _EPOCH) / timedelta(milliseconds=1))


def enter(body: Object) -> dict[str, Any]:
    """A stored object as the pipeline sees it."""
    document = {key: _inside(value) for key, value in body.items() if key not in ("objectId", "ACL")}
    document["_id"] = body["objectId"]
    for name in _MANAGED:
        ms = from_iso(body[name])
        document[name] = instant(ms) if ms is not None else None
    return document


def _inside(value: Json) -> Any:
    if isinstance(value, list):
        return [_inside(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__type")
    if kind == "Date":
        ms = date_ms(value)
        return None if ms is None else instant(ms)
    if kind == "Pointer" and isinstance(value.get("objectId"), str):
        return PointerId(str(value.get("className")), value["objectId"])
    return {k: _inside(v) for k, v in value.items()}


def enter_raw(body: Object) -> dict[str, Any]:
    """A stored object by MongoDB's names and in its values."""
    document: dict[str, Any] = {}
    for key, value in enter(body).items():
        if isinstance(value, PointerId):
            document[f"_p_{key}"] = raw_pointer(value)
        elif isinstance(value, dict) and value.get("__type") == "GeoPoint":
            document[key] = [value["longitude"], value["latitude"]]
        else:
            document[_RAW_NAMES.get(key, key)] = value
    return document


def raw_pointer(value: PointerId) -> RawPointer:
    """The text that MongoDB holds for a pointer."""
    return RawPointer(f"{value.class_name}${value}")


def leave_raw(document: dict[str, Any], *, extended: bool, names: bool) -> Object:
    """A result that is not turned into an object of Parse: values as extended JSON or else as JSON, the id as `_id` or as objectId."""
    shown: Object = {}
    for key, value in document.items():
        if key == "_id" and not names:
            shown["objectId"] = _outside(value, ids=True)
        elif isinstance(value, PointerId) and key != "_id":
            shown[f"_p_{key}"] = str(raw_pointer(value))
        else:
            shown[_RAW_NAMES.get(key, key)] = _plain(value, extended)
    return shown


def _plain(value: Any, extended: bool, room: int = _DEEPEST) -> Json:
    if not room:
        raise ValueError("deeper than JSON may be")
    if isinstance(value, datetime):
        text = iso(milliseconds(value))
        return {"$date": text.replace(".000Z", "Z")} if extended else text
    if isinstance(value, list):
        return [_plain(v, extended, room - 1) for v in value]
    if isinstance(value, dict):
        if value.get("__type") == "GeoPoint":
            return [value.get("longitude"), value.get("latitude")]
        return {k: _plain(v, extended, room - 1) for k, v in value.items()}
    return str(value) if isinstance(value, str) else None if value is MISSING else bounded(value)


def leave(document: dict[str, Any]) -> Object:
    """A result as it is answered: `_id` is called objectId, created and updated times are bare."""
    shown: Object = {}
    for key, value in document.items():
        if key == "_id":
            shown["objectId"] = _outside(value, ids=True)
        elif key in _MANAGED and isinstance(value, datetime):
            shown[key] = iso(milliseconds(value))
        else:
            shown[key] = _outside(value)
    return shown


def bounded(value: Any) -> Any:
    """What an operator made: a whole number beyond 64 bits is a floating one, as in MongoDB, and nothing outgrows a document."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    if isinstance(value, (str, list)) and len(value) > _LONGEST:
        raise ValueError("longer than a document may be")
    return value


def _outside(value: Any, ids: bool = False, room: int = _DEEPEST) -> Json:
    if not room:
        raise ValueError("deeper than JSON may be")
    if isinstance(value, RawPointer):
        return value.partition("$")[2] if ids else str(value)
    if isinstance(value, PointerId):
        return str(value) if ids else pointer(value.class_name, str(value))
    if isinstance(value, datetime):
        return {"__type": "Date", "iso": iso(milliseconds(value))}
    if isinstance(value, list):
        return [_outside(v, ids, room - 1) for v in value]
    if isinstance(value, dict):
        return {k: _outside(v, ids, room - 1) for k, v in value.items()}
    return None if value is MISSING else bounded(value)


def reach(value: Any, path: list[str]) -> Any:
    """What is at the path; a list on the way gives the list of what is in its elements."""
    for i, key in enumerate(path):
        if isinstance(value, dict):
            value = value[key] if key in value else _by_raw_name(value, key) if key[:1] == "_" else MISSING
        elif isinstance(value, list):
            if key.isdecimal():
                value = value[int(key)] if int(key) < len(value) else MISSING
            else:
                found = (reach(v, path[i:]) for v in value if isinstance(v, dict))
                return [v for v in found if v is not MISSING]
        else:
            return MISSING
    return value


def _by_raw_name(document: dict[str, Any], key: str) -> Any:
    """What MongoDB keeps under another name than Parse shows: pipelines may say either."""
    if key.startswith("_p_"):
        value = document.get(key[3:], MISSING)
        return raw_pointer(value) if isinstance(value, PointerId) else MISSING
    return document.get(_PUBLIC_NAMES.get(key, key), MISSING)


_RANK = {type(MISSING): 0, type(None): 1, int: 2, float: 2, str: 3, PointerId: 3, RawPointer: 3, dict: 4, list: 5, bool: 8, datetime: 9}


def sort_key(value: Any) -> tuple[int, Any]:
    """A key that orders values of any types as BSON does: by type first, then within the type."""
    rank = _RANK[type(value)]
    if rank < 2:
        return 0 if rank == 0 else 1, 0
    if isinstance(value, dict):
        return rank, tuple((k, sort_key(v)) for k, v in value.items())
    if isinstance(value, list):
        return rank, tuple(sort_key(v) for v in value)
    return rank, value


def group_key(value: Any) -> Any:
    """A hashable stand-in: equal for values that MongoDB groups together; null and missing are one group."""
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, dict):
        return (dict, tuple((k, group_key(v)) for k, v in value.items()))
    if isinstance(value, list):
        return (list, tuple(group_key(v) for v in value))
    return (float, value) if is_number(value) else (str if isinstance(value, str) else type(value), value)


def same(left: Any, right: Any) -> bool:
    """Equality between the pipeline's values; missing equals missing alone."""
    return (left is MISSING) == (right is MISSING) and group_key(left) == group_key(right)
