"""Processes that send are killed at any moment and at named ones, paused for longer than their leases, and find the disk full.

Nobody is missed; who may have got it twice is written down; the report counts everybody once.
"""

from __future__ import annotations

import itertools
import os
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer
from mbaas_push.mock.script import Script
from tests.push.killing import asked, check, deliveries, installations, mocking, register, send, status_of
from tests.secantus import end_transactions
from tests.wire.people import Person
from tests.workers.asking import MACHINES, ONE_MACHINE, Stores, soon
from tests.workers.fleet import Fleet, fleet, pass_time

KILLS = int(os.environ.get("MBAAS_TEST_KILLS", "2"))
"""How often a process is killed, over all: at random in each case, and at each named point."""
LONG = KILLS >= 50
DEVICES = 3000 if LONG else 200
CASES = [
    pytest.param(kind, processes, id=f"{kind}-{processes}")
    for kind, processes in ([*itertools.product(ONE_MACHINE, (1, 2, 4)), (MACHINES, 2)] if LONG else [("embedded", 2), ("mongodb", 1)])
]
KILLED = KILLS if not LONG else -(-KILLS // len(CASES))
_PAUSE_EVERY = 10
"""One process is paused for so many that are killed, where the counts are long."""
POINTS = [
    (table, when, number)
    for table, when in (("pushes", "before"), ("pushes", "after"), ("wire", "before"), ("wire", "after"))
    for number in (range(1, 9) if LONG else (2,))
]


@pytest.fixture(scope="module")
def stores(request: pytest.FixtureRequest) -> Stores:
    return Stores(request)


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[tuple[Script, dict[str, str]]]:
    with mocking(tmp_path / "mock") as running:
        yield running


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize(("kind", "processes"), CASES)
def test_whoever_is_killed_while_sending_nobody_is_missed(
    kind: str, processes: int, stores: Stores, mock: tuple[Script, dict[str, str]], tmp_path: Path
) -> None:
    script, settings = mock
    script.latency_ms = 20
    with fleet(kind, stores, tmp_path, processes, **settings) as running:
        first = running.servers[0]
        tokens = register(first, DEVICES)
        for turn in itertools.count():
            killed, paused = running.killed, running.paused
            script.receipts.clear()
            push = send(first, f"push {turn}")
            _disturb(running, push)
            soon(lambda push=push: status_of(first, push)["status"] == "succeeded")
            told = check(first, push, tokens, script, running.killed - killed + running.paused - paused)
            print(f"{kind}, {processes} processes: {told}, {running.paused - paused} paused")
            if running.killed >= KILLED:
                break


def _disturb(running: Fleet, push: str) -> None:
    """Kill one now and then while a push is being sent."""
    while running.killed < KILLED and status_of(running.servers[0], push)["status"] != "succeeded":
        pass_time(running.chance.uniform(0, 1 if LONG else 0.3))
        if LONG and running.killed >= _PAUSE_EVERY * (running.paused + 1):
            running.pause()
        else:
            running.kill()


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize("kind", ONE_MACHINE)
def test_whoever_dies_at_a_named_point_leaves_nobody_out(
    kind: str, stores: Stores, mock: tuple[Script, dict[str, str]], tmp_path: Path
) -> None:
    """Before and after each commit of a run, and around the moment in which the first answer comes."""
    script, settings = mock
    script.latency_ms = 5
    shared = stores.settings(kind, **settings)
    with TestServer(tmp_path / "server", settings=shared) as server:
        tokens = register(server, DEVICES // 2)
    for table, when, number in POINTS if LONG or kind == "embedded" else POINTS[-1:]:
        script.receipts.clear()
        dying = TestServer(tmp_path / "server", settings=shared, python=("-s",))
        dying.environment |= {"PYTHONPATH": str(Path(__file__).parent / "dying"), "MBAAS_TEST_DIES": f"{table} {when} {number}"}
        with dying:
            push = _begun(dying, f"{table} {when} {number}")
            assert dying.process is not None
            assert dying.process.wait(60) == 9, dying.log.read_text()
        if "database_url" in shared:
            end_transactions(str(shared["database_url"]))
        with TestServer(tmp_path / "server", settings=shared) as server:
            push = push or send(server, f"{table} {when} {number}")
            soon(lambda server=server, push=push: status_of(server, push)["status"] == "succeeded")
            print(f"{kind}, {when} commit {number} of {table}: {check(server, push, tokens, script, 1)}")


def test_whoever_dies_sends_nobody_a_push_twice_that_is_not_to_be(mock: tuple[Script, dict[str, str]], tmp_path: Path) -> None:
    """`on_ambiguous: skip`, with the process dead while messages are on the wire and some answers have come."""
    script, settings = mock
    script.latency_ms = 20
    dying = TestServer(tmp_path / "server", settings=settings, python=("-s",))
    with dying:
        tokens = register(dying, DEVICES)
    dying.environment |= {"PYTHONPATH": str(Path(__file__).parent / "dying"), "MBAAS_TEST_DIES": "wire after 5"}
    with dying:
        _begun(dying, "once", on_ambiguous="skip")
        assert dying.process is not None
        assert dying.process.wait(60) == 9, dying.log.read_text()
    with TestServer(tmp_path / "server", settings=settings) as server:
        push = _begun(server, "once", on_ambiguous="skip")
        assert push is not None
        soon(lambda: status_of(server, push)["status"] == "succeeded")
        counts, named = status_of(server, push)["counts"], installations(server)
        states = {named[row["installation"]]: row["state"] for row in deliveries(server, push)}
    received = Counter(receipt.token for receipt in script.accepted())
    assert set(received.values()) == {1}
    assert tokens == set(states)
    assert counts == Counter(states.values())
    unknown = {token for token, state in states.items() if state == "unknown"}
    assert 0 < len(unknown) <= 100
    assert tokens - unknown <= set(received)


def _begun(dying: TestServer, key: str, **more: str) -> str | None:
    """Have a push sent; None where the server was dead before it could say which."""
    try:
        master = Person.master(dying)
        headers = {**master.headers, "Idempotency-Key": key}
        return str(dying.call("POST", "/api/v1/push", {"where": {}, "data": {"alert": "x"}, **more}, headers)[1]["id"])
    except OSError:
        return None


def test_a_full_disk_holds_a_push_up_and_costs_nobody_a_message(mock: tuple[Script, dict[str, str]], tmp_path: Path) -> None:
    script, settings = mock
    script.latency_ms = 50
    with TestServer(tmp_path / "server", settings={"preset": "parse", **settings}) as server:
        tokens = register(server, DEVICES)
        assert server.process is not None
        push = send(server, "full")
        soon(lambda: len(script.receipts) > 0)
        written = max(file.stat().st_size for file in (tmp_path / "server/data").rglob("*") if file.is_file())
        free = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (written, resource.RLIM_INFINITY))
        soon(lambda: Person.master(server).call("POST", "/classes/Note", {"text": "x" * 5000})[0] >= 500)
        pass_time(0.5)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, free)
        soon(lambda: asked(lambda: Person.master(server).call("POST", "/classes/Note", {"text": "x"})) != {})
        soon(lambda: status_of(server, push)["status"] == "succeeded")
        print(check(server, push, tokens, script, 1))
