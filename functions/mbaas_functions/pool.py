"""The workers of one deployment: which of them gets a call, when another one is started, and what becomes of a call that does not end.

A call that has not ended by its deadline is asked to, and `_GRACE_SECONDS` later its worker is killed. Calls that the worker had
not begun are given to another one; those that it had begun fail with an error that says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from mbaas.kernel.errors import Code, ParseError, TooMany
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas_functions.process import Call, Gone, Process

_GRACE_SECONDS = 0.5
_LOOK_SECONDS = 0.05
_STALLED_SECONDS = 0.1
"""A worker that has not taken a message for so long gets no more calls until it has."""
_MOST_WORKERS = 4
_MOST_CALLS = 2000
_RECYCLE_CALLS = 100_000
"""A worker is replaced after so many calls: what its code has leaked is given back."""


class Pool:
    """The workers of a folder with a `main.py`. `answer` takes their questions."""

    def __init__(self, folder: Path, answer: Callable[[Process, Call, Object], None]) -> None:
        self.folder = folder
        self.manifest: list[Object] = []
        self._answer = answer
        self._workers: list[Process] = []
        self._waiting: list[Call] = []
        self._starting: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._closed = False
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start the first worker. Gone says why `main.py` cannot be loaded."""
        self.manifest = (await self._start()).manifest

    async def call(self, call: Call) -> Object:
        """What the worker says of a call when it has ended: its `value`, or how it `failed`. ParseError if it cannot say."""
        if len(self._waiting) + sum(len(worker.calls) for worker in self._workers) >= _MOST_CALLS:
            raise TooMany("Too many functions are running; try again.", 1, code=Code.REQUEST_LIMIT_EXCEEDED)
        call.timer = asyncio.get_running_loop().call_later(call.timeout, self._expire, call)
        self._give(call)
        return await call.result

    def _give(self, call: Call) -> None:
        fit = [worker for worker in self._workers if not worker.stalled]
        if not fit:
            self._waiting.append(call)
            self._grow()
            return
        worker = min(fit, key=lambda each: len(each.calls))
        try:
            worker.send(call)
        except (TypeError, ValueError) as error:
            self._fail(call, Code.INVALID_JSON, f"The call cannot be sent to its function: {error}")
            return
        self._look()

    def _look(self) -> None:
        """Watch the workers for as long as anything runs."""
        if self._looking is None and not self._closed:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._looked)

    def _looked(self) -> None:
        self._looking = None
        now = time.monotonic()
        for worker in self._workers:
            if worker.pinged is not None and now - worker.pinged > _STALLED_SECONDS:
                worker.stalled = True
            if worker.calls:
                worker.ping()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                self._give(call)
        if any(worker.calls or worker.stalled for worker in self._workers) or self._waiting:
            self._look()

    def _grow(self) -> None:
        """One more worker, unless there are enough or one is on its way."""
        if self._starting is None and not self._closed and len(self._workers) < _MOST_WORKERS:
            self._starting = asyncio.create_task(self._add())
        self._look()

    async def _add(self) -> None:
        try:
            await self._start()
        except (Gone, OSError) as error:
            get_logger("mbaas.functions").error("a worker could not be started", reason=str(error))
            if not self._workers:
                waiting, self._waiting = self._waiting, []
                for call in waiting:
                    self._fail(call, Code.SCRIPT_FAILED, f"{call.title} cannot run: its worker could not be started.")
        finally:
            self._starting = None

    async def _start(self) -> Process:
        worker = Process(self.folder, self._answer, self._lost)
        try:
            await worker.start()
        except BaseException:
            await worker.close()
            raise
        self._workers.append(worker)
        return worker

    def _expire(self, call: Call) -> None:
        """Its time is over: ask the call to end, and end its worker if that does not help."""
        if call in self._waiting:
            self._waiting.remove(call)
            self._fail(call, Code.TIMEOUT, _too_long(call))
            return
        worker = next((each for each in self._workers if call.id in each.calls), None)
        if worker is None:
            return
        worker.cancel(call)
        call.timer = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._end, worker, call)

    def _end(self, worker: Process, call: Call) -> None:
        get_logger("mbaas.functions").error("a call did not end in time; its worker is killed", function=call.title, call=call.id)
        self._fail(call, Code.TIMEOUT, _too_long(call))
        worker.kill()

    def _lost(self, worker: Process) -> None:
        """A worker has ended, in whichever way."""
        if worker in self._workers:
            self._workers.remove(worker)
        task = asyncio.create_task(self._bury(worker))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _bury(self, worker: Process) -> None:
        calls, worker.calls = list(worker.calls.values()), {}
        begun = [call for call in calls if worker.begun(call)]
        for call in calls:
            if call not in begun and not call.result.done():
                self._give(call)
        how = await worker.end()
        for call in begun:
            self._fail(call, Code.SCRIPT_FAILED, f"{call.title} did not end: its worker ended {how}")
        await worker.close()
        if not self._workers and not self._closed:
            self._grow()

    def _fail(self, call: Call, code: int, message: str) -> None:
        if call.timer is not None:
            call.timer.cancel()
        if not call.result.done():
            call.result.set_exception(ParseError(code, message))

    async def close(self) -> None:
        """End all workers."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        workers, self._workers = self._workers, []
        for worker in workers:
            await worker.close()
        if self._ending:
            await asyncio.gather(*self._ending, return_exceptions=True)


def _too_long(call: Call) -> str:
    return f"{call.title} did not end within {call.timeout:g} s."
