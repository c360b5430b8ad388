"""The lane by h2 on the event loop, for machines without libcurl. Source: RFC 9113.

What the other side says that it has not processed (REFUSED_STREAM, or a stream beyond the last one of a GOAWAY) may be sent again; of what
else had left when a connection ended nobody knows.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from mbaas_push.transports.lane import CONNECT_SECONDS, CONNECTIONS, MOST_BYTES, SECONDS, Broken, Check, Reply

_STREAMS = 100
"""How many a connection has before another one is made, where the other side takes more."""
_WINDOW = 1 << 20
Origin = tuple[str, int]


class H2Lane:
    """With `check` every address is looked at before it is dialled, for hosts that devices name."""

    def __init__(self, ca_file: Path | None = None, check: Check | None = None) -> None:
        self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_alpn_protocols(["h2"])
        self._check = check
        self._hosts: dict[Origin, _Host] = {}

    async def ask(self, method: str, url: str, headers: Sequence[str], body: bytes) -> Reply:
        """Send a request, and wait for its answer. Broken if there is none."""
        parts = urlsplit(url)
        origin = parts.hostname or "", parts.port or 443
        host = self._hosts.get(origin)
        if host is None:
            host = self._hosts[origin] = _Host()
        connection = await self._free(host, origin)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        named = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in headers)]
        head = [(":method", method), (":scheme", "https"), (":authority", parts.netloc), (":path", path), *named]
        return await connection.ask(head, body)

    async def close(self) -> None:
        """End what is under way, and let go of the connections."""
        for host in self._hosts.values():
            for connection in host.connections:
                connection.abort()
        self._hosts.clear()

    async def _free(self, host: _Host, origin: Origin) -> _Connection:
        """A connection with room for one more request, which is its own until it asks."""
        loop = asyncio.get_running_loop()
        end = loop.time() + SECONDS
        while True:
            host.connections = [each for each in host.connections if not each.ended]
            best = min(host.connections, key=_under_way, default=None)
            if best is not None and best.room and (best.under_way < _STREAMS or len(host.connections) >= CONNECTIONS):
                best.under_way += 1
                return best
            if len(host.connections) < CONNECTIONS and not host.making.locked():
                async with host.making:
                    made = await self._connected(origin, host.moved)
                    host.connections.append(made)
                continue
            # Another one makes a connection, or all are full.
            host.moved.clear()
            if loop.time() > end:
                raise Broken("no connection has room", left=False)
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await host.moved.wait()

    async def _connected(self, origin: Origin, moved: asyncio.Event) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                given = await self._dialled(origin)
                _, made = await loop.create_connection(lambda: _Connection(moved), sock=given, ssl=self._context, server_hostname=origin[0])
                await made.ready
        except (OSError, TimeoutError) as error:
            raise Broken(str(error) or "no connection in time", left=False) from None
        finally:
            moved.set()
        return made

    async def _dialled(self, origin: Origin) -> socket.socket:
        """A socket to the first address of a host that answers, of those that may be connected to."""
        loop, last = asyncio.get_running_loop(), OSError("the host has no address")
        for family, kind, protocol, _, where in await loop.getaddrinfo(*origin, type=socket.SOCK_STREAM):
            try:
                if self._check is not None:
                    self._check(str(where[0]))
            except Exception:
                last = OSError("the address is not one that may be connected to")
                continue
            given = socket.socket(family, kind, protocol)
            given.setblocking(False)
            try:
                await loop.sock_connect(given, where)
            except OSError as error:
                given.close()
                last = error
            except BaseException:
                given.close()
                raise
            else:
                return given
        raise last


@dataclass(slots=True)
class _Host:
    """The connections to one."""

    connections: list[_Connection] = field(default_factory=list)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when one has more room, or has ended."""


@dataclass(slots=True)
class _Stream:
    """A request under way."""

    answered: asyncio.Future[Reply]
    left: memoryview
    """What of the body the other side has not taken yet."""
    begun: bool = False
    status: int = 0
    retry_after_s: int = 0
    body: bytearray = field(default_factory=bytearray)
    full: bool = False
    """The answer is longer than is read."""

    def begin(self, headers: Iterable[tuple[str | bytes, str | bytes]]) -> None:
        """Its answer's head."""
        named = {str(name): str(value) for name, value in headers}
        self.status = int(named[":status"])
        after = named.get("retry-after", "")
        self.retry_after_s = int(after) if after.isdecimal() else 0

    def takes(self, part: bytes) -> bool:
        """Keep a part of its answer; False if no more is to be read."""
        self.full = len(self.body) + len(part) > MOST_BYTES
        self.body = bytearray() if self.full else self.body + part
        return not self.full

    def fail(self, broken: Broken) -> None:
        """There will be no answer."""
        if not self.answered.done():
            self.answered.set_exception(broken)


