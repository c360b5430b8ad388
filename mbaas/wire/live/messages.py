"""The messages that clients send over a live-query socket, and what is wrong with one, in the words that Parse uses; and what
they are told besides events. `sdk-schema/asyncapi.yaml` says the same to machines.

The texts matter: older JS SDKs drop a field and try again when they read `Additional properties not allowed`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from mbaas.kernel.values import Json, Object

_TYPES: dict[type[Any], str] = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}


Told = Literal["connected", "subscribed", "unsubscribed", "resync", "error"]
"""What the server sends besides events."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value must be. `closed` objects take no other members; a `nullable` one may be null."""

    type: Literal["string", "number", "array", "object"]
    members: dict[str, Shape] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    closed: bool = False
    nullable: bool = False


_TEXT = Shape("string")
_NAMES = Shape("array")
_KEYS = ("javascriptKey", "masterKey", "clientKey", "windowsKey", "restAPIKey", "sessionToken", "installationId")
_QUERY = Shape(
    "object", {"className": _TEXT, "where": Shape("object"), "keys": _NAMES, "watch": _NAMES}, needed=("where", "className"), closed=True
)
_SUBSCRIBE = Shape(
    "object",
    {"op": _TEXT, "requestId": Shape("number"), "query": _QUERY, "sessionToken": _TEXT, "since": Shape("string", nullable=True)},
    needed=("requestId", "query"),
    closed=True,
)
SHAPES: dict[str, Shape] = {
    "connect": Shape("object", dict.fromkeys(("op", "applicationId", *_KEYS), _TEXT), needed=("applicationId",), closed=True),
    "subscribe": _SUBSCRIBE,
    "update": _SUBSCRIBE,
    "unsubscribe": Shape("object", {"op": _TEXT, "requestId": Shape("number")}, needed=("requestId",), closed=True),
}


def complaint(message: Json) -> str | None:
    """What is wrong with a message; None if nothing is."""
    wrong = _check(message, Shape("object", {"op": _TEXT}, needed=("op",)))
    if wrong is not None:
        return wrong
    shape = SHAPES.get(message["op"])
    return f"No enum match for: {orjson.dumps(message['op']).decode()}" if shape is None else _check(message, shape)


def _check(value: Json, shape: Shape) -> str | None:
    if value is None and shape.nullable:
        return None
    kind = _TYPES.get(type(value), "null")
    if kind != shape.type:
        return f"Invalid type: {kind} (expected {shape.type})"
    if isinstance(value, dict):
        return _check_object(value, shape)
    return _check_names(value) if isinstance(value, list) else None


def _check_object(value: Object, shape: Shape) -> str | None:
    for name in shape.needed:
        if name not in value:
            return f"Missing required property: {name}"
    for name, member in value.items():
        if name in shape.members:
            wrong = _check(member, shape.members[name])
            if wrong is not None:
                return wrong
        elif shape.closed:
            return "Additional properties not allowed"
    return None


def _check_names(value: list[Json]) -> str | None:
    """A list of names is not empty and has none twice."""
    if not value:
        return "Array is too short (0), minimum 1"
    places: dict[str, int] = {}
    for second, name in enumerate(value):
        if not isinstance(name, str):
            return _check(name, _TEXT)
        first = places.setdefault(name, second)
        if first != second:
            return f"Array items are not unique (indices {first} and {second})"
    return None
