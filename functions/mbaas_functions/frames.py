"""Messages between the server and a worker: four bytes of length, most significant first, then JSON. Never pickle."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import orjson

from mbaas.kernel.values import Object

MOST_BYTES = 24 * 1024 * 1024
_HEAD = 4


class Unsound(Exception):
    """Raised by who receives a message that is none of those that there are."""


class Frames(asyncio.Protocol):
    """One end of the connection. `lost` is called once, when it has ended or the other end sends what is no message; `drained`
    when `full` has become False again."""

    def __init__(self, receive: Callable[[Object], None], lost: Callable[[], None], drained: Callable[[], None] = lambda: None) -> None:
        self._receive, self._lost, self._drained = receive, lost, drained
        self.full = False
        """True while the other end has not taken all that was sent: it would be lost with this process."""
        self.unsound = False
        """True once the other end has sent what is no message: nothing more is heard of it then."""
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # What is written is handed to the system at once, or else known not to have been.
        self._transport.set_write_buffer_limits(high=0)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._drained()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        while not self.unsound and len(buffer) - at >= _HEAD:
            length = int.from_bytes(buffer[at : at + _HEAD], "big")
            if length <= MOST_BYTES and len(buffer) - at - _HEAD < length:
                break
            at += _HEAD
            try:
                if length > MOST_BYTES:
                    raise Unsound
                self._receive(_message(memoryview(buffer)[at : at + length]))
            except Unsound:
                self.unsound = True
                self.abort()
            at += length
        del buffer[:at]

    def send(self, message: Object) -> None:
        """Send a message; to an end that is gone it is lost. ValueError or TypeError for what cannot be sent."""
        data = orjson.dumps(message)
        if len(data) > MOST_BYTES:
            raise ValueError(f"a message has no more than {MOST_BYTES // 1024 // 1024} MB")
        if not self._out:
            # What is sent in one turn of the loop goes together: each write wakes the other process.
            asyncio.get_running_loop().call_soon(self._flush)
        self._out += (len(data).to_bytes(_HEAD, "big"), data)

    def _flush(self) -> None:
        parts, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(parts))

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()


def _message(data: memoryview) -> Object:
    """Unsound if it is none."""
    try:
        message = orjson.loads(data)
    except ValueError as error:
        raise Unsound from error
    if not isinstance(message, dict):
        raise Unsound
    return message


def read_one(connection: socket.socket) -> Object | None:
    """Wait for one message, and read nothing beyond it; None if the other end is gone."""
    head = connection.recv(_HEAD, socket.MSG_WAITALL)
    length = int.from_bytes(head, "big")
    data = connection.recv(length, socket.MSG_WAITALL) if len(head) == _HEAD else b""
    return cast("Object", orjson.loads(data)) if data and len(data) == length else None
