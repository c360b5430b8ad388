"""Jobs: started, told of, and done whatever becomes of the process that began them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.functions.conftest import APPS, on_either
from tests.wire.people import Person, fresh


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    yield from on_either(request, tmp_path_factory.mktemp(request.param), "jobs")


def until(found: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
    return value


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def ended(master: Person, name: str, **params: object) -> Any:
    """The status of a job when it has ended."""
    status, answer = master.call("POST", f"/jobs/{name}", params)
    assert (status, answer) == (200, {})

    def last() -> Any:
        found = max(master.find("_JobStatus", f'{{"jobName": "{name}"}}'), key=lambda row: str(row["createdAt"]))
        return found if found["status"] != "running" else None

    return until(last)


def test_a_job_tells_how_it_ended(server: TestServer) -> None:
    master = Person.master(server)
    told = ended(master, "tells", what="all")
    assert (told["status"], told["message"], told["source"], told["params"]) == ("succeeded", "all done", "api", {"what": "all"})
    assert told["finishedAt"]["__type"] == "Date"
    assert ended(master, "fails")["message"] == "it went wrong"
    told = ended(master, "dies")
    assert (told["status"], told["message"]) == ("failed", "job dies did not end: its worker ended with status 7")


def test_only_the_master_key_starts_jobs(server: TestServer) -> None:
    assert Person(server).call("POST", "/jobs/tells", {})[0] == 403
    assert Person.master(server).call("POST", "/jobs/other", {}) == (400, {"code": 141, "error": "Invalid job."})


def test_the_jobs_are_listed_by_their_names(server: TestServer) -> None:
    listed = Person.master(server).call("GET", "/cloud_code/jobs/data")[1]
    assert listed == {"in_use": [], "jobs": ["tells", "fails", "counts", "dies", "planned", "new_year"]}


def test_jobs_are_done_whatever_becomes_of_processes(tmp_path: Path) -> None:
    """One of three processes after another is killed while 90 jobs wait and run: each of them is done, and told to be."""
    settings = {"preset": "parse", "functions": APPS / "jobs", "workers": 3}
    with TestServer(tmp_path, settings=settings) as running:
        master = Person.master(running)
        assert running.process is not None
        first = running.process.pid
        with ThreadPoolExecutor(4) as pool:
            assert {status for status, _ in pool.map(lambda n: master.call("POST", "/jobs/counts", {"n": n}), range(90))} == {200}
        for _ in range(3):
            children = [int(pid) for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split()]
            os.kill(children[-1], signal.SIGKILL)
            until(partial(gone, children[-1]))
        until(lambda: len(master.find("_JobStatus", '{"status": "succeeded"}')) == 90, 120)
        assert {row["n"] for row in master.find("Count")} == set(range(90))


def test_a_job_that_was_cut_short_runs_again_after_the_next_start(tmp_path: Path) -> None:
    settings = {"preset": "parse", "functions": APPS / "jobs"}
    running = TestServer(tmp_path, settings=settings).start()
    master = Person.master(running)
    assert master.call("POST", "/jobs/counts", {"n": 1, "seconds": 1})[0] == 200
    until(lambda: master.find("_JobStatus"))
    running.stop()
    with running:
        master = Person.master(running)
        told = until(lambda: master.find("_JobStatus", '{"status": "succeeded"}'))
        assert [row["params"]["n"] for row in told] == [1]
        assert [row["n"] for row in master.find("Count")] in ([1], [1, 1])


def test_a_schedule_is_not_declared_that_makes_no_sense(tmp_path: Path) -> None:
    for number, line in enumerate(('"61 * * * *"', '"* * * * *", tz="Mars/Base"', '"* * * * *", missed="twice"')):
        folder = tmp_path / fresh()
        folder.mkdir()
        code = f"from mbaas_functions import cloud\n\n@cloud.schedule({line})\nasync def tick(request): ...\n"
        (folder / "main.py").write_text(code)
        with pytest.raises(RuntimeError, match=r"no schedule|missed is one of"):
            TestServer(tmp_path / str(number), settings={"functions": folder}).start()
