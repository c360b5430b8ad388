"""The store on MongoDB: one database for one app."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import MbaasError
from mbaas.storage.mongo.documents import MongoDocuments
from mbaas.storage.mongo.failures import reason, told
from mbaas.storage.mongo.feed import MongoFeed
from mbaas.storage.mongo.rows import MongoRows
from mbaas.storage.mongo.schemas import MongoSchemas
from mbaas.storage.mongo.steps import Steps
from mbaas.storage.mongo.transactions import DURABLE
from mbaas.storage.ports import Changed

DATABASE = "mbaas"
"""The database where the address names none."""
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)


class MongoStore:
    """The ports, bound to one database. Made by `open_store`."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], clock: Clock) -> None:
        self._client = client
        database = client.get_default_database(DATABASE, codec_options=_CODEC, write_concern=DURABLE)
        self.schemas = MongoSchemas(database)
        self.rows = MongoRows(database, clock)
        self.feed = MongoFeed(database, self.schemas)
        self.documents = MongoDocuments(database, self.schemas, Steps(database, self.rows, clock), self.feed.wake)

    @property
    def several(self) -> bool:
        return True

    def follow(self, classes: Collection[str], changed: Changed) -> None:
        """Not yet: what other processes write is not heard of."""

    @property
    def behind(self) -> bool:
        return False

    async def catch_up(self) -> None:
        """Nothing: what others write is told as it comes."""

    async def ping(self) -> None:
        with told():
            await self._client.admin.command("ping")

    async def close(self) -> None:
        await self.feed.close()
        await self._client.close()


async def open_store(url: str, clock: Clock, *, timeout_ms: int = 10_000) -> MongoStore:
    """Open the database at the address, which must be a replica set: units are transactions, the feed is its change stream."""
    try:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url, serverSelectionTimeoutMS=timeout_ms)
        store = MongoStore(client, clock)
    except (PyMongoError, ValueError) as error:
        raise MbaasError(f"the address of MongoDB cannot be used: {reason(error)}; correct MBAAS_DATABASE_URL") from error
    try:
        hello = await client.admin.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise MbaasError("MongoDB must run as a replica set (one member is enough): mongod --replSet rs0")
        await store.rows.prepare()
    except PyMongoError as error:
        await store.close()
        raise MbaasError(f"MongoDB does not answer: {reason(error)}; start it, or correct MBAAS_DATABASE_URL") from error
    except BaseException:
        await store.close()
        raise
    return store
