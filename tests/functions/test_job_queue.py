"""Who does a job: retries, cancels, and processes that lose it while they still work on it. All in one process, on a fake clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bson import ObjectId

from mbaas.app import open_app
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import EVERYTHING
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Lost, Task
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.kernel.values import Json, Object
from mbaas.services import Services
from mbaas.storage.ports import PutRow, Row
from mbaas.testing.clock import FakeClock
from mbaas_functions.jobs import STATUS, Jobs
from tests.secantus import database
from tests.waiting import until

LEASE_MS = 10_000
MOST = 8
"""How many jobs a process does at once. One that has so many takes no more: it might as well be dead."""
BEGUN = 10
"""How often a job may be begun whose process dies."""
Said = Callable[[str], Awaitable[None]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["embedded", "mongodb"])
async def app(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[App]:
    url = database(request.getfixturevalue("mongo"), f"queue_{ObjectId()}") if request.param == "mongodb" else None
    options = AppOptions(app_id="a", master_key="m", data_dir=tmp_path, database_url=url)
    opened = await open_app(options, Services(ServerOptions(), {}, clock=clock))
    yield opened
    await opened.close()


class Process:
    """A process of the server, as far as jobs go. Its runs of a job wait until the test ends them."""

    def __init__(self, app: App, retries: int = 0) -> None:
        self.owner = Owner(app.options.data_dir, app.ids.uuid())
        self.jobs = Jobs(app, self._run, lambda name: retries, self.owner)
        self.began: list[str] = []
        self.cancelled: list[str] = []
        self.ends: asyncio.Queue[Json] = asyncio.Queue()
        self.said: Said | None = None
        self.jobs.start()

    async def _run(self, name: str, params: Object, job_id: str, said: Said) -> Json:
        self.began.append(job_id)
        self.said = said
        try:
            end = await self.ends.get()
        except asyncio.CancelledError:
            self.cancelled.append(job_id)
            raise
        if isinstance(end, Exception):
            raise end
        return end

    async def has_begun(self, count: int) -> None:
        """Wait until it has begun so many runs."""
        await until(lambda: len(self.began) == count)

    async def close(self) -> None:
        await self.jobs.close()
        self.owner.close()


async def status(app: App, job_id: str) -> Object:
    found = await find_objects(app, MASTER, STATUS, EVERYTHING)
    return next(row for row in found if row["objectId"] == job_id)


async def ended(app: App, job_id: str) -> Object:
    """Its status once it has ended and is out of the queue."""

    async def gone() -> bool:
        return await app.store.rows.get("jobs", job_id) is None

    await until(gone)
    return await status(app, job_id)


async def test_a_process_that_lost_a_job_tells_nothing(app: App, clock: FakeClock) -> None:
    """It was paused for longer than its lease, so another one has done the job when it goes on."""
    paused, other = Process(app), Process(app)
    job_id = await paused.jobs.put("x", {})
    await until(lambda: bool(paused.began or other.began))
    paused, other = (paused, other) if paused.began else (other, paused)
    clock.advance(LEASE_MS + 1)
    other.jobs.wake()
    await until(lambda: bool(other.began))
    other.ends.put_nowait("by the other")
    told = await ended(app, job_id)
    assert paused.said is not None
    await paused.said("half of it")
    paused.ends.put_nowait("by the one that was paused")
    await until(paused.ends.empty)
    await paused.close()
    assert await status(app, job_id) == told
    assert (told["status"], told["message"]) == ("succeeded", "by the other")
    await other.close()


async def test_the_next_process_of_a_folder_need_not_wait_for_the_leases_of_a_dead_one(app: App) -> None:
    dead = Process(app)
    put = {await dead.jobs.put("x", {}) for _ in range(MOST)}
    await dead.has_begun(MOST)
    other = Process(app)
    assert other.owner.dead == frozenset()
    # The kernel does so when a process is killed; what it has taken stays as it is in the database.
    dead.owner.close()
    following = Process(app)
    assert following.owner.dead == {dead.owner.name}
    await until(lambda: {*following.began, *other.began} == put)
    for _ in range(MOST):
        following.ends.put_nowait("done")
        other.ends.put_nowait("done")
    assert {(await ended(app, job_id))["message"] for job_id in put} == {"done"}
    for process in (dead, other, following):
        await process.close()


async def test_a_job_that_fails_is_tried_again_after_twice_as_long_each_time(app: App, clock: FakeClock) -> None:
    process = Process(app, retries=12)
    job_id = await process.jobs.put("x", {})
    waits = []
    for failure in range(1, 13):
        await process.has_begun(failure)
        process.ends.put_nowait(ParseError(Code.SCRIPT_FAILED, f"failed {failure} times"))

        async def waits_again(count: int = failure) -> bool:
            row = await app.store.rows.get("jobs", job_id)
            return row is not None and row.value["failures"] == count and row.owner is None

        await until(waits_again)
        told = await status(app, job_id)
        assert (told["status"], told["message"], told["attempts"]) == ("running", f"failed {failure} times", failure)
        row = await app.store.rows.get("jobs", job_id)
        assert row is not None
        assert row.due is not None
        waits.append(row.due - clock.now())
        clock.advance(waits[-1] - 1)
        process.jobs.wake()
        assert len(process.began) == failure
        clock.advance(1)
        process.jobs.wake()
    assert waits == [min(1000 * 2**n, 600_000) for n in range(12)]
    await process.has_begun(13)
    process.ends.put_nowait("at last")
    told = await ended(app, job_id)
    assert (told["status"], told["message"], told["attempts"]) == ("succeeded", "at last", 13)
    await process.close()


async def test_a_job_that_fails_once_too_often_has_failed_with_its_last_error(app: App, clock: FakeClock) -> None:
    process = Process(app, retries=1)
    job_id = await process.jobs.put("x", {})
    for count, error in enumerate(("first", "second"), 1):
        await process.has_begun(count)
        process.ends.put_nowait(ParseError(Code.SCRIPT_FAILED, error))
        await until(process.ends.empty)

        async def at_rest() -> bool:
            row = await app.store.rows.get("jobs", job_id)
            return row is None or row.owner is None

        await until(at_rest)
        clock.advance(1000)
        process.jobs.wake()
    told = await ended(app, job_id)
    assert (told["status"], told["message"], told["attempts"]) == ("failed", "second", 2)
    await process.close()


async def test_a_job_whose_process_dies_each_time_is_not_begun_for_ever(app: App) -> None:
    def often(row: Row | None) -> Row:
        assert row is not None
        assert row.value["attempts"] == 1
        return replace(row, value={**row.value, "attempts": BEGUN})

    dead = Process(app, retries=1)
    put = {await dead.jobs.put("x", {}) for _ in range(MOST)}
    await dead.has_begun(MOST)
    for job_id in put:
        # Nothing that the process still says of the job counts from here.
        await app.store.rows.alter("jobs", job_id, often)
    dead.owner.close()
    last = Process(app, retries=1)
    for job_id in put:
        told = await ended(app, job_id)
        assert (told["status"], told["message"]) == ("failed", "The server ended each time the job ran.")
    assert last.began == []
    await dead.close()
    await last.close()


async def test_a_process_that_is_told_to_stop_does_not_use_up_a_job(app: App) -> None:
    """However often the server is started anew, and with a process that died among them."""
    job_id = ""
    for _ in range(BEGUN + 3):
        stopped = Process(app)
        job_id = job_id or await stopped.jobs.put("x", {})
        await stopped.has_begun(1)
        await stopped.close()
    row = await app.store.rows.get("jobs", job_id)
    assert row is not None
    assert (row.owner, row.value["attempts"], row.value["handedOver"]) == (None, BEGUN + 3, BEGUN + 3)
    last = Process(app)
    await last.has_begun(1)
    last.ends.put_nowait("done")
    told = await ended(app, job_id)
    assert (told["status"], told["message"], told["attempts"]) == ("succeeded", "done", BEGUN + 4)
    await last.close()


async def test_a_job_that_runs_here_is_cancelled_at_once(app: App) -> None:
    process = Process(app, retries=3)
    job_id = await process.jobs.put("x", {})
    await process.has_begun(1)
    told = await process.jobs.cancel(job_id)
    assert (told["status"], told["message"], told["finishedAt"]["__type"]) == ("failed", "cancelled", "Date")
    await until(lambda: process.cancelled == [job_id])
    assert {**await ended(app, job_id), **told} == await status(app, job_id)
    with pytest.raises(ParseError, match="waits or runs"):
        await process.jobs.cancel(job_id)
    assert process.began == [job_id]
    await process.close()


async def test_a_job_that_runs_elsewhere_is_cancelled_and_cannot_be_told_to_have_ended_otherwise(app: App) -> None:
    one, other = Process(app), Process(app)
    job_id = await one.jobs.put("x", {})
    await until(lambda: bool(one.began or other.began))
    runs, cancels = (one, other) if one.began else (other, one)
    await cancels.jobs.cancel(job_id)
    runs.ends.put_nowait("succeeded after all")
    await until(runs.ends.empty)
    told = await ended(app, job_id)
    await runs.close()
    assert (told["status"], told["message"]) == ("failed", "cancelled")
    assert await status(app, job_id) == told
    await cancels.close()


async def test_a_job_that_waits_for_its_next_try_is_cancelled(app: App) -> None:
    process = Process(app, retries=3)
    job_id = await process.jobs.put("x", {})
    await process.has_begun(1)
    process.ends.put_nowait(ParseError(Code.SCRIPT_FAILED, "went wrong"))

    async def waits() -> bool:
        row = await app.store.rows.get("jobs", job_id)
        return row is not None and row.owner is None

    await until(waits)
    await process.jobs.cancel(job_id)
    told = await ended(app, job_id)
    assert (told["status"], told["message"]) == ("failed", "cancelled")
    assert process.began == [job_id]
    await process.close()


async def test_a_job_that_nobody_knows_cannot_be_cancelled(app: App) -> None:
    process = Process(app)
    with pytest.raises(ParseError, match="waits or runs") as refused:
        await process.jobs.cancel("nosuchjob")
    assert refused.value.code == Code.OBJECT_NOT_FOUND
    assert await app.store.rows.get("jobs", "nosuchjob") is None
    await process.close()


async def test_what_takes_the_place_of_a_task_is_written_under_its_claim_alone(app: App, clock: FakeClock) -> None:
    """A process that lost its lease leaves nothing behind it."""
    rows = app.store.rows
    await rows.put_many("work", [Row("k", {"n": 1}, due=clock.now())])
    [late] = [Task(app, "work", row) for row in await rows.claim("work", clock.now(), "one", LEASE_MS)]
    clock.advance(LEASE_MS)
    [holder] = [Task(app, "work", row) for row in await rows.claim("work", clock.now(), "other", LEASE_MS)]
    with pytest.raises(Lost):
        await late.end(None, [PutRow("given up", "k", "one")])
    assert await rows.get("given up", "k") is None
    await holder.end(None, [PutRow("given up", "k", "other")])
    assert (await rows.get("work", "k"), await rows.get("given up", "k")) == (None, Row("k", "other"))
