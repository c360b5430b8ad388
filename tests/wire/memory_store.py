"""A store in a dictionary, for tests of the wire alone: no durability, no indexes, the matcher as its query engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from mbaas.kernel import acl, ops
from mbaas.kernel.errors import Conflict, Duplicate, not_found
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, Object
from mbaas.query.ast import Path
from mbaas.query.compare import canonical
from mbaas.query.match import match
from mbaas.storage.ports import Delete, Document, DropRow, Entry, Find, Insert, PutRow, Relate, Row, Step, Update, Written


class MemoryDocuments:
    def __init__(self, rows: MemoryRows) -> None:
        self.rows = rows
        self.classes: dict[str, dict[str, Document]] = {}
        self.relations: dict[tuple[str, str, str], list[str]] = {}

    async def commit(self, steps: Sequence[Step]) -> list[Written]:
        kept = {name: dict(objects) for name, objects in self.classes.items()}
        tables = {name: dict(rows) for name, rows in self.rows.tables.items()}
        try:
            return [self._do(step) for step in steps]
        except BaseException:
            self.classes, self.rows.tables = kept, tables
            raise

    def _do(self, step: Step) -> Written:
        if isinstance(step, PutRow):
            self.rows.insert(step.table, Row(step.key, step.value, step.due, step.expires), step.if_absent)
        elif isinstance(step, DropRow):
            self.rows.tables.get(step.table, {}).pop(step.key, None)
        elif isinstance(step, Relate):
            ids = self.relations.setdefault((step.schema.name, step.key, step.owner), [])
            ids[:] = [i for i in ids if i not in step.remove] + [i for i in step.add if i not in ids]
        elif isinstance(step, Insert):
            objects = self.classes.setdefault(step.schema.name, {})
            object_id = step.document.body["objectId"]
            if object_id in objects:
                raise Duplicate("_id_")
            objects[object_id] = replace(step.document, version=1)
            return Written(None, objects[object_id])
        else:
            return self._alter(step)
        return Written()

    def _alter(self, step: Update | Delete) -> Written:
        objects = self.classes.setdefault(step.schema.name, {})
        before = objects.get(step.object_id)
        if before is None or not match(step.guard, {**before.body, **before.hidden}):
            raise not_found()
        if step.writers is not None and not acl.permits(acl.allowed(before.body.get("ACL"), "write"), step.writers):
            raise not_found()
        if step.expect is not None and step.expect != before.version:
            raise Conflict
        if isinstance(step, Delete):
            return Written(objects.pop(step.object_id), None)
        hidden = {k: v for k, v in {**before.hidden, **step.hidden}.items() if v is not None}
        after = objects[step.object_id] = Document(ops.apply(step.ops, before.body), hidden, before.version + 1)
        return Written(before, after)

    def _matching(self, find: Find) -> list[Document]:
        found = [
            d
            for d in self.classes.get(find.schema.name, {}).values()
            if (find.readers is None or acl.permits(acl.allowed(d.body.get("ACL"), "read"), find.readers))
            and match(find.where, {**d.body, **d.hidden})
        ]
        for path, descending in reversed(find.order):
            found.sort(key=lambda d: (path[0] in d.body, canonical(d.body.get(path[0]))), reverse=descending)
        return found

    async def get(self, schema: ClassSchema, object_id: str) -> Document | None:
        return self.classes.get(schema.name, {}).get(object_id)

    async def get_raw(self, schema: ClassSchema, object_id: str, readers: frozenset[str] | None) -> bytes | None:
        found = await self.get(schema, object_id)
        if found is None or (readers is not None and not acl.permits(acl.allowed(found.body.get("ACL"), "read"), readers)):
            return None
        return orjson.dumps(found.body)

    async def find(self, find: Find) -> list[Document]:
        found = self._matching(find)[find.skip :]
        return found if find.limit is None else found[: find.limit]

    async def find_raw(self, find: Find) -> list[bytes]:
        return [orjson.dumps(d.body) for d in await self.find(find)]

    async def count(self, find: Find) -> int:
        return len(self._matching(find))

    async def distinct(self, find: Find, path: Path) -> list[Json]:
        return list({canonical(d.body.get(path[0])): d.body.get(path[0]) for d in self._matching(find)}.values())

    async def explain(self, find: Find) -> Object:
        return {}

    async def related(self, schema: ClassSchema, key: str, owner: str) -> list[str]:
        return self.relations.get((schema.name, key, owner), [])

    async def owners(self, schema: ClassSchema, key: str, related: Sequence[str]) -> list[str]:
        return [o for (c, k, o), ids in self.relations.items() if (c, k) == (schema.name, key) and set(ids) & set(related)]

    async def scan(self, find: Find, page: int = 500) -> AsyncIterator[Document]:
        for document in self._matching(find):
            yield document


class MemorySchemas:
    def __init__(self, documents: MemoryDocuments) -> None:
        self.known: dict[str, ClassSchema] = {}
        self._documents = documents

    async def load(self) -> dict[str, ClassSchema]:
        return dict(self.known)

    async def put(self, schema: ClassSchema, dropped: Sequence[str] = ()) -> None:
        self.known[schema.name] = schema
        for document in self._documents.classes.get(schema.name, {}).values():
            for name in dropped:
                document.body.pop(name, None)

    async def drop(self, schema: ClassSchema) -> None:
        self.known.pop(schema.name, None)
        self._documents.classes.pop(schema.name, None)

    async def purge(self, schema: ClassSchema) -> None:
        self._documents.classes.pop(schema.name, None)


class MemoryRows:
    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {}

    def insert(self, table: str, row: Row, if_absent: bool) -> None:
        rows = self.tables.setdefault(table, {})
        if if_absent and row.key in rows:
            raise Duplicate(table)
        rows[row.key] = row

    async def get(self, table: str, key: str) -> Row | None:
        return self.tables.get(table, {}).get(key)

    async def put_many(self, table: str, rows: Sequence[Row]) -> None:
        for row in rows:
            self.insert(table, row, False)

    async def scan(self, table: str, after: str = "", limit: int = 1000, prefix: str = "") -> list[Row]:
        return [r for k, r in sorted(self.tables.get(table, {}).items()) if k > after and k.startswith(prefix)][:limit]

    async def claim(self, table: str, now: int, owner: str, lease_ms: int, limit: int = 1) -> list[Row]:
        return []

    async def change(self, table: str, row: Row, fence: int | None = None) -> bool:
        self.insert(table, row, False)
        return True

    async def drop(self, table: str, key: str, fence: int | None = None) -> bool:
        return self.tables.get(table, {}).pop(key, None) is not None

    async def count_up(self, table: str, key: str, by: int = 1, expires: int | None = None) -> int:
        before = self.tables.get(table, {}).get(key)
        self.insert(table, Row(key, (before.value if before else 0) + by), False)
        return int(self.tables[table][key].value)

    async def expire(self, now: int, limit: int = 1000) -> int:
        return 0


class MemoryFeed:
    async def latest(self) -> str:
        return "0"

    async def after(self, seq: str, limit: int = 1000) -> list[Entry] | None:
        return []

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


class MemoryStore:
    def __init__(self) -> None:
        self.rows = MemoryRows()
        self.documents = MemoryDocuments(self.rows)
        self.schemas = MemorySchemas(self.documents)
        self.feed = MemoryFeed()

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


def options(**changed: Any) -> Mapping[str, Any]:
    """Keys and rules as in the golden transcripts."""
    return {
        "app_id": "app",
        "master_key": "master",
        "read_only_master_key": "ro",
        "maintenance_key": "maint",
        "rest_api_key": "rest",
        "javascript_key": "js",
        "client_key": "client",
        "allow_client_class_creation": True,
        "sanitized_errors": False,
        "preset": "parse",
        "new_class_permissions": "public",
        **changed,
    }
