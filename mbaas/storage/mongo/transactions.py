"""Several writes as one: all or none, on disk at a majority of the members when done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo import ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from mbaas.storage.mongo.names import Database
from mbaas.storage.sharing import Sharing

T = TypeVar("T")
DURABLE = WriteConcern("majority", j=True)
_SNAPSHOT = ReadConcern("snapshot")


async def transaction(database: Database, sharing: Sharing, work: Callable[[AsyncClientSession | None], Awaitable[T]]) -> T:
    """What `work` returns; it is done anew where another writer was faster. Without transactions, `work` is done as it comes."""
    if not sharing.atomic:
        return await work(None)
    async with database.client.start_session() as session:
        return await session.with_transaction(work, _SNAPSHOT, DURABLE, ReadPreference.PRIMARY)
