"""An answer leaves in one write: head and body together, one system call less for each request.

uvicorn writes the head of an answer and its body one after the other, and uvloop sends each at once. For small answers the
second system call costs more than most of what the server does in between (`bench/README.md` has the profile).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class _Joined:
    """A transport that keeps back the head of an answer until its body comes, at most to the loop's next turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._send = transport.write
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send, after what was kept back."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        if data:
            self._send(data)

    def _flush(self) -> None:
        if self._head:
            data, self._head = self._head, b""
            self._send(data)

    def close(self) -> None:
        """Close once everything is sent."""
        self._flush()
        self._transport.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection on, as an upgrade to WebSocket does."""
        self._flush()
        self._transport.set_protocol(protocol)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class OneWrite(HttpToolsProtocol):
    """uvicorn's HTTP protocol over such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]
