"""How the processes of a server end: killed, told to stop, left alone, or unable to start."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer, free_port
from tests.workers.asking import MACHINES, ONE_MACHINE, PROCESSES, Stores, soon
from tests.workers.load import HEADERS, Load, Watcher


def children(server: TestServer) -> list[int]:
    """The serving processes' ids."""
    assert server.process is not None
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kept(server: TestServer) -> list[str]:
    """The keys of all objects, as they are found."""
    found = server.get("/parse/classes/Kept?limit=100000&keys=key", HEADERS)[1]["results"]
    return [one["key"] for one in found]


def lost_and_doubled(load: Load, found: list[str]) -> tuple[set[str], list[str]]:
    """Acknowledged keys that are not there, and keys that are there more than once."""
    return set(load.acknowledged) - set(found), sorted(key for key in set(found) if found.count(key) > 1)


def progress(load: Load, more: int) -> None:
    """Wait until every writer has written so many more objects."""
    wanted = [(writer, len(writer.acknowledged) + more) for writer in load.writers]
    soon(lambda: all(len(writer.acknowledged) >= count for writer, count in wanted))


def in_order(load: Load, keys: list[str]) -> bool:
    """True if each writer's objects come in the order in which they were acknowledged: what a killed server had sent to the database
    may be written after what its writer then did elsewhere."""
    acknowledged, last = set(load.acknowledged), dict[str, int]()
    for writer, _, n in (key.partition("-") for key in keys if key in acknowledged):
        if int(n) <= last.get(writer, -1):
            return False
        last[writer] = int(n)
    return True


@pytest.mark.parametrize("kind", ONE_MACHINE)
def test_a_process_that_is_killed_loses_nothing_and_is_replaced(kind: str, stores: Stores, tmp_path: Path) -> None:
    """Under load, three times. Whoever watches resumes with another process, and gets every object once and in order."""
    with TestServer(tmp_path, settings=stores.settings(kind, workers=PROCESSES)) as server:
        watcher = Watcher()
        server.call("POST", "/parse/classes/Kept", {"key": "first-0"}, HEADERS)
        watcher.watch(server)
        server.call("POST", "/parse/classes/Kept", {"key": "first-1"}, HEADERS)
        watcher.take_due()
        with Load([server], 8) as load:
            for _ in range(3):
                progress(load, 10)
                victim = children(server)[0]
                os.kill(victim, signal.SIGKILL)
                soon(lambda gone=victim: len(living := children(server)) == PROCESSES and gone not in living)
            progress(load, 5)
        assert load.broken > 0
        assert load.refused == []
        found = kept(server)
        assert lost_and_doubled(load, found) == (set(), [])
        watcher.watch(server)
        watcher.take_due()
        assert sorted(watcher.keys) == sorted(found[1:])
        assert in_order(load, watcher.keys)
        assert kind != "embedded" or watcher.keys == found[1:]


@pytest.mark.parametrize("kind", ["embedded", "mongodb"])
def test_the_only_server_is_killed_while_it_writes_and_loses_nothing(kind: str, stores: Stores, tmp_path: Path) -> None:
    """Three times. Who watches comes back each time with what she saw last, and is told of everything once."""
    watcher = Watcher()
    with TestServer(tmp_path, settings=stores.settings(kind, workers=1, port=free_port())) as server:
        watcher.watch(server)
        with Load([server], 8) as load:
            for _ in range(3):
                watcher.take(20)
                server.kill()
                watcher.take_rest()
                server.start()
                watcher.watch(server)
            watcher.take(20)
        assert load.broken > 0
        watcher.take_due()
        found = kept(server)
    assert lost_and_doubled(load, found) == (set(), [])
    assert sorted(watcher.keys) == sorted(found)
    assert in_order(load, watcher.keys)


def test_one_of_three_machines_is_killed_and_loses_nothing(stores: Stores, tmp_path: Path) -> None:
    """Under load. Who was connected to it and resumes with another is told the same, in the same order, as who was with the third."""
    settings = stores.settings(MACHINES, workers=1)
    servers = [TestServer(tmp_path / str(n), settings={**settings, "port": free_port()}) for n in range(PROCESSES)]
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        _kill_one(servers)


def _kill_one(servers: list[TestServer]) -> None:
    killed, other, third = servers
    moving, staying = Watcher(), Watcher()
    moving.watch(killed)
    staying.watch(third)
    with Load(servers, 24) as load:
        moving.take(30)
        killed.kill()
        moving.take_rest()
        moving.watch(other)
        progress(load, 5)
        killed.start()
        progress(load, 5)
    assert load.broken > 0
    assert load.refused == []
    moving.take_due()
    staying.take_due()
    for server in servers:
        assert lost_and_doubled(load, kept(server)) == (set(), [])
    assert moving.told == staying.told
    assert sorted(moving.keys) == sorted(kept(third))
    assert in_order(load, moving.keys)


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
