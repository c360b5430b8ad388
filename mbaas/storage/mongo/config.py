"""The global config where Parse Server keeps it: one document of `_GlobalConfig`, seen as the row that the port knows."""

from __future__ import annotations

from collections.abc import Sequence

from mbaas.storage.mongo.format import Bson
from mbaas.storage.mongo.names import Database
from mbaas.storage.mongo.values import shown, stored
from mbaas.storage.ports import Row

TABLE = "config"
_COLLECTION, _ID = "_GlobalConfig", 1
_PARTS = ("params", "masterKeyOnly")


async def read(database: Database, key: str) -> Row | None:
    """The row, if there are parameters."""
    found = await database[_COLLECTION].find_one({"_id": _ID})
    return None if found is None else Row(key, {part: shown(found.get(part) or {}) for part in _PARTS})


async def write(database: Database, rows: Sequence[Row]) -> None:
    """Replace the parameters; what else Parse Server keeps in the document stays."""
    for row in rows:
        change: Bson = {"$set": {part: stored(row.value[part]) for part in _PARTS}}
        await database[_COLLECTION].update_one({"_id": _ID}, change, upsert=True)
