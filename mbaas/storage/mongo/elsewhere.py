"""What others write: a change stream over the classes of which something is remembered, and over all definitions.

A stream tells what comes after it was opened. So whenever one is opened, at the start or after it broke off, everything counts
as changed once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from mbaas.observe.logs import get_logger
from mbaas.storage.mongo.format import Bson
from mbaas.storage.mongo.names import ROWS, SCHEMAS, Database
from mbaas.storage.mongo.rows import row_id
from mbaas.storage.ports import Changed

_PATIENT_MS, _AGAIN_SECONDS = 1000, 1.0
_JOIN = re.compile(r"_Join:[^:]+:(.+)")


class Elsewhere:
    """Follows the database until it is closed. `look_again` is called where definitions, or what the database is, may have changed."""

    def __init__(self, database: Database, origin_row: tuple[str, str], look_again: Callable[[], Awaitable[None]]) -> None:
        self._database, self._row, self._look_again = database, row_id(*origin_row), look_again
        self._task: asyncio.Task[None] | None = None
        self._classes: list[str] = []
        self._changed: Changed

    def follow(self, classes: Collection[str], changed: Changed) -> None:
        """Have `changed` called after writes to these classes, to their relations, and to definitions."""
        self._classes, self._changed = sorted(classes), changed
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _pipeline(self) -> list[Bson]:
        joins = f"^_Join:[^:]+:({'|'.join(map(re.escape, self._classes))})$"
        # Nothing is remembered of an object that is new.
        known: Bson = {"ns.coll": {"$in": self._classes}, "operationType": {"$ne": "insert"}}
        ours: Bson = {"ns.coll": ROWS, "documentKey._id": self._row}
        return [{"$match": {"$or": [known, {"ns.coll": SCHEMAS}, {"ns.coll": {"$regex": joins}}, ours]}}]

    async def _run(self) -> None:
        while True:
            try:
                async with await self._database.watch(self._pipeline(), max_await_time_ms=_PATIENT_MS) as stream:
                    await self._anything()
                    while stream.alive:
                        change = await stream.try_next()
                        if change is not None:
                            await self._tell(change)
            except Exception as error:
                # Whatever it was: who does not hear of ended sessions must not stay so.
                get_logger(__name__).warning("what others write cannot be followed; it is tried again", reason=repr(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _anything(self) -> None:
        """Whatever is followed may have changed."""
        await self._look_again()
        await self._changed(None, None)
        for name in self._classes:
            await self._changed(name, None)

    async def _tell(self, change: Any) -> None:
        collection = (change.get("ns") or {}).get("coll")
        if collection is None or collection == ROWS:
            await self._anything()
        elif collection == SCHEMAS:
            await self._look_again()
            await self._changed(None, None)
        elif join := _JOIN.fullmatch(collection):
            await self._changed(join[1], None)
        else:
            key = (change.get("documentKey") or {}).get("_id")
            await self._changed(collection, None if key is None else str(key))
