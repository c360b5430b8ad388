"""The port `Documents` on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import apsw
import orjson

from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, Object
from mbaas.query.ast import Path
from mbaas.query.compare import canonical
from mbaas.query.reach import ABSENT, leaves
from mbaas.storage.ports import Delete, Document, Find, Insert, Relate, Step, Update, Written
from mbaas.storage.sqlite.catalog import Catalog
from mbaas.storage.sqlite.columns import column, safe
from mbaas.storage.sqlite.compile import RELATION, Where
from mbaas.storage.sqlite.connection import fetch
from mbaas.storage.sqlite.functions import folded
from mbaas.storage.sqlite.permissions import as_set
from mbaas.storage.sqlite.plan import Plan, Rows, condition, plan
from mbaas.storage.sqlite.reader import TOO_LONG, Reader
from mbaas.storage.sqlite.steps import Steps
from mbaas.storage.sqlite.writer import Writer

_BYTES = "cast(doc AS BLOB)"
_WHOLE = "cast(doc AS BLOB), hidden, version"
_HEAVY = 200
"""Units of more steps do not run on the event loop."""


class SqliteDocuments:
    """Objects: searches through the reader, units through the writer."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        steps: Steps,
        catalog: Callable[[], Catalog],
        define: Callable[[ClassSchema, Iterable[str]], Awaitable[None]],
    ) -> None:
        self._writer, self._reader, self._steps, self._catalog, self._define = writer, reader, steps, catalog, define

    async def commit(self, steps: Sequence[Step]) -> list[Written]:
        catalog = self._catalog()
        plain = len(steps) == 1
        for step in steps:
            if isinstance(step, (Insert, Update, Delete)):
                table = catalog.get(step.schema.name)
                if table is not None:
                    plain = plain and table.plain
                elif isinstance(step, Insert):
                    await self._define(step.schema, ())
                    catalog = self._catalog()
            elif isinstance(step, Relate):
                table, plain = catalog.get(step.schema.name), False
                if table is None or step.key not in table.relations:
                    await self._define(step.schema, (step.key,))
                    catalog = self._catalog()
        perform = self._steps.perform
        return await self._writer.submit(lambda: perform(steps), shielded=not plain, heavy=len(steps) > _HEAVY)

    async def get(self, schema: ClassSchema, object_id: str) -> Document | None:
        table = self._catalog().get(schema.name)
        if table is None:
            return None
        row = self._reader.point(table.get, (object_id,))
        return None if row is None else _document(row)

    async def get_raw(self, schema: ClassSchema, object_id: str, readers: frozenset[str] | None) -> bytes | None:
        return self.get_raw_now(schema.name, object_id, readers)

    def get_raw_now(self, class_name: str, object_id: str, readers: frozenset[str] | None) -> bytes | None:
        """`get_raw` without a coroutine around it."""
        table = self._catalog().get(class_name)
        if table is None:
            return None
        row = self._reader.point(table.get_raw, (object_id,))
        if row is None or (readers is not None and row[1] is not None and readers.isdisjoint(as_set(row[1]))):
            return None
        found: bytes = row[0]
        return found

    async def find(self, find: Find) -> list[Document]:
        rows, search = await self._rows(find, _WHOLE)
        documents = [_document(row) for row in rows]
        if search is not None and search.scored:
            for document, row in zip(documents, rows, strict=True):
                document.body["score"] = row[-1]
        return documents

    async def find_raw(self, find: Find) -> list[bytes]:
        rows, search = await self._rows(find, _BYTES)
        if search is not None and search.scored:
            return [b'%b,"score":%b}' % (doc[:-1], orjson.dumps(score)) for doc, score in rows]
        return [row[0] for row in rows]

    async def alike(self, schema: ClassSchema, path: Path, value: str) -> list[Document]:
        table, at = self._catalog().get(schema.name), column(schema, path)
        if table is None or at is None:
            return []
        sql = f"SELECT {_WHOLE} FROM {table.name} WHERE folded({at.expr})=?"
        return [_document(row) for row in self._reader.now(lambda cursor: fetch(cursor, sql, (folded(value),)))]

    async def _rows(self, find: Find, columns: str) -> tuple[Rows, Plan | None]:
        catalog = self._catalog()
        table = catalog.get(find.schema.name)
        if table is None or find.limit == 0:
            return [], None
        kept = find.memo.get(columns)
        if kept is not None and kept[0] is table:
            search: Plan = kept[1]
        else:
            search = plan(catalog, table, find, columns)
            find.memo[columns] = table, search
        rows = self._reader.attempt(search.run, find.timeout_ms) if search.linear else TOO_LONG
        if rows is TOO_LONG:
            rows = await self._reader.run(search.run, find.timeout_ms, linear=False)
        return rows, search

    async def count(self, find: Find) -> int:
        selected = self._selected(find, "count(*)")
        if selected is None:
            return 0
        sql, where = selected
        arguments = tuple(where.arguments)
        return int(await self._reader.run(lambda cursor: cursor.execute(sql, arguments).get, find.timeout_ms, linear=where.linear))

    def _selected(self, find: Find, columns: str) -> tuple[str, Where] | None:
        """All matches in no order; None if there is no such class."""
        catalog = self._catalog()
        table = catalog.get(find.schema.name)
        if table is None:
            return None
        where = Where(catalog, table, find.schema)
        return f"SELECT {columns} FROM {table.name} WHERE {condition(where, find)}", where

    async def distinct(self, find: Find, path: Path) -> list[Json]:
        short = len(path) == 1 and safe(path[0]) and not path[0].startswith("_")
        wanted = f"DISTINCT doc->'$.{path[0]}'" if short else "doc"
        selected = self._selected(find, wanted)
        if selected is None:
            return []
        sql, where = selected
        arguments = tuple(where.arguments)
        rows = await self._reader.run(_fetch(sql, arguments), find.timeout_ms, linear=where.linear)
        bodies = ({path[0]: orjson.loads(text)} if short else orjson.loads(text) for (text,) in rows if text is not None)
        seen: dict[Any, Json] = {}
        for body in bodies:
            for leaf in leaves(body, path):
                for value in leaf if isinstance(leaf, list) else (leaf,):
                    if value is not ABSENT:
                        seen.setdefault(canonical(value), value)
        return list(seen.values())

    async def explain(self, find: Find) -> Object:
        catalog = self._catalog()
        table = catalog.get(find.schema.name)
        if table is None:
            return {"queryPlanner": {"winningPlan": {"stage": "EOF"}}}
        search = plan(catalog, table, find, _BYTES)
        rows = await self._reader.run(
            lambda cursor: cursor.execute(f"EXPLAIN QUERY PLAN {search.sql}", search.arguments).fetchall(), find.timeout_ms
        )
        return {"queryPlanner": {"engine": "sqlite", "winningPlan": [row[3] for row in rows]}}

    async def related(self, schema: ClassSchema, key: str, owner: str) -> list[str]:
        table = self._catalog().get(schema.name)
        if table is None:
            return []
        sql = f"SELECT related FROM relations WHERE rel={RELATION} AND owner=? ORDER BY n"
        rows = self._reader.now(lambda cursor: fetch(cursor, sql, (table.number, key, owner)))
        return [related for (related,) in rows]

    async def owners(self, schema: ClassSchema, key: str, related: Sequence[str]) -> list[str]:
        table = self._catalog().get(schema.name)
        if table is None:
            return []
        wanted = orjson.dumps(list(related)).decode()
        sql = f"SELECT DISTINCT owner FROM relations WHERE rel={RELATION} AND related IN (SELECT value FROM json_each(?)) ORDER BY owner"
        rows = self._reader.now(lambda cursor: fetch(cursor, sql, (table.number, key, wanted)))
        return [owner for (owner,) in rows]

    async def scan(self, find: Find, page: int = 500) -> AsyncIterator[Document]:
        selected = self._selected(find, _WHOLE + ", id")
        if selected is None:
            return
        sql, where = selected
        sql += " AND id > ? ORDER BY id LIMIT ?"
        after = ""
        while True:
            arguments = (*where.arguments, after, page)
            rows = await self._reader.run(_fetch(sql, arguments), find.timeout_ms, linear=where.linear)
            for row in rows:
                yield _document(row)
            if len(rows) < page:
                return
            after = rows[-1][3]


def _fetch(sql: str, arguments: tuple[Any, ...]) -> Callable[[apsw.Cursor], Rows]:
    return lambda cursor: fetch(cursor, sql, arguments)


def _document(row: tuple[Any, ...]) -> Document:
    return Document(orjson.loads(row[0]), orjson.loads(row[1]) if row[1] is not None else {}, row[2])
