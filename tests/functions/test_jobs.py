"""Jobs: started, told of, and done whatever becomes of the process that began them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.functions.conftest import APPS, on_either
from tests.wire.people import Person, fresh

READ_ONLY = "test-read-only-key"


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    yield from on_either(request, tmp_path_factory.mktemp(request.param), "jobs", read_only_master_key=READ_ONLY)


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
    assert listed == {"in_use": [], "jobs": ["tells", "fails", "counts", "dies", "tries", "waits", "spins", "planned", "new_year"]}


def test_a_job_with_retries_is_tried_again(server: TestServer) -> None:
    told = ended(Person.master(server), "tries")
    assert (told["status"], told["message"], told["attempts"]) == ("succeeded", "at last", 2)


def begun(master: Person, name: str) -> Any:
    """The status of a job that was started, as soon as it has said something."""
    assert master.call("POST", f"/jobs/{name}", {})[0] == 200
    return until(lambda: master.find("_JobStatus", f'{{"jobName": "{name}", "message": {{"$exists": true}}}}'))[0]


def cancel(person: Person, job_id: str) -> Any:
    return person.server.call("POST", f"/api/v1/jobs/{job_id}/cancel", None, person.headers)


def test_a_job_that_is_cancelled_is_told_to_end(server: TestServer) -> None:
    master = Person.master(server)
    running = begun(master, "waits")
    assert running["message"] == "waiting"
    status, told = cancel(master, running["objectId"])
    assert (status, told["status"], told["message"]) == (200, "failed", "cancelled")
    found = master.call("GET", f"/classes/_JobStatus/{running['objectId']}")[1]
    assert (found["status"], found["message"], found["finishedAt"]) == ("failed", "cancelled", told["finishedAt"])
    until(lambda: "told to end" in server.log.read_text())
    assert cancel(master, running["objectId"])[0] == 404


def test_a_job_that_does_not_listen_is_ended(server: TestServer) -> None:
    running = begun(Person.master(server), "spins")
    assert cancel(Person.master(server), running["objectId"])[0] == 200
    until(partial(gone, int(running["message"])))


def test_only_the_master_key_cancels_jobs(server: TestServer) -> None:
    assert cancel(Person(server), "any")[0] == 403
    read_only = Person(server, **{"X-Parse-Master-Key": READ_ONLY})
    assert cancel(read_only, "any") == (403, {"code": 119, "error": "Permission denied"})
    assert cancel(Person.master(server), "any") == (404, {"code": 101, "error": "No job with the id any waits or runs."})


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
