"""Durable triggers: told of every write, in the order of each object, whatever becomes of processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.functions.conftest import APPS, on_either
from tests.functions.test_jobs import gone, until
from tests.secantus import database
from tests.secantus import running as secantus
from tests.wire.people import Person


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    yield from on_either(request, tmp_path_factory.mktemp(request.param), "durable")


def steps(master: Person, object_id: str) -> list[Any]:
    """What was told of an object, in order."""
    found = master.find("Trail", f'{{"of": "{object_id}"}}')
    return list(found[0]["steps"]) if found else []


def firsts(told: list[Any]) -> list[Any]:
    """The steps without those that were told again."""
    return [step for place, step in enumerate(told) if step not in told[:place]]


def test_each_write_is_told_in_order_with_what_was_before_it(server: TestServer) -> None:
    master, public = Person.master(server), Person(server)
    made = public.save("Order", {"n": 0})["objectId"]
    for n in (1, 2):
        public.change("Order", made, {"n": n})
    public.remove("Order", made)
    wanted = [[0, None], [1, 0], [2, 1], ["gone", 2]]
    until(lambda: len(steps(master, made)) >= 4)
    assert steps(master, made) == wanted


def test_the_request_does_not_wait_for_it(server: TestServer) -> None:
    master, public = Person.master(server), Person(server)
    status, told = public.call("POST", "/classes/Gated", {})
    assert (status, told["answered"], steps(master, told["objectId"])) == (201, True, [])
    public.save("Gate", {"of": told["objectId"]})
    until(lambda: steps(master, told["objectId"]) == ["through"])


def test_one_that_fails_is_told_again_and_holds_up_the_others_of_its_object(server: TestServer) -> None:
    """Three times; then it is given up, and the next ones are told."""
    master, public = Person.master(server), Person(server)
    made = public.save("Failing", {"n": 0})["objectId"]
    for n in (1, 2):
        public.change("Failing", made, {"n": n})
    until(lambda: len(steps(master, made)) >= 6)
    assert steps(master, made) == [0, 0, 1, 1, 1, 2]
    assert "a durable trigger is given up" in server.log.read_text()


def test_what_was_written_is_told_after_a_kill(tmp_path: Path) -> None:
    """The server is killed three times while it is written to: what was acknowledged is told, in order."""
    running = TestServer(tmp_path, settings={"preset": "parse", "functions": APPS / "durable"}).start()
    made = [Person(running).save("Order", {"n": 0})["objectId"] for _ in range(5)]
    for n in range(1, 4):
        public = Person(running)
        for turn in range(10):
            for object_id in made:
                public.change("Order", object_id, {"n": n * 100 + turn})
        running.kill()
        running.start()
    master = Person.master(running)
    wanted = [0, *(n * 100 + turn for n in range(1, 4) for turn in range(10))]
    try:
        for object_id in made:
            until(lambda object_id=object_id: [wanted[-1], wanted[-2]] in steps(master, object_id))  # type: ignore[misc]
            assert [step[0] for step in firsts(steps(master, object_id))] == wanted
    finally:
        running.stop()


def test_one_of_several_processes_tells_and_another_one_goes_on(tmp_path: Path) -> None:
    settings = {"preset": "parse", "functions": APPS / "durable", "workers": 3}
    with TestServer(tmp_path, settings=settings) as running:
        public, master = Person(running), Person.master(running)
        assert running.process is not None
        first = running.process.pid
        made = [public.save("Order", {"n": 0})["objectId"] for _ in range(6)]

        def write(object_id: str) -> None:
            for n in range(1, 21):
                master.change("Order", object_id, {"n": n})

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(write, made[:3]))
            children = [int(pid) for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split()]
            for child in children[:2]:
                os.kill(child, signal.SIGKILL)
            for child in children[:2]:
                until(partial(gone, child))
            list(pool.map(write, made[3:]))
        for object_id in made:
            until(partial(_told_of, master, object_id, 20), 120)
            assert [step[0] for step in firsts(steps(master, object_id))] == list(range(21))


def _told_of(master: Person, object_id: str, n: int) -> bool:
    return any(step[0] == n for step in steps(master, object_id))


def test_a_trigger_that_is_new_is_told_of_what_comes_then(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "main.py").write_text("")
    settings = {"preset": "parse", "functions": bare}
    with TestServer(tmp_path / "server", settings=settings) as running:
        old = Person(running).save("Order", {"n": 1})["objectId"]
    with TestServer(tmp_path / "server", settings={**settings, "functions": APPS / "durable"}) as running:
        master, new = Person.master(running), Person(running).save("Order", {"n": 2})["objectId"]
        until(lambda: steps(master, new))
        assert steps(master, old) == []


def test_without_a_feed_they_are_refused(tmp_path: Path) -> None:
    with secantus(tmp_path, "--standalone", own=True) as url:
        settings = {"database_url": database(url, "alone"), "mongo_standalone": "allow", "functions": APPS / "durable"}
        with pytest.raises(RuntimeError, match="need a MongoDB that is a replica set"):
            TestServer(tmp_path / "server", settings=settings).start()
