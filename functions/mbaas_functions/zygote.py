"""The process that workers are forked from, as the server sees it: one for all apps.

A worker is there in milliseconds so, where an interpreter of its own takes a tenth of a second of a processor to have loaded what each
of them needs; and they share the memory of that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson

import mbaas
import mbaas_functions
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.tasks import end
from mbaas.observe.logs import get_logger

_START = "import sys; sys.path += sys.argv[2:]; from mbaas_functions.worker.zygote import main; main()"
_ENVIRONMENT = {"LANG": "C.UTF-8"}
_SILENT_SECONDS = 15.0
"""One that owes an answer for so long does not run: it takes milliseconds, and a second for its own start."""
_T = TypeVar("_T")


class Gone(MbaasError):
    """A worker that could not be started."""


@dataclass(frozen=True, eq=False, slots=True)
class Child:
    """A worker's process; the leader of a group and a session of its own. `status` is its exit status when it has ended, or the negative
    number of the signal that ended it."""

    pid: int
    status: asyncio.Future[int]

    def kill(self) -> None:
        """End it at once, with whatever it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class Zygote:
    """Started when it is first needed, and again where it has ended."""

    def __init__(self) -> None:
        self._starting = asyncio.Lock()
        self._control: socket.socket | None = None
        """None while it does not run."""
        self._process: asyncio.subprocess.Process | None = None
        self._following: asyncio.Task[None] | None = None
        self._asked: deque[asyncio.Future[Child]] = deque()
        self._children: dict[int, Child] = {}

    async def fork(self, descriptors: Sequence[int]) -> Child:
        """A new worker with these descriptors, which the caller may close then. Gone says why there is none."""
        async with self._starting:
            if self._control is None:
                await self._start()
        assert self._control is not None
        forked: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        try:
            socket.send_fds(self._control, [b"f"], descriptors)
        except OSError as error:
            raise Gone(f"the process that workers are forked from does not listen: {error.strerror}") from error
        self._asked.append(forked)
        try:
            return await self.heard(forked)
        finally:
            forked.cancel()

    async def heard(self, told: asyncio.Future[_T]) -> _T:
        """Wait for what it owes. One that says nothing, as one that was stopped, is ended with all its workers: the next has others."""
        await asyncio.wait([told], timeout=_SILENT_SECONDS)
        if not told.done() and self._process is not None:
            get_logger("mbaas.functions").error("the process that workers are forked from does not answer; it is killed")
            _kill(self._process)
        return await told

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        roots = [str(Path(room.__file__ or "").parents[1]) for room in (mbaas, mbaas_functions)]
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-c", _START, str(theirs.fileno()), *roots),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        # It is only ever written to by this one: descriptors do not pass a transport.
        self._control, self._process = ours.dup(), process
        reader, writer = await asyncio.open_connection(sock=ours)
        self._following = asyncio.create_task(self._follow(process, reader, writer))

    async def _follow(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear what it says until it has ended, and end what it has forked then."""
        try:
            while line := await reader.readline():
                told = orjson.loads(line)
                if "forked" in told:
                    self._forked(told["forked"])
                elif "refused" in told:
                    self._refuse(f"a worker could not be forked: {os.strerror(told['refused'])}")
                else:
                    self._exited(told["exited"], told["status"])
        finally:
            if self._control is not None:
                self._control.close()
            self._control = None
            writer.close()
            for child in self._children.values():
                child.kill()
            for pid in tuple(self._children):
                self._exited(pid, -signal.SIGKILL)
            while self._asked:
                self._refuse("the process that workers are forked from has ended")
            ending = asyncio.create_task(process.wait())
            try:
                # It ends what there is below it.
                await asyncio.wait([ending], timeout=_SILENT_SECONDS)
            finally:
                _kill(process)
                await ending

    def _forked(self, pid: int) -> None:
        child = self._children[pid] = Child(pid, asyncio.get_running_loop().create_future())
        forked = self._asked.popleft()
        if forked.done():
            # Nobody waits for it any more.
            child.kill()
        else:
            forked.set_result(child)

    def _refuse(self, why: str) -> None:
        forked = self._asked.popleft()
        if not forked.done():
            forked.set_exception(Gone(why))

    def _exited(self, pid: int, status: int) -> None:
        self._children.pop(pid).status.set_result(status)

    async def close(self) -> None:
        """End it, with all workers that there are."""
        await end([self._following])


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
