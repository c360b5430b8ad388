"""What the tests of this folder ask with: kept connections, settings of one database for several servers, and patience."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.secantus import database

PROCESSES = 3
CLIENTS = 10
"""Connections of a test. The kernel shares them out: that all of them come to one process happens once in 20,000 runs."""
MASTER = {"X-Parse-Master-Key": MASTER_KEY}
ONE_MACHINE = ["embedded", "mongodb"]
MACHINES = "machines"
PATIENT_SECONDS, PAUSE_SECONDS = 120, 0.005
"""How long what comes is waited for: what a process that was killed has locked in MongoDB is free a minute later
(`transactionLifetimeLimitSeconds`)."""
KEPT_SECONDS = 4


def soon(holds: Callable[..., bool], *given: object) -> None:
    """Wait until something holds that nobody tells of."""
    deadline = time.monotonic() + PATIENT_SECONDS
    while not holds(*given):
        assert time.monotonic() < deadline, "what was waited for did not come"
        # What is waited for needs the processor, too.
        time.sleep(PAUSE_SECONDS)


class Connection:
    """A connection that is kept, and so stays with one process; a new one once it has been idle for nearly as long as a server keeps it."""

    def __init__(self, server: TestServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._used = time.monotonic()

    def __call__(self, method: str, path: str, body: Any = None, sent: dict[str, str] | None = None) -> tuple[int, Any]:
        headers = {"X-Parse-Application-Id": APP_ID, "Content-Type": "application/json", **(sent or {})}
        if time.monotonic() - self._used > KEPT_SECONDS:
            self._connection.close()
        place = path if path.startswith("/api") else f"/parse{path}"
        self._connection.request(method, place, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        told = json.loads(answer.read())
        self._used = time.monotonic()
        return answer.status, told

    def close(self) -> None:
        self._connection.close()


class Stores:
    """Settings for servers that are to use the same database."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    def settings(self, kind: str, **more: object) -> dict[str, object]:
        """A new database: of its own folder for `embedded`, else in MongoDB."""
        own = {} if kind == "embedded" else {"database_url": database(self._request.getfixturevalue("mongo"), f"workers_{ObjectId()}")}
        return {"preset": "parse", **own, **more}
