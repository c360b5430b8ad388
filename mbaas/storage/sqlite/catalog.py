"""What the store knows of each class: its table, its side tables, and the statements prepared for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import apsw
import orjson

from mbaas.kernel.errors import Duplicate
from mbaas.kernel.schema import ClassSchema, Field
from mbaas.query.ast import Path
from mbaas.storage.sqlite.connection import fetch


@dataclass(frozen=True, slots=True)
class TextIndex:
    """A full-text index: its table and the columns it reads."""

    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One class in the database."""

    number: int
    schema: ClassSchema
    geo: Mapping[str, str] = field(default_factory=dict)
    """R*Tree by GeoPoint column."""
    texts: tuple[TextIndex, ...] = ()
    indexes: Mapping[str, str] = field(default_factory=dict)
    """SQLite's name of an index by its name in the schema."""
    keyed: frozenset[Path] = frozenset()
    """Untyped paths that some index begins with or holds."""
    folded: frozenset[str] = frozenset()
    """Expressions by which an index that ignores case begins."""
    relations: frozenset[str] = frozenset()
    """Columns that are relations."""
    name: str = ""
    get: str = ""
    get_raw: str = ""
    get_row: str = ""
    insert: str = ""
    update: str = ""
    delete: str = ""

    @property
    def plain(self) -> bool:
        """Nothing but the row itself must be kept in step."""
        return not (self.geo or self.texts or self.relations)

    def duplicate(self, error: apsw.ConstraintError) -> Duplicate:
        """Which index refused, by the name that the schema gives it."""
        text = str(error)
        for name, index in self.indexes.items():
            if f"'{index}'" in text:
                return Duplicate(name)
        return Duplicate("_id_")


_CLASSES = "SELECT n, name, definition FROM classes"
Catalog = dict[str, Table]
"""Every class by name; replaced as a whole when a definition changes."""


def load(connection: apsw.Connection) -> tuple[int, Catalog]:
    """Read the catalog from the database, and its version."""
    with connection:
        number = version(connection)
        found = {name: _read(connection, n, name, kept) for n, name, kept in fetch(connection, f"{_CLASSES} ORDER BY n")}
    return number, found


def version(connection: apsw.Connection) -> int:
    """How often the catalog has changed."""
    found: int = connection.execute("SELECT value FROM meta WHERE key='catalog'").get
    return found


def count_up(connection: apsw.Connection) -> int:
    """Say that the catalog has changed; its new version."""
    found: int = connection.execute("UPDATE meta SET value=value+1 WHERE key='catalog' RETURNING value").get
    return found


def load_one(connection: apsw.Connection, name: str) -> Table | None:
    """Read one class; None if there is no such."""
    found = fetch(connection, f"{_CLASSES} WHERE name=?", (name,))
    return _read(connection, *found[0]) if found else None


def _read(connection: apsw.Connection, number: int, name: str, kept: str) -> Table:
    rows = fetch(connection, "SELECT n, kind, name, spec FROM side WHERE class=? ORDER BY n", (number,))
    side = [(n, kind, column, orjson.loads(spec)) for n, kind, column, spec in rows]
    relations = frozenset(key for (key,) in fetch(connection, "SELECT key FROM relation_keys WHERE class=?", (number,)))
    return _table(number, _schema(name, kept), side, relations)


def _table(number: int, schema: ClassSchema, side: list[tuple[int, str, str, Any]], relations: frozenset[str]) -> Table:
    name = f"o_{number}"
    return Table(
        number=number,
        schema=schema,
        geo={column: f"g_{n}" for n, kind, column, _ in side if kind == "geo"},
        texts=tuple(TextIndex(f"t_{n}", tuple(spec)) for n, kind, _, spec in side if kind == "text"),
        indexes={index: f"i_{n}" for n, kind, index, _ in side if kind == "index"},
        keyed=frozenset(tuple(path) for _, kind, _, spec in side if kind == "index" for path in spec["keyed"]),
        folded=frozenset(spec["folded"] for _, kind, _, spec in side if kind == "index" and spec["folded"]),
        relations=relations,
        name=name,
        get=f"SELECT cast(doc AS BLOB), hidden, version FROM {name} WHERE id=?",
        get_raw=f"SELECT cast(doc AS BLOB), rperm FROM {name} WHERE id=?",
        get_row=f"SELECT rid, cast(doc AS BLOB), hidden, rperm, wperm, version FROM {name} WHERE id=?",
        insert=f"INSERT INTO {name}(id, doc, hidden, rperm, wperm, version) VALUES(?, ?, ?, ?, ?, 1)",
        update=f"UPDATE {name} SET doc=?, hidden=?, rperm=?, wperm=?, version=? WHERE rid=?",
        delete=f"DELETE FROM {name} WHERE rid=?",
    )


def definition(schema: ClassSchema) -> str:
    """A class's definition as it is kept."""
    fields = {name: {"type": f.type, "target": f.target, "required": f.required, "default": f.default} for name, f in schema.fields.items()}
    kept = {
        "fields": fields,
        "permissions": schema.permissions,
        "indexes": {name: list(keys.items()) for name, keys in schema.indexes.items()},
        "unique": sorted(schema.unique),
        "folded": sorted(schema.folded),
    }
    return orjson.dumps(kept, default=dict).decode()


def _schema(name: str, text: str) -> ClassSchema:
    kept = orjson.loads(text)
    return ClassSchema(
        name,
        fields={key: Field(**value) for key, value in kept["fields"].items()},
        permissions=kept["permissions"],
        indexes={index: dict(keys) for index, keys in kept["indexes"].items()},
        unique=frozenset(kept["unique"]),
        folded=frozenset(kept["folded"]),
    )
