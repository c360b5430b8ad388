"""Several processes on one address: forked before anything is opened, watched, and replaced when they die.

The first process serves nobody. It keeps the listening sockets, so clients that wait for a process that died are served by the
one that takes its place; the others end with it, however it ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mbaas.observe.logs import get_logger

_SOON_SECONDS, _MOST_SOON = 5.0, 5
"""A process that ends so soon after its start has not served; after so many of them in a row the server gives up."""
_PAUSE_SECONDS = 0.2
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_AWAITED = (*_SIGNALS, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Worker:
    """One serving process: its number from 0, how many there are, and its socket."""

    number: int
    count: int
    listener: socket.socket
    ready: int | None = None
    """Where the first process waits to hear that it serves."""
    lifeline: int | None = None
    """A pipe that ends with the first process."""

    def started(self, orphaned: Callable[[], None]) -> None:
        """Say that it serves; from then on `orphaned` is called on the event loop when the first process is gone."""
        if self.ready is not None:
            os.write(self.ready, b".")
            os.close(self.ready)
        if self.lifeline is not None:
            asyncio.get_running_loop().add_reader(self.lifeline, self._end, orphaned)

    def _end(self, orphaned: Callable[[], None]) -> None:
        assert self.lifeline is not None
        asyncio.get_running_loop().remove_reader(self.lifeline)
        orphaned()


def fork(listeners: list[socket.socket]) -> Worker | None:
    """Become a process for each socket: a Worker in each of them; None in this one, when all have ended as they were told to.

    SystemExit with the first one's code if it cannot start, and with 1 if they keep dying.
    """
    return _First(listeners).run()


class _First:
    """The process that the others come from."""

    def __init__(self, listeners: list[socket.socket]) -> None:
        self._listeners = listeners
        self._numbers: dict[int, int] = {}
        self._began: dict[int, float] = {}
        self._stopping = False
        self._soon = 0
        self._lifeline, self._mine = os.pipe()

    def run(self) -> Worker | None:
        for caught in _SIGNALS:
            signal.signal(caught, self._stop)
        # Some systems forget a signal that nobody listens to, even while it is blocked.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        says, ready = os.pipe()
        worker = self._fork(0, ready)
        if worker is not None:
            return worker
        os.close(ready)
        with os.fdopen(says, "rb") as told:
            if not told.read(1):
                # What is wrong with the first is wrong with all, and it has said what.
                sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
        for number in range(1, len(self._listeners)):
            worker = None if self._stopping else self._fork(number)
            if worker is not None:
                return worker
        return self._watch()

    def _fork(self, number: int, ready: int | None = None) -> Worker | None:
        """A new process; None in this one."""
        self._began[number] = time.monotonic()
        # What is sent meanwhile is for the process that the sender knows.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            worker = self._become(number, ready)
        else:
            self._numbers[pid] = number
        signal.pthread_sigmask(signal.SIG_SETMASK, before if pid else ())
        if pid == 0:
            return worker
        if self._stopping:
            self._tell(signal.SIGTERM)
        return None

    def _become(self, number: int, ready: int | None) -> Worker:
        # Not in the terminal's group: who presses Ctrl-C tells the first process, which tells the others.
        os.setpgid(0, 0)
        for caught in _AWAITED:
            signal.signal(caught, signal.SIG_DFL)
        os.close(self._mine)
        listener = self._listeners[number]
        for other in self._listeners:
            if other is not listener:
                other.close()
        return Worker(number, len(self._listeners), listener, ready, self._lifeline)

    def _watch(self) -> Worker | None:
        # Blocked, so that none comes between the last look and the wait.
        signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                if (caught := signal.sigwait(_AWAITED)) in _SIGNALS:
                    self._stop(caught)
                continue
            number = self._numbers.pop(pid, None)
            if number is None or self._stopping:
                continue
            lived = time.monotonic() - self._began[number]
            log, code = get_logger("mbaas"), os.waitstatus_to_exitcode(status)
            log.error("a process died; another takes its place", number=number, status=code, lived_s=round(lived, 1))
            self._soon = self._soon + 1 if lived < _SOON_SECONDS else 0
            if self._soon > _MOST_SOON:
                log.error("the processes keep dying: the server stops")
                self._tell(signal.SIGTERM)
                sys.exit(1)
            time.sleep(_PAUSE_SECONDS if self._soon else 0)
            worker = self._fork(number)
            if worker is not None:
                return worker
        return None

    def _stop(self, *_: object) -> None:
        """Once: let all finish what they do. Again: do not."""
        self._tell(signal.SIGINT if self._stopping else signal.SIGTERM)
        self._stopping = True
        for listener in self._listeners:
            listener.close()

    def _tell(self, what: signal.Signals) -> None:
        for pid in list(self._numbers):
            with suppress(ProcessLookupError):
                os.kill(pid, what)
