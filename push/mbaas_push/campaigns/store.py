"""Campaigns, and plays, as they are kept: the row of each, its versions, its runs, and who did what to it.

Every change of one commits with an entry of its audit, whose key is the number of the change: of two changes of one state the
second finds its entry taken, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mbaas.data.app import App
from mbaas.data.audit import by
from mbaas.data.once import Once
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Conflict, Duplicate, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import DropRow, PutRow, Step

VERSIONS = "campaign versions"
LONGEST_NAME = 200
_PAGE, _COPY = 500, " (copy)"


@dataclass(frozen=True, slots=True)
class Kept:
    """A campaign, or a play, as it was read. `value` is what is stored."""

    id: str
    value: Object

    @property
    def state(self) -> str:
        """Of a campaign `draft`, `approved`, `scheduled`, `paused`, or how it has ended: `completed`, `cancelled`, `failed`, `expired`."""
        return str(self.value["state"])

    @property
    def definition(self) -> Object:
        """What it is made of, as `definition.py` keeps it."""
        definition: Object = self.value["definition"]
        return definition

    def told(self) -> Object:
        """What is said of either."""
        named = {name: self.value[name] for name in ("state", "version")}
        times = {name: iso(self.value[name]) for name in ("createdAt", "updatedAt")}
        return {"id": self.id, **self.definition, **named, **times}


class Store:
    """The campaigns of one app, or its plays: what is kept of a `kind`."""

    def __init__(self, app: App, kind: str = "campaign") -> None:
        self._app, self._once, self._kind = app, Once(app), kind
        self._table, self._versions, self._audit, self._runs = f"{kind}s", f"{kind} versions", f"{kind} audit", f"{kind} runs"

    async def get(self, kept_id: str) -> Kept:
        """One of them. ParseError 101 if there is none."""
        row = await self._app.store.rows.get(self._table, kept_id)
        if row is None:
            raise self._unknown(kept_id)
        return Kept(row.key, row.value)

    async def found(self, kept_id: str, order: str, updated_at: int | None, states: Mapping[str, tuple[str, ...]]) -> Kept:
        """One that is to be told an order. Conflict if it is no longer of that time; 119 with HTTP 409 if it is not in a state for that.

        `states` are those from which each may be done.
        """
        kept = await self.get(kept_id)
        if updated_at is not None and kept.value["updatedAt"] != updated_at:
            raise Conflict
        if kept.state not in states[order]:
            text = f"A {self._kind} that is {kept.state} cannot be told to {order}; it would have to be {' or '.join(states[order])}."
            raise ParseError(Code.OPERATION_FORBIDDEN, text, status=409)
        return kept

    async def copy(self, kept_id: str, caller: Caller) -> Kept:
        """Another draft that is like it."""
        like = (await self.get(kept_id)).definition
        return await self.create({**like, "name": f"{like['name'][: LONGEST_NAME - len(_COPY)]}{_COPY}"}, caller)

    async def page(self, after: str, limit: int) -> tuple[list[Kept], str | None]:
        """A page of them in the order of their ids, and where the next page begins."""
        rows = await self._app.store.rows.scan(self._table, after, limit)
        return [Kept(row.key, row.value) for row in rows], rows[-1].key if len(rows) == limit else None

    async def create(self, definition: Object, caller: Caller, given: Object | None = None, once: str | None = None) -> Kept:
        """A new draft; for each Idempotency-Key, `once`, with which the same is `given` again, the same one."""
        if once is not None and (known := await self._once.known(self._kind, caller, once, given or {})) is not None:
            return await self.get(str(known))
        now = self._app.clock.now()
        value: Object = {"definition": definition, "state": "draft", "version": 0, "change": 0, "createdAt": now, "updatedAt": now}
        blank = Kept(self._app.ids.object_id(), value)
        record = [] if once is None else [self._once.record(self._kind, caller, once, given or {}, blank.id)]
        try:
            return await self.change(blank, "created", caller, record, definition=definition)
        except Conflict:
            # The same came under the same key at the same moment.
            if once is None or (known := await self._once.known(self._kind, caller, once, given or {})) is None:
                raise
            return await self.get(str(known))

    async def change(self, kept: Kept, what: str, caller: Caller | None, beside: Sequence[Step] = (), **changes: Json) -> Kept:
        """Change one as it was read, in one commit with the steps beside it. Conflict if it is no longer that."""
        steps = self.steps(kept, what, caller, **changes)
        try:
            await self._app.store.documents.commit([*beside, *steps])
        except Duplicate as error:
            raise Conflict from error
        return await self.get(kept.id)

    def steps(self, kept: Kept, what: str, caller: Caller | None, told: Object | None = None, **changes: Json) -> list[Step]:
        """The steps of a change; Duplicate, when they are committed, if it is no longer what was read."""
        before, now = kept.value, self._app.clock.now()
        # Two changes in one millisecond have two times: clients compare by them.
        value = {**before, **changes, "change": before["change"] + 1, "updatedAt": max(now, before["updatedAt"] + 1)}
        more: list[Step] = []
        if "definition" in changes:
            value["version"] = before["version"] + 1
            version = {"definition": changes["definition"], "at": now}
            more.append(PutRow(self._versions, f"{kept.id}|{value['version']:08d}", version))
        who: Object = {"by": "server"} if caller is None else by(caller)
        entry = {"what": what, "at": now, "state": value["state"], "version": value["version"], **who, **(told or {})}
        audit = PutRow(self._audit, f"{kept.id}|{value['change']:08d}", entry, if_absent=True)
        return [audit, PutRow(self._table, kept.id, value), *more]

    async def drop(self, kept: Kept, caller: Caller) -> None:
        """Forget one; its versions and its audit stay. Conflict if it is no longer as it was read."""
        audit, *_ = self.steps(kept, "deleted", caller)
        try:
            await self._app.store.documents.commit([audit, DropRow(self._table, kept.id)])
        except Duplicate as error:
            raise Conflict from error

    async def versions(self, kept_id: str) -> list[Object]:
        """Its versions, the first one first. ParseError 101 if there has never been one of that id."""
        found = await self._told_of(self._versions, kept_id)
        return [{"version": int(key), "at": iso(value["at"]), **value["definition"]} for key, value in found]

    async def audit(self, kept_id: str) -> list[Object]:
        """Who did what to it, the oldest first. ParseError 101 if there has never been one of that id."""
        return [{**value, "at": iso(value["at"])} for _, value in await self._told_of(self._audit, kept_id)]

    async def runs(self, kept_id: str) -> list[Object]:
        """Its runs: `{"id", "at", "test", "version"}`, the oldest first."""
        return [value for _, value in await self._listed(self._runs, kept_id)]

    def note_run(self, kept: Kept, run: str, *, test: bool) -> PutRow:
        """The step that keeps that it has a run."""
        now = self._app.clock.now()
        told = {"id": run, "at": iso(now), "test": test, "version": kept.value["version"]}
        return PutRow(self._runs, f"{kept.id}|{now:014d}{run}", told)

    async def _told_of(self, table: str, kept_id: str) -> list[tuple[str, Object]]:
        if not (found := await self._listed(table, kept_id)):
            raise self._unknown(kept_id)
        return found

    async def _listed(self, table: str, kept_id: str) -> list[tuple[str, Object]]:
        prefix, after = f"{kept_id}|", ""
        found: list[tuple[str, Object]] = []
        while rows := await self._app.store.rows.scan(table, after, _PAGE, prefix):
            found += [(row.key.removeprefix(prefix), row.value) for row in rows]
            after = rows[-1].key
        return found

    def _unknown(self, kept_id: str) -> ParseError:
        return ParseError(Code.OBJECT_NOT_FOUND, f"No {self._kind} has the id {kept_id[:40]}.")
