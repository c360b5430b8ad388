"""Writers that go on whatever ends, and who watches what they write."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Sequence
from typing import Any

from websockets.exceptions import ConnectionClosed

from mbaas.testing.process import APP_ID, TestServer
from tests.live.client import Client

HEADERS = {"X-Parse-Application-Id": APP_ID, "Content-Type": "application/json"}


class Writer:
    """Creates objects, one after the other, over connections that it opens again, with the next server, when they break."""

    def __init__(self, servers: Sequence[TestServer], name: str) -> None:
        self._servers, self._name = servers, name
        self._stop = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[int] = []
        self.broken = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        keys = (f"{self._name}-{n}" for n in itertools.count())
        for server in itertools.cycle(self._servers):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            try:
                while not self._stop.is_set():
                    self._write(connection, next(keys))
            except (OSError, http.client.HTTPException):
                self.broken += 1
            finally:
                connection.close()
            if self._stop.is_set():
                return

    def _write(self, connection: http.client.HTTPConnection, key: str) -> None:
        connection.request("POST", "/parse/classes/Kept", json.dumps({"key": key}), HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 201:
            self.acknowledged.append(key)
        else:
            self.refused.append(answer.status)

    def stop(self) -> None:
        self._stop.set()
        self.thread.join()


class Load:
    """So many writers, each beginning with another server, for as long as the block."""

    def __init__(self, servers: Sequence[TestServer], count: int) -> None:
        turned = [[*servers[n % len(servers) :], *servers[: n % len(servers)]] for n in range(count)]
        self.writers = [Writer(order, f"w{n}") for n, order in enumerate(turned)]

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self.writers:
            writer.stop()

    @property
    def acknowledged(self) -> list[str]:
        return [key for writer in self.writers for key in writer.acknowledged]

    @property
    def broken(self) -> int:
        return sum(writer.broken for writer in self.writers)

    @property
    def refused(self) -> list[int]:
        return [status for writer in self.writers for status in writer.refused]


class Watcher:
    """Somebody who is told of every write, and comes back with the last `seq` when the connection broke."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self._client: Client | None = None

    def watch(self, server: TestServer) -> None:
        """Connect, and subscribe from where she was."""
        self._client = Client(f"ws://127.0.0.1:{server.port}/parse")
        assert self._client.connect(applicationId=APP_ID)["op"] == "connected"
        since: dict[str, Any] = {"since": self.told[-1][0]} if self.told else {}
        assert self._client.subscribe("Kept", **since)["op"] == "subscribed"

    def take(self, count: int) -> None:
        """Read some events."""
        assert self._client is not None
        for _ in range(count):
            self._read(self._client.receive(60))

    def take_due(self) -> None:
        """Read every event that is due, and go."""
        assert self._client is not None
        for frame in self._client.due():
            self._read(frame)
        self._client.close()

    def take_rest(self) -> None:
        """Read what came before the connection broke."""
        assert self._client is not None
        try:
            while True:
                self._read(self._client.receive(60))
        except (ConnectionClosed, OSError):
            self._client.close()

    def _read(self, frame: dict[str, object]) -> None:
        assert frame["op"] == "create", frame
        shown = frame["object"]
        assert isinstance(shown, dict)
        self.told.append((str(frame["seq"]), shown["key"]))

    @property
    def keys(self) -> list[str]:
        return [key for _, key in self.told]
