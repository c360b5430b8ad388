"""How the processes of a server end: killed, told to stop, left alone, or unable to start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from mbaas.testing.process import APP_ID, TestServer
from tests.live.client import Client

PROCESSES = 3
HEADERS = {"X-Parse-Application-Id": APP_ID, "Content-Type": "application/json"}


def children(server: TestServer) -> list[int]:
    """The serving processes' ids."""
    assert server.process is not None
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Writer:
    """Creates objects, one after the other, over connections that it opens again when they break."""

    def __init__(self, server: TestServer, name: str) -> None:
        self._server, self._name = server, name
        self._stop = threading.Event()
        self.acknowledged: list[str] = []
        self.broken = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        n = 0
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=10)
            try:
                while not self._stop.is_set():
                    key = f"{self._name}-{n}"
                    n += 1
                    connection.request("POST", "/parse/classes/Kept", json.dumps({"key": key}), HEADERS)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 201
                    self.acknowledged.append(key)
            except (OSError, http.client.HTTPException):
                self.broken += 1
            finally:
                connection.close()

    def stop(self) -> None:
        self._stop.set()
        self.thread.join()


def test_a_process_that_is_killed_loses_nothing_and_is_replaced(tmp_path: Path) -> None:
    """Under load, three times. Whoever watches resumes with another process, and gets every object once and in order."""
    with TestServer(tmp_path, settings={"preset": "parse", "workers": PROCESSES}) as server:
        url = f"ws://127.0.0.1:{server.port}/parse"
        server.call("POST", "/parse/classes/Kept", {"key": "first"}, HEADERS)
        with Client(url) as watcher:
            watcher.connect(applicationId=APP_ID)
            watcher.subscribe("Kept")
            server.call("POST", "/parse/classes/Kept", {"key": "second"}, HEADERS)
            since = watcher.receive()["seq"]
        writers = [Writer(server, f"w{n}") for n in range(8)]
        for _ in range(3):
            wanted = len(writers[0].acknowledged) + 20
            while len(writers[0].acknowledged) < wanted:
                pass
            victim = children(server)[0]
            os.kill(victim, signal.SIGKILL)
            while len(living := children(server)) < PROCESSES or victim in living:
                pass
        for writer in writers:
            writer.stop()
        assert sum(writer.broken for writer in writers) > 0
        acknowledged = [key for writer in writers for key in writer.acknowledged]
        found = server.get("/parse/classes/Kept?limit=100000&keys=key", HEADERS)[1]["results"]
        kept = [one["key"] for one in found]
        assert len(kept) == len(set(kept))
        assert set(acknowledged) <= set(kept)
        with Client(url) as watcher:
            watcher.connect(applicationId=APP_ID)
            watcher.subscribe("Kept", since=since)
            told = [frame["object"]["key"] for frame in watcher.due()]
        assert told == [key for key in kept if key not in ("first", "second")]


def test_a_server_that_is_told_to_stop_stops(tmp_path: Path) -> None:
    server = TestServer(tmp_path, settings={"preset": "parse", "workers": PROCESSES}).start()
    while len(serving := children(server)) < PROCESSES:
        pass
    assert server.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in serving)
    assert server.log.read_text().count('"event":"stopped"') == 1


def test_the_serving_processes_end_with_the_first_one(tmp_path: Path) -> None:
    server = TestServer(tmp_path, settings={"preset": "parse", "workers": PROCESSES}).start()
    while len(serving := children(server)) < PROCESSES:
        pass
    server.kill()
    while any(Path(f"/proc/{pid}").exists() for pid in serving):
        pass
    with TestServer(tmp_path, settings={"preset": "parse", "workers": PROCESSES}):
        pass


def test_a_server_that_cannot_start_says_why_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mbaas.db").write_bytes(b"this is no database, however long one looks at it" * 100)
    with pytest.raises(RuntimeError) as raised:
        TestServer(tmp_path, settings={"preset": "parse", "workers": PROCESSES}).start()
    assert str(raised.value).count("mbaas.db") == 1


def test_two_servers_do_not_share_a_port(tmp_path: Path) -> None:
    with TestServer(tmp_path / "one", settings={"workers": PROCESSES}) as server, pytest.raises(RuntimeError, match="cannot listen"):
        TestServer(tmp_path / "other", settings={"workers": PROCESSES, "port": server.port}).start()


def test_another_server_finds_the_folder_taken(tmp_path: Path) -> None:
    with TestServer(tmp_path / "one", settings={"workers": PROCESSES}), pytest.raises(RuntimeError, match="in use by another server"):
        TestServer(tmp_path / "other", settings={"workers": PROCESSES, "data_dir": tmp_path / "one" / "data"}).start()


def test_a_folder_may_have_a_long_path(tmp_path: Path) -> None:
    """Longer than the address of a socket may be."""
    with TestServer(tmp_path / ("long" * 20) / ("path" * 20), settings={"preset": "parse", "workers": 2}) as server:
        assert server.call("POST", "/parse/classes/Kept", {"key": "a"}, HEADERS)[0] == 201
        while 'process="1"' not in server.get("/metrics")[1]:
            pass  # The second process begins a moment after the first one serves.
