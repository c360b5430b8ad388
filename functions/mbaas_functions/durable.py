"""Durable triggers: run from the change feed instead of in the request, at least once, whatever becomes of processes.

One row says how far the feed has been read, and is held by one process at a time. Events of one object are told one after the other.
The row is moved on when all events of a page have been told: what a process leaves half-way is told again by the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from mbaas.data.app import App
from mbaas.data.files_in import with_urls
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Document, Entry

SAVED, DELETED = "durableAfterSave", "durableAfterDelete"
_TABLE, _KEY = "durable", "feed"
_PAGE = 200
_AT_ONCE = 8
"""Objects whose events are told at the same time."""
_PAUSES = (1.0, 5.0)
"""Seconds after which an event is told again whose trigger failed; then it is given up."""
_LOOK_SECONDS = 1.0
_KEEP_MS = 60_000
"""How often it is written down how far the feed has been read while nothing in it concerns a trigger."""

Fire = Callable[[str, str, Object], Awaitable[None]]
"""Runs a trigger of a kind and class, if it is still there, with what it is given. MbaasError if it fails."""


class Durable:
    """The durable triggers of one app."""

    def __init__(self, app: App, fire: Fire) -> None:
        self._app, self._fire = app, fire
        self._queue = Queue(app, _TABLE, self._serve, most=1)
        self._declared: frozenset[tuple[str, str]] = frozenset()
        self._started = False

    async def declare(self, triggers: Iterable[tuple[str, str]]) -> None:
        """Have these triggers, each a kind and a class, and no others from now on. Those that come first are told of what comes now."""
        self._declared = frozenset(triggers)
        if not self._declared:
            await self._app.store.rows.drop(_TABLE, _KEY)
            return
        await self._queue.put(_KEY, {"seq": await self._app.store.feed.latest()})
        if not self._started:
            self._started = True
            self._queue.start()

    async def close(self) -> None:
        """Stop; another process, or the next start, goes on."""
        await self._queue.close()

    async def _serve(self, task: Task) -> int | None:
        """Tell what is in the feed, for as long as there is somebody to tell."""
        woken = asyncio.Event()
        leave = self._app.store.feed.listen(woken.set)
        place, kept = task.value["seq"], self._app.clock.now()
        try:
            while self._declared:
                woken.clear()
                entries = await self._app.store.feed.after(place, _PAGE)
                if entries is None:
                    get_logger("mbaas.functions").error("durable triggers missed events: the feed was trimmed before it was read")
                    place = await self._app.store.feed.latest()
                    await task.keep({"seq": place})
                    continue
                if self._app.store.behind:
                    await self._app.catch_up()
                concerned = [entry for entry in entries if (_kind(entry), entry.class_name) in self._declared]
                await self._tell(concerned)
                place = entries[-1].seq if entries else place
                if concerned or self._app.clock.now() - kept > _KEEP_MS:
                    await task.keep({"seq": place})
                    kept = self._app.clock.now()
                if not entries:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_SECONDS):
                            await woken.wait()
        finally:
            leave()
        return None

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
