"""Parse's special values in Python: dates are aware datetimes, bytes are bytes, the others are the classes here.

`encode` and `decode` go to and from the wire form (`mbaas.kernel.values`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.values import Json, Object
from mbaas_functions.cloud.calls import ask
from mbaas_functions.cloud.errors import Error

if TYPE_CHECKING:
    from mbaas_functions.cloud.objects import Object as ParseObject


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """A place, in degrees."""

    latitude: float
    longitude: float

    def to_json(self) -> Object:
        return {"__type": "GeoPoint", "latitude": self.latitude, "longitude": self.longitude}


@dataclass(frozen=True, slots=True)
class Polygon:
    """An area, by its corners (latitude, longitude)."""

    coordinates: tuple[tuple[float, float], ...]

    def to_json(self) -> Object:
        return {"__type": "Polygon", "coordinates": [list(corner) for corner in self.coordinates]}


class File:
    """A stored file, or one to be stored by `save`.

    `metadata` and `tags` are kept beside it. `directory` is the folder part of its name, which takes the master key.
    """

    def __init__(
        self,
        name: str,
        data: bytes | None = None,
        content_type: str | None = None,
        url: str | None = None,
        *,
        metadata: dict[str, Any] | None = None,
        tags: dict[str, Any] | None = None,
        directory: str | None = None,
    ) -> None:
        self.name, self.data, self.content_type, self.url = name, data, content_type, url
        self.metadata, self.tags, self.directory = metadata or {}, tags or {}, directory
        self._key: str | None = None
        """Where the server keeps the contents of a file that a trigger looks at."""

    @classmethod
    def from_trigger(cls, given: Object) -> File:
        """The file that a trigger is called for."""
        made = cls(given["name"], content_type=given.get("contentType"), url=given.get("url"), directory=given.get("directory"))
        made.metadata, made.tags, made._key = decode(given.get("metadata") or {}), decode(given.get("tags") or {}), given.get("key")
        return made

    async def get_data(self) -> bytes:
        """The contents: those given here, or else those that the server has."""
        if self.data is not None:
            return self.data
        parts: list[bytes] = []
        size, read = 1, 0
        while read < size:
            told = await ask("fileData", name=self.name, key=self._key, start=read)
            size, part = told["size"], base64.b64decode(told["base64"])
            parts.append(part)
            read += len(part)
        return b"".join(parts)

    async def save(self, *, use_master_key: bool = False) -> File:
        """Store the data; `name` and `url` are then those it has on the server."""
        if self.data is None:
            raise Error("a file to be saved needs data", code=130)
        stored = await ask("saveFile", **self.described(), use_master_key=use_master_key)
        self.name, self.url = stored["name"], stored["url"]
        return self

    def described(self) -> Object:
        """All that is to be stored, with the data if it is here."""
        told: Object = {"name": self.name, "contentType": self.content_type, "directory": self.directory}
        told.update(metadata=encode(self.metadata), tags=encode(self.tags))
        return told if self.data is None else {**told, "base64": encode(base64.b64encode(self.data).decode())}

    async def destroy(self, *, use_master_key: bool = True) -> None:
        """Delete the stored file."""
        await ask("deleteFile", name=self.name, use_master_key=use_master_key)

    def to_json(self) -> Object:
        return {"__type": "File", "name": self.name, **({"url": self.url} if self.url else {})}


def to_date(text: str) -> datetime:
    """A datetime in UTC from an ISO text of the wire."""
    ms = from_iso(text)
    if ms is None:
        raise Error(f"{text!r} is not a date", code=107)
    return datetime.fromtimestamp(ms / 1000, UTC)


def from_date(value: datetime) -> str:
    """The ISO text of a datetime; one without a time zone is taken as UTC."""
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return iso(round(aware.timestamp() * 1000))


MOST_TEXT = 16 * 1024 * 1024
"""Characters of one text: to make JSON of it takes many times its size."""
Within = frozenset[tuple[str, str]]
"""The objects, by class and id, that a value is inside of."""


def encode(value: Any, within: Within | None = None) -> Json:
    """The wire form. Objects are pointers; with `within` they are all that is known of them, and inside themselves pointers again."""
    if isinstance(value, str):
        if len(value) > MOST_TEXT:
            raise Error(f"a text of {len(value)} characters is too long to be sent", code=116)
        return value
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {str(name): encode(inner, within) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [encode(inner, within) for inner in value]
    if isinstance(value, datetime):
        return {"__type": "Date", "iso": from_date(value)}
    if isinstance(value, (bytes, bytearray)):
        return {"__type": "Bytes", "base64": base64.b64encode(value).decode()}
    if hasattr(value, "to_pointer"):
        return value.to_pointer() if within is None else value.to_full_json(within)
    if hasattr(value, "to_json"):
        return value.to_json()
    if hasattr(value, "model_dump"):
        return encode(value.model_dump(), within)
    raise Error(f"a {type(value).__name__} cannot be sent to the server", code=111)


def _object(value: Object) -> ParseObject:
    from mbaas_functions.cloud.objects import from_json

    return from_json(value)


_DECODE: dict[str, Callable[[Object], Any]] = {
    "Date": lambda value: to_date(value["iso"]),
    "Bytes": lambda value: base64.b64decode(value["base64"]),
    "GeoPoint": lambda value: GeoPoint(value["latitude"], value["longitude"]),
    "Polygon": lambda value: Polygon(tuple((corner[0], corner[1]) for corner in value["coordinates"])),
    "File": lambda value: File(value["name"], url=value.get("url")),
    "Pointer": _object,
    "Object": _object,
}
IN_PARAMS = frozenset({"Date", "File", "Pointer"})
"""What the params of a function arrive as, as in Parse Server; other special values stay as they were sent."""
EVERYWHERE = frozenset(_DECODE)


def decode(value: Json, types: frozenset[str] = EVERYWHERE) -> Any:
    """The Python value of a wire form; special values of other types, and broken ones, stay as they are."""
    if isinstance(value, list):
        return [decode(inner, types) for inner in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__type")
    if kind in types:
        try:
            return _DECODE[kind](value)
        except (KeyError, TypeError, ValueError, IndexError, Error):
            return value
    return {name: decode(inner, types) for name, inner in value.items()}
