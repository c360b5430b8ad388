"""Who did what with the keys that pass permissions, and when. Rows are added, and never changed.

One log for the app, in the order of time, and beside it the same events by what they are about (a partner, a user), so that each can be
read without the others. Rooms that note events of their own in the write that does something copy them here, under a key that makes
the copy the same however often it is made.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import Clock, iso
from mbaas.kernel.ids import Ids
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Row, Rows

_TABLE, _ABOUT = "audit", "audit_about"
_PAGE = 1000
_ID = 12


def by(caller: Caller | None) -> Object:
    """Who did it: the holder of which key, or who of the console's people; and where she was."""
    if caller is None:
        return {}
    if caller.staff:
        return {"by": "console", "person": caller.staff, "ip": caller.ip}
    return {"by": "maintenance" if caller.maintenance else "master", "ip": caller.ip}


@dataclass(frozen=True, slots=True)
class Event:
    """An event, when it was (ms), what it is about, and its number among those, if it has one."""

    at: int
    value: Object
    about: str = ""
    number: int | None = None


class Audit:
    """The audit of one app. `kept_ms`: how long events are kept that are no room's own; None: for ever."""

    def __init__(self, rows: Rows, clock: Clock, ids: Ids, kept_ms: int | None) -> None:
        self._rows, self._clock, self._ids, self._kept_ms = rows, clock, ids, kept_ms
        self._noted = itertools.count()
        """Keeps the events of one millisecond in the order in which this process noted them."""

    async def note(self, caller: Caller, what: str, about: str = "", **more: Json) -> None:
        """Add an event; it is on disk when this returns."""
        now = self._clock.now()
        event = Event(now, {"event": what, "at": iso(now), **by(caller), **more}, about)
        await self.add([event], expires=None if self._kept_ms is None else now + self._kept_ms)

    async def add(self, events: list[Event], expires: int | None = None) -> None:
        """Add events; those with a number are the same row however often they are added."""
        log, about = [], []
        for event in events:
            value = {**event.value, **({"about": event.about} if event.about else {})}
            if event.number is None:
                name = place = f"{event.at:015d}|{next(self._noted):010d}{self._ids.object_id(_ID)}"
            else:
                name, place = f"{event.at:015d}|{event.about}|{event.number:010d}", f"{event.number:010d}"
            log.append(Row(name, value, expires=expires))
            if event.about:
                about.append(Row(f"{event.about}|{place}", value, expires=expires))
        for table, rows in ((_TABLE, log), (_ABOUT, about)):
            if rows:
                await self._rows.put_many(table, rows)

    async def has(self, about: str, number: int) -> bool:
        """True if the event of that number is here."""
        return await self._rows.get(_ABOUT, f"{about}|{number:010d}") is not None

    async def page(self, after: str, limit: int, about: str = "") -> tuple[list[Object], str | None]:
        """Events after a position, the oldest first: all, or those about something; the position to ask for more with."""
        table, prefix = (_ABOUT, f"{about}|") if about else (_TABLE, "")
        rows = await self._rows.scan(table, f"{prefix}{after}" if after else prefix, limit + 1, prefix=prefix)
        following = rows[limit - 1].key.removeprefix(prefix) if len(rows) > limit else None
        return [row.value for row in rows[:limit]], following

    async def all(self, after: str = "", about: str = "") -> AsyncIterator[Object]:
        """Every event after a position."""
        position: str | None = after
        while position is not None:
            events, position = await self.page(position, _PAGE, about)
            for event in events:
                yield event
