"""Processes are killed, or paused for longer than a lease, at any moment: each tick gets one job, and each job is done and ends once."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.functions.conftest import APPS
from tests.wire.people import Person
from tests.workers.asking import MACHINES, ONE_MACHINE, PROCESSES, Stores
from tests.workers.fleet import Fleet, fleet, pass_time

TICKS = int(os.environ.get("MBAAS_TEST_TICKS", "3"))
JOBS = int(os.environ.get("MBAAS_TEST_JOBS", "30"))
LONG = TICKS >= 100
"""Processes are then paused, too, which takes its time, and three machines take part."""
KINDS = [*ONE_MACHINE, MACHINES] if LONG else ONE_MACHINE
STARTERS = 4
FEW = 4
PATIENT_SECONDS = 600 if LONG else 60
"""How many are killed unless the counts are long."""


@pytest.fixture(scope="module")
def stores(request: pytest.FixtureRequest) -> Stores:
    return Stores(request)


class Starters:
    """They start jobs one after the other, each until it is acknowledged, with whichever server answers."""

    def __init__(self, fleet: Fleet) -> None:
        self._servers = itertools.cycle(fleet.servers)
        self._left = iter(range(JOBS))
        self._given_up = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(STARTERS)]
        self.refused: list[Any] = []

    def __enter__(self) -> Starters:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._given_up.set()
        for thread in self._threads:
            thread.join()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        for n in self._left:
            while not self._given_up.is_set() and not self._start(n):
                pass
            self._given_up.wait(STARTERS * 0.9 * TICKS / JOBS)

    def _start(self, n: int) -> bool:
        try:
            status, answer = Person.master(next(self._servers)).call("POST", "/jobs/counts", {"n": n})
        except (OSError, HTTPException):
            # It may have been killed before it was put, or after.
            return False
        if status != 200:
            self.refused.append((status, answer))
        return True


def all_of(master: Person, class_name: str) -> list[Any]:
    """However many there are."""
    status, answer = master.call("GET", f"/classes/{class_name}?limit=100000")
    assert status == 200, answer
    found: list[Any] = answer["results"]
    return found


def ends(master: Person, since: str) -> Counter[str]:
    """How often each job was told to have ended."""
    found: list[Any] = []
    more = True
    while more:
        status, page = master.ask("_JobStatus", since, limit=1000)
        assert status == 200, page
        found += page["results"]
        since, more = page["next"], page["more"]
    return Counter(each["objectId"] for each in found if each["op"] == "update" and each["object"]["status"] != "running")


@pytest.mark.parametrize("kind", KINDS)
def test_each_tick_gets_one_job_and_each_job_ends_once(kind: str, stores: Stores, tmp_path: Path) -> None:
    with fleet(kind, stores, tmp_path, PROCESSES, functions=APPS / "kills") as running:
        master = Person.master(running.servers[0])
        began = master.position("_JobStatus")
        until = time.monotonic() + TICKS
        with Starters(running) as starters:
            while time.monotonic() < until or starters.busy:
                pass_time(running.chance.uniform(0, 7 if LONG else 1))
                if LONG and running.killed >= 10 * (running.paused + 1):
                    running.pause()
                elif LONG or running.killed < FEW:
                    running.kill()
        assert starters.refused == []
        assert running.killed > 0
        at_last(lambda: not master.find("_JobStatus", '{"status": "running", "jobName": "counts"}'))
        at_last(lambda: consecutive(ticks(master)) >= TICKS)
        print(f"{kind}: {running.killed} killed, {running.paused} paused")
        check(master, began)


def at_last(holds: Callable[[], bool]) -> None:
    """Wait until the server has caught up."""
    deadline = time.monotonic() + PATIENT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        pass_time(0.2)


def ticks(master: Person) -> list[str]:
    """Those whose jobs have ended."""
    found = [row for row in all_of(master, "_JobStatus") if row["jobName"] == "each_second" and row["status"] != "running"]
    return sorted(row["source"].removeprefix("schedule ") for row in found)


def consecutive(found: list[str]) -> int:
    """How many come one second after the other, from the first on."""
    moments = [datetime.fromisoformat(tick) for tick in found]
    return next((n for n, moment in enumerate(moments) if moment != moments[0] + timedelta(seconds=n)), len(moments))


def check(master: Person, began: str) -> None:
    statuses = [row for row in all_of(master, "_JobStatus") if row["status"] != "running"]
    assert {row["status"] for row in statuses} == {"succeeded"}
    counted = [row for row in statuses if row["jobName"] == "counts"]
    assert {row["params"]["n"] for row in counted} == set(range(JOBS))
    made = {row["objectId"]: row["n"] for row in all_of(master, "Count")}
    assert {row["objectId"]: made[row["message"]] for row in counted} == {row["objectId"]: row["params"]["n"] for row in counted}
    # The first ticks may have had their jobs before anybody looked.
    at_last(lambda: {row["objectId"] for row in counted} <= set(ends(master, began)))
    assert {job: count for job, count in ends(master, began).items() if count != 1} == {}
    used = ticks(master)
    assert len(set(used)) == len(used)
    print(f"{len(counted)} jobs, done {len(made)} times; {len(used)} ticks")