class _Connection(asyncio.Protocol):
    def __init__(self, moved: asyncio.Event) -> None:
        self.under_way = 0
        self.ended = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._moved = moved
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._streams: dict[int, _Stream] = {}
        self._transport: asyncio.Transport | None = None

    @property
    def room(self) -> bool:
        """True if the other side takes one more request."""
        return self.under_way < self._h2.remote_settings.max_concurrent_streams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            self._end("the other side speaks no HTTP/2")
            return
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except h2.exceptions.ProtocolError as error:
            self._end(str(error))
            return
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc is not None else "the connection was closed")

    async def ask(self, head: list[tuple[str, str]], body: bytes) -> Reply:
        """Send a request on a place that is taken for it; the place is given back."""
        stream: int | None = None
        try:
            if self.ended:
                raise Broken("the connection was closed", left=False)
            stream = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream, head)
            waits = self._streams[stream] = _Stream(asyncio.get_running_loop().create_future(), memoryview(body))
            self._send_body(stream, waits)
            self._flush()
            async with asyncio.timeout(SECONDS):
                return await waits.answered
        except TimeoutError:
            raise Broken("no answer in time", left=True) from None
        except h2.exceptions.ProtocolError as error:
            raise Broken(str(error), left=False) from None
        finally:
            if stream is not None and self._streams.pop(stream, None) is not None and not self.ended:
                # Nobody waits for it any more.
                with suppress(h2.exceptions.ProtocolError):
                    self._h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
                self._flush()
            self.under_way -= 1
            self._moved.set()
            if self.ended and not self._streams and self._transport is not None:
                self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._end("the lane is closed")

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            if not self.ready.done():
                self.ready.set_result(None)
            self._moved.set()
        elif isinstance(event, h2.events.WindowUpdated):
            for number, waits in list(self._streams.items()):
                if waits.left and event.stream_id in (0, number):
                    self._send_body(number, waits)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._farewell(event.last_stream_id or 0)
        elif isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.stream_id in self._streams and not self._streams[event.stream_id].takes(event.data):
                self._answer(event.stream_id)
        elif isinstance(event, h2.events.ResponseReceived) and event.stream_id in self._streams:
            self._streams[event.stream_id].begin(event.headers)
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self._streams:
            self._answer(event.stream_id)
        elif isinstance(event, h2.events.StreamReset) and event.stream_id in self._streams:
            waits = self._streams.pop(event.stream_id)
            refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
            waits.fail(Broken("the stream was reset", left=not refused and waits.begun))

    def _answer(self, stream: int) -> None:
        waits = self._streams.pop(stream)
        if not waits.answered.done():
            waits.answered.set_result(Reply(waits.status, bytes(waits.body), waits.retry_after_s))
        if waits.left or waits.full:
            # It was answered before all was said.
            self._h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)

    def _send_body(self, stream: int, waits: _Stream) -> None:
        """Send as much of a body as the other side takes now."""
        while (room := min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)) > 0:
            part, waits.left = waits.left[:room], waits.left[room:]
            waits.begun = True
            self._h2.send_data(stream, bytes(part), end_stream=not waits.left)
            if not waits.left:
                return

    def _farewell(self, last: int) -> None:
        """The other side takes no more; what it has not processed fails, and the rest may still be answered."""
        self.ended = True
        for number in [number for number in self._streams if number > last]:
            self._streams.pop(number).fail(Broken("the provider says farewell", left=False))
        self._moved.set()

    def _end(self, reason: str) -> None:
        self.ended = True
        if self._transport is not None:
            self._transport.abort()
        if not self.ready.done():
            self.ready.set_exception(OSError(reason))
        for waits in self._streams.values():
            waits.fail(Broken(reason, left=waits.begun))
        self._streams.clear()
        self._moved.set()

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and (data := self._h2.data_to_send()):
            self._transport.write(data)


def _under_way(connection: _Connection) -> int:
    return connection.under_way
