"""Deployment, canary and rollback while clients call: no call fails, everybody gets one whole version, a canary gets its share."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer
from mbaas_functions.archive import pack
from tests.functions.deploying import Deployer, folder_with
from tests.secantus import database
from tests.workers.asking import Connection, soon

CODE = """
import asyncio
from mbaas_functions import cloud

VERSION = {version}

@cloud.define("inner")
async def inner(request):
    return VERSION

@cloud.define("version")
async def version(request):
    return [VERSION, await cloud.run("inner")]

@cloud.define("slow")
async def slow(request):
    await asyncio.sleep(0.3)
    thing = cloud.Object("Thing", title="x")
    await thing.save()
    return [VERSION, await cloud.run("inner"), thing.get("by")]

@cloud.before_save("Thing")
async def mark(request):
    request.object.set("by", VERSION)
"""
CLIENTS = 6
PERCENT = 30


@pytest.fixture(scope="module", params=["embedded", "mongodb", "machines"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[TestServer]]:
    """A server of two processes on either store, or two servers with folders of their own on one database."""
    count = 2 if request.param == "machines" else 1
    settings: dict[str, object] = {"preset": "parse", "workers": 2 // count}
    if request.param != "embedded":
        settings["database_url"] = database(request.getfixturevalue("mongo"), f"load_{ObjectId()}")
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(request.param) for _ in range(count)]
        yield [stack.enter_context(TestServer(folder, settings=settings)) for folder in folders]


class Load:
    """Clients that call on and on."""

    def __init__(self, servers: list[TestServer]) -> None:
        self._servers = servers
        self._stop = threading.Event()
        self.answers: Counter[str] = Counter()
        self.failed: list[Any] = []
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        call = Connection(self._servers[number % len(self._servers)])
        who = {"X-Parse-Installation-Id": f"client-{number}"}
        while not self._stop.is_set():
            for name in ("version", "version", "version", "slow"):
                try:
                    status, told = call("POST", f"/functions/{name}", {}, who)
                except OSError as error:
                    status, told = 0, repr(error)
                if status != 200 or len(set(told["result"])) != 1:
                    self.failed.append((name, status, told))
                else:
                    self.answers[str(told["result"][0])] += 1
        call.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def answered(self, version: int) -> None:
        """Go on until so many more calls were answered by a version."""
        before = self.answers[str(version)]
        soon(lambda: self.answers[str(version)] > before + 60)


@contextmanager
def loaded(servers: list[TestServer]) -> Iterator[Load]:
    load = Load(servers)
    try:
        yield load
    finally:
        load.stop()
    assert load.failed == []


def everywhere(servers: list[TestServer], clients: int = 16) -> set[int]:
    """Which versions answer, over so many new connections."""
    found = set()
    for n in range(clients):
        call = Connection(servers[n % len(servers)])
        status, told = call("POST", "/functions/version", {})
        assert status == 200, told
        found.add(told["result"][0])
        call.close()
    return found


def test_no_call_fails_whatever_is_deployed(servers: list[TestServer], tmp_path: Path) -> None:
    deployer = Deployer(servers[0])
    numbers = {1: deployer.active(folder_with(tmp_path / "1", main=CODE.format(version=1)))}
    soon(lambda: everywhere(servers) == {1})
    with loaded(servers) as load:
        load.answered(1)
        numbers[2] = deployer.active(folder_with(tmp_path / "2", main=CODE.format(version=2)))
        soon(lambda: everywhere(servers) == {2})
        load.answered(2)
        numbers[3] = deployer.ready(folder_with(tmp_path / "3", main=CODE.format(version=3)))
        assert deployer.activate(numbers[3], PERCENT)[1]["percent"] == PERCENT
        load.answered(3)
        assert deployer.built(broken(tmp_path))["state"] == "failed"
        assert deployer.activate(numbers[3])[0] == 200
        soon(lambda: everywhere(servers) == {3})
        assert deployer.activate(numbers[1])[0] == 200
        soon(lambda: everywhere(servers) == {1})
        load.answered(1)
    assert set(load.answers) == {"1", "2", "3"}


def broken(folder: Path) -> bytes:
    return pack(folder_with(folder / "broken", main="import nothing_of_that_name"))


def test_a_canary_has_its_share_and_keeps_its_people(servers: list[TestServer], tmp_path: Path) -> None:
    deployer = Deployer(servers[0])
    old = deployer.active(folder_with(tmp_path / "old", main=CODE.format(version=10)))
    new = deployer.ready(folder_with(tmp_path / "new", main=CODE.format(version=20)))
    assert deployer.activate(new, PERCENT)[0] == 200
    calls = [Connection(servers[n % len(servers)]) for n in range(8)]

    def who_gets_what(shift: int = 0) -> dict[int, int]:
        """The version of each of 240 installations, over whichever connection."""
        found = {}
        for n in range(240):
            status, told = calls[(n + shift) % 8]("POST", "/functions/version", {}, {"X-Parse-Installation-Id": f"phone-{n}"})
            assert status == 200, told
            found[n] = told["result"][0]
        return found

    soon(lambda: who_gets_what() == who_gets_what(1) and set(who_gets_what().values()) == {10, 20})
    seen = who_gets_what()
    assert seen == who_gets_what(3)
    share = sum(version == 20 for version in seen.values()) / 240 * 100
    assert PERCENT - 12 < share < PERCENT + 12
    anonymous = Counter(calls[n % 8]("POST", "/functions/version", {})[1]["result"][0] for n in range(1000))
    assert PERCENT - 7 < anonymous[20] / 10 < PERCENT + 7
    assert deployer.activate(old)[1]["active"]
    soon(lambda: set(who_gets_what().values()) == {10})
    for call in calls:
        call.close()
