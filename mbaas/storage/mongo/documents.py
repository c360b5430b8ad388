"""The port `Documents` on MongoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import orjson
from pymongo.asynchronous.client_session import AsyncClientSession

from mbaas.kernel.acl import permits
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, Object
from mbaas.query.ast import Path
from mbaas.query.compare import canonical
from mbaas.query.reach import ABSENT, leaves
from mbaas.storage.mongo import relations
from mbaas.storage.mongo.failures import told
from mbaas.storage.mongo.format import key_of
from mbaas.storage.mongo.indexes import FOLDED
from mbaas.storage.mongo.locks import Locks
from mbaas.storage.mongo.names import Database
from mbaas.storage.mongo.schemas import MongoSchemas
from mbaas.storage.mongo.search import Search, search, selected
from mbaas.storage.mongo.steps import Steps
from mbaas.storage.mongo.transactions import transaction
from mbaas.storage.mongo.values import shown
from mbaas.storage.ports import ChangeRow, Document, DropRow, Find, Insert, PutRow, Relate, Step, Written
from mbaas.storage.sharing import Sharing


class MongoDocuments:
    """Objects. A unit of one insert stands alone; every other is a transaction."""

    def __init__(
        self, database: Database, schemas: MongoSchemas, steps: Steps, sharing: Sharing, committed: Callable[[Sequence[Step]], None]
    ) -> None:
        self._database, self._schemas, self._steps, self._committed = database, schemas, steps, committed
        self._sharing = sharing
        self._locks = Locks()

    async def commit(self, steps: Sequence[Step]) -> list[Written]:
        if not steps:
            return []
        with told():
            for step in steps:
                if isinstance(step, Insert):
                    await self._schemas.ensure(step.schema)
                elif isinstance(step, Relate):
                    await self._schemas.ensure(step.schema, (step.key,))
            if len(steps) == 1 and isinstance(steps[0], Insert):
                written = await self._steps.perform(steps, None)
            else:
                written = await self._transaction(steps)
        self._committed(steps)
        return written

    async def _transaction(self, steps: Sequence[Step]) -> list[Written]:
        """The unit under the locks of what it touches: writers of one object in this process wait for each other in line
        instead of refusing each other; those of other processes meet in the database, which has the loser start anew."""

        async def work(session: AsyncClientSession | None) -> list[Written]:
            return await self._steps.perform(steps, session)

        async with AsyncExitStack() as stack:
            for name in sorted({_lock(step) for step in steps}):
                await stack.enter_async_context(self._locks.held(name))
            return await transaction(self._database, self._sharing, work)

    async def get(self, schema: ClassSchema, object_id: str) -> Document | None:
        with told():
            found = await self._database[schema.name].find_one({"_id": object_id})
        return None if found is None else (await self._schemas.read(schema, [found]))[0]

    async def get_raw(self, schema: ClassSchema, object_id: str, readers: frozenset[str] | None) -> bytes | None:
        with told():
            found = await self._database[schema.name].find_one({"_id": object_id})
        if found is None or (readers is not None and not permits(found.get("_rperm"), readers)):
            return None
        [document] = await self._schemas.read(schema, [found])
        return orjson.dumps(document.body)

    async def find(self, find: Find) -> list[Document]:
        if find.limit == 0:
            return []
        with told():
            return await (await self._search(find)).documents(self._schemas.read)

    async def find_raw(self, find: Find) -> list[bytes]:
        return [orjson.dumps(document.body) for document in await self.find(find)]

    async def alike(self, schema: ClassSchema, path: Path, value: str) -> list[Document]:
        with told():
            found = await self._database[schema.name].find({key_of(schema, path): {"$eq": value}}).collation(FOLDED).to_list()
            return await self._schemas.read(schema, found)

    async def _search(self, find: Find) -> Search:
        where = await relations.resolved(self._database, find.schema.name, find.where)
        return search(self._database[find.schema.name], replace(find, where=where))

    async def _filter(self, find: Find) -> dict[str, Any]:
        where = await relations.resolved(self._database, find.schema.name, find.where)
        return selected(replace(find, where=where))

    async def count(self, find: Find) -> int:
        with told():
            where = await self._filter(find)
            return await self._database[find.schema.name].count_documents(where, maxTimeMS=find.timeout_ms)

    async def distinct(self, find: Find, path: Path) -> list[Json]:
        seen: dict[Any, Json] = {}
        key_of(find.schema, path)  # refuses what can be no key
        with told():
            wanted = {"_id": 1, "_p_" + path[0]: 1, path[0]: 1, "_created_at": 1, "_updated_at": 1}
            cursor = self._database[find.schema.name].find(await self._filter(find), wanted).max_time_ms(find.timeout_ms)
            async for found in cursor:
                [document] = await self._schemas.read(find.schema, [found])
                for leaf in leaves(document.body, path):
                    for value in leaf if isinstance(leaf, list) else (leaf,):
                        if value is not ABSENT:
                            seen.setdefault(canonical(value), value)
        return list(seen.values())

    async def explain(self, find: Find) -> Object:
        with told():
            found = await (await self._search(find)).explain()
        return {key: shown(value) for key, value in found.items() if key in ("queryPlanner", "executionStats", "stages")}

    async def related(self, schema: ClassSchema, key: str, owner: str) -> list[str]:
        with told():
            return await relations.related(self._database, schema.name, key, owner)

    async def owners(self, schema: ClassSchema, key: str, related: Sequence[str]) -> list[str]:
        with told():
            return await relations.owners(self._database, schema.name, key, related)

    async def scan(self, find: Find, page: int = 500) -> AsyncIterator[Document]:
        collection = self._database[find.schema.name]
        with told():
            where = await self._filter(find)
        after: Any = None
        while True:
            rest = where if after is None else {"$and": [where, {"_id": {"$gt": after}}]}
            with told():
                found = await collection.find(rest).sort("_id").limit(page).max_time_ms(find.timeout_ms).to_list()
            for document in await self._schemas.read(find.schema, found):
                yield document
            if len(found) < page:
                return
            after = found[-1]["_id"]


def _lock(step: Step) -> tuple[str, str]:
    """What a step changes."""
    if isinstance(step, (PutRow, DropRow)):
        return f"mbaas.rows/{step.table}", step.key
    if isinstance(step, ChangeRow):
        return f"mbaas.rows/{step.table}", step.row.key
    if isinstance(step, Insert):
        return step.schema.name, str(step.document.body["objectId"])
    return step.schema.name, step.owner if isinstance(step, Relate) else step.object_id
