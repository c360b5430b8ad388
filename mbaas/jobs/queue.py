"""A durable queue: a task is a row with a lease, taken by one process at a time and done at least once.

A process that dies leaves a lease that runs out, and another one takes the task. What is kept of a task, and that it is done, is
written under the fence of the claim: a process that lost its lease can do neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from mbaas.data.app import App
from mbaas.kernel.errors import Duplicate
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import PutRow, Row, Step

_LOOK_SECONDS = 1.0
"""How often it is looked whether something is due that nobody here put."""


class Lost(Exception):
    """Another process has the task now."""


@dataclass(slots=True)
class Task:
    """A task that this process holds."""

    app: App
    table: str
    row: Row
    held: bool = field(default=True)

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def value(self) -> Object:
        value: Object = self.row.value
        return value

    async def keep(self, value: Json) -> None:
        """Write what is to be known of the task, whoever holds it next. Lost if that is another one by now."""
        await self._change(replace(self.row, value=value))

    async def renew(self, due: int) -> None:
        """Hold it until then."""
        await self._change(replace(self.row, due=due))

    async def _change(self, row: Row) -> None:
        if not await self.app.store.rows.change(self.table, row, row.fence):
            self.held = False
            raise Lost
        self.row = row


Run = Callable[[Task], Awaitable[int | None]]
"""Does a task. None: it is done; else when it is due again, in ms."""


class Queue:
    """The tasks of one table, and those of them that this process does."""

    def __init__(self, app: App, table: str, run: Run, *, lease_ms: int = 30_000, most: int = 8) -> None:
        self._app, self._table, self._run = app, table, run
        self._lease_ms, self._most = lease_ms, most
        self._owner = app.ids.uuid()
        self._working: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def put(self, key: str, value: Json, due: int | None = None, beside: Sequence[Step] = ()) -> bool:
        """Have a task done at that time, or now. It is on disk when this returns, in one commit with the steps `beside` it.

        False, and nothing was written, if there is one with that key, or a step finds what it puts there already.
        """
        step = PutRow(self._table, key, value, due=self._app.clock.now() if due is None else due, if_absent=True)
        try:
            await self._app.store.documents.commit([*beside, step])
        except Duplicate:
            return False
        self.wake()
        return True

    def wake(self) -> None:
        """Look now whether something is due."""
        self._woken.set()

    def start(self) -> None:
        """Begin to do tasks."""
        self._loop = asyncio.create_task(self._serve())

    async def close(self) -> None:
        """Stop, and let others have what was begun."""
        tasks = [*([self._loop] if self._loop else []), *self._working]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._take()
            except Exception:
                get_logger(__name__).exception("the queue cannot be read; it is tried again", table=self._table)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._woken.wait()

    async def _take(self) -> None:
        free = self._most - len(self._working)
        if free <= 0:
            return
        for row in await self._app.store.rows.claim(self._table, self._app.clock.now(), self._owner, self._lease_ms, free):
            task = asyncio.create_task(self._work(Task(self._app, self._table, row)))
            self._working.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._woken.set()

    async def _work(self, task: Task) -> None:
        work = asyncio.ensure_future(self._run(task))
        holding = asyncio.create_task(self._hold(task, work))
        try:
            again = await work
            rows = self._app.store.rows
            if again is None:
                await rows.drop(self._table, task.key, task.row.fence)
            else:
                await rows.change(self._table, replace(task.row, due=again, owner=None), task.row.fence)
        except Lost:
            get_logger(__name__).warning("a task was taken by another process", table=self._table, task=task.key)
        except asyncio.CancelledError:
            work.cancel()
            if task.held:
                # For the next process, at once.
                await self._app.store.rows.change(self._table, replace(task.row, due=self._app.clock.now(), owner=None), task.row.fence)
                raise
            get_logger(__name__).warning("a task was taken by another process", table=self._table, task=task.key)
        except Exception:
            # It stays held until its lease is over, and is tried again then.
            get_logger(__name__).exception("a task failed", table=self._table, task=task.key)
        finally:
            holding.cancel()

    async def _hold(self, task: Task, work: asyncio.Future[int | None]) -> None:
        """Keep the lease for as long as the work goes on; end the work where that cannot be done."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                await task.renew(self._app.clock.now() + self._lease_ms)
            except Lost:
                work.cancel()
                return
