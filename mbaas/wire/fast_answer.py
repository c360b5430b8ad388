"""JSON answers written by hand: the head rendered once, then head and body given to the socket in one piece.

uvicorn checks and joins each header of each answer, and writes head and body apart; for small answers that costs more than the
rest of the wire. Where its connection is not in the plain state that this module knows (keep-alive, nothing sent yet, nothing
waiting to be written), or the server is another one, nothing is done and the answer goes the ordinary ASGI way.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from mbaas.wire.cors import Header
from mbaas.wire.request import Send

_Headers = list[Header]
_STATUS = {int(status): f"HTTP/1.1 {int(status)} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Heads:
    """Rendered headers, without the length: for each list of them, and for the server's own, which change with the second."""

    def __init__(self) -> None:
        self._server: _Headers = []
        self._rendered: dict[int, tuple[_Headers, bytes]] = {}

    def send(self, send: Send, own: _Headers, body: bytes, status: int = 200, more: Sequence[Header] = ()) -> bool:
        """Send the answer, or say that it must be sent by other means. `own` must be a list that is kept and not changed."""
        cycle: Any = getattr(send, "__self__", None)
        if type(cycle) is not RequestResponseCycle or cycle.response_started or cycle.disconnected or not cycle.keep_alive:
            return False
        if cycle.flow.write_paused or cycle.access_log or cycle.scope["method"] == "HEAD" or status not in _STATUS:
            return False
        head = _STATUS[status] + self._lines(cycle.default_headers, own)
        if more:
            head += b"".join([name + b": " + value.translate(None, b"\r\n") + b"\r\n" for name, value in more])
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _lines(self, server: _Headers, own: _Headers) -> bytes:
        if server is not self._server:
            self._server = server
            self._rendered.clear()
        found = self._rendered.get(id(own))
        if found is None or found[0] is not own:
            lines = b"".join([name + b": " + value + b"\r\n" for name, value in (*server, *own)])
            found = self._rendered[id(own)] = own, lines
        return found[1]
