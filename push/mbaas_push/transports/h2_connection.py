"""One connection of the lane to a host: HTTP/2 (RFC 9113) as a client of many short requests needs it.

What is asked in one turn of the loop leaves in one write. Header blocks leave the other side's table alone, as it is told to do, so that
a block is read by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from mbaas_push.http2 import frames
from mbaas_push.http2.frames import Wrong, frame
from mbaas_push.http2.headers import Reader, Unreadable
from mbaas_push.transports.lane import MOST_BYTES, Broken, Reply

_STREAMS_AT_FIRST = 100
"""How many streams are opened where the other side sets no limit, as RFC 9113 recommends."""
_WINDOW = 1 << 20
"""What all answers together may hold before the other side is told that it may send more."""
_OF_STREAM = 2 * MOST_BYTES
_TABLE_BYTES = 0
"""What the other side may have us keep of its headers."""
_OURS = (
    (frames.HEADER_TABLE_SIZE, _TABLE_BYTES),
    (frames.ENABLE_PUSH, 0),
    (frames.INITIAL_WINDOW_SIZE, _OF_STREAM),
)
_MOST_OF_HEADERS = 65_536


@dataclass(slots=True)
class _Stream:
    """A request under way. `window`: bytes of it that may still leave."""

    answered: asyncio.Future[Reply]
    since: float
    window: int
    left: memoryview | None = None
    """What of the body the other side has not taken yet."""
    status: int = 0
    retry_after_s: int = 0
    body: bytearray = field(default_factory=bytearray)

    def fail(self, broken: Broken) -> None:
        """There will be no answer."""
        if not self.answered.done():
            self.answered.set_exception(broken)


class Connection(asyncio.Protocol):
    """`moved` is called when it has room for more requests, or has ended."""

    def __init__(self, moved: Callable[[], None]) -> None:
        self.ended = False
        """True when nothing more may be asked of it."""
        self.under_way, self.most = 0, _STREAMS_AT_FIRST
        """How many requests have no answer yet, those included that have been given a place only, and how many it takes at once."""
        self._loop = asyncio.get_running_loop()
        self.idle_since = self._loop.time()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self._moved = moved
        self._reader = Reader(_TABLE_BYTES)
        self._streams: dict[int, _Stream] = {}
        """In the order in which they were begun."""
        self._next = 1
        self._window, self._their_window, self._their_frame = frames.WINDOW, frames.WINDOW, frames.FRAME
        self._taken = 0
        """Bytes of answers since the other side was last told that it may send as many more."""
        self._block: tuple[int, int, bytes] | None = None
        """Headers that go on: their stream and flags."""
        self._unread, self._out = bytearray(), bytearray()
        self._leaving = 1
        """The first request of which nothing has left while there is something in `_out`."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            self.end("the other side speaks no HTTP/2")
            return
        self._write(frames.PREFACE + frames.with_settings(_OURS))
        self._send(frames.WINDOW_UPDATE, 0, 0, (_WINDOW - frames.WINDOW).to_bytes(4, "big"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(str(exc) if exc is not None else "the connection was closed")

    async def ask(self, block: bytes, body: bytes) -> Reply:
        """Send a request of these headers, on a place that was taken for it, and wait for its answer. Broken if there is none."""
        if self._transport is None or self._transport.is_closing():
            self.give_back()
            raise Broken("the connection was closed", left=False)
        number, self._next = self._next, self._next + 2
        if self._next > frames.LARGEST:
            # There are no more numbers.
            self._take_no_more()
        if not self._out:
            self._leaving = number
        stream = self._streams[number] = _Stream(self._loop.create_future(), self._loop.time(), self._their_window)
        self._send_head(number, block, end=not body)
        if body:
            stream.left = memoryview(body)
            self._send_body(number, stream)
        try:
            return await stream.answered
        except asyncio.CancelledError:
            # Nobody waits for it any more.
            self._give_up(number)
            raise

    def take(self) -> Connection:
        """Keep a place for a request."""
        self.under_way += 1
        return self

    def give_back(self) -> None:
        """Give back a place: its request has its end, or is not made."""
        self.under_way -= 1
        if not self.under_way:
            self.idle_since = self._loop.time()
            if self.ended and self._transport is not None:
                self._transport.close()
        self._moved()

    def expire(self, before: float) -> None:
        """Give up what was asked before that time, by the loop's clock: it may have been taken."""
        for number, stream in list(self._streams.items()):
            if stream.since > before:
                return
            stream.fail(Broken("no answer in time", left=True))
            self._give_up(number)

    def end(self, reason: str) -> None:
        """End it now. Of what is under way, and had left, nobody knows whether it was taken."""
        self._take_no_more()
        if self._transport is not None:
            self._transport.abort()
        if not self.ready.done():
            self.ready.set_exception(OSError(reason))
        streams, self._streams = self._streams, {}
        for number, stream in streams.items():
            stream.fail(Broken(reason, left=not self._out or number < self._leaving))
        self.under_way -= len(streams)
        self._moved()

    def _give_up(self, number: int) -> None:
        if self._streams.pop(number, None) is not None:
            self._send(frames.RESET, 0, number, frames.CANCEL.to_bytes(4, "big"))
            self.give_back()

    def _take_no_more(self) -> None:
        self.ended, self.most = True, 0

    def _send_head(self, number: int, block: bytes, *, end: bool) -> None:
        flags, most = frames.END_STREAM if end else 0, self._their_frame
        if len(block) <= most:
            self._send(frames.HEADERS, flags | frames.END_HEADERS, number, block)
            return
        self._send(frames.HEADERS, flags, number, block[:most])
        for at in range(most, len(block), most):
            last = at + most >= len(block)
            self._send(frames.CONTINUATION, frames.END_HEADERS if last else 0, number, block[at : at + most])

    def _send_body(self, number: int, stream: _Stream) -> None:
        """Send as much of a body as the other side takes now; it says when it takes more."""
        left = stream.left
        while left and (room := min(self._window, stream.window, self._their_frame)) > 0:
            part, left = left[:room], left[room:]
            self._window -= len(part)
            stream.window -= len(part)
            self._send(frames.DATA, 0 if left else frames.END_STREAM, number, bytes(part))
        stream.left = left or None

    def _send_what_is_left(self) -> None:
        for number, stream in [(number, stream) for number, stream in self._streams.items() if stream.left]:
            self._send_body(number, stream)

    def _send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self._write(frame(kind, flags, stream, payload))

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out += data

    def _flush(self) -> None:
        out, self._out = self._out, bytearray()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(out)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        try:
            for kind, flags, stream, payload in frames.whole(self._unread):
                self._take(kind, flags, stream, payload)
        except (Wrong, Unreadable, ValueError) as wrong:
            code = wrong.code if isinstance(wrong, Wrong) else frames.COMPRESSION_ERROR
            self._send(frames.GOAWAY, 0, 0, bytes(4) + code.to_bytes(4, "big"))
            self._flush()
            self.end("the other side does not keep to HTTP/2")
            return
        if self._taken > _WINDOW // 2:
            self._send(frames.WINDOW_UPDATE, 0, 0, self._taken.to_bytes(4, "big"))
            self._taken = 0

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and (kind != frames.CONTINUATION or number != self._block[0]):
            raise Wrong(frames.PROTOCOL_ERROR)
        if kind == frames.HEADERS:
            self._take_headers(number, flags, frames.block_of(flags, payload))
        elif kind == frames.DATA:
            self._take_data(number, flags, payload)
        elif kind == frames.CONTINUATION:
            if self._block is None:
                raise Wrong(frames.PROTOCOL_ERROR)
            _, first, block = self._block
            self._take_headers(number, first | flags & frames.END_HEADERS, block + payload)
        elif kind == frames.SETTINGS:
            self._take_settings(flags, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._take_window(number, int.from_bytes(payload, "big") & frames.LARGEST)
        elif kind == frames.PING and not flags & frames.ACK:
            self._send(frames.PING, frames.ACK, 0, payload)
        elif kind == frames.RESET:
            self._take_reset(number, int.from_bytes(payload, "big"))
        elif kind == frames.GOAWAY:
            self._take_farewell(int.from_bytes(payload[:4], "big") & frames.LARGEST)
        elif kind == frames.PUSH_PROMISE:
            raise Wrong(frames.PROTOCOL_ERROR)

    def _take_headers(self, number: int, flags: int, block: bytes) -> None:
        if len(block) > _MOST_OF_HEADERS:
            raise Wrong(frames.PROTOCOL_ERROR)
        if not flags & frames.END_HEADERS:
            self._block = number, flags, block
            return
        self._block = None
        head = self._reader.read(block)
        if (stream := self._streams.get(number)) is None:
            return
        status = int(head.get(":status", stream.status or 0))
        if status >= 200:
            # Others come before the answer, and say nothing that matters here.
            stream.status = status
            after = head.get("retry-after", "")
            stream.retry_after_s = int(after) if after.isascii() and after.isdecimal() else stream.retry_after_s
        if flags & frames.END_STREAM:
            self._answer(number, stream)

    def _take_data(self, number: int, flags: int, payload: bytes) -> None:
        self._taken += len(payload)
        if (stream := self._streams.get(number)) is None:
            return
        stream.body += frames.unpadded(flags, payload)
        if len(stream.body) > MOST_BYTES:
            stream.body.clear()
            self._answer(number, stream, whole=False)
        elif flags & frames.END_STREAM:
            self._answer(number, stream)

    def _answer(self, number: int, stream: _Stream, *, whole: bool = True) -> None:
        if not stream.status:
            raise Wrong(frames.PROTOCOL_ERROR)
        del self._streams[number]
        if not stream.answered.done():
            stream.answered.set_result(Reply(stream.status, bytes(stream.body), stream.retry_after_s))
        if stream.left or not whole:
            # It was answered before all was said, or says more than anybody reads.
            self._send(frames.RESET, 0, number, frames.CANCEL.to_bytes(4, "big"))
        self.give_back()

    def _take_settings(self, flags: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        for name, value in frames.settings(payload):
            if name == frames.MAX_CONCURRENT_STREAMS:
                self.most = 0 if self.ended else value
            elif name == frames.INITIAL_WINDOW_SIZE:
                if value > frames.LARGEST:
                    raise Wrong(frames.FLOW_CONTROL_ERROR)
                for stream in self._streams.values():
                    stream.window += value - self._their_window
                self._their_window = value
            elif name == frames.MAX_FRAME_SIZE:
                self._their_frame = max(value, frames.FRAME)
        self._send(frames.SETTINGS, frames.ACK, 0)
        self._send_what_is_left()
        if not self.ready.done():
            self.ready.set_result(None)
        self._moved()

    def _take_window(self, number: int, more: int) -> None:
        if number == 0:
            self._window += more
        elif (stream := self._streams.get(number)) is not None:
            stream.window += more
        self._send_what_is_left()

    def _take_reset(self, number: int, code: int) -> None:
        if (stream := self._streams.pop(number, None)) is not None:
            stream.fail(Broken("the stream was reset", left=code != frames.REFUSED_STREAM))
            self.give_back()

    def _take_farewell(self, last: int) -> None:
        """The other side takes no more; what it has not processed fails, and the rest may still be answered."""
        self._take_no_more()
        for number in [number for number in self._streams if number > last]:
            self._streams.pop(number).fail(Broken("the provider says farewell", left=False))
            self.give_back()
        if not self.under_way and self._transport is not None:
            self._transport.close()
