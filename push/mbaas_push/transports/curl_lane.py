"""The lane by libcurl on the event loop.

libcurl itself repeats what a GOAWAY or REFUSED_STREAM says was not processed, and what had not left; it cannot repeat a body.

Each connection to a host is a multi handle of its own: what libcurl does for a message grows with how many others its handle has under
way (with 900 it takes twice as long as with 100).
"""

from __future__ import annotations

import socket
from io import BytesIO
from operator import attrgetter
from pathlib import Path

import pycurl

from mbaas_push.transports.lane import CONNECT_SECONDS, CONNECTIONS, MOST_BYTES, SECONDS, Broken, Check, Own, Reply

_STREAMS = 1000


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


class CurlLane:
    """With `check` every address is looked at when it is about to be dialled, for hosts that devices name."""

    def __init__(self, ca_file: Path | None = None, check: Check | None = None) -> None:
        self._lines = [_Line() for _ in range(CONNECTIONS)]
        self._ca_file, self._check = ca_file, check
        self._idle: list[pycurl.Curl] = []
        self._given: socket.socket | None = None
        """The socket that was given to pycurl last, which has made its own copy by the time that it asks for the next."""

    async def ask(self, method: str, url: str, headers: tuple[str, ...], body: bytes, own: Own = ()) -> Reply:
        """Send a request, and wait for its answer. Broken if there is none."""
        curl = self._idle.pop() if self._idle else self._handle()
        answer = bytearray()

        def take(part: bytes) -> int:
            """Keep a part, or refuse it, and with it the rest: who answers may be whoever a device named."""
            if len(answer) + len(part) > MOST_BYTES:
                return -1
            answer.extend(part)
            return len(part)

        curl.setopt(pycurl.URL, url)
        # A body, and its length, leave with any method.
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.HTTPHEADER, [*headers, *(f"{name}: {value}" for name, value in own)])
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
        curl.setopt(pycurl.CONNECTTIMEOUT, CONNECT_SECONDS)
        curl.setopt(pycurl.TIMEOUT, SECONDS)
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
