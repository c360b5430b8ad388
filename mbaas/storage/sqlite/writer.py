"""Grouped durable commits on one connection.

Units run on the event loop, each alone in what it changes. A group is as many as come in one turn of the loop after another,
so one sync serves many callers; a unit's caller hears of it when its group is on disk. Whatever takes longer than a
request may wait runs in the store's own thread: COMMIT where the disk is slow, checkpoints, and long work (index building,
bulk loads), which is a group of its own. A quick disk is waited for on the loop: to hand a commit over, and to take the
interpreter back from a thread, costs more than the sync (bench/README.md).
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from mbaas.storage.sqlite.connection import Tuning
from mbaas.storage.sqlite.failures import told
from mbaas.storage.sqlite.shared import Shared

T = TypeVar("T")
Done = Callable[[BaseException | None], None]


class Unit:
    """What commits or fails as one. `shielded` puts it in a savepoint, without which it must fail before it changes anything."""

    __slots__ = ("error", "future", "heavy", "result", "shielded", "then", "work")

    def __init__(
        self, work: Callable[[], Any], future: asyncio.Future[Any], shielded: bool, heavy: bool, then: Callable[[Any], None] | None
    ) -> None:
        self.work, self.future, self.shielded, self.heavy, self.then = work, future, shielded, heavy, then
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self, failure: BaseException | None) -> None:
        """Tell the caller, who may have left."""
        error = failure or self.error
        if error is None and self.then is not None:
            self.then(self.result)
        if self.future.done():
            return
        if error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(told(error))


class Writer:
    """Owns the write connection and the queue before it."""

    def __init__(
        self, connection: apsw.Connection, tuning: Tuning, shared: Shared, begun: Callable[[], None], committed: Callable[[], None]
    ) -> None:
        """`begun` is called at the beginning of every transaction, when no other process can write any more."""
        self.connection = connection
        self.cursor = connection.cursor()
        self._tuning, self._shared, self._on_begin, self._on_commit = tuning, shared, begun, committed
        self._queue: deque[Unit] = deque()
        self._group: list[Unit] = []
        self._loop = asyncio.get_running_loop()
        self._busy = False
        self._closed = False
        self.failing = False
        """True if the last group could not be written."""
        self._commit_seconds = 0.0
        self._log_pages = 0
        self._seen = 0
        connection.set_wal_hook(self._log_grew)
        self._idle = asyncio.Event()
        self._idle.set()
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], Done] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="sqlite-commit", daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[], T], *, shielded: bool = True, heavy: bool = False, then: Callable[[T], None] | None = None
    ) -> asyncio.Future[T]:
        """Queue a unit; its result comes when it is on disk. `then` is called with it first, whether or not the caller still waits."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            future.set_exception(told(RuntimeError("the store is closed")))
            return future
        self._queue.append(Unit(work, future, shielded, heavy, then))
        if not self._busy:
            # Not at once: whoever else is ready in this turn of the loop joins the same group.
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._turn)
        return future

    async def close(self) -> None:
        """Finish what is queued, then let go of the connection."""
        self._closed = True
        await self._idle.wait()
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join)
        self.connection.close()

    def _turn(self) -> None:
        """Begin the next group, if anybody waits."""
        while self._queue and self._queue[0].future.done():
            self._queue.popleft()
        if self._log_pages >= self._tuning.checkpoint_pages:
            self._log_pages = 0
            self._order(self._checkpoint, lambda _: self._turn())
            return
        if not self._queue:
            self._busy = False
            self._idle.set()
            return
        if self._seen < len(self._queue) < self._tuning.turn_units:
            # The last turn of the loop brought more: so may the next.
            self._seen = len(self._queue)
            self._loop.call_soon(self._turn)
            return
        self._seen = 0
        if self._queue[0].heavy:
            unit = self._queue.popleft()
            self._group = [unit]
            self._order(lambda: self._alone(unit), self._settle)
            return
        try:
            self.connection.set_busy_timeout(0)
            if not self._shared.try_turn():
                raise apsw.BusyError
            self.cursor.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            # Another process is writing: wait for it in the thread.
            self._order(self._begin_patiently, self._begun)
        except apsw.Error as error:
            self._begun(error)
        else:
            self._begun(None)

    def _begin_patiently(self) -> None:
        self._shared.wait_turn()
        self.connection.set_busy_timeout(30_000)
        self.connection.execute("BEGIN IMMEDIATE")

    def _begun(self, error: BaseException | None) -> None:
        if error is None:
            try:
                self._on_begin()
            except Exception as raised:
                self._roll_back()
                error = raised
            else:
                self._fill()
                return
        self._shared.end_turn()
        waiting, self._queue = self._queue, deque()
        for unit in waiting:
            unit.settle(error)
        self._turn()

    def _fill(self) -> None:
        """Run the next group and send its commit off."""
        try:
            self._gather()
        except Exception as error:
            # SQLite refuses even to begin or to roll back: nothing of the group is kept, and nobody waits for ever.
            self._roll_back()
            self._settle(error)

    def _gather(self) -> None:
        """Run queued units, for a few milliseconds at most."""
        waiting, group, tuning = self._queue, self._group, self._tuning
        before = self.connection.total_changes()
        limit = time.perf_counter() + tuning.turn_seconds
        while waiting and len(group) < tuning.turn_units and not waiting[0].heavy:
            unit = waiting.popleft()
            if unit.future.done():
                continue
            group.append(unit)
            self._run(unit)
            if unit.error is not None and not self.connection.in_transaction:
                # SQLite gave the whole transaction up: the disk is full or fails.
                self._settle(unit.error)
                return
            if time.perf_counter() > limit:
                break
        if self.connection.total_changes() == before:
            self.cursor.execute("COMMIT")
            self._settle(None)
        elif self._commit_seconds < tuning.quick_seconds:
            self._commit()
            self._settle(None)
        else:
            self._order(self._commit, self._settle)

    def _run(self, unit: Unit) -> None:
        before = self.connection.total_changes()
        try:
            if unit.shielded:
                self.cursor.execute("SAVEPOINT unit")
            unit.result, unit.error = unit.work(), None
            if unit.shielded:
                self.cursor.execute("RELEASE unit")
        except Exception as error:
            unit.error = error
            if not self.connection.in_transaction:
                return
            if unit.shielded:
                self.cursor.execute("ROLLBACK TO unit")
                self.cursor.execute("RELEASE unit")
            elif self.connection.total_changes() != before:
                self._undo()

    def _undo(self) -> None:
        """A unit without a savepoint failed halfway: run its whole group again, each in a savepoint."""
        self.cursor.execute("ROLLBACK")
        for unit in reversed(self._group):
            unit.shielded, unit.result, unit.error = True, None, None
            self._queue.appendleft(unit)
        self._group.clear()
        self.cursor.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        began = time.perf_counter()
        try:
            self.cursor.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._commit_seconds += (time.perf_counter() - began - self._commit_seconds) / 8

    def _log_grew(self, connection: apsw.Connection, database: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Move what the write-ahead log holds into the database. Readers go on; what they still need is left for the next time."""
        self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.cursor.execute("ROLLBACK")

    def _alone(self, unit: Unit) -> None:
        """A heavy unit, from begin to commit, in the thread."""
        self._begin_patiently()
        try:
            self._on_begin()
            unit.result = unit.work()
            self.cursor.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _settle(self, error: BaseException | None) -> None:
        """The group is on disk, or lost; go on with the next."""
        group, self._group = self._group, []
        self.failing = error is not None
        for unit in group:
            unit.settle(error)
        if error is None:
            self._on_commit()
        self._shared.end_turn()
        # Through the loop, so that a stream of failing units cannot hold it.
        self._loop.call_soon(self._turn)

    def _order(self, work: Callable[[], None], done: Done) -> None:
        self._orders.put((work, done))

    def _serve(self) -> None:
        """The thread: runs what it is ordered and reports back to the loop."""
        while (order := self._orders.get()) is not None:
            work, done = order
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:
                error = raised
            try:
                self._loop.call_soon_threadsafe(done, error)
            except RuntimeError:  # the loop has been closed under us
                return
