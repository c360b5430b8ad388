"""The port `Feed` on MongoDB: the database's change stream, with pre-images. A position is a resume token.

Each reading opens a stream behind its position and reads to its end, so the server keeps no cursor for a reader that went
away. How long positions live is the database's to say (its oplog, and `expireAfterSeconds` of the pre-images).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from bson.datetime_ms import DatetimeMS
from pymongo.asynchronous.change_stream import AsyncDatabaseChangeStream
from pymongo.errors import OperationFailure, PyMongoError

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema, new_class
from mbaas.kernel.tasks import end
from mbaas.observe.logs import get_logger
from mbaas.storage.mongo.failures import NO_POSITION, TOO_LARGE, told
from mbaas.storage.mongo.format import NOTES, Bson, document_out, written_at
from mbaas.storage.mongo.names import NOT_CLASSES, Database
from mbaas.storage.mongo.schemas import MongoSchemas
from mbaas.storage.ports import PAGE_BYTES, Document, Entries, Entry
from mbaas.storage.sharing import Sharing

Stream = AsyncDatabaseChangeStream[dict[str, Any]]
_OPS: dict[str, Literal["create", "update", "delete"]] = {
    "insert": "create",
    "update": "update",
    "replace": "update",
    "delete": "delete",
}
_QUIET: Bson = {"operationType": "replace", f"fullDocument.{NOTES}.q": True}
"""A write of hidden fields alone. Parse Server, which leaves our notes as they are, never replaces a document."""
_OBJECTS: list[Bson] = [{"$match": {"operationType": {"$in": list(_OPS)}, "ns.coll": NOT_CLASSES, "$nor": [_QUIET]}}]
_TOKEN = re.compile(r"[0-9A-Fa-f]+")
_AT_ONCE_MS, _PATIENT_MS, _AGAIN_SECONDS = 1, 1000, 1.0


class MongoFeed:
    """Reads the change stream; wakes listeners after commits of this process at once, of others by a stream of its own."""

    def __init__(self, database: Database, schemas: MongoSchemas, sharing: Sharing) -> None:
        self._database, self._schemas, self._sharing = database, schemas, sharing
        self._listeners: list[Callable[[], None]] = []
        self._ear: asyncio.Task[None] | None = None
        self._position: Mapping[str, Any] | None = None

    async def latest(self) -> str:
        """Raises 108 where there is no feed."""
        if not self._sharing.atomic:
            raise ParseError(Code.COMMAND_UNAVAILABLE, "live queries need a MongoDB that is a replica set")
        with told():
            try:
                return await self._latest(self._position)
            except OperationFailure as error:
                if error.code not in NO_POSITION:
                    raise
                # The last entry that was seen is older than what is kept; nothing but rows has been written since.
                return await self._latest(None)

    async def _latest(self, since: Mapping[str, Any] | None) -> str:
        async with await self._stream(since) as stream:
            while (change := await stream.try_next()) is not None:
                since = change["_id"]
            self._position = position = since or stream.resume_token or {}
        return str(position["_data"])

    async def after(self, seq: str, limit: int = 1000, classes: frozenset[str] | None = None) -> Entries | None:
        if not self._sharing.atomic or not _TOKEN.fullmatch(seq):
            return None
        found: list[dict[str, Any]] = []
        size = 0
        with told():
            try:
                async with await self._stream({"_data": seq}, whole=True, classes=classes) as stream:
                    while len(found) < limit and size <= PAGE_BYTES and (change := await stream.try_next()) is not None:
                        found.append(dict(change))
                        size += _weight(change)
            except OperationFailure as error:
                # MongoDB tells nobody of a change whose two states are too large together: what comes after it cannot be read either.
                if error.code in NO_POSITION or error.code == TOO_LARGE:
                    return None
                raise
        if not found:
            return Entries()
        with told():
            schemas = await self._schemas.current()
        return Entries((_entry(change, schemas) for change in found), more=len(found) == limit or size > PAGE_BYTES)

    async def _stream(
        self, position: Mapping[str, Any] | None, *, whole: bool = False, wait_ms: int = _AT_ONCE_MS, classes: frozenset[str] | None = None
    ) -> Stream:
        images: dict[str, Any] = {"full_document": "whenAvailable", "full_document_before_change": "whenAvailable"} if whole else {}
        some: list[Bson] = [] if classes is None else [{"$match": {"ns.coll": {"$in": sorted(classes)}}}]
        return await self._database.watch([*_OBJECTS, *some], resume_after=position, max_await_time_ms=wait_ms, **images)

    async def trim(self, now: int) -> int:
        """Nothing: the database forgets by itself."""
        return 0

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        if not self._sharing.atomic:
            return lambda: None
        self._listeners.append(wake)
        if self._ear is None or self._ear.done():
            self._ear = asyncio.get_running_loop().create_task(self._hear())
        return lambda: self._listeners.remove(wake) if wake in self._listeners else None

    def wake(self) -> None:
        """Tell the listeners that there may be entries."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.call_soon(listener)

    async def _hear(self) -> None:
        """Wake for what other processes commit, as long as somebody listens."""
        while self._listeners:
            try:
                async with await self._stream(None, wait_ms=_PATIENT_MS) as stream:
                    # What was committed before the stream was open is told now.
                    self.wake()
                    while self._listeners and stream.alive:
                        if await stream.try_next() is not None:
                            self.wake()
            except PyMongoError as error:
                get_logger(__name__).warning("the change stream broke off", reason=repr(error))
                await asyncio.sleep(_AGAIN_SECONDS)

    async def close(self) -> None:
        """Stop listening."""
        self._listeners.clear()
        await end([self._ear])


def _weight(value: Any) -> int:
    """About how many bytes a value takes."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _weight(inner) for key, inner in value.items())
    return sum(map(_weight, value)) if isinstance(value, list) else 8


def _entry(change: dict[str, Any], schemas: Mapping[str, ClassSchema]) -> Entry:
    name = change["ns"]["coll"]
    schema = schemas.get(name) or new_class(name)
    before, after = change.get("fullDocumentBeforeChange"), change.get("fullDocument")
    at = written_at(after) if after is not None else None
    wall = change.get("wallTime")
    return Entry(
        seq=change["_id"]["_data"],
        op=_OPS[change["operationType"]],
        class_name=name,
        object_id=str(change["documentKey"]["_id"]),
        before=_public(schema, before),
        after=_public(schema, after),
        at=int(wall) if at is None and isinstance(wall, DatetimeMS) else at or 0,
    )


def _public(schema: ClassSchema, found: Bson | None) -> Document | None:
    """The document without what never leaves the server."""
    if found is None:
        return None
    document = document_out(schema, found)
    return Document(document.body, version=document.version)
