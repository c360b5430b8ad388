"""Pushes to a mock provider while the processes that send them die: the mock, the devices, and what must hold in the end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from mbaas.testing.process import TestServer
from mbaas_push.mock import credentials
from mbaas_push.mock.script import Script
from mbaas_push.mock.server import listening
from tests.wire.people import Person
from tests.workers.fleet import pass_time

PATIENT_SECONDS = 180
_PAGE, _BATCH = 1000, 200
ON_THE_WIRE = 900
"""No more of a run than that are on the wire at a time, and so in doubt after a crash."""


@contextmanager
def mocking(folder: Path) -> Iterator[tuple[Script, dict[str, str]]]:
    """A mock in a thread of its own: its script, and the settings by which a server sends to it."""
    script, loop = Script(), asyncio.new_event_loop()
    credentials.make(folder)
    ready, done = threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with listening(script, folder / "cert.pem", folder / "cert.key") as port:
            ports.append(port)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        assert ready.wait(30)
        found = credentials.settings(folder, ports[0])
        yield script, {name.removeprefix("MBAAS_").lower(): value for name, value in found.items()}
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


def asked(call: Callable[[], tuple[int, Any]]) -> Any:
    """The answer, asked for again while nobody is there to give one."""
    deadline = time.monotonic() + PATIENT_SECONDS
    while True:
        with suppress(OSError, HTTPException):
            status, answer = call()
            if status < 500:
                assert status < 300, answer
                return answer
        assert time.monotonic() < deadline, "nobody answers"
        pass_time(0.05)


def register(server: TestServer, count: int) -> set[str]:
    """So many devices; their tokens."""
    master, tokens = Person.master(server), [f"phone-{number:05d}" for number in range(count)]
    for first in range(0, count, _BATCH):
        bodies = [{"deviceType": "android", "deviceToken": one, "installationId": f"i-{one}"} for one in tokens[first : first + _BATCH]]
        made = asked(lambda bodies=bodies: _batch(master, bodies))  # type: ignore[misc]
        assert all("success" in each for each in made), made
    return set(tokens)


def _batch(master: Person, bodies: list[dict[str, str]]) -> tuple[int, Any]:
    requests = [{"method": "POST", "path": "/parse/installations", "body": body} for body in bodies]
    return master.call("POST", "/batch", {"requests": requests})


def send(server: TestServer, key: str) -> str:
    """A push to everybody; its id. It is one push, however often it has to be asked for."""
    master = Person.master(server)
    body = {"where": {}, "data": {"title": "News", "alert": "Something has happened"}}
    headers = {**master.headers, "Idempotency-Key": key}
    return str(asked(lambda: server.call("POST", "/api/v1/push", body, headers))["id"])


def status_of(server: TestServer, push: str) -> dict[str, Any]:
    """What is said of a push."""
    master = Person.master(server)
    told: dict[str, Any] = asked(lambda: server.call("GET", f"/api/v1/push/{push}", headers=master.headers))
    return told


def deliveries(server: TestServer, push: str) -> list[dict[str, Any]]:
    """What became of each address."""
    master, found, cursor = Person.master(server), [], ""
    while True:
        path = f"/api/v1/push/{push}/deliveries?limit={_PAGE}{cursor}"
        page = asked(lambda path=path: server.call("GET", path, headers=master.headers))  # type: ignore[misc]
        found += page["results"]
        if page.get("next") is None:
            return found
        cursor = f"&cursor={page['next']}"


def installations(server: TestServer) -> dict[str, str]:
    """Installation → token."""
    rows = asked(lambda: Person.master(server).call("GET", "/installations?limit=100000"))["results"]
    return {row["objectId"]: row["deviceToken"] for row in rows}


def check(server: TestServer, push: str, tokens: set[str], script: Script, kills: int) -> str:
    """Nobody is missed; who got it twice is written down as ambiguous, and there are no more of those than a window for each kill;
    the sum of the report is the audience. A sentence with the figures."""
    rows, named = deliveries(server, push), installations(server)
    found = {named[row["installation"]]: row for row in rows}
    assert len(rows) == len(found) == len(tokens)
    assert {row["state"] for row in rows} == {"sent"}
    received = Counter(receipt.token for receipt in script.accepted())
    assert set(received) == tokens, f"missed: {sorted(tokens - set(received))[:5]}"
    doubts = {token: row.get("ambiguous", 0) for token, row in found.items()}
    assert {token: times for token, times in received.items() if times > 1 + doubts[token]} == {}
    doubtful = sum(map(bool, doubts.values()))
    assert doubtful <= ON_THE_WIRE * kills
    assert status_of(server, push)["counts"] == {"sent": len(tokens)}
    repeats = received.total() - len(tokens)
    return f"{len(tokens)} devices, {kills} kills, {doubtful} in doubt, {repeats} repeats, 0 missed"
