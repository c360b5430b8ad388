"""What each step of a unit does to the database: the row, what hangs on it, and its entry in the feed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apsw
import orjson

from mbaas.kernel.acl import allowed
from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import Code, Conflict, Duplicate, ParseError, not_found
from mbaas.kernel.ops import apply
from mbaas.kernel.values import Json, Object
from mbaas.query.ast import EVERYTHING
from mbaas.query.geo import point_of
from mbaas.query.match import match
from mbaas.storage.ports import ChangeRow, Delete, Document, DropRow, Insert, PutRow, Relate, Step, Update, Written
from mbaas.storage.sqlite.catalog import Catalog, Table
from mbaas.storage.sqlite.compile import RELATION
from mbaas.storage.sqlite.permissions import as_set, as_text

NOTHING = Written()
_FEED = "INSERT INTO feed(op, class, id, before, after, at, version) VALUES(?, ?, ?, ?, ?, ?, ?)"
_PUT_ROW = (
    "INSERT INTO rows(tbl, key, value, due, expires, owner) VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(tbl, key) DO UPDATE SET "
    "value=excluded.value, due=excluded.due, expires=excluded.expires, owner=excluded.owner, fence=fence+1"
)


_CHANGE_ROW = "UPDATE rows SET value=?, due=?, expires=?, owner=? WHERE tbl=? AND key=? AND fence=? RETURNING 1"


def encode(value: Json) -> bytes:
    """JSON as it is kept. Refuses what JSON readers would not give back: integers beyond 64 bits."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise ParseError(Code.INCORRECT_TYPE, "a value cannot be stored as JSON") from error


def encode_hidden(hidden: Mapping[str, Json]) -> str | None:
    return encode(hidden).decode() if hidden else None


