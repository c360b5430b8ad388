"""Whose database it is: made by this server, shared with Parse Server, or sealed after it was shared.

What is known is kept as a row of our own, beside the data. A database that holds `_SCHEMA` when it is first opened was made
by Parse Server, and is shared until it is sealed; one that holds none is ours from the start.
"""

from __future__ import annotations

from enum import StrEnum

from mbaas.kernel.errors import Duplicate, MbaasError
from mbaas.storage.mongo.names import SCHEMAS, Database
from mbaas.storage.mongo.rows import MongoRows
from mbaas.storage.ports import Row
from mbaas.storage.sharing import Sharing

TABLE, KEY = "database", "origin"


class Origin(StrEnum):
    """What a database is. One that is being sealed holds secrets of both kinds."""

    OWN = "own"
    SHARED = "shared"
    SEALING = "sealing"
    SEALED = "sealed"


async def read_origin(rows: MongoRows) -> Origin | None:
    """What was written down; None if nothing was."""
    row = await rows.get(TABLE, KEY)
    return None if row is None else Origin(row.value["origin"])


async def write_origin(rows: MongoRows, origin: Origin) -> None:
    """Write down what the database is from now on; every server that runs on it hears of it."""
    await rows.put_many(TABLE, [Row(KEY, {"origin": origin})])


async def found_out(database: Database, rows: MongoRows) -> Origin:
    """What the database is; written down at the first time."""
    known = await read_origin(rows)
    if known is not None:
        return known
    theirs = await database[SCHEMAS].find_one({}, {"_id": 1}) is not None
    try:
        origin = Origin.SHARED if theirs else Origin.OWN
        await rows.put_one(TABLE, Row(KEY, {"origin": origin}), None, if_absent=True)
    except Duplicate:
        # Another process was faster; it saw the database as it was before either of us wrote to it.
        return await read_origin(rows) or origin
    return origin


async def settled(database: Database, rows: MongoRows, wanted: bool | None) -> Origin:
    """What the database is, with what the operator says of it. An MbaasError if that cannot be."""
    origin = await found_out(database, rows)
    if wanted and origin in (Origin.SEALING, Origin.SEALED):
        raise MbaasError("the database was sealed, and Parse Server cannot use it any more; take MBAAS_MONGO_SHARED out")
    if wanted and origin is Origin.OWN:
        origin = Origin.SHARED
        await write_origin(rows, origin)
    return origin


def apply(origin: Origin, wanted: bool | None, sharing: Sharing) -> None:
    """Have `sharing` say what follows from the origin."""
    sharing.shared = origin is Origin.SHARED and wanted is not False
    sharing.plain = origin in (Origin.SHARED, Origin.SEALING)
