"""The lane: many requests at once to a few hosts over HTTP/2, by libcurl on the event loop.

A line that breaks is told apart: before the body had left nothing can have been accepted, after that nobody knows. libcurl itself
repeats what a GOAWAY or REFUSED_STREAM says was not processed, and what had not left; it cannot repeat a body.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson
import pycurl

from mbaas_push.transports.port import Outcome

_CONNECTIONS = 8
"""Connections to one host: what a provider opens streams for on one is 100 to 1,000, and more connections gain little. Each is a multi
handle of its own: what libcurl does for a message grows with how many others its handle has under way (900 cost twice what 100 do)."""
_STREAMS = 1000
_CONNECT_SECONDS, _SECONDS = 10, 30
_BYTES = 65_536
"""No answer of a provider is longer; of one that is, its status counts."""

Check = Callable[[str], None]
"""Refuses, by an exception, an address that must not be connected to."""


class Broken(Exception):
    """No answer. `left`: the body had left, so that it may have been taken."""

    def __init__(self, reason: str, *, left: bool) -> None:
        super().__init__(reason)
        self.reason, self.left = reason, left

    def outcome(self) -> Outcome:
        """What that makes of a parcel."""
        return Outcome("unknown" if self.left else "again", self.reason)


@dataclass(slots=True)
class Reply:
    """An answer. `retry_after_s` is what the provider asks for, or 0."""

    status: int
    body: bytes
    retry_after_s: int

    def told(self) -> dict[str, Any]:
        """The JSON object of the body; empty if it is none."""
        try:
            told = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return told if isinstance(told, dict) else {}


class _Line:
    """A connection to each host."""

    def __init__(self) -> None:
        self.under_way = 0
        self.multi = pycurl.AsyncCurlMulti()
        self.multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
        self.multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, _STREAMS)

    async def perform(self, curl: pycurl.Curl) -> None:
        """Send a request, and wait for its answer."""
        self.under_way += 1
        try:
            await self.multi.perform(curl)
        finally:
            self.under_way -= 1


_under_way = attrgetter("under_way")


class Lane:
    """Requests to providers. With `check` every address is looked at when it is about to be dialled, for hosts that devices name."""

    def __init__(self, ca_file: Path | None = None, check: Check | None = None) -> None:
        self._lines = [_Line() for _ in range(_CONNECTIONS)]
        self._ca_file, self._check = ca_file, check
        self._idle: list[pycurl.Curl] = []
        self._given: socket.socket | None = None
        """The socket that was given to pycurl last, which has made its own copy by the time that it asks for the next."""

    async def post(self, url: str, headers: Sequence[str], body: bytes) -> Reply:
        """Send a request, and wait for its answer. Broken if there is none."""
        curl = self._idle.pop() if self._idle else self._handle()
        answer = bytearray()

        def take(part: bytes) -> int:
            """Keep a part, or refuse it, and with it the rest: who answers may be whoever a device named."""
            if len(answer) + len(part) > _BYTES:
                return -1
            answer.extend(part)
            return len(part)

        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.HTTPHEADER, headers)
        # Not as POSTFIELDS: libcurl would send those again by itself where a connection that was used before breaks.
        curl.setopt(pycurl.POSTFIELDSIZE, len(body))
        curl.setopt(pycurl.READFUNCTION, BytesIO(body).read)
        curl.setopt(pycurl.WRITEFUNCTION, take)
        line = min(self._lines, key=_under_way)
        try:
            await line.perform(curl)
        except pycurl.error as error:
            if error.args[0] == pycurl.E_WRITE_ERROR:
                return Reply(curl.getinfo(pycurl.RESPONSE_CODE), b"", 0)
            left = curl.getinfo(pycurl.SIZE_UPLOAD_T) > 0
            raise Broken(str(error.args[1] if len(error.args) > 1 else error), left=left) from None
        reply = Reply(curl.getinfo(pycurl.RESPONSE_CODE), bytes(answer), curl.getinfo(pycurl.RETRY_AFTER))
        self._idle.append(curl)
        return reply

    async def close(self) -> None:
        """End what is under way, and let go of the connections."""
        for line in self._lines:
            await line.multi.aclose()
        for curl in self._idle:
            curl.close()
        self._idle.clear()
        self._let_go()

    def _let_go(self) -> None:
        if self._given is not None:
            self._given.close()

    def _handle(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        # A new request waits for a connection that is being made, rather than make one more.
        curl.setopt(pycurl.PIPEWAIT, 1)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.CONNECTTIMEOUT, _CONNECT_SECONDS)
        curl.setopt(pycurl.TIMEOUT, _SECONDS)
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTPS)
        if self._ca_file is not None:
            curl.setopt(pycurl.CAINFO, str(self._ca_file))
        if self._check is not None:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        return curl

    def _open(self, purpose: int, address: tuple[int, int, int, tuple[str, int]]) -> socket.socket | int:
        """The socket to an address that may be connected to."""
        family, kind, protocol, where = address
        try:
            if self._check is not None:
                self._check(where[0])
        except Exception:
            return int(pycurl.SOCKET_BAD)
        self._let_go()
        self._given = socket.socket(family, kind, protocol)
        return self._given
