"""A web server of somebody else's: what it was sent, and the answers it was told to give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Handler = Callable[[BaseHTTPRequestHandler, Any], None]
"""Answers by hand; it is given the body, decoded."""


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    body: Any


@dataclass
class Web:
    """`on` maps a path to what is answered there: a JSON value with status 200, or a Handler."""

    port: int = 0
    on: dict[str, Any] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self, path: str) -> list[Any]:
        """What was sent to a path."""
        return [each.body for each in self.to(path)]

    def to(self, path: str) -> list[Received]:
        """The requests to a path."""
        return [each for each in self.received if each.path.partition("?")[0] == path]


def _decoded(raw: bytes) -> Any:
    """The body; None where it is not JSON."""
    try:
        return json.loads(raw or b"null")
    except ValueError:
        return None


@contextmanager
def web() -> Iterator[Web]:
    """A server on a free port of this machine."""
    made = Web()

    class Answering(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = _decoded(raw)
            made.received.append(Received(self.command, self.path, dict(self.headers.items()), raw, body))
            answer = made.on.get(self.path.partition("?")[0], {})
            if callable(answer):
                answer(self, body)
            else:
                respond(self, 200, json.dumps(answer).encode())

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 -- the names that the library asks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that the library gives it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        made.port = server.server_port
        Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


def respond(to: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Send an answer."""
    to.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(body)
