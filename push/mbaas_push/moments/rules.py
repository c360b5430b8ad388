"""The plays that are live, as they are asked of what happens: in memory, by what sets them off.

Whoever makes a play live, or takes one back, says so in one commit with that (`changed`): every process looks whether it knows the
latest before it asks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from mbaas.data.app import App
from mbaas.data.sight import watchable
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.query import geo
from mbaas.query.match import Predicate, matcher
from mbaas.storage.ports import Document, Entry, PutRow
from mbaas_push.campaigns.segments import CLASS
from mbaas_push.campaigns.store import Kept, Store
from mbaas_push.moments import triggers
from mbaas_push.moments.definition import of_props
from mbaas_push.moments.worth import Worth

_TABLE, _KEY = "play rules", "latest"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Live:
    """A live play, ready to be asked."""

    kept: Kept
    worth: Worth
    fits_props: Predicate
    fits_installation: Predicate
    fits_user: Predicate | None
    """None: any user will do, and none."""
    fits_object: Predicate | None

    @property
    def id(self) -> str:
        """The play's id."""
        return self.kept.id

    @property
    def definition(self) -> Object:
        """What it is made of."""
        return self.kept.definition

    @classmethod
    def of(cls, app: App, kept: Kept) -> Live:
        """A play as it was checked. ParseError if what it asks for can no longer be asked."""
        definition = kept.definition
        audience, change = definition["audience"], definition["trigger"].get("change")
        users = audience.get("users")
        return cls(
            kept,
            Worth.of(definition),
            matcher(of_props(app, definition["filter"])),
            matcher(watchable(app, MASTER, CLASS, audience.get("where", {}))),
            matcher(watchable(app, MASTER, "_User", users)) if users else None,
            matcher(watchable(app, MASTER, change["className"], change["where"])) if change is not None else None,
        )

    def fires_on(self, entry: Entry) -> bool:
        """True for a change that sets it off."""
        change = self.definition["trigger"].get("change")
        if change is None or change["className"] != entry.class_name or not self._fits(entry.after):
            return False
        kinds = {entry.op} | (set() if self._fits(entry.before) else {"enter"})
        return not kinds.isdisjoint(change["on"])

    def _fits(self, state: Document | None) -> bool:
        return state is not None and self.fits_object is not None and self.fits_object(state.body)


class Rules:
    """The live plays of one app."""

    def __init__(self, app: App, store: Store) -> None:
        self._app, self._store = app, store
        self._known: str | None = None
        self._live: dict[str, Live] = {}

    def changed(self) -> PutRow:
        """The step that tells every process that other plays are live."""
        return PutRow(_TABLE, _KEY, self._app.ids.hex(8))

    async def live(self) -> dict[str, Live]:
        """The live plays by their ids."""
        row = await self._app.store.rows.get(_TABLE, _KEY)
        latest = "" if row is None else str(row.value)
        if latest != self._known:
            self._live, self._known = {live.id: live async for live in self._read()}, latest
        return self._live

    async def _read(self) -> AsyncIterator[Live]:
        after: str | None = ""
        while after is not None:
            page, after = await self._store.page(after, _PAGE)
            for kept in page:
                if kept.state != "live":
                    continue
                try:
                    yield Live.of(self._app, kept)
                except MbaasError as error:
                    get_logger(__name__).error("a play cannot be asked any more", play=kept.id, reason=error.message)


def by_moment(every: Iterable[Live], key: str) -> list[Live]:
    """Those that a moment sets off."""
    return [live for live in every if live.definition["trigger"].get("moment") == key]


def by_fence(every: Iterable[Live], on: str, place: geo.Point | None, fence: str | None) -> list[Live]:
    """Those that a device sets off which enters or leaves the fence of that id, or any that the place is in."""
    found = [live for live in every if live.definition["trigger"].get("geofence", {}).get("on") == on]
    if fence is not None:
        return [live for live in found if live.id == fence]
    return [live for live in found if place is not None and triggers.inside(live.definition["trigger"]["geofence"], place)]


def cancelled_by(every: Iterable[Live], what: Object, fence: str | None = None) -> list[Live]:
    """Those that are taken back by a moment, `{"moment": key}`, or by leaving the fence of a play."""
    found = [live for live in every if what in live.definition["cancelOn"]]
    return found if "moment" in what else [live for live in found if live.id == fence]
