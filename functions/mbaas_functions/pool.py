"""The workers of one deployment: which of them gets a call, when another one is started, and what becomes of a call that does not end.

A worker runs one call at a time, so that one which crashes, hangs or eats memory costs nobody else anything, and another worker is
started where all are busy. Calls of functions that are known to be short wait in the worker for one another, which saves waking
many processes; those that it has no room for wait here for their turn. One that takes long gets a worker of its own as soon as one
has done what waits there; a worker is kept for the short ones while there are any. Only when there are as many as may be, and a call
has waited, do calls that wait for something themselves get company, and only of functions whose last call has ended by itself; for one
of another function more workers are started. What a function calls in turn runs beside it: it ends with it in any case.

A worker that takes no messages gets no calls, those that it has not begun are taken back, and it gives way to all others if it
computes. A call that has not ended by its deadline is asked to, and `_GRACE_SECONDS` later its worker is killed. Calls that a
worker had not begun when it ended are given to another one; those that it had begun fail with an error that says why.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from mbaas.kernel.errors import Code as Error
from mbaas.kernel.errors import ParseError, TooMany
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas_functions.code import Code
from mbaas_functions.isolation import Found
from mbaas_functions.lines import Line
from mbaas_functions.process import Call, Process
from mbaas_functions.zygote import Gone, Zygote

_GRACE_SECONDS = 0.5
_LOOK_SECONDS = 0.04
"""How often running workers are looked at, and how long a call waits for a worker of its own."""
_STALLED_SECONDS = 0.05
"""A worker that has not taken a message for so long gets no more calls until it has."""
_IDLE_SECONDS = 60.0
"""A worker beyond the first that has had nothing to do for so long is ended."""
_MOST_WORKERS = 8
_MOST_FOR_WILD = 2 * _MOST_WORKERS
"""How many there may be while a call waits that cannot be put beside others."""
_MOST_TOGETHER = 100
_SHORT_SECONDS = 0.001
"""A function that takes less, as far as is known, is a short one."""
_QUEUED_SECONDS = 0.002
"""How long short calls may have to wait for one another."""
_KEPT_SECONDS = 1.0
"""How long the last worker is kept for short calls after one: between two of them it looks free."""
_MOST_CALLS = 2000
_TOO_LONG = "{} did not end in time."


class Pool:
    """The workers of some code. `answer` takes their questions, `say` their lines for the log."""

    def __init__(self, code: Code, zygote: Zygote, answer: Callable[[Process, Call, Object], None], say: Callable[[Line], None]) -> None:
        self.code = code
        self._zygote = zygote
        self.manifest: list[Object] = []
        self.isolation: Found = {}
        self._answer, self._say = answer, say
        self._workers: list[Process] = []
        self._free: list[Process] = []
        """Those without a call, the one that was used last at the end: few are used while few are needed."""
        self._waiting: deque[Call] = deque()
        self._took: dict[tuple[str, str], float] = {}
        """How long each function and trigger takes, in seconds: a running mean."""
        self._tame: set[tuple[str, str]] = set()
        """Those whose last call has ended by itself: others may take their worker along, and whoever is beside them."""
        self._short_at = 0.0
        """When a short call was given to a worker, by the monotonic clock."""
        self._starting: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._soon = False
        self._closed = False
        self._drained: asyncio.Event | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start the first worker. Gone says why `main.py` cannot be loaded."""
        first = await self._start()
        self.manifest, self.isolation = first.manifest, first.isolation

    async def call(self, call: Call) -> Object:
        """What the worker says of a call when it has ended: its `value`, or how it `failed`. ParseError if it cannot say."""
        if len(self._waiting) >= _MOST_CALLS:
            raise TooMany("Too many functions are running; try again.", 1, code=Error.REQUEST_LIMIT_EXCEEDED)
        self._give(call)
        try:
            ended = await call.result
        except asyncio.CancelledError:
            self._withdraw(call)
            raise
        except ParseError:
            # It did not end by itself.
            self._took_long(call)
            raise
        name, took = (call.kind, call.name), float(ended["took"])
        self._tame.add(name)
        known = self._took.get(name, took)
        # A call that was held up by something else says little of its function.
        self._took[name] = 0.9 * known + 0.1 * min(took, 4 * known)
        return ended

    def _withdraw(self, call: Call) -> None:
        """Nobody waits for a call any more: it ends as one whose time is over."""
        call.deadline = time.monotonic()
        with suppress(ValueError):
            self._waiting.remove(call)
        self._look()

    def _give(self, call: Call) -> None:
        if call.within is not None and call.within in self._workers:
            self._send(call, call.within)
        elif (worker := self._queue_of_short(call)) is not None:
            self._send(call, worker, queued=True)
        elif self._free and not self._is_kept_from(call, self._free[-1]):
            self._send(call, self._free.pop(), queued=True)
        else:
            self._waiting.append(call)
        if not self._free or self._waiting:
            # The next one is to find a worker ready.
            self._grow()
        self._look()

    def _is_short(self, call: Call) -> bool:
        return self._took.get((call.kind, call.name), 0) < _SHORT_SECONDS

    def _room(self, worker: Process, call: Call) -> bool:
        """True for a worker with nothing but short calls that has room for this one."""
        most = min(_MOST_TOGETHER, _QUEUED_SECONDS / max(self._took.get((call.kind, call.name), 0), 1e-6))
        return _is_queue(worker) and len(worker.calls) < most

    def _queue_of_short(self, call: Call) -> Process | None:
        """A worker where it may wait, unless others wait for that already."""
        if not self._is_short(call) or any(map(self._is_short, self._waiting)):
            return None
        return next((worker for worker in self._workers if self._room(worker, call)), None)

    def _is_kept_from(self, call: Call, worker: Process) -> bool:
        """True if a worker that has nothing to do is the last one for short calls, of which this is none."""
        if self._is_short(call) or time.monotonic() - self._short_at > _KEPT_SECONDS:
            return False
        return not any(other is not worker and (other in self._free or _is_queue(other)) for other in self._workers)

    def _refill(self, worker: Process) -> None:
        """Give short calls that wait to a worker that has done one, unless it is wanted by a call that takes long."""
        only = sum(map(_is_queue, self._workers)) == 1
        at = 0
        while at < len(self._waiting):
            call = self._waiting[at]
            if not self._is_short(call):
                if not only:
                    return
                at += 1
            elif self._room(worker, call):
                del self._waiting[at]
                self._send(call, worker, queued=True)
            else:
                return

    def _send(self, call: Call, worker: Process, *, queued: bool = False) -> None:
        if short := self._is_short(call):
            self._short_at = time.monotonic()
        try:
            worker.send(call, queued=queued, short=short)
        except (TypeError, ValueError) as error:
            _fail(call, Error.INVALID_JSON, f"The call cannot be sent to its function: {error}")
            self._done(worker)

    def _done(self, worker: Process) -> None:
        """A worker has ended a call, or has none any more."""
        if worker not in self._workers:
            return
        if worker.calls:
            if self._waiting and _is_queue(worker):
                self._refill(worker)
        elif worker.spent:
            worker.kill()
        elif worker.stalled:
            # It is heard of when it takes messages again, or ended.
            return
        elif self._serve(worker):
            return
        elif self._drained is not None:
            worker.kill()
        elif worker not in self._free:
            worker.free_since = time.monotonic()
            self._free.append(worker)

    def _gave_back(self, worker: Process, calls: list[Call]) -> None:
        """They waited for one that turned out to be long."""
        for held_up in worker.calls.values():
            self._took_long(held_up)
        self._again(calls)

    def _took_long(self, call: Call) -> None:
        """Nobody is to wait behind the next one of its function, until that is seen to be short again."""
        name = (call.kind, call.name)
        self._took[name] = max(self._took.get(name, 0), 2 * _SHORT_SECONDS)

    def _again(self, calls: list[Call]) -> None:
        """Other workers have them, before what came later."""
        self._waiting.extendleft(reversed(calls))
        self._serve_free()
        for worker in filter(_is_queue, self._workers):
            self._refill(worker)
        if self._waiting:
            self._grow()
        self._look()

    def _serve(self, worker: Process) -> bool:
        """Give what waits to a worker that has nothing to do; False if nothing waits that it may have."""
        call = next((call for call in self._waiting if not self._is_kept_from(call, worker)), None)
        if call is None:
            return False
        self._waiting.remove(call)
        self._send(call, worker, queued=True)
        if _is_queue(worker):
            self._refill(worker)
        return True

    def _serve_free(self) -> None:
        while self._free and self._serve(self._free[-1]):
            self._free.pop()

    def _look(self) -> None:
        """Watch the workers for as long as anything runs, or may be given back."""
        busy = len(self._free) < len(self._workers) or bool(self._waiting)
        if self._closed or (self._looking is not None and self._soon >= busy):
            return
        if self._looking is not None:
            self._looking.cancel()
        self._soon = busy
        self._looking = asyncio.get_running_loop().call_later(_LOOK_SECONDS if busy else _IDLE_SECONDS, self._looked)

    def _looked(self) -> None:
        self._looking = None
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.calls or worker.pinged is not None:
                self._watch(worker, now)
        for worker in self._free[:-1]:
            if now - worker.free_since > _IDLE_SECONDS:
                self._free.remove(worker)
                worker.kill()
        self._serve_free()
        self._share(now)
        if len(self._workers) > 1 or not self._free or self._waiting:
            self._look()

    def _watch(self, worker: Process, now: float) -> None:
        """Ask a worker whether it still listens, its calls to end whose time is over, and end it if they do not."""
        if worker.pinged is not None and now - worker.pinged > _STALLED_SECONDS:
            worker.stall()
            self._gave_back(worker, worker.recall())
            if not worker.calls and now - worker.pinged > _GRACE_SECONDS:
                worker.kill()
                return
        worker.ping()
        for call in list(worker.calls.values()):
            if now < call.deadline:
                continue
            if not worker.begun(call):
                worker.cancel(call)
                worker.take_back(call.id)
                _fail(call, Error.TIMEOUT, _TOO_LONG.format(call.title))
            elif not call.cancelled:
                worker.cancel(call)
            elif now >= call.deadline + _GRACE_SECONDS:
                self._tell(call, "the call did not end in time; its worker is killed")
                _fail(call, Error.TIMEOUT, _TOO_LONG.format(call.title))
                worker.kill()
        if not worker.calls:
            self._done(worker)

    def _share(self, now: float) -> None:
        """Put calls that have waited beside others that wait for something themselves."""
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            if now >= call.deadline:
                _fail(call, Error.TIMEOUT, _TOO_LONG.format(call.title))
            elif self._starting is None and now - call.since > _LOOK_SECONDS and (fit := self._company(call)):
                self._send(call, min(fit, key=lambda worker: len(worker.calls)))
            else:
                self._waiting.append(call)

    def _is_tame(self, call: Call) -> bool:
        return (call.kind, call.name) in self._tame

    def _company(self, call: Call) -> list[Process]:
        """The workers where a call may run beside others: where short ones queue only if it has no other way."""
        if not self._is_tame(call):
            return []
        queues = [worker for worker in self._workers if _is_queue(worker)]
        if queues and (self._is_short(call) or len(queues) > 1):
            # Its turn comes there.
            return []
        fit = [w for w in self._workers if w.calls and not w.stalled and not w.spent and len(w.calls) < _MOST_TOGETHER]
        fit = [worker for worker in fit if all(map(self._is_tame, worker.calls.values()))]
        return [worker for worker in fit if worker not in queues] or fit

    def _grow(self) -> None:
        """One more worker, unless there are enough or one is on its way."""
        if self._starting is not None or self._closed:
            return
        there = len(self._workers)
        if there < _MOST_WORKERS or (there < _MOST_FOR_WILD and not all(map(self._is_tame, self._waiting))):
            self._starting = asyncio.create_task(self._add())

    async def _add(self) -> None:
        try:
            await self._start()
        except (Gone, OSError) as error:
            get_logger("mbaas.functions").error("a worker could not be started", reason=str(error))
            if not self._workers:
                waiting, self._waiting = self._waiting, deque()
                for call in waiting:
                    _fail(call, Error.SCRIPT_FAILED, f"{call.title} cannot run: its worker could not be started.")
                self._end_drain()
        finally:
            self._starting = None
        if self._waiting:
            self._grow()

    async def _start(self) -> Process:
        worker = Process(self.code, self._zygote, self._answer, self._done, self._gave_back, self._lost, self._say)
        try:
            await worker.start()
        except BaseException:
            await worker.close()
            raise
        self._workers.append(worker)
        self._done(worker)
        self._look()
        return worker

    def _lost(self, worker: Process) -> None:
        """A worker has ended, in whichever way."""
        for kept in (self._workers, self._free):
            if worker in kept:
                kept.remove(worker)
        calls, worker.calls = list(worker.calls.values()), {}
        begun = [call for call in calls if self._closed or worker.begun(call)]
        self._again([call for call in calls if call not in begun])
        if self._waiting or (not self._workers and self._drained is None):
            self._grow()
        task = asyncio.create_task(self._bury(worker, begun))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _bury(self, worker: Process, begun: list[Call]) -> None:
        how = await worker.end()
        for call in begun:
            self._tame.discard((call.kind, call.name))
            self._tell(call, f"the call did not end: its worker ended {how}")
            _fail(call, Error.SCRIPT_FAILED, f"{call.title} did not end: its worker ended {how}")
        await worker.close()
        self._end_drain()

    async def drain(self) -> None:
        """End each worker as soon as nothing is left for it, and all when nothing is left. Only what runs there may still call."""
        self._drained = asyncio.Event()
        self._free.clear()
        for worker in list(self._workers):
            self._done(worker)
        self._end_drain()
        await self._drained.wait()
        await self.close()

    def _end_drain(self) -> None:
        if self._drained is not None and not self._workers and not self._waiting:
            self._drained.set()

    async def close(self) -> None:
        """End all workers."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        workers, self._workers, self._free = self._workers, [], []
        for worker in workers:
            await worker.close()
        if self._ending:
            await asyncio.gather(*self._ending, return_exceptions=True)

    def _tell(self, call: Call, text: str) -> None:
        """What becomes of a call that cannot say so itself, for the log."""
        self._say(Line(text, "error", call.id, call.kind, call.name, self.code.number))


def _fail(call: Call, code: int, message: str) -> None:
    if not call.result.done():
        call.result.set_exception(ParseError(code, message))


def _is_queue(worker: Process) -> bool:
    """True for a worker that takes messages and has short calls alone."""
    return bool(worker.calls) and worker.short and not worker.stalled and not worker.spent
