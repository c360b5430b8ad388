"""Durable triggers: run from the change feed instead of in the request, at least once, whatever becomes of processes.

Events of one object are told one after the other. The feed is read on when all events of a page have been told: what a process
leaves half-way is told again by the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from mbaas.data.app import App
from mbaas.data.files_in import with_urls
from mbaas.jobs.owner import Owner
from mbaas.jobs.reader import FeedReader
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Document, Entry, Step

SAVED, DELETED = "durableAfterSave", "durableAfterDelete"
_TABLE = "durable"
_AT_ONCE = 8
"""Objects whose events are told at the same time."""
_PAUSES = (1.0, 5.0)
"""Seconds after which an event is told again whose trigger failed; then it is given up."""

Fire = Callable[[str, str, Object], Awaitable[None]]
"""Runs a trigger of a kind and class, if it is still there, with what it is given. MbaasError if it fails."""


class Durable:
    """The durable triggers of one app."""

    def __init__(self, app: App, fire: Fire, owner: Owner) -> None:
        self._app, self._fire = app, fire
        self._reader = FeedReader(app, _TABLE, self._take, owner)
        self._declared: frozenset[tuple[str, str]] = frozenset()

    def check(self, triggers: Iterable[tuple[str, str]]) -> None:
        """MbaasError if there are triggers and no feed that they could run from."""
        if not self._app.sharing.atomic and any(kind in (SAVED, DELETED) for kind, _ in triggers):
            raise MbaasError("durable triggers need a MongoDB that is a replica set")

    async def declare(self, triggers: Iterable[tuple[str, str]]) -> None:
        """Have those of these triggers, each a kind and a class, that are durable, and no others from now on.

        Those that are new are told of what comes from now on.
        """
        self._declared = frozenset(place for place in triggers if place[0] in (SAVED, DELETED))
        if not self._declared:
            await self._reader.forget()
        else:
            await self._reader.begin()

    async def close(self) -> None:
        """Stop; another process, or the next start, goes on."""
        await self._reader.close()

    async def _take(self, entries: list[Entry], number: int) -> tuple[Sequence[Step], bool]:
        concerned = [entry for entry in entries if (_kind(entry), entry.class_name) in self._declared]
        await self._tell(concerned)
        return (), bool(concerned)

    async def _tell(self, entries: list[Entry]) -> None:
        objects: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            objects.setdefault((entry.class_name, entry.object_id), []).append(entry)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def tell(events: list[Entry]) -> None:
            async with turns:
                for entry in events:
                    await self._try(entry)

        async with asyncio.TaskGroup() as group:
            for events in objects.values():
                group.create_task(tell(events))

    async def _try(self, entry: Entry) -> None:
        """Run the trigger for an event; again after a while if it fails."""
        kind, log = _kind(entry), get_logger("mbaas.functions")
        about = {"trigger": kind, "class_name": entry.class_name, "object": entry.object_id}
        for pause in (*_PAUSES, None):
            try:
                await self._fire(kind, entry.class_name, self._given(entry))
            except MbaasError as error:
                log.warning("a durable trigger failed", **about, reason=error.message)
                if pause is None:
                    log.error("a durable trigger is given up", **about, seq=entry.seq)
                else:
                    await asyncio.sleep(pause)
            else:
                return

    def _given(self, entry: Entry) -> Object:
        if entry.op == "delete":
            return {"object": self._body(entry, entry.before)}
        given: Object = {"object": self._body(entry, entry.after)}
        return given if entry.before is None else {**given, "original": self._body(entry, entry.before)}

    def _body(self, entry: Entry, state: Document | None) -> Object:
        """A state of the object; its id alone where the database kept no more."""
        return {"objectId": entry.object_id} if state is None else with_urls(self._app, dict(state.body))


def _kind(entry: Entry) -> str:
    return DELETED if entry.op == "delete" else SAVED
