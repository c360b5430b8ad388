"""What a worker may say to the server. Its code can write to the connection, too, so that nothing is taken for what it ought to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mbaas.kernel.values import Json, Object
from mbaas_functions.frames import Unsound

_FIELDS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "done": {"done": str, "took": (int, float)},
    "ask": {"ask": int, "of": str},
    "log": {"log": str},
    "pong": {},
    "spent": {},
    "returned": {"returned": list},
    "ready": {"ready": list, "isolation": dict},
    "unsafe": {"unsafe": str},
    "broken": {"broken": str},
}
"""What each kind of message must have, by the field that it is known by."""
_FAILURE = {"code": int, "message": str}


def checked(message: Object) -> Object:
    """A message of a worker. Unsound if it is none."""
    kind = next((kind for kind in _FIELDS if kind in message), None)
    if kind is None or not _has(message, _FIELDS[kind]):
        raise Unsound
    if kind == "done" and not isinstance(message.get("value"), dict) and not _has(message.get("failed"), _FAILURE):
        raise Unsound
    if kind == "returned" and not all(_is_returned(each) for each in message["returned"]):
        raise Unsound
    return message


def _has(found: Json, fields: Mapping[str, Any]) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(name), kinds) for name, kinds in fields.items())


def _is_returned(found: Json) -> bool:
    """The id of a call, and its number."""
    return isinstance(found, list) and len(found) == 2 and isinstance(found[0], str)
