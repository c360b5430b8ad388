"""The port `Schemas` on SQLite: definitions, and the tables and indexes that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import apsw
import orjson

from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.storage.ports import Change
from mbaas.storage.sqlite import catalog
from mbaas.storage.sqlite.catalog import Catalog, Table
from mbaas.storage.sqlite.columns import column, listed, untyped
from mbaas.storage.sqlite.connection import fetch
from mbaas.storage.sqlite.layout import create_class
from mbaas.storage.sqlite.steps import Steps
from mbaas.storage.sqlite.writer import Writer

_TREE = "CREATE VIRTUAL TABLE {} USING rtree(id, south, north, west, east)"
_TEXT = "CREATE VIRTUAL TABLE {} USING fts5({}, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2')"
_DROP = {"index": "DROP INDEX i_{}", "geo": "DROP TABLE g_{}", "text": "DROP TABLE t_{}", "lists": "DROP INDEX l_{}"}
Side = dict[tuple[str, str], Any]
"""Side tables that a definition asks for: (kind, name) → spec."""


class SqliteSchemas:
    """Changes run in the writer's thread, alone; the catalog is replaced when they are on disk."""

    def __init__(
        self,
        writer: Writer,
        steps: Steps,
        clock: Clock,
        known: Callable[[], Catalog],
        refresh: Callable[[], None],
        adopt: Callable[[int, Catalog], None],
    ) -> None:
        self._writer, self._steps, self._clock = writer, steps, clock
        self._known, self._refresh, self._adopt = known, refresh, adopt

    async def load(self) -> dict[str, ClassSchema]:
        self._refresh()
        return {name: table.schema for name, table in self._known().items()}

    async def lookup(self, name: str) -> ClassSchema | None:
        table = self._known().get(name)
        return None if table is None else table.schema

    async def put(self, schema: ClassSchema, dropped: Sequence[str] = ()) -> None:
        await self._change(schema.name, lambda connection: self._put(connection, schema, dropped))

    async def alter(self, name: str, change: Change) -> ClassSchema:
        def work(connection: apsw.Connection) -> None:
            table = catalog.load_one(connection, name)
            before = table.schema if table else None
            schema, dropped = change(before)
            if schema is not before:
                self._put(connection, schema, dropped)

        await self._change(name, work)
        return self._known()[name].schema

    async def ensure(self, schema: ClassSchema, relations: Iterable[str]) -> None:
        """Make the class if it is new, and its relations; an existing definition stays."""

        def work(connection: apsw.Connection) -> None:
            if connection.execute("SELECT 1 FROM classes WHERE name=?", (schema.name,)).get is None:
                self._put(connection, schema, ())
            for key in relations:
                sql = "INSERT OR IGNORE INTO relation_keys(class, key) SELECT n, ? FROM classes WHERE name=?"
                connection.execute(sql, (key, schema.name))

        await self._change(schema.name, work)

    async def drop(self, schema: ClassSchema) -> None:
        def work(connection: apsw.Connection) -> None:
            table = catalog.load_one(connection, schema.name)
            if table is None:
                return
            for n, kind in fetch(connection, "SELECT n, kind FROM side WHERE class=?", (table.number,)):
                connection.execute(_DROP[kind].format(n))
            connection.execute(f"DROP TABLE {table.name}")
            _drop_relations(connection, table)
            for sql in ("side WHERE class=?", "relation_keys WHERE class=?", "classes WHERE n=?"):
                connection.execute(f"DELETE FROM {sql}", (table.number,))

        await self._change(schema.name, work)

    async def purge(self, schema: ClassSchema) -> None:
        def work(connection: apsw.Connection) -> None:
            table = catalog.load_one(connection, schema.name)
            if table is None:
                return
            connection.execute(
                "INSERT INTO feed(op, class, id, before, at, version) "
                f"SELECT 'delete', ?, id, cast(doc AS BLOB), ?, version FROM {table.name} ORDER BY rid",
                (schema.name, self._clock.now()),
            )
            self._steps.fed += 1
            self._steps.told += 1
            for name in (table.name, *table.geo.values(), *(text.table for text in table.texts)):
                connection.execute(f"DELETE FROM {name}")
            _drop_relations(connection, table)

        await self._change(schema.name, work)

    async def _change(self, name: str, work: Callable[[apsw.Connection], None]) -> None:
        """Do the work, which is on one class, and let the catalog show it."""
        connection = self._writer.connection

        def change() -> tuple[int, Table | None]:
            work(connection)
            return catalog.count_up(connection), catalog.load_one(connection, name)

        def adopt(changed: tuple[int, Table | None]) -> None:
            version, table = changed
            others = {known: one for known, one in self._known().items() if known != name}
            self._adopt(version, others if table is None else {**others, name: table})

        await self._writer.submit(change, heavy=True, then=adopt)

    def _put(self, connection: apsw.Connection, schema: ClassSchema, dropped: Sequence[str]) -> None:
        kept = catalog.definition(schema)
        number = connection.execute("SELECT n FROM classes WHERE name=?", (schema.name,)).get
        if number is None:
            connection.execute("INSERT INTO classes(name, definition) VALUES(?, ?)", (schema.name, kept))
            number = connection.last_insert_rowid()
            connection.execute(create_class(f"o_{number}"))
        else:
            connection.execute("UPDATE classes SET definition=? WHERE n=?", (kept, number))
        for name in dropped:
            _drop_column(connection, number, name)
        _match_side(connection, number, schema)
        for key, field in schema.fields.items():
            if field.type == "Relation":
                connection.execute("INSERT OR IGNORE INTO relation_keys(class, key) VALUES(?, ?)", (number, key))


