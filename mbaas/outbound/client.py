"""The library behind `mbaas.outbound.calls`; loaded by the first call."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from mbaas.outbound.calls import Failed, Reply
from mbaas.outbound.tls import Certificate, context

_CONNECT_SECONDS = 2.0
_IDLE_SECONDS = 4.0
"""How long a connection is kept; many servers let go after 5 s, and what is sent just then is lost."""
_MOST, _MOST_PER_HOST = 256, 32

Checked = Callable[[str, int], Awaitable[list[str]]]


class _Resolver(AbstractResolver):
    """Gives the connector nothing but addresses that may be connected to."""

    def __init__(self, checked: Checked) -> None:
        self._checked = checked

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found = await self._checked(host, port)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in found
        ]

    async def close(self) -> None:
        pass


class Client:
    """One pool of connections."""

    def __init__(self, checked: Checked, dial: Callable[[str], None]) -> None:
        """`dial` is asked before each connection, for an address that was in the URL itself, too: Failed where it may not be made."""
        self._dial = dial
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(checked),
            socket_factory=self._socket,
            use_dns_cache=False,
            limit=_MOST,
            limit_per_host=_MOST_PER_HOST,
            keepalive_timeout=_IDLE_SECONDS,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            headers={"User-Agent": "mbaas", "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )

    def _socket(self, found: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = found
        self._dial(str(address[0]))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    async def send(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], most: int, certificate: Certificate | None = None
    ) -> Reply:
        """As `Outbound.send`, without its time limit and its look at the URL."""
        try:
            shown = True if certificate is None else context(certificate)
            async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False, ssl=shown) as response:
                return Reply(response.status, response.headers, await self._read(response, most))
        except aiohttp.ConnectionTimeoutError as error:
            raise Failed("unreachable", f"connect ETIMEDOUT {_place(error, url)}") from error
        except aiohttp.ClientConnectorError as error:
            raise Failed("unreachable", f"connect {errno.errorcode.get(error.errno or 0, 'failed')} {_place(error, url)}") from error
        except (aiohttp.ClientConnectionError, ConnectionError) as error:
            raise Failed("unreachable", "socket hang up") from error
        except aiohttp.ClientError as error:
            raise Failed("garbage", f"the answer is not HTTP: {type(error).__name__}") from error

    async def _read(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            response.close()
            raise Failed("garbage", "the answer is compressed, which was not asked for")
        read = bytearray()
        async for piece in response.content.iter_any():
            read += piece
            if len(read) > most:
                response.close()
                raise Failed("too large", f"the answer is longer than {most} bytes")
        return bytes(read)

    async def close(self) -> None:
        """Let the connections go."""
        await self._session.close()


def _place(error: Exception, url: str) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host}:{error.port}"
    return url
