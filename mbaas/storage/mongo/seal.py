"""Sealing a database that was shared with Parse Server: from then on it is this server's alone.

The mark comes first, so that running servers write no more tokens in plain; then the tokens that are there are hashed in
place, and at last the database is marked as sealed. Stopped at any point, it goes on from there when it is started again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymongo import AsyncMongoClient, UpdateOne
from pymongo.errors import PyMongoError

from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.ids import token_hash
from mbaas.storage.mongo.failures import reason
from mbaas.storage.mongo.format import Bson
from mbaas.storage.mongo.names import SCHEMAS, Database
from mbaas.storage.mongo.origin import Origin, read_origin, write_origin
from mbaas.storage.mongo.rows import MongoRows
from mbaas.storage.mongo.store import database_of, is_replica_set
from mbaas.storage.sharing import Sharing

_BATCH = 1000
_PLAIN: Bson = {"_session_token": {"$type": "string", "$not": {"$regex": "^[0-9a-f]{64}$"}}}
_BCRYPT: Bson = {"_hashed_password": {"$regex": r"^\$2"}}
_RESET: Bson = {"_perishable_token": {"$exists": True}}

Progress = Callable[[int, int], None]
"""Told of (sessions done, sessions in all)."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing did, and what remains: users whose password becomes argon2id when they log in next."""

    database: str
    earlier: bool
    """It was sealed before; then there was nothing to do."""
    sessions: int
    resets: int
    users: int


async def seal(url: str, clock: Clock, progress: Progress, *, timeout_ms: int = 10_000) -> Sealed:
    """Seal the database at the address. An MbaasError says why that makes no sense, or why it stopped."""
    try:
        async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=timeout_ms) as client:
            database = database_of(client)
            atomic = is_replica_set(await client.admin.command("hello"))
            rows = MongoRows(database, clock, Sharing(atomic=atomic))
            return await _seal(database, rows, progress)
    except (PyMongoError, ValueError) as error:
        text = f"MongoDB does not answer as it should: {reason(error)}; run the command again when it does, it goes on where it stopped"
        raise MbaasError(text) from error


async def _seal(database: Database, rows: MongoRows, progress: Progress) -> Sealed:
    origin = await _sealable(database, rows)
    earlier = origin is Origin.SEALED
    if not earlier:
        await write_origin(rows, Origin.SEALING)
    # Once more after the mark: a server may have written a token while it had not heard of the first one.
    sessions = await _hash_tokens(database, progress)
    resets = await database["_User"].update_many(_RESET, {"$unset": {"_perishable_token": "", "_perishable_token_expires_at": ""}})
    if not earlier:
        await write_origin(rows, Origin.SEALED)
        sessions += await _hash_tokens(database, progress)
    users = await database["_User"].count_documents(_BCRYPT)
    return Sealed(database.name, earlier, sessions, resets.modified_count, users)


async def _sealable(database: Database, rows: MongoRows) -> Origin:
    """What the database is, if it can be sealed."""
    origin = await read_origin(rows)
    if origin is Origin.OWN:
        raise MbaasError(f"the database {database.name} was never shared with Parse Server: its secrets are hashed already")
    if origin is None and await database[SCHEMAS].find_one({}, {"_id": 1}) is None:
        raise MbaasError(f"the database {database.name} holds nothing of Parse Server (no _SCHEMA); correct MBAAS_DATABASE_URL")
    return origin or Origin.SHARED


async def _hash_tokens(database: Database, progress: Progress) -> int:
    """Put the hash in the place of every token; how many there were."""
    sessions = database["_Session"]
    total, done = await sessions.count_documents(_PLAIN), 0
    after: Bson = {}
    while found := await sessions.find({**_PLAIN, **after}, {"_session_token": 1}).sort("_id").limit(_BATCH).to_list():
        # A session that was ended or changed meanwhile is left alone.
        writes = [UpdateOne(one, {"$set": {"_session_token": token_hash(one["_session_token"])}}) for one in found]
        done += (await sessions.bulk_write(writes, ordered=False)).modified_count
        progress(done, max(done, total))
        after = {"_id": {"$gt": found[-1]["_id"]}}
    return done
