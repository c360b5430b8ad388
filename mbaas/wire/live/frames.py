"""Text frames given to the socket in one piece.

An event goes to many sockets, and for each of them uvicorn's way through a task, a message and the framing of its library costs more than
the event itself. Where the connection is not in the plain state that this module knows (nothing waiting to be written, no extension, not
closing), or the server is another one, nothing is done and the frame goes the ordinary ASGI way. Source: RFC 6455, section 5.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mbaas.wire.live.connection import Connection
from mbaas.wire.request import Send

_TEXT = 0x81
"""A whole message of text."""


def direct(send: Send) -> Callable[[str], bool]:
    """A function that sends a text at once; False if it must be sent by other means."""
    protocol: Any = getattr(send, "__self__", None)
    if type(protocol) is not Connection or protocol.conn.extensions:
        return lambda text: False
    transport, writable = protocol.transport, protocol.writable

    def write(text: str) -> bool:
        if not writable.is_set() or protocol.close_sent or protocol.disconnected or transport.is_closing():
            return False
        data = text.encode()
        transport.write(_head(len(data)) + data)
        return True

    return write


def _head(size: int) -> bytes:
    if size < 126:
        return bytes((_TEXT, size))
    return bytes((_TEXT, 126)) + size.to_bytes(2, "big") if size < 1 << 16 else bytes((_TEXT, 127)) + size.to_bytes(8, "big")