def _drop_relations(connection: apsw.Connection, table: Table) -> None:
    connection.execute("DELETE FROM relations WHERE rel IN (SELECT rel FROM relation_keys WHERE class=?)", (table.number,))


def _drop_column(connection: apsw.Connection, number: int, name: str) -> None:
    holder = "hidden" if name.startswith("_") else "doc"
    if '"' in name or "\\" in name:
        raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name: {name}")
    path = f'$."{name}"'
    sql = f"UPDATE o_{number} SET {holder}=json_remove({holder}, ?), version=version+1 WHERE json_type({holder}, ?) IS NOT NULL"
    connection.execute(sql, (path, path))
    relation = connection.execute("SELECT rel FROM relation_keys WHERE class=? AND key=?", (number, name)).get
    if relation is not None:
        connection.execute("DELETE FROM relations WHERE rel=?", (relation,))
        connection.execute("DELETE FROM relation_keys WHERE rel=?", (relation,))


def _match_side(connection: apsw.Connection, number: int, schema: ClassSchema) -> None:
    """Drop side tables that the definition no longer asks for, make the new ones."""
    wanted = _wanted(schema)
    for n, kind, name, spec in fetch(connection, "SELECT n, kind, name, spec FROM side WHERE class=?", (number,)):
        if wanted.get((kind, name)) == orjson.loads(spec):
            del wanted[kind, name]
        else:
            connection.execute(_DROP[kind].format(n))
            connection.execute("DELETE FROM side WHERE n=?", (n,))
    for (kind, name), spec in wanted.items():
        connection.execute(
            "INSERT INTO side(class, kind, name, spec) VALUES(?, ?, ?, ?)", (number, kind, name, orjson.dumps(spec).decode())
        )
        n, table = connection.last_insert_rowid(), f"o_{number}"
        if kind == "index":
            try:
                connection.execute(f"CREATE {'UNIQUE ' if spec['unique'] else ''}INDEX i_{n} ON {table}({', '.join(spec['terms'])})")
            except apsw.ConstraintError as error:
                raise Duplicate(name) from error
        elif kind == "lists":
            connection.execute(f"CREATE INDEX l_{n} ON {table}(rid) WHERE {listed(tuple(spec))}")
        elif kind == "geo":
            _make_tree(connection, f"g_{n}", table, name)
        else:
            _make_text(connection, f"t_{n}", table, spec)


def _make_tree(connection: apsw.Connection, tree: str, table: str, name: str) -> None:
    connection.execute(_TREE.format(tree))
    lat, lng = f"doc->>'$.{name}.latitude'", f"doc->>'$.{name}.longitude'"
    connection.execute(f"INSERT INTO {tree} SELECT rid, {lat}, {lat}, {lng}, {lng} FROM {table} WHERE {lat} IS NOT NULL")


def _make_text(connection: apsw.Connection, text: str, table: str, columns: list[str]) -> None:
    names = ", ".join(f"c{n}" for n in range(len(columns)))
    connection.execute(_TEXT.format(text, names))
    values = ", ".join(["words(doc->?)"] * len(columns))
    paths = tuple(f'$."{name}"' for name in columns)
    connection.execute(f"INSERT INTO {text}(rowid, {names}) SELECT rid, {values} FROM {table}", paths)


def _wanted(schema: ClassSchema) -> Side:
    """What stands beside the class's own table."""
    side: Side = {}
    for name, field in schema.fields.items():
        at = column(schema, (name,)) if field.type == "GeoPoint" else None
        if at is not None:
            side["geo", name] = {}
    for name, keys in schema.indexes.items():
        if name == "_id_":
            continue
        texts = [key for key, kind in keys.items() if kind == "text"]
        if texts:
            side["text", name] = texts
            continue
        side.update(_index(schema, name, keys))
    return side


def _index(schema: ClassSchema, name: str, keys: Mapping[str, Any]) -> Side:
    """An ordinary index, and what its untyped keys need beside it."""
    terms = [_term(schema, name, key, direction) for key, direction in keys.items()]
    known = [term for term in terms if term is not None]
    if not known or len(known) < len(terms):
        # A key that SQL cannot index leaves the index out: places have their trees, lists are read.
        return {}
    keyed = [path for _, path in known if path]
    expr = known[0][0].removesuffix(" DESC")
    side: Side = {("lists", ".".join(path)): path for path in keyed if not path[0].startswith("_")}
    side["index", name] = {
        "terms": [text for text, _ in known],
        "keyed": keyed,
        "folded": expr[len("folded(") : -1] if name in schema.folded else "",
        "unique": name in schema.unique,
    }
    return side


def _term(schema: ClassSchema, index: str, key: str, direction: Any) -> tuple[str, list[str]] | None:
    """One key of an index as SQL, and its path if it is an untyped one."""
    path = tuple(key.split("."))
    at, free = column(schema, path), False
    if at is None and (len(path) > 1 or key.startswith("_")):
        at, free = untyped(path), True
    if at is None or at.kind in ("Array", "GeoPoint", "Polygon", "Relation") or direction not in (1, -1):
        return None
    expr = f"folded({at.expr})" if index in schema.folded else at.expr
    return f"{expr} DESC" if direction == -1 else expr, list(path) if free else []
