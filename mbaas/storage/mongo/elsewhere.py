"""What others write: a change stream over the classes of which something is remembered, and over all definitions.

A stream tells what comes after it was opened. So whenever one is opened, at the start or after it broke off, everything counts
as changed once. It tells it as it comes; what a process beside this one says that it has written is read at once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pymongo.errors import OperationFailure

from mbaas.kernel.tasks import end
from mbaas.observe.logs import get_logger
from mbaas.storage.mongo.failures import NO_POSITION, told
from mbaas.storage.mongo.format import Bson
from mbaas.storage.mongo.names import ROWS, SCHEMAS, Database
from mbaas.storage.mongo.neighbours import Neighbours
from mbaas.storage.mongo.rows import row_id
from mbaas.storage.ports import Changed

_AT_ONCE_MS, _PATIENT_MS, _AGAIN_SECONDS = 1, 1000, 1.0
_JOIN = re.compile(r"_Join:[^:]+:(.+)")


class Elsewhere:
    """Follows the database until it is closed. `look_again` is called where definitions, or what the database is, may have changed."""

    def __init__(
        self, database: Database, origin_row: tuple[str, str], look_again: Callable[[], Awaitable[None]], beside: Neighbours
    ) -> None:
        self._database, self._row, self._look_again, self._beside = database, row_id(*origin_row), look_again, beside
        self._tasks: list[asyncio.Task[None]] = []
        self._redefined = asyncio.Event()
        self._classes: list[str] = []
        self._whole: list[str] = []
        self._changed: Changed | None = None
        self._position: Mapping[str, Any] | None = None
        """Up to where everything has been told; None while that is nowhere. Two read, and what both read is told twice."""

    def follow(self, classes: Mapping[str, bool], changed: Changed) -> None:
        """Have `changed` called after writes to these classes, to their relations, and to definitions."""
        self._classes, self._changed = sorted(classes), changed
        self._whole = [name for name, whole in classes.items() if whole]

    def listen(self) -> None:
        """Do so for what servers elsewhere write, too; the database must be one that can be followed."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run()), loop.create_task(self._define())]

    async def close(self) -> None:
        """Stop following."""
        await end(self._tasks)

    @property
    def behind(self) -> bool:
        """True if a process beside this one has written what has not been told yet."""
        return self._beside.behind

    async def catch_up(self) -> None:
        """Tell of it."""
        news = self._beside.news()
        if news.definitions:
            await self._told_of(None, None)
        if news.followed:
            with told():
                await self._read_on()
        self._beside.seen(news)

    async def _read_on(self) -> None:
        """Read to the end of the stream, whether or not the one that is listened to has come so far."""
        if self._position is None:
            await self._anything()
            return
        try:
            async with await self._database.watch(self._pipeline(), resume_after=self._position, max_await_time_ms=_AT_ONCE_MS) as stream:
                while (change := await stream.try_next()) is not None:
                    await self._tell(change)
                self._position = stream.resume_token
        except OperationFailure as error:
            if error.code not in NO_POSITION:
                raise
            await self._anything()

    def _pipeline(self) -> list[Bson]:
        joins = f"^_Join:[^:]+:({'|'.join(map(re.escape, self._classes))})$"
        # Nothing is remembered of an object that is new.
        known: Bson = {"ns.coll": {"$in": self._classes}, "operationType": {"$ne": "insert"}}
        ours: Bson = {"ns.coll": ROWS, "documentKey._id": self._row}
        which = [known, {"ns.coll": {"$in": self._whole}}, {"ns.coll": SCHEMAS}, {"ns.coll": {"$regex": joins}}, ours]
        return [{"$match": {"$or": which}}]

    async def _run(self) -> None:
        while True:
            try:
                async with await self._database.watch(self._pipeline(), max_await_time_ms=_PATIENT_MS) as stream:
                    await self._anything()
                    while stream.alive:
                        change = await stream.try_next()
                        if change is not None:
                            await self._tell(change)
                        self._position = stream.resume_token
            except Exception as error:
                # Whatever it was: who does not hear of ended sessions must not stay so.
                get_logger(__name__).warning("what others write cannot be followed; it is tried again", reason=repr(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _define(self) -> None:
        """Tell of definitions, beside the rest and once for all that change meanwhile: reading them takes long where there are many."""
        while True:
            await self._redefined.wait()
            self._redefined.clear()
            try:
                await self._look_again()
                await self._told_of(None, None)
            except Exception as error:
                get_logger(__name__).warning("definitions cannot be read; it is tried again", reason=repr(error))
                self._redefined.set()
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _told_of(self, class_name: str | None, object_id: str | None) -> None:
        if self._changed is not None:
            await self._changed(class_name, object_id)

    async def _anything(self) -> None:
        """Whatever is followed may have changed."""
        await self._look_again()
        await self._told_of(None, None)
        for name in self._classes:
            await self._told_of(name, None)

    async def _tell(self, change: Any) -> None:
        collection = (change.get("ns") or {}).get("coll")
        if collection is None or collection == ROWS:
            await self._anything()
        elif collection == SCHEMAS:
            self._redefined.set()
        elif join := _JOIN.fullmatch(collection):
            await self._told_of(join[1], None)
        else:
            key = (change.get("documentKey") or {}).get("_id")
            await self._told_of(collection, None if key is None else str(key))
