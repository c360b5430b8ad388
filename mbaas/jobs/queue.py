"""A durable queue: a task is a row with a lease, taken by one process at a time and done at least once.

A process that dies leaves a lease that runs out, or that the next process of its data folder ends, and another one takes the task.
What is kept of a task, and that it is done, is written under the fence of the claim: a process that lost its lease can do neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.kernel.errors import Conflict, Duplicate
from mbaas.kernel.tasks import end
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import ChangeRow, DropRow, PutRow, Row, Step

_LOOK_SECONDS = 1.0
"""How often it is looked whether something is due that nobody here put."""
_LEASE_MS = 10_000
"""How long a task is held by a process that says nothing more. It says three times as often that it goes on."""
_PAGE = 1000


class Lost(Exception):
    """Another process has the task now."""


@dataclass(slots=True)
class Task:
    """A task that this process holds."""

    app: App
    table: str
    row: Row
    held: bool = field(default=True)
    ended: bool = field(default=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """A change begins with what the one before it has written."""

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def value(self) -> Object:
        value: Object = self.row.value
        return value

    async def keep(self, value: Json, beside: Sequence[Step] = ()) -> None:
        """Write what is to be known of the task, whoever holds it next, in one commit with the steps `beside` it.

        Lost, and nothing was written, if that is another one by now.
        """
        await self._change(beside, value=value)

    async def renew(self, due: int) -> None:
        """Hold it until then."""
        await self._change(due=due)

    async def end(self, again: int | None, beside: Sequence[Step] = ()) -> None:
        """Hold it no more: it is done, or due again then. The queue does so after a run, unless that has done it.

        What is done leaves in one commit with the steps `beside` it, none of which is on objects.
        """
        if self.ended:
            return
        if again is not None:
            await self._change(due=again, owner=None)
            return
        async with self._turn:
            try:
                await self.app.store.documents.commit([DropRow(self.table, self.key, self.row.fence), *beside])
            except Conflict:
                raise Lost from None
        self.ended = True

    async def hand_over(self, value: Json) -> None:
        """Hold it no more, although it is not done: whoever is next begins it anew, at once, with this value."""
        await self._change(value=value, due=self.app.clock.now(), owner=None)

    async def _change(self, beside: Sequence[Step] = (), **new: Any) -> None:
        async with self._turn:
            writing = asyncio.ensure_future(self._write(replace(self.row, **new), beside))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                # The next change begins with what is written, whoever is no longer interested.
                await asyncio.wait([writing])
                if not writing.cancelled():
                    writing.exception()
                raise

    async def _write(self, row: Row, beside: Sequence[Step]) -> None:
        try:
            await self.app.store.documents.commit([ChangeRow(self.table, row), *beside])
        except Conflict:
            self.held = False
            raise Lost from None
        self.row = row


_SET_BACK_MS = 60_000
"""A clock that shows so much less than it did has been set back."""
Early = Callable[[Object, int], bool]
"""True if a task with this value may be looked at now, although it is not due: it says itself when it is."""
Run = Callable[[Task], Awaitable[int | None]]
"""Does a task. None: it is done; else when it is due again, in ms."""


def _as_it_is(value: Object) -> Object:
    return value


class Queue:
    """The tasks of one table, and those of them that this process does. `handed_over` makes a task's value what the next one is to
    know, where this process stops before it is done. Tasks that may be looked at `early` are, at the start and where the clock has been
    set back: what is to be tried again in a minute does not wait until the clock is there once more."""

    def __init__(
        self,
        app: App,
        table: str,
        run: Run,
        owner: Owner,
        *,
        most: int = 8,
        handed_over: Callable[[Object], Object] = _as_it_is,
        early: Early | None = None,
    ) -> None:
        self._app, self._table, self._run, self._handed_over, self._early = app, table, run, handed_over, early
        self._seen = 0
        """The latest time that the clock has shown, or 0 before the first look."""
        self._owner, self._most = owner, most
        self._working: dict[asyncio.Task[None], Task] = {}
        self._woken = asyncio.Event()
        self._taking = False
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

    async def begin(self, key: str, value: Json, beside: Sequence[Step] = ()) -> bool:
        """As `put`, and this process begins the task at once, without looking for it: it is put as one that is held already.

        Where this process does as many as it may, the task waits like others.
        """
        now, free = self._app.clock.now(), len(self._working) < self._most
        due, owner = (now + _LEASE_MS, self._owner.name) if free else (now, None)
        try:
            await self._app.store.documents.commit([*beside, PutRow(self._table, key, value, due=due, if_absent=True, owner=owner)])
        except Duplicate:
            return False
        if free:
            self._do(Row(key, value, due=due, owner=owner))
        else:
            self.wake()
        return True

    async def recall(self, key: str, change: Callable[[Object | None], Object]) -> None:
        """Take a task from whoever does it, and have it begun anew, at once, with what `change` makes of its value.

        `change` is given None if there is no such task, and raises an MbaasError unless it wants one. Where the task is being done it is
        ended: here now, elsewhere when its lease is to be renewed.
        """

        def taken(row: Row | None) -> Row:
            known = row or Row(key, None)
            return replace(known, value=change(None if row is None else row.value), due=self._app.clock.now(), owner=None)

        await self._app.store.rows.alter(self._table, key, taken)
        for work, task in self._working.items():
            if task.key == key:
                task.held = False
                work.cancel()
        self.wake()

    def wake(self) -> None:
        """Look now whether something is due."""
        self._woken.set()

    def start(self) -> None:
        """Begin to do tasks."""
        self._loop = asyncio.create_task(self._serve())

    async def close(self) -> None:
        """Stop, and let others have what was begun."""
        await end([self._loop, *self._working])

    async def _serve(self) -> None:
        await self._inherit()
        while True:
            self._woken.clear()
            try:
                await self._take()
            except Exception:
                get_logger(__name__).exception("the queue cannot be read; it is tried again", table=self._table)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._woken.wait()

    async def _inherit(self) -> None:
        """End the leases of processes that are dead."""
        rows, last = self._app.store.rows, ""
        try:
            while self._owner.dead and (found := await rows.scan(self._table, last, _PAGE)):
                last = found[-1].key
                for row in found:
                    if row.owner in self._owner.dead:
                        await rows.change(self._table, replace(row, due=self._app.clock.now(), owner=None), row.fence)
        except Exception:
            get_logger(__name__).exception("what dead processes were doing waits until their leases are over", table=self._table)

    @property
    def resting(self) -> bool:
        """True if nothing is being done here, and nothing about to be."""
        return not self._working and not self._taking and not self._woken.is_set()

    async def _take(self) -> None:
        self._taking = True
        try:
            await self._mind_the_clock()
            await self._claim()
        finally:
            self._taking = False

    async def _mind_the_clock(self) -> None:
        """Where it was set forward nothing that is done here has run out; where it was set back nothing waits until it is there again."""
        now = self._app.clock.now()
        for work, task in list(self._working.items()):
            if task.row.owner == self._owner.name and (task.row.due or 0) <= now:
                try:
                    await task.renew(now + _LEASE_MS)
                except Lost:
                    work.cancel()
        if not self._seen or now < self._seen - _SET_BACK_MS:
            await self._hasten(now)
            self._seen = now
        self._seen = max(self._seen, now)

    async def _hasten(self, now: int) -> None:
        rows, last = self._app.store.rows, ""
        while self._early is not None and (found := await rows.scan(self._table, last, _PAGE)):
            last = found[-1].key
            for row in found:
                if row.owner is None and row.due is not None and row.due > now and self._early(row.value, now):
                    await rows.change(self._table, replace(row, due=now), row.fence)

    async def _claim(self) -> None:
        free = self._most - len(self._working)
        if free <= 0:
            return
        for row in await self._app.store.rows.claim(self._table, self._app.clock.now(), self._owner.name, _LEASE_MS, free):
            self._do(row)

    def _do(self, row: Row) -> None:
        task = Task(self._app, self._table, row)
        work = asyncio.create_task(self._work(task))
        self._working[work] = task
        work.add_done_callback(self._ended)

    def _ended(self, work: asyncio.Task[None]) -> None:
        del self._working[work]
        self._woken.set()

    async def _work(self, task: Task) -> None:
        work = asyncio.ensure_future(self._run(task))
        holding = asyncio.create_task(self._hold(task, work))
        try:
            await task.end(await work)
        except Lost:
            self._log_lost(task)
        except asyncio.CancelledError:
            work.cancel()
            if not task.held:
                self._log_lost(task)
                return
            with suppress(Lost):
                await task.hand_over(self._handed_over(task.value))
            raise
        except Exception:
            # It stays held until its lease is over, and is tried again then.
            get_logger(__name__).exception("a task failed", table=self._table, task=task.key)
        finally:
            await end([holding])

    def _log_lost(self, task: Task) -> None:
        get_logger(__name__).warning("a task was taken from this process", table=self._table, task=task.key)

    async def _hold(self, task: Task, work: asyncio.Future[int | None]) -> None:
        """Keep the lease for as long as the work goes on; end the work where that cannot be done."""
        while True:
            await asyncio.sleep(_LEASE_MS / 3000)
            try:
                await task.renew(self._app.clock.now() + _LEASE_MS)
            except Lost:
                work.cancel()
                return
            except Exception:
                get_logger(__name__).exception("a lease could not be renewed; it is tried again", table=self._table, task=task.key)
