"""What each step of a unit does, inside the session that makes the unit one transaction.

An object is read, judged, changed and written back within the transaction: if anyone wrote it in between, MongoDB refuses
the write and the unit starts anew, so operators always apply to the object as it is at commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from mbaas.kernel.acl import permits
from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import Conflict, not_found
from mbaas.kernel.ops import apply
from mbaas.query.ast import EVERYTHING
from mbaas.query.match import match
from mbaas.storage.mongo.format import NOTES, Bson, changes, document_in, document_out, notes
from mbaas.storage.mongo.names import Database, join_name
from mbaas.storage.mongo.relations import relate
from mbaas.storage.mongo.rows import MongoRows
from mbaas.storage.ports import ChangeRow, Delete, Document, DropRow, Insert, PutRow, Relate, Row, Step, Update, Written

NOTHING = Written()
Session = AsyncClientSession | None


class Steps:
    """Performs steps; with no session a single one stands alone."""

    def __init__(self, database: Database, rows: MongoRows, clock: Clock) -> None:
        self._database, self._rows, self._clock = database, rows, clock

    async def perform(self, steps: Sequence[Step], session: Session) -> list[Written]:
        """All steps in order; the first that fails raises."""
        written: list[Written] = []
        for puts, some in groupby(steps, key=_puts):
            group = list(some)
            if puts:
                await self._rows.put_several([(step.table, _row(step)) for step in group if isinstance(step, PutRow)], session)
                written += [NOTHING] * len(group)
            else:
                written += [await _DO[type(step)](self, step, session) for step in group]
        return written

    async def _insert(self, step: Insert, session: Session) -> Written:
        document = step.document
        await self._database[step.schema.name].insert_one(document_in(step.schema, document, self._clock.now()), session=session)
        return Written(None, Document(document.body, document.hidden, 1))

    async def _found(self, step: Update | Delete, session: Session) -> tuple[Bson, Document]:
        """The object, if the step may touch it."""
        found = await self._database[step.schema.name].find_one({"_id": step.object_id}, session=session)
        if found is None or (step.writers is not None and not permits(found.get("_wperm"), step.writers)):
            raise not_found()
        before = document_out(step.schema, found)
        if step.guard != EVERYTHING and not match(step.guard, {**before.body, **before.hidden}):
            raise not_found()
        if step.expect is not None and step.expect != before.version:
            raise Conflict()
        return found, before

    async def _update(self, step: Update, session: Session) -> Written:
        found, before = await self._found(step, session)
        hidden = {key: value for key, value in {**before.hidden, **step.hidden}.items() if value is not None}
        after = Document(apply(step.ops, before.body), hidden, before.version + 1)
        put, gone = changes(step.schema, before, after)
        new = {**{key: value for key, value in found.items() if key not in gone}, **put}
        order = found[NOTES].get("o") if isinstance(found.get(NOTES), dict) else None
        new[NOTES] = notes(after.version, self._clock.now(), order, new.get("_updated_at"))
        if not step.ops:
            new[NOTES]["q"] = True
        # Replaced whole, since only then is the object after the write a part of the change stream's event.
        await self._database[step.schema.name].replace_one({"_id": step.object_id}, new, session=session)
        return Written(before, after)

    async def _delete(self, step: Delete, session: Session) -> Written:
        objects = self._database[step.schema.name]
        if step.if_there and await objects.find_one({"_id": step.object_id}, {"_id": 1}, session=session) is None:
            return NOTHING
        _, before = await self._found(step, session)
        await objects.delete_one({"_id": step.object_id}, session=session)
        for key, field in step.schema.fields.items():
            join = join_name(key, step.schema.name) if field.type == "Relation" else None
            if join is not None:
                await self._database[join].delete_many({"owningId": step.object_id}, session=session)
        return Written(before, None)

    async def _relate(self, step: Relate, session: Session) -> Written:
        await relate(self._database, step, session)
        return NOTHING

    async def _put_row(self, step: PutRow, session: Session) -> Written:
        await self._rows.put_one(step.table, _row(step), session, if_absent=step.if_absent)
        return NOTHING

    async def _drop_row(self, step: DropRow, session: Session) -> Written:
        if not await self._rows.drop_one(step.table, step.key, step.fence, session) and step.fence is not None:
            raise Conflict
        return NOTHING

    async def _change_row(self, step: ChangeRow, session: Session) -> Written:
        if not await self._rows.change_one(step.table, step.row, session):
            raise Conflict
        return NOTHING


def _puts(step: Step) -> bool:
    """True for a row that is put whatever is there: many of them are one call."""
    return isinstance(step, PutRow) and not step.if_absent


def _row(step: PutRow) -> Row:
    return Row(step.key, step.value, step.due, step.expires, step.owner)


_DO: dict[type[Any], Callable[[Steps, Any, Session], Awaitable[Written]]] = {
    Insert: Steps._insert,
    Update: Steps._update,
    Delete: Steps._delete,
    Relate: Steps._relate,
    PutRow: Steps._put_row,
    DropRow: Steps._drop_row,
    ChangeRow: Steps._change_row,
}
