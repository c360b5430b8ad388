"""A live-query client over a real socket, for tests: frames as they come, each of them one that the contract describes, and a
fence behind all that was due."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.sync.client import connect

from mbaas.testing.process import TestServer
from tests.live.contract import described

FENCE = 987_654_321
"""Request id of the subscription that a fence makes: it is answered after every event of the writes before it."""
Frame = dict[str, Any]


class Client:
    """One connection."""

    def __init__(self, url: str, *, narrow: bool = False) -> None:
        """`narrow`: little waits on the way while nobody reads; the kernel may keep tens of megabytes otherwise."""
        self._open = ExitStack()
        line = _narrow(url) if narrow else None
        self._socket = self._open.enter_context(connect(url, sock=line, open_timeout=10, close_timeout=1))
        self._connected = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, frame: Any) -> None:
        """Send a message: text as it is, anything else as JSON."""
        self._socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def receive(self, seconds: float = 10) -> Frame:
        """The next frame; TimeoutError if none comes."""
        frame: Frame = json.loads(self._socket.recv(seconds))
        assert described(frame), frame
        self._connected |= frame["op"] == "connected"
        return frame

    def until(self, last: Callable[[Frame], bool]) -> list[Frame]:
        """The frames up to one, and without it."""
        found = []
        while not last(frame := self.receive()):
            found.append(frame)
        return found

    def due(self) -> list[Frame]:
        """Every frame that was due when this was called: those of acknowledged writes, and answers to what was sent."""
        found = []
        if not self._connected:
            # Who is not connected yet has no subscriptions; a message that nobody sends tells when the others are answered.
            self.send({"op": "fence"})
            found = self.until(lambda frame: frame.get("error") == 'No enum match for: "fence"')
        if self._connected:
            self.send({"op": "subscribe", "requestId": FENCE, "query": {"className": "_Role", "where": {"objectId": "fence"}}})
            found += self.until(lambda frame: frame["op"] == "subscribed" and frame.get("requestId") == FENCE)
        return found

    def connect(self, **members: Any) -> Frame:
        """Say who one is; the answer."""
        self.send({"op": "connect", **members})
        return self.receive()

    def subscribe(self, class_name: str, where: Frame | None = None, request_id: int = 1, **more: Any) -> Frame:
        """Subscribe; the answer. `more` are `keys` and `watch`, which go into the query, and members of the message."""
        query: Frame = {"className": class_name, "where": where or {}}
        query.update({name: more.pop(name) for name in ("keys", "watch") if name in more})
        self.send({"op": "subscribe", "requestId": request_id, "query": query, **more})
        return self.receive()

    def close(self) -> None:
        """Close the connection."""
        self._open.close()


def _narrow(url: str) -> socket.socket:
    address = urlsplit(url)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    line.connect((address.hostname, address.port))
    return line


def gone(server: TestServer) -> None:
    """Wait until the server knows of no connection any more: it hears of their ends a moment after the clients."""
    deadline = time.monotonic() + 60
    while "mbaas_live_connections 0.0" not in server.get("/metrics")[1]:
        assert time.monotonic() < deadline, "a connection that has ended is kept"
