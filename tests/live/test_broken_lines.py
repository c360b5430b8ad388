"""Connections that break while writes go on: whoever comes back with her last `seq` gets everything once and in order."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException

from mbaas.testing.process import APP_ID, TestServer
from tests.live.client import Client, Frame, gone
from tests.live.relay import Relay

CUT_SECONDS = float(os.environ.get("MBAAS_TEST_CUT_SECONDS", "0"))
"""How long the line is cut, at least; the writes that are missed are spread over it. `make nightly` asks for a minute."""
MISSED = 100
PATIENCE = 60 + 2 * CUT_SECONDS


class Writer:
    """Creates objects with the numbers from 0 on, one after the other, once it is started, until it is stopped."""

    def __init__(self, server: TestServer, class_name: str) -> None:
        self._server, self._path = server, f"/parse/classes/{class_name}"
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self.written = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stop.wait(CUT_SECONDS / MISSED):
            status, answer = self._server.call("POST", self._path, {"n": self.written}, {"X-Parse-Application-Id": APP_ID})
            assert status == 201, answer
            with self._changed:
                self.written += 1
                self._changed.notify_all()

    def start(self) -> None:
        self._thread.start()

    def go_on(self, more: int) -> None:
        """Return when so many more have been written."""
        with self._changed:
            wanted = self.written + more
            assert self._changed.wait_for(lambda: self.written >= wanted, PATIENCE)

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


def rest(client: Client) -> list[Frame]:
    """What still comes over a connection that is broken."""
    frames = []
    try:
        while True:
            frames.append(client.receive())
    except ConnectionClosed:
        return frames


def numbers(frames: list[Frame]) -> list[int]:
    return [frame["object"]["n"] for frame in frames]


def joined(relay: Relay, class_name: str, since: str | None) -> Client:
    """A client that watches a class from a position on."""
    client = Client(f"ws://127.0.0.1:{relay.port}/parse")
    assert client.connect(applicationId=APP_ID)["op"] == "connected"
    assert client.subscribe(class_name, since=since)["op"] == "subscribed"
    return client


def test_all_that_was_written_while_the_line_was_cut_comes_once_and_in_order(either: TestServer) -> None:
    """Writes go on before, meanwhile and afterwards; what had come when the line broke is not told again."""
    name = f"C{uuid4().hex}"
    frames: list[Frame] = []
    with Relay(either.port) as relay, Writer(either, name) as writer:
        with joined(relay, name, None) as client:
            writer.start()
            frames += [client.receive() for _ in range(10)]
            relay.cut()
            frames += rest(client)
        before = len(frames)
        writer.go_on(MISSED)
        with pytest.raises((OSError, WebSocketException)):
            joined(relay, name, None)
        relay.mend()
        with joined(relay, name, frames[-1]["seq"]) as client:
            frames += [client.receive() for _ in range(MISSED)]
            writer.go_on(10)
            writer.stop()
            frames += client.due()
    assert len(frames) >= before + MISSED + 10
    assert numbers(frames) == list(range(writer.written))
    assert len({frame["seq"] for frame in frames}) == writer.written


@pytest.mark.parametrize("size", [1, 200_000], ids=["what waits fits on the way", "the way is full"])
def test_a_client_that_no_longer_answers_is_let_go_and_misses_nothing(tmp_path: Path, size: int) -> None:
    """Nobody says that the connection has ended; pings find it out, also where even they do not get through."""
    settings = {"preset": "parse", "live_ping": "500ms", "live_queue_bytes": 64 * 1024 * 1024, "workers": 1}
    sent = {"X-Parse-Application-Id": APP_ID}
    with TestServer(tmp_path, settings=settings) as server, Relay(server.port) as relay:
        with joined(relay, "Post", None) as client:
            server.call("POST", "/parse/classes/Post", {"n": 0}, sent)
            first = client.receive()
            relay.silence()
            for n in range(1, 41):
                server.call("POST", "/parse/classes/Post", {"n": n, "text": "x" * size}, sent)
            gone(server)
            relay.cut()
            relay.mend()
        with joined(relay, "Post", first["seq"]) as client:
            assert numbers(client.due()) == list(range(1, 41))


def test_a_client_that_goes_while_she_is_told_what_she_missed_is_let_go(tmp_path: Path) -> None:
    sent = {"X-Parse-Application-Id": APP_ID}
    with TestServer(tmp_path, settings={"preset": "parse", "workers": 1}) as server, Relay(server.port) as relay:
        with joined(relay, "Post", None) as client:
            server.call("POST", "/parse/classes/Post", {"n": 0}, sent)
            first = client.receive()
        for n in range(1, 41):
            server.call("POST", "/parse/classes/Post", {"n": n, "text": "x" * 500_000}, sent)
        with joined(relay, "Post", first["seq"]) as client:
            assert numbers([client.receive()]) == [1]
            relay.silence()
            relay.cut()
            gone(server)
