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

from mbaas_push.http2 import frames
from mbaas_push.http2.frames import Wrong
from mbaas_push.http2.headers import Reader, Unreadable, written
from mbaas_push.mock.providers import Answered, answer
from mbaas_push.mock.script import Script

_MOST_OF_HEADERS = 65_536


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
        self._limits = 1 << 31, frames.WINDOW
        """How many streams, and bytes of each, the other side may send: what it has confirmed, as until then it may send more."""
        self._window, self._their_window, self._their_frame = frames.WINDOW, frames.WINDOW, frames.FRAME
        self._messages = 0
        self._leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            self._transport.close()
            return
        self._told = self._script.streams, self._script.window
        pairs = zip((frames.MAX_CONCURRENT_STREAMS, frames.INITIAL_WINDOW_SIZE), self._told, strict=True)
        self._out += frames.with_settings(pairs)
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._unread += data
        try:
            self._read()
        except (Wrong, Unreadable) as wrong:
            self._farewell(wrong.code if isinstance(wrong, Wrong) else frames.COMPRESSION_ERROR)
            return
        if self._used:
            self._frame(frames.WINDOW_UPDATE, 0, 0, self._used.to_bytes(4, "big"))
            self._used = 0
        self._flush()
        if self._leaving:
            self._farewell(0, b'{"reason":"Shutdown"}')

    def _read(self) -> None:
        """Take the frames that have come whole."""
        if not self._greeted:
            if len(self._unread) < len(frames.PREFACE):
                return
            if not self._unread.startswith(frames.PREFACE):
                raise Wrong(frames.PROTOCOL_ERROR)
            self._greeted = True
            del self._unread[: len(frames.PREFACE)]
        for each in frames.whole(self._unread):
            self._take(*each)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and (kind != frames.CONTINUATION or stream != self._block[0]):
            raise Wrong(frames.PROTOCOL_ERROR)
        if kind == frames.DATA:
            self._take_data(flags, stream, payload)
        elif kind == frames.HEADERS:
            self._take_headers(stream, flags, frames.block_of(flags, payload))
        elif kind == frames.CONTINUATION:
            if self._block is None:
                raise Wrong(frames.PROTOCOL_ERROR)
            _, first, block = self._block
            self._take_headers(stream, first | flags & frames.END_HEADERS, block + payload)
        elif kind == frames.RESET:
            self._streams.pop(stream, None)
        elif kind == frames.SETTINGS:
            self._take_settings(flags, payload)
        elif kind == frames.PING and not flags & frames.ACK:
            self._frame(frames.PING, frames.ACK, 0, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._take_window(stream, int.from_bytes(payload, "big") & frames.LARGEST)

    def _take_headers(self, stream: int, flags: int, block: bytes) -> None:
        if len(block) > _MOST_OF_HEADERS:
            raise Wrong(frames.PROTOCOL_ERROR)
        if not flags & frames.END_HEADERS:
            self._block = stream, flags, block
            return
        self._block = None
        head = self._reader.read(block)
        if stream not in self._streams:
            if stream % 2 == 0 or stream <= self._last or len(self._streams) >= self._limits[0]:
                raise Wrong(frames.PROTOCOL_ERROR)
            self._last = stream
            self._streams[stream] = _Stream(self._limits[1], self._their_window, head)
        if flags & frames.END_STREAM:
            self._answer_to(stream)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        self._used += len(payload)
        if self._used > frames.WINDOW or number > self._last:
            raise Wrong(frames.FLOW_CONTROL_ERROR if self._used > frames.WINDOW else frames.PROTOCOL_ERROR)
        stream = self._streams.get(number)
        if stream is None:
            # It has been given up meanwhile.
            return
        stream.room -= len(payload)
        if stream.room < 0 or stream.taken:
            raise Wrong(frames.FLOW_CONTROL_ERROR if stream.room < 0 else frames.PROTOCOL_ERROR)
        stream.body += frames.unpadded(flags, payload)
        if flags & frames.END_STREAM:
            self._answer_to(number)
        elif payload:
            stream.room += len(payload)
            self._frame(frames.WINDOW_UPDATE, 0, number, len(payload).to_bytes(4, "big"))

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            more = self._told[1] - self._limits[1]
            self._limits = self._told
            for stream in self._streams.values():
                stream.room += more
            return
        for name, value in frames.settings(payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._their_window
                self._their_window = value
            elif name == frames.MAX_FRAME_SIZE:
                self._their_frame = value
        self._frame(frames.SETTINGS, frames.ACK, 0)
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
            raise Wrong(frames.PROTOCOL_ERROR)
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
        self._frame(frames.HEADERS, frames.END_HEADERS | (0 if answered.body else frames.END_STREAM), number, block)
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
            self._frame(frames.DATA, 0 if left else frames.END_STREAM, number, part)
        stream.left = left
        if not left:
            del self._streams[number]

    def _farewell(self, code: int, told: bytes = b"") -> None:
        assert self._transport is not None
        self._frame(frames.GOAWAY, 0, 0, self._last.to_bytes(4, "big") + code.to_bytes(4, "big") + told)
        self._flush()
        self._transport.close()

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self._out += frames.frame(kind, flags, stream, payload)

    def _flush(self) -> None:
        if self._out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(bytes(self._out))
        self._out.clear()


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
