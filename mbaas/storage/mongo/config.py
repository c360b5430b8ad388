"""The global config where Parse Server keeps it: one document of `_GlobalConfig`, seen as the row that the port knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pymongo.errors import DuplicateKeyError

from mbaas.storage.mongo.format import Bson
from mbaas.storage.mongo.names import Database
from mbaas.storage.mongo.values import shown, stored
from mbaas.storage.ports import Row

TABLE = "config"
_COLLECTION, _ID = "_GlobalConfig", 1
_PARTS = ("params", "masterKeyOnly")


async def read(database: Database, key: str) -> Row | None:
    """The row, if there are parameters."""
    return _row(key, await database[_COLLECTION].find_one({"_id": _ID}))


async def write(database: Database, rows: Sequence[Row]) -> None:
    """Replace the parameters; what else Parse Server keeps in the document stays."""
    for row in rows:
        await database[_COLLECTION].update_one({"_id": _ID}, _put(row), upsert=True)


async def alter(database: Database, key: str, change: Callable[[Row | None], Row]) -> Row:
    """Replace the parameters by what `change` makes of them, unless somebody else was faster: then of what he left."""
    while True:
        found = await database[_COLLECTION].find_one({"_id": _ID})
        made = change(_row(key, found))
        if found is None:
            try:
                await database[_COLLECTION].insert_one({"_id": _ID, **_parts(made)})
            except DuplicateKeyError:
                continue
            return made
        same = {part: found.get(part, {"$exists": False}) for part in _PARTS}
        result = await database[_COLLECTION].update_one({"_id": _ID, **same}, _put(made))
        if result.matched_count:
            return made


def _row(key: str, found: Bson | None) -> Row | None:
    return None if found is None else Row(key, {part: shown(found.get(part) or {}) for part in _PARTS})


def _put(row: Row) -> Bson:
    return {"$set": _parts(row)}


def _parts(row: Row) -> Bson:
    return {part: stored(row.value[part]) for part in _PARTS}
