"""Calling out over HTTP: one request, one bounded answer, within a time; never a redirect, never a proxy of the environment.

A name is resolved once for each connection, every address found is checked, and the connection goes to a checked one: what a
name server says a moment later changes nothing (DNS rebinding), and nothing is connected to before it was checked.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mbaas.observe.logs import get_logger
from mbaas.outbound.reach import Forbidden, Reach

if TYPE_CHECKING:
    from mbaas.outbound.client import Client
    from mbaas.outbound.tls import Certificate

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host. OSError if it has none."""

Reason = Literal["forbidden", "unreachable", "late", "too large", "garbage"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Failed(Exception):
    """No answer came, or none that can be used. `detail` is for the operator: it tells of the network behind a host."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail

    @property
    def told(self) -> str:
        """What anybody may know of it."""
        return _TOLD[self.reason]

    @property
    def reached(self) -> bool:
        """True if somebody answered."""
        return self.reason in ("too large", "garbage")


async def resolve(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Outbound:
    """The calls of one process, and the connections that they share."""

    def __init__(self, reach: Reach, resolve: Resolve = resolve) -> None:
        self.reach = reach
        self._resolve = resolve
        self._client: Client | None = None
        self._named: set[str] = set()
        """Addresses of hosts that the operator allows."""

    async def send(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        most: int,
        certificate: Certificate | None = None,
    ) -> Reply:
        """Send a request, and read an answer of at most so many bytes. Failed says why there is none; a redirect is an answer.

        With a `certificate` the server shows it to the other end.
        """
        try:
            self.reach.check(url)
        except Forbidden as error:
            raise Failed("forbidden", str(error)) from error
        try:
            async with asyncio.timeout(seconds):
                return await self._connected().send(method, url, body, headers, most, certificate)
        except TimeoutError:
            raise Failed("late", f"no answer within {seconds:g} s") from None

    def _connected(self) -> Client:
        if self._client is None:
            # The library is loaded by the first call, not by the start of a server that makes none.
            from mbaas.outbound.client import Client

            self._client = Client(self._checked, self._dial)
        return self._client

    async def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise Failed("unreachable", f"getaddrinfo {_NAMES.get(error.errno or 0, 'failed')} {host}") from error
        try:
            for address in addresses:
                self.reach.check_address(host, address)
        except Forbidden as error:
            get_logger(__name__).warning("a call was refused", host=host, addresses=addresses, reason=str(error))
            raise Failed("forbidden", str(error)) from error
        if host.lower() in self.reach.allowed:
            self._named.update(addresses)
        return addresses

    def _dial(self, address: str) -> None:
        """The last look before a connection, whatever led to it."""
        if address in self._named:
            return
        try:
            self.reach.check_address(address, address)
        except Forbidden as error:
            raise Failed("forbidden", str(error)) from error

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await self._client.close()


_TOLD: dict[Reason, str] = {
    "forbidden": "its address may not be called",
    "unreachable": "it cannot be reached",
    "late": "it did not answer in time",
    "too large": "its answer is too long",
    "garbage": "its answer cannot be read",
}
_NAMES: dict[int, str] = {socket.EAI_NONAME: "ENOTFOUND", socket.EAI_AGAIN: "EAI_AGAIN"}
