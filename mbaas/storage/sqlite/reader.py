"""Searches: at once on the event loop while they are short, in a small pool of threads when they turn out long."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from mbaas.kernel.errors import Code, ParseError
from mbaas.query.match import AtMost
from mbaas.storage.sqlite.connection import Tuning, connect
from mbaas.storage.sqlite.failures import timed_out, told

T = TypeVar("T")
Job = Callable[[apsw.Cursor], T]

_STEPS = 1500
"""Virtual machine instructions between two looks at the clock: some tenths of a millisecond."""
TOO_LONG: Any = object()
"""What `attempt` gives for a job that did not end in its few milliseconds."""


class Limit:
    """Until when (of perf_counter) one job may run; it can be moved while the job runs."""

    __slots__ = ("deadline",)

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline


_NONE = Limit(math.inf)


class Limited:
    """A read connection that interrupts itself when the limit of its job has passed."""

    def __init__(self, file: Path, tuning: Tuning, cache: int) -> None:
        self.connection = connect(file, tuning, cache=cache)
        self.cursor = self.connection.cursor()
        self._limit = _NONE
        self.connection.set_progress_handler(self._late, _STEPS)

    def _late(self) -> bool:
        return time.perf_counter() > self._limit.deadline

    def run(self, job: Job[T], limit: Limit) -> T:
        """Raises apsw.InterruptError at the limit, or ParseError 124 if a document's own judge was at work then."""
        self._limit = limit
        try:
            with AtMost(limit.deadline - time.perf_counter()):
                return job(self.cursor)
        except (apsw.Error, ParseError):
            # Leaves no statement half done, which would hold its snapshot.
            self.cursor.close(True)
            self.cursor = self.connection.cursor()
            raise
        finally:
            self._limit = _NONE


class Reader:
    """Owns the read connections."""

    def __init__(self, file: Path, tuning: Tuning) -> None:
        self._file, self._tuning = file, tuning
        self.inline = Limited(file, tuning, tuning.reader_cache)
        self._point = self.inline.connection.cursor().execute
        self._pool = ThreadPoolExecutor(tuning.readers, thread_name_prefix="sqlite-read")
        self._mine = threading.local()
        self._opened: list[Limited] = []

    async def run(self, job: Job[T], timeout_ms: int, *, linear: bool = True) -> T:
        """The job's result. A job may be run twice, and must only read; one that is not `linear` never runs on the loop."""
        end = time.perf_counter() + timeout_ms / 1000
        if linear:
            found = self.attempt(job, timeout_ms)
            if found is not TOO_LONG:
                return found
        try:
            return await self._patiently(job, end)
        except apsw.InterruptError as error:
            raise timed_out() from error
        except (apsw.Error, UnicodeEncodeError) as error:
            raise told(error) from error

    def attempt(self, job: Job[T], timeout_ms: int) -> T:
        """The job's result if it takes but a few milliseconds; else TOO_LONG."""
        seconds = min(self._tuning.inline_seconds, timeout_ms / 1000)
        try:
            return self.inline.run(job, Limit(time.perf_counter() + seconds))
        except apsw.InterruptError:
            pass
        except ParseError as error:
            if error.code != Code.TIMEOUT:
                raise
        except (apsw.Error, UnicodeEncodeError) as error:
            raise told(error) from error
        too_long: T = TOO_LONG
        return too_long

    def point(self, sql: str, arguments: tuple[Any, ...]) -> Any:
        """The one row that a key finds, or None."""
        try:
            return self._point(sql, arguments).get
        except (apsw.Error, UnicodeEncodeError) as error:
            raise told(error) from error

    async def _patiently(self, job: Job[T], end: float) -> T:
        limit = Limit(end)

        def work() -> T:
            if time.perf_counter() > limit.deadline:
                raise timed_out()
            return self._connection().run(job, limit)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except asyncio.CancelledError:
            limit.deadline = 0.0
            raise

    def _connection(self) -> Limited:
        mine: Limited | None = getattr(self._mine, "limited", None)
        if mine is None:
            mine = self._mine.limited = Limited(self._file, self._tuning, self._tuning.reader_cache // 4)
            self._opened.append(mine)
        return mine

    def now(self, job: Job[T]) -> T:
        """A job that is known to be short, run at once."""
        try:
            return self.inline.run(job, _NONE)
        except (apsw.Error, UnicodeEncodeError) as error:
            raise told(error) from error

    async def close(self) -> None:
        """Wait for running searches and let go."""
        await asyncio.to_thread(self._pool.shutdown)
        for limited in (self.inline, *self._opened):
            limited.connection.close()
