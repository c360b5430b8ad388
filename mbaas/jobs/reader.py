"""Reading the change feed once for a purpose, by one process at a time, from a place that is written down.

What is to be written for a page of entries commits together with the place behind it, under the page's own number: a process that
was thought dead and reads the page, too, writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.errors import Duplicate
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Entries, Entry, PutRow, Step

_KEY, _PLACE = "reader", "place"
_PAGE = 200
_LOOK_SECONDS = 1.0
_IDLE_MS = 60_000
"""How often it is written down how far the feed has been read while nothing in it is of interest."""
_REMEMBERED_MS = 24 * 3600 * 1000

Take = Callable[[list[Entry], int], Awaitable[tuple[Sequence[Step], bool]]]
"""Given the entries of a page and the number of the first: what is to be written for them, and whether anything was done for them that
is not to be done again. Called again where the place behind them was not written down."""


class FeedReader:
    """A reader of the feed by the name of its table."""

    def __init__(self, app: App, table: str, take: Take, owner: Owner, noted: Callable[[], None] | None = None) -> None:
        """`noted` is called when what was to be written for a page is."""
        self._app, self._table, self._take, self._noted = app, table, take, noted
        self._queue = Queue(app, table, self._serve, owner, most=1)
        self._started = False

    async def begin(self) -> None:
        """Read from here on, or, if that was begun before, from where it was left."""
        place = PutRow(self._table, _PLACE, {"seq": await self._app.store.feed.latest(), "number": 0}, if_absent=True)
        with suppress(Duplicate):
            await self._app.store.documents.commit([place])
        await self._queue.put(_KEY, {})
        if not self._started:
            self._started = True
            self._queue.start()

    async def forget(self) -> None:
        """Read no more, and when it is begun again, from the end."""
        await self._app.store.rows.drop(self._table, _KEY)
        await self._app.store.rows.drop(self._table, _PLACE)

    async def close(self) -> None:
        """Stop; another process, or the next start, goes on."""
        await self._queue.close()

    async def _serve(self, task: Task) -> int | None:
        woken = asyncio.Event()
        leave = self._app.store.feed.listen(woken.set)
        try:
            await self._read(woken)
        finally:
            leave()
        return None

    async def _read(self, woken: asyncio.Event) -> None:
        place, noted = await self._place(), self._app.clock.now()
        while place is not None:
            woken.clear()
            entries = await self._app.store.feed.after(place["seq"], _PAGE)
            if entries == []:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await woken.wait()
                continue
            if entries is None:
                get_logger(__name__).error("events were missed: the feed was trimmed before it was read", table=self._table)
                entries, behind = Entries(), await self._app.store.feed.latest()
            else:
                behind = entries[-1].seq
            if self._app.store.behind:
                await self._app.catch_up()
            steps, done = await self._take(entries, place["number"])
            if done or self._app.clock.now() - noted > _IDLE_MS:
                await self._note(place, behind, len(entries), steps)
                place, noted = await self._place(), self._app.clock.now()
            else:
                place = {**place, "seq": behind}

    async def _place(self) -> Object | None:
        row = await self._app.store.rows.get(self._table, _PLACE)
        return None if row is None else row.value

    async def _note(self, place: Object, seq: str, read: int, steps: Sequence[Step]) -> None:
        """Move on, with what the entries before it come to. Another process that moved on from here has done so already."""
        page = PutRow(self._table, f"page {place['number']:016d}", None, expires=self._app.clock.now() + _REMEMBERED_MS, if_absent=True)
        moved = PutRow(self._table, _PLACE, {"seq": seq, "number": place["number"] + max(read, 1)})
        with suppress(Duplicate):
            await self._app.store.documents.commit([page, *steps, moved])
        if self._noted is not None:
            self._noted()
