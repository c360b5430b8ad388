"""One worker process as the server sees it: started, spoken to, and ended."""

from __future__ import annotations

import asyncio
import mmap
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mbaas.kernel.caller import Caller
from mbaas.kernel.values import Object
from mbaas_functions.code import Code
from mbaas_functions.frames import Frames
from mbaas_functions.isolation import Found
from mbaas_functions.lines import Line
from mbaas_functions.messages import checked
from mbaas_functions.page import PAGE_BYTES, PLACES, Page
from mbaas_functions.zygote import Child, Gone, Zygote

_START_SECONDS = 30.0
_END_SECONDS = 1.0
_PART_BYTES, _MOST_PARTS = 64 * 1024, 400
"""What is read after the end of a connection: no more than a system keeps of one, and a message at least."""
_TAIL = 20
"""Lines of a worker's last words that are kept for the error that tells of its end."""
_LEAST_WEIGHT = 19
"""The highest value of nice(2)."""
_RECYCLED = 100_000
"""A worker is replaced after so many calls: what its code has leaked is given back."""


@dataclass(eq=False, slots=True)
class Call:
    """A call on its way. Its id is the capability to ask in its caller's name: nobody else can guess it."""

    kind: str
    name: str
    request: Object
    caller: Caller
    deadline: float
    """When it must have ended, by the monotonic clock."""
    result: asyncio.Future[Object]
    message: Callable[[str], Awaitable[None]] | None = None
    """Takes what a job says of its progress."""
    within: Process | None = None
    """Where the function runs that called it."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    number: int = 0
    place: int = 0
    """Where the worker writes the number down when it begins the call."""
    since: float = field(default_factory=time.monotonic)
    cancelled: bool = False
    """True once it has been asked to end."""

    @property
    def title(self) -> str:
        """What errors and logs call it."""
        return f"{self.kind} {self.name}".rstrip()


class Process:
    """A worker with its connection. `ask` is called with each question, `done` after each call and when it has none left, `gave_back`
    with calls that it has not begun and will not, `lost` once when it has ended, `say` with each line for the log."""

    def __init__(
        self,
        code: Code,
        zygote: Zygote,
        ask: Callable[[Process, Call, Object], None],
        done: Callable[[Process], None],
        gave_back: Callable[[Process, list[Call]], None],
        lost: Callable[[Process], None],
        say: Callable[[Line], None],
    ) -> None:
        self.code = code
        self._zygote = zygote
        self.calls: dict[str, Call] = {}
        self.manifest: list[Object] = []
        self.isolation: Found = {}
        self.stalled = False
        """True while it takes no messages."""
        self.spent = False
        """True if it is to get no more calls, and to end when those that it has are done."""
        self.pinged: float | None = None
        self._computed_at_ping, self._gives_way = 0.0, False
        self.free_since = 0.0
        self._ask, self._told, self._gave_back, self._lost, self._say = ask, done, gave_back, lost, say
        self._frames = Frames(lambda message: self._receive(checked(message)), self._ended)
        self._rest: socket.socket | None = None
        """The connection once more, for what it holds when it has ended."""
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._scratch = Path(tempfile.mkdtemp(prefix="mbaas-functions-"))
        self._sent = 0
        self._places = list(range(PLACES))
        self.short = True
        """True if all calls that it has are of functions that are known to be short."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed when the worker has it
        self._file.truncate(PAGE_BYTES)
        self._page = Page(mmap.mmap(self._file.fileno(), PAGE_BYTES))
        self._child: Child | None = None
        self._reading: asyncio.Task[None] | None = None
        self._exit: asyncio.Task[int] | None = None

    async def start(self) -> None:
        """Have a worker that has loaded `main.py`. Gone says why there is none."""
        ours, theirs = socket.socketpair()
        self._rest = ours.dup()
        said, says = os.pipe()
        output = os.fdopen(said, "rb", buffering=0)
        code = self.code
        try:
            self._child = await self._zygote.fork((theirs.fileno(), self._file.fileno(), says))
        except BaseException:
            output.close()
            ours.close()
            raise
        finally:
            os.close(says)
            theirs.close()
            self._file.close()
        self._reading = asyncio.create_task(self._read_output(output))
        self._exit = asyncio.create_task(self._exited(self._child))
        await asyncio.get_running_loop().create_connection(lambda: self._frames, sock=ours)
        self._frames.send(
            {
                "folder": str(code.folder),
                "packages": None if code.packages is None else str(code.packages),
                "scratch": str(self._scratch),
                "environment": {**code.secrets, "LANG": "C.UTF-8", "TMPDIR": str(self._scratch)},
                "strict": code.strict,
            }
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._ready
        except TimeoutError:
            self.kill()
            raise Gone(f"{code.main} was not loaded within {_START_SECONDS:.0f} s") from None

    def send(self, call: Call, *, queued: bool, short: bool) -> None:
        """Hand a call to the worker. `queued`: it begins when the one before it has ended. TypeError or ValueError if it cannot be sent."""
        place, number = self._places[-1], self._sent + 1
        self._frames.send(
            {
                "call": call.id,
                "kind": call.kind,
                "name": call.name,
                "timeout": call.deadline - time.monotonic(),
                "request": call.request,
                "queued": queued,
                "place": place,
                "number": number,
            }
        )
        call.number, call.place = number, self._places.pop()
        self._sent = number
        self.spent = self.spent or number >= _RECYCLED
        self.short = short and (self.short or not self.calls)
        self.calls[call.id] = call

    def take_back(self, call_id: str) -> Call | None:
        """A call that the worker no longer has, if it was still waited for."""
        call = self.calls.pop(call_id, None)
        if call is not None:
            self._places.append(call.place)
        return call

    def cancel(self, call: Call) -> None:
        """Ask a call to end."""
        call.cancelled = True
        self._frames.send({"cancel": call.id})

    def ping(self) -> None:
        """Ask whether it still takes messages."""
        if self.pinged is None:
            self.pinged, self._computed_at_ping = time.monotonic(), self._computed()
            self._frames.send({"ping": 1})

    def stall(self) -> None:
        """It takes no messages. If it computes meanwhile, everybody else has the processor first until it takes some again: one that
        waits in C for something, or for its turn at the processor, has done nobody harm."""
        assert self.pinged is not None
        self.stalled = True
        if not self._gives_way and self._computed() - self._computed_at_ping > (time.monotonic() - self.pinged) / 2:
            self._gives_way = True
            self._weigh(_LEAST_WEIGHT, _LEAST_WEIGHT)

    def _recover(self) -> None:
        self.pinged, self.stalled = None, False
        if self._gives_way:
            self._gives_way = False
            # Not every system lets one take back what one has given.
            self.spent = not self._weigh(0, os.getpriority(os.PRIO_PROCESS, 0)) or self.spent

    def _weigh(self, session: int, process: int) -> bool:
        """How nice it is to others: as one of the sessions, where Linux weighs those first (sched(7), autogroup), and as a process, for
        which the server's own is the usual. False if it may not have that."""
        assert self._child is not None
        with suppress(OSError):
            Path(f"/proc/{self._child.pid}/autogroup").write_text(str(session))
        try:
            os.setpriority(os.PRIO_PGRP, self._child.pid, process)
        except PermissionError:
            return False
        except ProcessLookupError:
            pass
        return True

    def _computed(self) -> float:
        """Seconds of the processor's time that it has had; 0 where no system tells (proc_pid_stat(5), utime and stime)."""
        assert self._child is not None
        try:
            fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def answer(self, number: int, answer: Object) -> None:
        """Answer one of its questions."""
        self._frames.send({"answer": number, **answer})

    def begun(self, call: Call) -> bool:
        """True if the worker may have begun the call; False says that it has not."""
        return self._page.begun(call.place, call.number)

    def recall(self) -> list[Call]:
        """The calls that it has not begun, and now will not."""
        there = [call for call in self.calls.values() if self._page.take_back(call.place, call.number)]
        return [call for call in there if self.take_back(call.id) is not None]

    def kill(self) -> None:
        """End it at once, with whatever it has started."""
        if self._child is not None:
            self._child.kill()
        self._frames.abort()

    async def close(self) -> None:
        """End it, and wait until it has."""
        self.kill()
        await self._wait()
        if self._rest is not None:
            self._rest.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._page.close()

    async def end(self) -> str:
        """How it ended, once it has. Its last words are for the log: they may tell what no client should know."""
        status = await self._wait()
        return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"

    async def _wait(self) -> int:
        """Its status, when it and its output have ended; neither is waited for for long."""
        if self._exit is None:
            return 0
        await asyncio.wait([self._exit], timeout=_END_SECONDS)
        if not self._exit.done():
            # It has closed its connection, and goes on.
            self.kill()
        status = await self._zygote.heard(self._exit)
        if self._reading is not None:
            # What it has started may hold its output open.
            await asyncio.wait([self._reading], timeout=_END_SECONDS)
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        return status

    async def _exited(self, child: Child) -> int:
        """Its status. What it has started may hold the connection open."""
        status = await child.status
        self._frames.abort()
        return status

    def _receive(self, message: Object) -> None:
        if "done" in message:
            self._done(message)
        elif "ask" in message:
            self._asked(message)
        elif "log" in message:
            self._log(message)
        elif "pong" in message:
            self._recover()
            if not self.calls:
                self._told(self)
        elif "spent" in message:
            self.spent = True
        elif "returned" in message:
            self._returned(message["returned"])
        elif "ready" in message and not self._ready.done():
            self.manifest, self.isolation = message["ready"], message["isolation"]
            self._ready.set_result(None)
        elif "unsafe" in message and not self._ready.done():
            self._ready.set_exception(Gone(message["unsafe"]))
        elif "broken" in message and not self._ready.done():
            self._ready.set_exception(Gone(self.code.told(f"{self.code.main} cannot be loaded:\n{message['broken']}")))

    def _done(self, message: Object) -> None:
        call = self.take_back(message["done"])
        if call is not None and not call.result.done():
            call.result.set_result(message)
        self._told(self)

    def _returned(self, returned: list[tuple[str, int]]) -> None:
        """It will not begin some of its calls, by their numbers: the server may have sent one again meanwhile."""
        there = [call for call_id, number in returned if (call := self.calls.get(call_id)) is not None and call.number == number]
        for call in there:
            self.take_back(call.id)
        self._gave_back(self, there)
        if not self.calls:
            self._told(self)

    def _asked(self, message: Object) -> None:
        call = self.calls.get(message.get("of", ""))
        if call is None:
            self.answer(message["ask"], {"refused": {"code": 119, "message": "The call has ended; nothing is done in its name."}})
        else:
            self._ask(self, call, message)

    def _log(self, message: Object) -> None:
        call = self.calls.get(message["log"])
        level, values = message.get("level"), message.get("values")
        self._say(
            Line(
                self.code.masked(str(message.get("text"))),
                level if level in ("info", "warning", "error") else "info",
                message["log"],
                call.kind if call else "",
                call.name if call else "",
                self.code.number,
                {str(name): self.code.masked(str(value)) for name, value in values.items()} if isinstance(values, dict) else {},
            )
        )

    def _ended(self) -> None:
        self._read_rest()
        if self._frames.unsound:
            self._say(Line("a worker sent what is no message, and is ended", "error", number=self.code.number))
        if not self._ready.done():
            self._ready.set_exception(Gone(f"the worker ended before it had loaded {self.code.main}: " + "\n".join(self._tail)))
        self._lost(self)

    def _read_rest(self) -> None:
        """Take what it said before it ended: where the server was writing to it just then, nobody has read that."""
        assert self._rest is not None
        # It is given nothing more.
        self.spent = True
        with self._rest, suppress(OSError):
            self._rest.setblocking(False)
            for _ in range(_MOST_PARTS):
                if not (data := self._rest.recv(_PART_BYTES)):
                    break
                self._frames.data_received(data)

    async def _read_output(self, output: IO[bytes]) -> None:
        """What the code prints outside of calls is for the log."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
        try:
            while line := await _line(reader):
                text = self.code.masked(line.decode(errors="replace").rstrip())
                self._tail.append(text)
                self._say(Line(text, number=self.code.number))
        finally:
            transport.close()


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:
        # Longer than the reader keeps: what there is of it.
        return await stream.read(1024)
