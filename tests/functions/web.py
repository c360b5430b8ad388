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


@dataclass
class Web:
    """`on` maps a path to what is answered there: a JSON value with status 200, or a Handler."""

    port: int = 0
    on: dict[str, Any] = field(default_factory=dict)
    received: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Path, headers and body of each request."""

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self, path: str) -> list[Any]:
        """What was sent to a path."""
        return [body for found, _, body in self.received if found == path]


@contextmanager
def web() -> Iterator[Web]:
    """A server on a free port of this machine."""
    made = Web()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
            made.received.append((self.path, dict(self.headers.items()), body))
            answer = made.on.get(self.path, {})
            if callable(answer):
                answer(self, body)
            else:
                respond(self, 200, json.dumps(answer).encode())

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
