"""Events of an app: who did what and when, with dimensions. Taken in here; `event_queries.py` reads them.

Events that come while others are being written wait for those, and are then written together: a row holds those of one name and one
day (of UTC), so that a busy server writes few rows, and a question about one event reads no others. An event with an id has a row of
its own, which a repeat replaces. What `keep` has taken is on disk when it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import orjson

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.values import Json, Object, date_ms
from mbaas.storage.ports import Row

TABLE = "events"
_LONGEST_NAME, _LONGEST_ID = 100, 200
_MOST_BYTES = 4096
_IN_A_ROW = 500
_AHEAD_MS = 120_000
"""How much a device's clock may be ahead; what it says is later than that has happened now."""
_MOST_AT_ONCE = 1000
_KNOWN = frozenset(("name", "at", "user", "installation", "id", "dimensions"))


@dataclass(slots=True)
class Event:
    """One event. `at` in ms; `user` the id of a user, `installation` an installationId, empty where nobody said."""

    name: str
    at: int
    user: str = ""
    installation: str = ""
    dimensions: Object = field(default_factory=dict)
    id: str = ""

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose event it is, as `subject_of` names them."""
        return tuple(f"{kind}:{name}" for kind, name in (("user", self.user), ("installation", self.installation)) if name)

    @property
    def place(self) -> str:
        """What names the one row of an event with an id: nobody takes an event of others away by theirs."""
        return token_hash(orjson.dumps([self.user, self.installation, self.id]).decode())[:32]

    def told(self) -> Object:
        """The event as it is exported."""
        named = {"user": self.user, "installation": self.installation, "id": self.id}
        return {
            "name": self.name,
            "at": iso(self.at),
            **{key: value for key, value in named.items() if value},
            "dimensions": self.dimensions,
        }

    def stored(self) -> list[Json]:
        """The event as its row has it, which knows the name."""
        return [self.at, self.user, self.installation, self.dimensions, self.id]


def read(name: str, body: Object, caller: Caller, now: int) -> Event:
    """An event as a client posts it: `at`, and `dimensions` or whatever else is there. ParseError 160 for a name that is none.

    With the master key it may say whose it is: `user`, `installation`.
    """
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise ParseError(Code.INVALID_EVENT_NAME, f"The name of an event has 1 to {_LONGEST_NAME} characters.")
    given = dict(body)
    at = _moment(given.pop("at", None), now)
    owners = {"user": caller.user_id or "", "installation": (caller.installation_id or "").lower()}
    event_id = _text(given.pop("id", ""), "id")
    if caller.master:
        owners |= {key: _text(given.pop(key), key) for key in ("user", "installation") if key in given}
        owners["installation"] = owners["installation"].lower()
    dimensions = given.pop("dimensions", given)
    if not isinstance(dimensions, dict):
        raise ParseError(Code.INVALID_JSON, "The dimensions of an event are an object.")
    if len(orjson.dumps(dimensions)) > _MOST_BYTES:
        raise ParseError(Code.OBJECT_TOO_LARGE, f"The dimensions of an event have up to {_MOST_BYTES} bytes.")
    return Event(name, at, owners["user"], owners["installation"], dimensions, event_id)


def read_all(body: Object, caller: Caller, now: int) -> list[Event]:
    """The events of `{"events": [{"name", …}]}`."""
    given = body.get("events")
    if not isinstance(given, list) or len(given) > _MOST_AT_ONCE or not all(isinstance(each, dict) for each in given):
        raise ParseError(Code.INVALID_JSON, f"events is a list of up to {_MOST_AT_ONCE} objects, each with a name.")
    if unknown := sorted({key for each in given if "dimensions" in each for key in each} - _KNOWN):
        raise ParseError(Code.INVALID_JSON, f"An event with dimensions has no {unknown[0][:40]}.")
    return [read(_text(each.get("name"), "name"), {key: each[key] for key in each if key != "name"}, caller, now) for each in given]


def subject_of(installation: Object, *, as_user: bool = True) -> str:
    """Whose events are those of an installation: its user's, where it has one and it is asked for users, or its own."""
    user = user_of(installation) if as_user else ""
    return f"user:{user}" if user else f"installation:{installation.get('installationId') or ''}"


def user_of(installation: Object) -> str:
    """The id of the user whose device it is, as its column `user` points to her; empty without one."""
    pointed = installation.get("user")
    return str(pointed.get("objectId") or "") if isinstance(pointed, dict) and pointed.get("className") == "_User" else ""


def day_of(ms: int) -> str:
    """The day of a moment, as `2026-01-31`, in UTC."""
    return iso(ms)[:10]


def prefix_of(name: str) -> str:
    """What the keys of all rows of an event begin with."""
    return f"{quote(name, safe='')}|"


class _Batch:
    __slots__ = ("events", "writing")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.writing: asyncio.Future[None] | None = None


class Events:
    """The events of one app."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._turn = asyncio.Lock()
        self._next = _Batch()

    async def keep(self, events: Iterable[Event]) -> None:
        """Keep events: on disk when this returns."""
        mine = self._next
        mine.events.extend(events)
        async with self._turn:
            if mine is self._next:
                self._next = _Batch()
            if mine.writing is None:
                mine.writing = asyncio.ensure_future(self._write(mine.events))
            # Who gave up waiting takes nobody else's events with her.
            await asyncio.shield(mine.writing)

    async def _write(self, events: Sequence[Event]) -> None:
        oldest = self._app.clock.now() - self._app.options.event_retention_ms
        groups: dict[str, list[Event]] = {}
        for event in events:
            if event.at <= oldest:
                continue
            place = f"{prefix_of(event.name)}{day_of(event.at)}|"
            groups.setdefault(f"{place}={event.place}" if event.id else place, []).append(event)
        rows = [row for key, group in groups.items() for row in self._rows(key, group)]
        if rows:
            await self._app.store.rows.put_many(TABLE, rows)

    def _rows(self, key: str, group: list[Event]) -> list[Row]:
        kept = self._app.options.event_retention_ms
        if not key.endswith("|"):
            return [Row(key, [group[-1].stored()], expires=group[-1].at + kept)]
        parts = [group[at : at + _IN_A_ROW] for at in range(0, len(group), _IN_A_ROW)]
        name = f"{key}{self._app.clock.now():014d}{self._app.ids.hex(6)}"
        return [
            Row(f"{name}{number:04d}", [event.stored() for event in part], expires=max(event.at for event in part) + kept)
            for number, part in enumerate(parts)
        ]


def events_of(app: App) -> Events:
    """The app's events."""
    events = app.rooms.setdefault("events", Events(app))
    assert isinstance(events, Events)
    return events


def _moment(given: Json, now: int) -> int:
    if given is None:
        return now
    at = from_iso(given) if isinstance(given, str) else date_ms(given)
    if at is None or at < 0:
        raise ParseError(Code.INCORRECT_TYPE, "at is a date.")
    return now if at > now + _AHEAD_MS else at


def _text(given: Json, name: str) -> str:
    if not isinstance(given, str) or len(given) > _LONGEST_ID:
        raise ParseError(Code.INCORRECT_TYPE, f"{name} is a text of up to {_LONGEST_ID} characters.")
    return given
