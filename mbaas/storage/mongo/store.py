"""The store on MongoDB: one database for one app, and perhaps for other processes and for Parse Server at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.tasks import end
from mbaas.observe.logs import get_logger
from mbaas.storage.mongo import origin
from mbaas.storage.mongo.documents import MongoDocuments
from mbaas.storage.mongo.elsewhere import Elsewhere
from mbaas.storage.mongo.failures import reason, told
from mbaas.storage.mongo.feed import MongoFeed
from mbaas.storage.mongo.files import GridFiles
from mbaas.storage.mongo.names import Database
from mbaas.storage.mongo.neighbours import Neighbours
from mbaas.storage.mongo.rows import MongoRows
from mbaas.storage.mongo.schemas import MongoSchemas
from mbaas.storage.mongo.steps import Steps
from mbaas.storage.mongo.transactions import DURABLE
from mbaas.storage.ports import Changed, Delete, Insert, Relate, Step, Update
from mbaas.storage.sharing import Sharing

NO_REPLICA_SET = (
    "MongoDB is no replica set: live queries, batches with `transaction: true` and several servers on one database will not work,"
    " and a write of several parts may be left half done"
)
_REMEDY = (
    "start it as one (a single member is enough: mongod --replSet rs0, then rs.initiate()), or set MBAAS_MONGO_STANDALONE=allow"
    " to do without"
)
DATABASE = "mbaas"
"""The database where the address names none."""
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
Place = tuple[int, int]


class MongoStore:
    """The ports, bound to one database. Made by `open_store`."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], clock: Clock, shared: bool | None, beside: Neighbours) -> None:
        self._client, self._shared, self._beside = client, shared, beside
        self.sharing = sharing = Sharing()
        self._database = database = database_of(client)
        self.schemas = MongoSchemas(database, sharing, beside)
        self.rows = MongoRows(database, clock, sharing)
        self.feed = MongoFeed(database, self.schemas, sharing)
        self.files = GridFiles(database)
        self.documents = MongoDocuments(database, self.schemas, Steps(database, self.rows, clock), sharing, self._committed)
        self._elsewhere = Elsewhere(database, (origin.TABLE, origin.KEY), self._look_again, beside)
        self._followed: dict[str, bool] = {}
        self._unindexed = asyncio.Event()
        self._indexing: asyncio.Task[None] | None = None

    async def prepare(self, *, atomic: bool) -> None:
        """Find out whose database it is, and have everything in place that units and the feed need."""
        self.sharing.atomic = atomic
        origin.apply(await origin.settled(self._database, self.rows, self._shared), self._shared, self.sharing)
        await self.rows.prepare()
        await self.schemas.look_again()

    async def _look_again(self) -> None:
        """See to it that classes which others made are fed and indexed, and that secrets are kept as the database is now."""
        now = await origin.read_origin(self.rows)
        if now is not None:
            origin.apply(now, self._shared, self.sharing)
        await self.schemas.look_again()
        self._unindexed.set()

    async def _index(self) -> None:
        """Make indexes beside the rest: on large classes it takes long."""
        while True:
            await self._unindexed.wait()
            self._unindexed.clear()
            await self.schemas.index_all()

    def follow(self, classes: Mapping[str, bool], changed: Changed) -> None:
        self.schemas.changed = changed
        self._followed = dict(classes)
        self._elsewhere.follow(classes, changed)
        if self.sharing.atomic:
            self._elsewhere.listen()
        self._unindexed.set()
        self._indexing = asyncio.get_running_loop().create_task(self._index())

    def _committed(self, steps: Sequence[Step]) -> None:
        if any(self._is_followed(step) for step in steps):
            self._beside.tell(followed=True)
        self.feed.wake()

    def _is_followed(self, step: Step) -> bool:
        if isinstance(step, Insert):
            return self._followed.get(step.schema.name, False)
        return isinstance(step, (Update, Delete, Relate)) and step.schema.name in self._followed

    @property
    def several(self) -> bool:
        return True

    @property
    def behind(self) -> bool:
        return self.schemas.behind or self._elsewhere.behind

    async def catch_up(self) -> None:
        if self._elsewhere.behind:
            await self._elsewhere.catch_up()
        if self.schemas.behind and self.schemas.changed is not None:
            await self.schemas.changed(None, None)

    async def ping(self) -> None:
        with told():
            await self._client.admin.command("ping")

    async def close(self) -> None:
        await self._elsewhere.close()
        await end([self._indexing])
        await self.feed.close()
        await self._client.close()
        self._beside.close()


def database_of(client: AsyncMongoClient[dict[str, Any]]) -> Database:
    """The database that the client's address names, as the whole server reads and writes it."""
    return client.get_default_database(DATABASE, codec_options=_CODEC, write_concern=DURABLE)


async def open_store(
    url: str,
    clock: Clock,
    *,
    shared: bool | None = None,
    standalone: bool = False,
    timeout_ms: int = 10_000,
    folder: Path | None = None,
    place: Place = (0, 1),
) -> MongoStore:
    """Open the database at the address, which must be a replica set: units are transactions, the feed is its change stream.

    `shared`: Parse Server uses it, too; None is found out. `standalone`: one that is no replica set will do. `place`: which of
    the processes of the `folder` this is, from 0, and how many there are. An MbaasError says why it cannot be opened.
    """
    try:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url, serverSelectionTimeoutMS=timeout_ms)
        store = MongoStore(client, clock, shared, Neighbours(folder, *place) if place[1] > 1 else Neighbours())
    except (PyMongoError, ValueError) as error:
        raise MbaasError(f"the address of MongoDB cannot be used: {reason(error)}; correct MBAAS_DATABASE_URL") from error
    try:
        atomic = is_replica_set(await client.admin.command("hello"))
        if not atomic and not standalone:
            raise MbaasError(f"{NO_REPLICA_SET}; {_REMEDY}")
        await store.prepare(atomic=atomic)
    except PyMongoError as error:
        await store.close()
        raise MbaasError(f"MongoDB does not answer: {reason(error)}; start it, or correct MBAAS_DATABASE_URL") from error
    except BaseException:
        await store.close()
        raise
    if not atomic:
        get_logger(__name__).warning(NO_REPLICA_SET)
    if store.sharing.shared:
        get_logger(__name__).info("the database is shared with Parse Server until `mbaas migrate --seal`")
    return store


def is_replica_set(hello: dict[str, Any]) -> bool:
    """True for what a member of a replica set, or the router of several, says of itself."""
    return "setName" in hello or hello.get("msg") == "isdbgrid"
