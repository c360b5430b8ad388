"""The worker's life: load `main.py`, say what it declares, run calls until the server lets go of the connection."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mbaas.kernel.values import Json
from mbaas.kernel.values import Object as Body
from mbaas_functions.cloud.calls import CURRENT, Call
from mbaas_functions.cloud.definitions import DEFINED
from mbaas_functions.cloud.errors import SCRIPT_FAILED, Error
from mbaas_functions.frames import Frames
from mbaas_functions.isolation import Found, missing, refusal
from mbaas_functions.page import Page
from mbaas_functions.worker.invoke import FAILS, invoke
from mbaas_functions.worker.said import Printed, Said

MODULE = "main"
_MOST_TRACE = 8000
_TIMEOUT = 124
_LONG_SECONDS = 0.005


def load(own: Sequence[Path]) -> None:
    """Run the `main.py` of the first folder; what is in the folders is found by name, before all but what the worker has loaded."""
    sys.path[:0] = map(str, own)
    spec = importlib.util.spec_from_file_location(MODULE, own[0] / "main.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no main.py in {own[0]}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)


def _failed(message: str, code: int = SCRIPT_FAILED) -> Body:
    return {"failed": {"code": int(code), "message": str(message)}}


def _is_cancelled() -> bool:
    """True if the running task was asked to end: what it waited for may have been cancelled by somebody else."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Worker:
    """Runs what the server asks for, many calls at a time."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._queue: deque[Body] = deque()
        """Calls that wait until the one before them has ended."""
        self._since = 0.0
        """When a call was begun last, by the loop's clock."""
        self._returning: asyncio.TimerHandle | None = None
        self._frames = Frames(self._receive, self._lost, self._go_on)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[int, asyncio.Future[Json]] = {}
        self._next = 0
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.get_ident()

    async def serve(self, connection: socket.socket, own: Sequence[Path], found: Found, *, strict: bool) -> None:
        """Serve until the server lets go. `own`: the code's folder, and that of its packages if it has some.

        `found` are the layers of isolation that it has; if `strict`, nothing is loaded where one is missing.
        """
        self._loop = asyncio.get_running_loop()
        await self._loop.create_connection(lambda: self._frames, sock=connection)
        if strict and (lacking := missing(found)):
            self._frames.send({"unsafe": f"{refusal(lacking)}; mbaas doctor says how to get it"})
            return
        sys.stdout, sys.stderr = Printed(sys.stdout, "info"), Printed(sys.stderr, "error")
        try:
            load(own)
        except BaseException as error:
            self._frames.send({"broken": "".join(traceback.format_exception(error))[-_MOST_TRACE:]})
            return
        self._frames.send({"ready": DEFINED.manifest(), "isolation": found})
        await self._ended.wait()

    def _lost(self) -> None:
        # Nobody is left to work for.
        self._ended.set()

    def _receive(self, message: Body) -> None:
        if "call" in message:
            if message["queued"] and (self._running or self._frames.full):
                self._queue.append(message)
                self._return_later()
            else:
                self._begin(message)
        elif "answer" in message:
            self._answered(message)
        elif "ping" in message:
            self._frames.send({"pong": 1})
        elif "cancel" in message:
            self._cancel(message["cancel"])

    def _begin(self, message: Body) -> None:
        call, loop = message["call"], asyncio.get_running_loop()
        self._since = loop.time()
        self._running[call] = task = loop.create_task(self._run(call, message))
        task.add_done_callback(partial(self._done, call))

    def _done(self, call: str, task: asyncio.Task[None]) -> None:
        self._running.pop(call, None)
        self._go_on()

    def _go_on(self) -> None:
        """Begin the next call when the server has been told of the one before it: it may be one that ends the process."""
        if self._queue and not self._running and not self._frames.full:
            self._begin(self._queue.popleft())

    def _cancel(self, call: str) -> None:
        if running := self._running.get(call):
            running.cancel()
        self._queue = deque(waiting for waiting in self._queue if waiting["call"] != call)

    def _return_later(self) -> None:
        """Give back what waits behind a call that turns out to be long: another worker has time for it."""
        if self._returning is None:
            self._returning = asyncio.get_running_loop().call_later(_LONG_SECONDS, self._return)

    def _return(self) -> None:
        self._returning = None
        if self._queue and asyncio.get_running_loop().time() - self._since >= _LONG_SECONDS:
            self._frames.send({"returned": [[waiting["call"], waiting["number"]] for waiting in self._queue]})
            self._queue.clear()
        elif self._queue:
            self._return_later()

    def _answered(self, message: Body) -> None:
        waiting = self._asked.pop(message["answer"], None)
        if waiting is None or waiting.done():
            return
        if "refused" in message:
            waiting.set_exception(Error(message["refused"]["message"], message["refused"]["code"]))
        else:
            waiting.set_result(message.get("value"))

    async def _run(self, call: str, message: Body) -> None:
        if not self._page.begin(message["place"], message["number"]):
            # The server has it back, and knows.
            return
        said = Said(partial(self._send_log, call))
        CURRENT.set(Call(partial(self._ask, call), said.line, said.text))
        began = time.perf_counter()
        try:
            outcome = await self._outcome(call, message, said)
        except Exception as error:
            # Its own error is one that cannot be told: a text or a code that is none.
            outcome = _failed(f"{message['kind']} {message['name']} failed, and its error cannot be told: {type(error).__name__}")
        said.end()
        told = {"done": call, "took": time.perf_counter() - began, **outcome}
        try:
            self._frames.send(told)
        except (TypeError, ValueError) as error:
            self._frames.send({"done": call, "took": 0, **_failed(f"the result cannot be sent: {error}")})

    async def _outcome(self, call: str, message: Body, said: Said) -> Body:
        """What a call came to: its value, or how it failed."""
        title = f"{message['kind']} {message['name']}"
        definition = DEFINED.found[message["kind"], message["name"]]
        try:
            return {"value": await invoke(definition, message["request"], message["timeout"])}
        except Error as error:
            return _failed(error.message, error.code)
        except (SystemExit, KeyboardInterrupt):
            # They end the process.
            raise
        except MemoryError:
            # What is left of it may not be enough for the next one.
            self._frames.send({"spent": 1})
            return _failed(f"{title} ran out of memory.")
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                if not definition.is_async:
                    # Its thread goes on, and cannot be ended but with the process.
                    self._frames.send({"spent": 1})
                return _failed(f"{title} did not end in time.", _TIMEOUT)
            said.line({"level": "error", "text": "".join(traceback.format_exception(error))[-_MOST_TRACE:]})
            return _failed(str(error) or type(error).__name__, FAILS.get(definition.kind, SCRIPT_FAILED))

    async def _ask(self, call: str, operation: str, arguments: Body) -> Json:
        self._next += 1
        number = self._next
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._frames.send({"ask": number, "of": call, "operation": operation, **arguments})
            return await answer
        finally:
            self._asked.pop(number, None)

    def _send_log(self, call: str, line: Body) -> None:
        if self._thread == threading.get_ident():
            self._frames.send({"log": call, **line})
        else:
            self._loop.call_soon_threadsafe(self._frames.send, {"log": call, **line})