class Steps:
    """Performs steps on the write connection, inside the transaction that the writer opened."""

    def __init__(self, connection: apsw.Connection, cursor: apsw.Cursor, clock: Clock, catalog: Callable[[], Catalog]) -> None:
        self._connection, self._execute, self._clock, self._catalog = connection, cursor.execute, clock, catalog
        self.fed = 0
        """How many entries have been written to the feed, kept or not."""
        self.followed: frozenset[str] = frozenset()
        """Classes of which the processes remember something."""
        self.told = 0
        """How many of the entries are of those."""

    def perform(self, steps: Sequence[Step]) -> list[Written]:
        """All steps in order; the first that fails raises."""
        return [_DO[type(step)](self, step) for step in steps]

    def _table(self, name: str) -> Table:
        table = self._catalog().get(name)
        if table is None:
            raise not_found()
        return table

    def _insert(self, step: Insert) -> Written:
        table, document = self._table(step.schema.name), step.document
        body = document.body
        doc, acl = encode(body), body.get("ACL")
        values = (
            body["objectId"],
            doc.decode(),
            encode_hidden(document.hidden),
            None if acl is None else as_text(allowed(acl, "read")),
            None if acl is None else as_text(allowed(acl, "write")),
        )
        try:
            self._execute(table.insert, values)
        except apsw.ConstraintError as error:
            raise table.duplicate(error) from error
        if table.geo or table.texts:
            self._place(table, self._connection.last_insert_rowid(), body)
        self._feed("create", table, body["objectId"], None, doc, 1)
        return Written(None, document if document.version == 1 else Document(body, document.hidden, 1))

    def _row(self, table: Table, step: Update | Delete) -> tuple[Any, ...]:
        """The object's row, if the step may touch it, with its body and hidden fields decoded."""
        row = self._execute(table.get_row, (step.object_id,)).get
        if row is None:
            raise not_found()
        rid, doc, hidden_text, rperm, wperm, version = row
        if step.writers is not None and wperm is not None and step.writers.isdisjoint(as_set(wperm)):
            raise not_found()
        body = orjson.loads(doc)
        hidden = orjson.loads(hidden_text) if hidden_text is not None else {}
        if step.guard != EVERYTHING and not match(step.guard, {**body, **hidden} if hidden else body):
            raise not_found()
        if step.expect is not None and step.expect != version:
            raise Conflict()
        return rid, doc, body, hidden, hidden_text, rperm, wperm, version

    def _update(self, step: Update) -> Written:
        table = self._table(step.schema.name)
        rid, doc, body, hidden, hidden_text, rperm, wperm, version = self._row(table, step)
        after = apply(step.ops, body)
        acl = after.get("ACL")
        if acl is not body.get("ACL"):
            rperm = None if acl is None else as_text(allowed(acl, "read"))
            wperm = None if acl is None else as_text(allowed(acl, "write"))
        changed = hidden
        if step.hidden:
            changed = {key: value for key, value in {**hidden, **step.hidden}.items() if value is not None}
            hidden_text = encode_hidden(changed)
        new = encode(after)
        try:
            self._execute(table.update, (new.decode(), hidden_text, rperm, wperm, version + 1, rid))
        except apsw.ConstraintError as error:
            raise table.duplicate(error) from error
        if table.geo or table.texts:
            self._place(table, rid, after, body)
        if step.ops:
            self._feed("update", table, step.object_id, doc, new, version + 1)
        return Written(Document(body, hidden, version), Document(after, changed, version + 1))

    def _delete(self, step: Delete) -> Written:
        table = self._table(step.schema.name)
        if step.if_there and self._execute(table.get_row, (step.object_id,)).get is None:
            return Written()
        rid, doc, body, hidden, _, _, _, version = self._row(table, step)
        self._execute(table.delete, (rid,))
        for tree in table.geo.values():
            self._execute(f"DELETE FROM {tree} WHERE id=?", (rid,))
        for text in table.texts:
            self._execute(f"DELETE FROM {text.table} WHERE rowid=?", (rid,))
        if table.relations:
            every = "rel IN (SELECT rel FROM relation_keys WHERE class=?)"
            self._execute(f"DELETE FROM relations WHERE {every} AND owner=?", (table.number, step.object_id))
        self._feed("delete", table, step.object_id, doc, None, version)
        return Written(Document(body, hidden, version), None)

    def _place(self, table: Table, rid: int, body: Object, before: Object | None = None) -> None:
        """Keep the R*Trees and full-text indexes in step with a row whose columns changed."""
        for column, tree in table.geo.items():
            value = body.get(column)
            if before is None or value != before.get(column):
                point = point_of(value)
                if point is None:
                    self._execute(f"DELETE FROM {tree} WHERE id=?", (rid,))
                else:
                    lat, lng = point
                    self._execute(f"INSERT OR REPLACE INTO {tree} VALUES(?, ?, ?, ?, ?)", (rid, lat, lat, lng, lng))
        for text in table.texts:
            values = [body.get(column) for column in text.columns]
            if before is None or values != [before.get(column) for column in text.columns]:
                marks = ",".join(["words(?)"] * len(values))
                arguments = [None if value is None else encode(value).decode() for value in values]
                self._execute(f"INSERT OR REPLACE INTO {text.table}(rowid,{_columns(len(values))}) VALUES(?,{marks})", (rid, *arguments))

    def _feed(self, op: str, table: Table, object_id: str, before: bytes | None, after: bytes | None, version: int) -> None:
        self.fed += 1
        if table.schema.name in self.followed:
            self.told += 1
        self._execute(_FEED, (op, table.schema.name, object_id, before, after, self._clock.now(), version))

    def _relate(self, step: Relate) -> Written:
        table = self._table(step.schema.name)
        where = (table.number, step.key)
        for related in step.add:
            self._execute(f"INSERT OR IGNORE INTO relations(rel, owner, related) VALUES({RELATION}, ?, ?)", (*where, step.owner, related))
        for related in step.remove:
            self._execute(f"DELETE FROM relations WHERE rel={RELATION} AND owner=? AND related=?", (*where, step.owner, related))
        return NOTHING

    def _put_row(self, step: PutRow) -> Written:
        if step.if_absent:
            now = self._clock.now()
            there = "SELECT 1 FROM rows WHERE tbl=? AND key=? AND (expires IS NULL OR expires > ?)"
            if self._execute(there, (step.table, step.key, now)).get is not None:
                raise Duplicate(step.table)
        self._execute(_PUT_ROW, (step.table, step.key, encode(step.value).decode(), step.due, step.expires, step.owner))
        return NOTHING

    def _drop_row(self, step: DropRow) -> Written:
        dropped = "DELETE FROM rows WHERE tbl=? AND key=? AND (?3 IS NULL OR fence=?3) RETURNING 1"
        if self._execute(dropped, (step.table, step.key, step.fence)).get is None and step.fence is not None:
            raise Conflict
        return NOTHING

    def _change_row(self, step: ChangeRow) -> Written:
        row = step.row
        values = (encode(row.value).decode(), row.due, row.expires, row.owner, step.table, row.key, row.fence)
        if self._execute(_CHANGE_ROW, values).get is None:
            raise Conflict
        return NOTHING


def _columns(count: int) -> str:
    return ",".join(f"c{n}" for n in range(count))


_DO: dict[type[Any], Callable[[Steps, Any], Written]] = {
    Insert: Steps._insert,
    Update: Steps._update,
    Delete: Steps._delete,
    Relate: Steps._relate,
    PutRow: Steps._put_row,
    DropRow: Steps._drop_row,
    ChangeRow: Steps._change_row,
}
