"""The lane by HTTP/2 of its own on the event loop. Source: RFC 9113.

What the other side says that it has not processed (REFUSED_STREAM, or a stream beyond the last one of a GOAWAY) may be sent again; of what
else had been asked when a connection ended nobody knows.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from pathlib import Path
from urllib.parse import quote, urlsplit

from mbaas.kernel.tasks import end
from mbaas_push.http2.headers import asked
from mbaas_push.transports.h2_connection import Connection
from mbaas_push.transports.lane import CONNECT_SECONDS, CONNECTIONS, SECONDS, Broken, Check, Own, Reply

_STREAMS = 10
"""How many a connection has before another one is made: what breaks takes all that are under way on it along."""
_LOOK_SECONDS = 1.0
_REST_SECONDS = 1.0
_IDLE_SECONDS = 60.0
"""A connection without requests is closed after so long: devices may name any number of hosts."""
_PLAIN = "!$&'()*+,;=:@/?%-._~"
"""What a path holds as it is, beside letters and digits."""


class H2Lane:
    """With `check` every address is looked at before it is dialled, for hosts that devices name."""

    def __init__(self, ca_file: Path | None = None, check: Check | None = None) -> None:
        self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_alpn_protocols(["h2"])
        self._check = check
        self._hosts: dict[str, _Host] = {}
        """By what URLs call them."""
        self._looking: asyncio.TimerHandle | None = None

    async def ask(self, method: str, url: str, headers: tuple[str, ...], body: bytes, own: Own = ()) -> Reply:
        """Send a request, and wait for its answer. Broken if there is none."""
        _, _, rest = url.partition("://")
        named, _, path = rest.partition("/")
        host = self._hosts.get(named)
        if host is None:
            host = self._hosts[named] = _Host(named, self._context, self._check)
            self._look_later()
        path = "/" + path.partition("#")[0]
        if not (path.isascii() and path.isprintable()) or " " in path:
            path = quote(path, safe=_PLAIN)
        block = asked(method, host.authority, path, headers, own)
        connection = host.free() or await host.wait()
        return await connection.ask(block, body)

    def _look_later(self) -> None:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Give up what is not answered in time, and let go of what nobody needs."""
        self._looking = None
        now = asyncio.get_running_loop().time()
        for named, host in list(self._hosts.items()):
            host.look(now)
            if host.unused:
                del self._hosts[named]
        if self._hosts:
            self._look_later()

    async def close(self) -> None:
        """End what is under way, and let go of the connections."""
        if self._looking is not None:
            self._looking.cancel()
        hosts, self._hosts = self._hosts, {}
        for host in hosts.values():
            await host.close()


class _Host:
    """The connections to one, of which the one with the fewest requests has the next."""

    def __init__(self, named: str, context: ssl.SSLContext, check: Check | None) -> None:
        self.authority = named.rpartition("@")[2]
        self._named, self._context, self._check = named, context, check
        self._connections: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection]] = deque()
        """Those for whom no connection has room, the first that came at the beginning."""
        self._making: set[asyncio.Task[None]] = set()
        self._refused_until = 0.0
        """Until when no more connections are asked for than there are, since one could not be had."""

    @property
    def unused(self) -> bool:
        """True if nothing is lost with it."""
        return not self._connections and not self._waiting and not self._making

    def free(self) -> Connection | None:
        """A place for a request on the connection with the fewest, if one has room and nobody waits for that."""
        if self._waiting or (best := self._best()) is None:
            return None
        if best.under_way >= _STREAMS and len(self._connections) < CONNECTIONS:  # that is asked for each message: the rest costs more
            self._make()
        return best.take()

    def _best(self) -> Connection | None:
        best, fewest = None, 1 << 31
        for each in self._connections:
            if each.under_way < fewest and each.under_way < each.most:
                best, fewest = each, each.under_way
        return best

    async def wait(self) -> Connection:
        """A place for a request, when there is one. Broken if there is none in time."""
        waits: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._waiting.append(waits)
        self._make()
        try:
            async with asyncio.timeout(SECONDS):
                return await waits
        except BaseException as error:
            if waits in self._waiting:
                self._waiting.remove(waits)
            elif not waits.cancelled() and waits.exception() is None:
                # It was given one just then.
                waits.result().give_back()
            if isinstance(error, TimeoutError):
                raise Broken("no connection has room", left=False) from None
            raise

    def look(self, now: float) -> None:
        """Give up what is not answered in time, and connections that nobody needs."""
        for connection in self._connections:
            connection.expire(now - SECONDS)
            if not connection.under_way and now - connection.idle_since > _IDLE_SECONDS:
                connection.end("nobody needs it")
        self._connections = [each for each in self._connections if not each.ended]

    async def close(self) -> None:
        """End what is under way."""
        await end([*self._making])
        for connection in self._connections:
            connection.end("the lane is closed")
        self._refuse("the lane is closed")

    def _moved(self) -> None:
        """A connection has room, or has ended."""
        while self._waiting and (best := self._best()) is not None:
            if best.under_way >= _STREAMS and self._making:
                # Those that are being made have room for these.
                return
            waits = self._waiting.popleft()
            if not waits.done():
                waits.set_result(best.take())
        if self._waiting:
            self._make()

    def _refuse(self, reason: str) -> None:
        while self._waiting:
            waits = self._waiting.popleft()
            if not waits.done():
                waits.set_exception(Broken(reason, left=False))

    def _make(self) -> None:
        """Have as many connections as there are requests for, and may be."""
        there = [each for each in self._connections if not each.ended]
        if there and asyncio.get_running_loop().time() < self._refused_until:
            return
        wanted = min(CONNECTIONS, 1 + (sum(each.under_way for each in there) + len(self._waiting)) // _STREAMS)
        while len(there) + len(self._making) < wanted:
            making = asyncio.create_task(self._connect())
            self._making.add(making)
            making.add_done_callback(self._made)

    def _made(self, making: asyncio.Task[None]) -> None:
        """One more is there, or could not be had."""
        self._making.discard(making)
        if making.cancelled():
            return
        if (error := making.exception()) is not None:
            self._refused_until = asyncio.get_running_loop().time() + _REST_SECONDS
            if not self._making and self._best() is None:
                self._refuse(str(error) or "no connection in time")
        self._moved()

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            parts = urlsplit(f"https://{self._named}")
            name, port = parts.hostname or "", parts.port or 443
            given = await self._dialled(name, port)
            make = asyncio.get_running_loop().create_connection
            _, made = await make(lambda: Connection(self._moved), sock=given, ssl=self._context, server_hostname=name)
            await made.ready
        self._connections.append(made)

    async def _dialled(self, name: str, port: int) -> socket.socket:
        """A socket to the first address of the host that answers, of those that may be connected to."""
        loop, last = asyncio.get_running_loop(), OSError("the host has no address")
        for family, kind, protocol, _, where in await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM):
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
