"""The mock's connections: HTTP/2 (RFC 9113) over TLS, as much of it as those who send messages need.

Not by the `h2` package, with which a message costs the mock several times what it costs its sender: as they share a machine, the mock
would be all that is measured.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from mbaas_push.mock.headers import Reader, Unreadable, written
from mbaas_push.mock.providers import Answered, answer
from mbaas_push.mock.script import Script

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 3, 4, 5
_PROTOCOL_ERROR, _FLOW_CONTROL_ERROR, _FRAME_SIZE_ERROR, _COMPRESSION_ERROR = 1, 3, 6, 9
_FRAME, _WINDOW, _LARGEST_WINDOW = 16_384, 65_535, (1 << 31) - 1
_MOST_OF_HEADERS = 65_536


class _Wrong(Exception):
    """The other side does what it must not: the connection ends."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Stream:
    """One request and its answer. `room` and `window`: bytes that may still come, and go."""

    room: int
    window: int
    head: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    taken: bool = False
    left: memoryview | None = None
    """What is left of the answer that the other side does not take yet."""


class Connection(asyncio.Protocol):
    """One connection of a sender."""

    def __init__(self, script: Script) -> None:
        self._script, self._reader = script, Reader()
        self._transport: asyncio.Transport | None = None
        self._unread, self._out = bytearray(), bytearray()
        self._greeted = False
        self._streams: dict[int, _Stream] = {}
        self._last = 0
        self._block: tuple[int, int, bytes] | None = None
        """Headers that go on: their stream and flags."""
        self._used = 0
        """Bytes of messages since the other side was last told that it may send as many more."""
        self._limits = 1 << 31, _WINDOW
        """How many streams, and bytes of each, the other side may send: what it has confirmed, as until then it may send more."""
        self._window, self._their_window, self._their_frame = _WINDOW, _WINDOW, _FRAME
        self._messages = 0
        self._leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            self._transport.close()
            return
        self._told = self._script.streams, self._script.window
        pairs = zip((_MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE), self._told, strict=True)
        self._frame(_SETTINGS, 0, 0, b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in pairs))
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._unread += data
        try:
            self._read()
        except (_Wrong, Unreadable) as wrong:
            self._farewell(wrong.code if isinstance(wrong, _Wrong) else _COMPRESSION_ERROR)
            return
        if self._used:
            self._frame(_WINDOW_UPDATE, 0, 0, self._used.to_bytes(4, "big"))
            self._used = 0
        self._flush()
        if self._leaving:
            self._farewell(0, b'{"reason":"Shutdown"}')

    def _read(self) -> None:
        """Take the frames that have come whole."""
        unread, at = self._unread, 0
        if not self._greeted:
            if len(unread) < len(_PREFACE):
                return
            if not unread.startswith(_PREFACE):
                raise _Wrong(_PROTOCOL_ERROR)
            self._greeted, at = True, len(_PREFACE)
        data = bytes(unread)
        while len(data) - at >= 9:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            if length > _FRAME:
                raise _Wrong(_FRAME_SIZE_ERROR)
            end = at + 9 + length
            if end > len(data):
                break
            self._take(data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big") & _LARGEST_WINDOW, data[at + 9 : end])
            at = end
        del unread[:at]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and (kind != _CONTINUATION or stream != self._block[0]):
            raise _Wrong(_PROTOCOL_ERROR)
        if kind == _DATA:
            self._take_data(flags, stream, payload)
        elif kind == _HEADERS:
            block = _unpadded(flags, payload)
            self._take_headers(stream, flags, block[5:] if flags & _PRIORITY else block)
        elif kind == _CONTINUATION:
            if self._block is None:
                raise _Wrong(_PROTOCOL_ERROR)
            _, first, block = self._block
            self._take_headers(stream, first | flags & _END_HEADERS, block + payload)
        elif kind == _RESET:
            self._streams.pop(stream, None)
        elif kind == _SETTINGS:
            self._take_settings(flags, payload)
        elif kind == _PING and not flags & _ACK:
            self._frame(_PING, _ACK, 0, payload)
        elif kind == _WINDOW_UPDATE:
            self._take_window(stream, int.from_bytes(payload, "big") & _LARGEST_WINDOW)

    def _take_headers(self, stream: int, flags: int, block: bytes) -> None:
        if len(block) > _MOST_OF_HEADERS:
            raise _Wrong(_PROTOCOL_ERROR)
        if not flags & _END_HEADERS:
            self._block = stream, flags, block
            return
        self._block = None
        head = self._reader.read(block)
        if stream not in self._streams:
            if stream % 2 == 0 or stream <= self._last or len(self._streams) >= self._limits[0]:
                raise _Wrong(_PROTOCOL_ERROR)
            self._last = stream
            self._streams[stream] = _Stream(self._limits[1], self._their_window, head)
        if flags & _END_STREAM:
            self._answer_to(stream)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        self._used += len(payload)
        if self._used > _WINDOW or number > self._last:
            raise _Wrong(_FLOW_CONTROL_ERROR if self._used > _WINDOW else _PROTOCOL_ERROR)
        stream = self._streams.get(number)
        if stream is None:
            # It has been given up meanwhile.
            return
        stream.room -= len(payload)
        if stream.room < 0 or stream.taken:
            raise _Wrong(_FLOW_CONTROL_ERROR if stream.room < 0 else _PROTOCOL_ERROR)
        stream.body += _unpadded(flags, payload)
        if flags & _END_STREAM:
            self._answer_to(number)
        elif payload:
            stream.room += len(payload)
            self._frame(_WINDOW_UPDATE, 0, number, len(payload).to_bytes(4, "big"))

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if flags & _ACK:
            more = self._told[1] - self._limits[1]
            self._limits = self._told
            for stream in self._streams.values():
                stream.room += more
            return
        for at in range(0, len(payload) - 5, 6):
            name, value = int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big")
            if name == _INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._their_window
                self._their_window = value
            elif name == _MAX_FRAME_SIZE:
                self._their_frame = value
        self._frame(_SETTINGS, _ACK, 0)
        self._send_what_is_left()

    def _take_window(self, number: int, more: int) -> None:
        if number == 0:
            self._window += more
        elif (stream := self._streams.get(number)) is not None:
            stream.window += more
        self._send_what_is_left()

    def _answer_to(self, number: int) -> None:
        """A request is there: have it answered, at once or later."""
        stream, script = self._streams[number], self._script
        if stream.taken or not {":method", ":path"} <= stream.head.keys():
            raise _Wrong(_PROTOCOL_ERROR)
        stream.taken = True
        answered = answer(script, stream.head[":method"], stream.head[":path"], stream.head, bytes(stream.body))
        reply = answered.reply
        self._messages += reply is not None
        if reply is not None and (reply.drop or (script.reset_every and self._messages % script.reset_every == 0)):
            assert self._transport is not None
            self._transport.abort()
            return
        latency = script.latency_ms if reply is None or reply.latency_ms is None else reply.latency_ms
        if latency and reply is not None:
            asyncio.get_running_loop().call_later(latency / 1000, self._answer_later, number, answered)
        else:
            # It leaves with the others of what was received together.
            self._answer(number, answered)
        if reply is not None and script.goaway_every and self._messages % script.goaway_every == 0:
            self._leaving = True

    def _answer_later(self, number: int, answered: Answered) -> None:
        self._answer(number, answered)
        self._flush()

    def _answer(self, number: int, answered: Answered) -> None:
        stream = self._streams.get(number)
        if stream is None:
            # The sender has given it up.
            return
        block = written(answered.status, answered.headers)
        self._frame(_HEADERS, _END_HEADERS | (0 if answered.body else _END_STREAM), number, block)
        if answered.body:
            stream.left = memoryview(answered.body)
            self._send(number, stream)
        else:
            del self._streams[number]

    def _send_what_is_left(self) -> None:
        for number, stream in [(number, stream) for number, stream in self._streams.items() if stream.left]:
            self._send(number, stream)

    def _send(self, number: int, stream: _Stream) -> None:
        """Send as much of an answer as the other side takes now; it says when it takes more."""
        left = stream.left
        while left and (room := min(self._window, stream.window, self._their_frame)) > 0:
            part, left = bytes(left[:room]), left[room:]
            self._window -= len(part)
            stream.window -= len(part)
            self._frame(_DATA, 0 if left else _END_STREAM, number, part)
        stream.left = left
        if not left:
            del self._streams[number]

    def _farewell(self, code: int, told: bytes = b"") -> None:
        assert self._transport is not None
        self._frame(_GOAWAY, 0, 0, self._last.to_bytes(4, "big") + code.to_bytes(4, "big") + told)
        self._flush()
        self._transport.close()

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self._out += len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(bytes(self._out))
        self._out.clear()


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise _Wrong(_PROTOCOL_ERROR)
    return payload[1 : len(payload) - payload[0]]


@asynccontextmanager
async def listening(script: Script, certificate: Path, key: Path, port: int = 0) -> AsyncIterator[int]:
    """The mock on loopback; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(script), "127.0.0.1", port, ssl=context, backlog=512)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
