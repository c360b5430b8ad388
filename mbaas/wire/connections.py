"""uvicorn's HTTP connections, less those that hold a place and let nothing happen: clients that send a request byte by byte, stop amid a
body, never take their answer, or open more connections than there are places.

A request costs nothing for it: a look over all connections, now and then, finds who keeps the server waiting, and for how long.
"""

from __future__ import annotations

import asyncio
import resource
from itertools import islice
from typing import Any, ClassVar, cast

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mbaas.kernel.errors import Code

_LOOKS = 4
"""How often it is looked within the time that a client has."""
_SLICE = 500
"""Connections that are looked at in one go."""
_OLDEST = 64
"""Connections that are asked whether they wait, where a place is wanted."""
_KEPT_FILES = 256
"""Files that the rest of the process needs."""
_PIECE = 1024
"""A body gets on if so many bytes of it have come."""
_BODY = orjson.dumps({"code": int(Code.TIMEOUT), "error": "The request took too long to arrive."})
_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


def places(wanted: int) -> int:
    """How many connections a process takes: as many as are wanted, or as the system lets it open. The limit on files is raised for that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _KEPT_FILES
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - _KEPT_FILES))


class Places:
    """The connections of one process, the oldest first, and how long each has kept the server waiting."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._taken: dict[Patient, None] = {}
        self._waits: dict[Patient, tuple[tuple[Any, ...], float]] = {}
        """With what a client keeps the server waiting, and since when."""
        self._looking = False

    def take(self, connection: Patient) -> bool:
        """A place for a new connection: if none is free, that of an old one that waits for its client. False if all are busy."""
        if len(self._taken) >= self._most:
            idle = next((old for old in islice(self._taken, _OLDEST) if old.waits_for() is not None), None)
            if idle is None:
                return False
            self.leave(idle)
            idle.cut()
        self._taken[connection] = None
        if not self._looking:
            self._looking = True
            self._again(connection.loop)
        return True

    def leave(self, connection: Patient) -> None:
        """The connection has ended, or is a WebSocket from now on."""
        self._taken.pop(connection, None)
        self._waits.pop(connection, None)

    def _again(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(self._seconds / _LOOKS, lambda: self._look(loop, iter(list(self._taken))))

    def _look(self, loop: asyncio.AbstractEventLoop, rest: Any) -> None:
        """Look at some of them, and at the others a little later."""
        some, now = list(islice(rest, _SLICE)), loop.time()
        for connection in some:
            if connection in self._taken:
                self._judge(connection, now)
        if some:
            loop.call_soon(self._look, loop, rest)
        elif self._taken:
            self._again(loop)
        else:
            self._looking = False

    def _judge(self, connection: Patient, now: float) -> None:
        waits = connection.waits_for()
        known = self._waits.get(connection)
        if waits is None:
            self._waits.pop(connection, None)
        elif known is None or known[0] != waits:
            self._waits[connection] = waits, now
        elif now - known[1] >= self._seconds:
            self.leave(connection)
            connection.give_up()


class Patient(HttpToolsProtocol):
    """A connection whose client has a time to get on with what it has begun."""

    places: ClassVar[Places]
    received = 0
    """Bytes of bodies."""
    resumed = 0
    """How often a client has taken so much of an answer that the next part could be sent."""

    @classmethod
    def of(cls, places: Places) -> type[Patient]:
        """The class of the connections that share these places."""
        return type(cls.__name__, (cls,), {"places": places})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if not self.places.take(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.places.leave(self)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self.places.leave(self)
        super().handle_websocket_upgrade()

    def on_body(self, body: bytes) -> None:
        self.received += len(body)
        super().on_body(body)

    def resume_writing(self) -> None:
        self.resumed += 1
        super().resume_writing()

    def waits_for(self) -> tuple[Any, ...] | None:
        """With what the client keeps the server waiting, which changes as soon as it gets on; None where the server is at work."""
        unsent, cycle = self.transport.get_write_buffer_size(), self._current
        if unsent:
            return "answer", unsent, self.resumed
        if cycle is None or cycle.response_complete:
            return "head", cycle
        if cycle.more_body and not self.flow.read_paused:
            return "body", self.received // _PIECE
        return None

    def give_up(self) -> None:
        """End it; with a word for one that has begun to ask."""
        cycle = self._current
        answered = cycle is None or cycle.response_complete
        if self.transport.get_write_buffer_size() or (not answered and cycle is not None and cycle.response_started):
            self.cut()
            return
        asks = not answered or (self.timeout_keep_alive_task is None and bool(self.scope))
        if asks:
            self.transport.write(_LATE)
        self.transport.close()

    def cut(self) -> None:
        """End it at once; what is still at work on an answer finds nobody to send it to."""
        cycle = self._current
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.flow.resume_writing()
        self.transport.abort()

    @property
    def _current(self) -> RequestResponseCycle | None:
        """The request that is answered, or was the last one."""
        return cast("RequestResponseCycle | None", self.cycle)
