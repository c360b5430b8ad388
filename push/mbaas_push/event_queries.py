"""Questions about events: how often each person or device did something, how many were active, and the events themselves.

Every question reads the rows of the events that it is about, day by day; none keeps what it read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import orjson

from mbaas.data.app import App
from mbaas.kernel.values import Json, Object
from mbaas_push.events import TABLE, Event, day_of, prefix_of

DAY_MS = 86_400_000
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` on and before `until`, in ms."""

    since: int
    until: int

    def holds(self, at: int) -> bool:
        """True for a moment in it."""
        return self.since <= at < self.until


async def names(app: App) -> list[str]:
    """The names of all events that are kept."""
    found: list[str] = []
    after = ""
    while rows := await app.store.rows.scan(TABLE, after, 1):
        quoted = rows[0].key.partition("|")[0]
        found.append(unquote(quoted))
        after = f"{quoted}|~"
    return found


async def each(app: App, name: str, window: Window, where: Mapping[str, Json] | None = None) -> AsyncIterator[Event]:
    """The events of a name in a window, of all their dimensions or of these."""
    async for _, events in pages(app, name, window):
        for event in events:
            if not where or all(event.dimensions.get(key) == value for key, value in where.items()):
                yield event


async def pages(app: App, name: str, window: Window, after: str = "") -> AsyncIterator[tuple[str, list[Event]]]:
    """The same row by row, with the key by which to go on after it."""
    prefix, last = prefix_of(name), day_of(window.until)
    after = after or prefix + day_of(window.since)
    while rows := await app.store.rows.scan(TABLE, after, _PAGE, prefix):
        for row in rows:
            if row.key[len(prefix) : len(prefix) + len(last)] > last:
                return
            events = [Event(name, *stored) for stored in row.value if window.holds(stored[0])]
            if events:
                yield row.key, events
        after = rows[-1].key


async def counts(app: App, name: str, window: Window, where: Mapping[str, Json] | None = None) -> Counter[str]:
    """How often each subject (`user:<id>`, `installation:<id>`) did it."""
    found: Counter[str] = Counter()
    async for event in each(app, name, window, where):
        found.update(event.subjects)
    return found


async def actives(app: App, of: str, days: int, until: int, only: str | None = None) -> list[Object]:
    """For each of the last days, the one of `until` included: how many were active on it, in the 7 and in the 30 days that end with it.

    `of` is what is counted, `user` or `installation`; `only` is the one event that counts as active, any unless given.
    """
    end = (until // DAY_MS + 1) * DAY_MS
    window = Window(end - (days + 29) * DAY_MS, end)
    seen: dict[int, set[str]] = {}
    for name in [only] if only is not None else await names(app):
        async for event in each(app, name, window):
            subject = event.user if of == "user" else event.installation
            if subject:
                seen.setdefault(event.at // DAY_MS, set()).add(subject)

    def active(day: int, span: int) -> int:
        return len(set[str]().union(*(seen.get(day - before, ()) for before in range(span))))

    last = end // DAY_MS - 1
    told = range(last - days + 1, last + 1)
    return [{"day": day_of(d * DAY_MS), "daily": active(d, 1), "weekly": active(d, 7), "monthly": active(d, 30)} for d in told]


async def export(app: App, only: str | None, window: Window) -> AsyncIterator[bytes]:
    """The events as NDJSON, name by name, each in the order of its days."""
    for name in [only] if only is not None else await names(app):
        async for _, events in pages(app, name, window):
            yield b"".join(orjson.dumps(event.told()) + b"\n" for event in events)
