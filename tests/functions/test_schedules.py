"""Each tick of a schedule is used once, by whichever process, at whatever time it comes back."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mbaas.app import open_app
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.jobs.owner import Owner
from mbaas.kernel.caller import MASTER
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.kernel.values import Json, Object
from mbaas.services import Services
from mbaas.testing.clock import FakeClock
from mbaas_functions.jobs import STATUS, Jobs
from mbaas_functions.schedules import Schedules, next_tick

MINUTE = 60_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def app(tmp_path: Path, clock: FakeClock) -> AsyncIterator[App]:
    opened = await open_app(AppOptions(app_id="a", master_key="m", data_dir=tmp_path), Services(ServerOptions(), {}, clock=clock))
    yield opened
    await opened.close()


async def caught_up() -> bool:
    """There is no other code."""
    return True


class Process:
    """What a process of the server does for schedules and jobs."""

    def __init__(self, app: App, ran: list[str]) -> None:
        async def run(name: str, params: Object, job_id: str, said: object) -> Json:
            ran.append(job_id)

        self.owner = Owner(app.options.data_dir, app.ids.uuid())
        self.jobs = Jobs(app, run, lambda name: 0, self.owner)
        self.schedules = Schedules(app, self.jobs, caught_up, self.owner)

    async def start(self, *schedules: Object) -> Process:
        await self.schedules.declare(schedules)
        self.jobs.start()
        self.schedules.start()
        return self

    async def close(self) -> None:
        await self.schedules.close()
        await self.jobs.close()
        self.owner.close()


def every_minute(missed: str = "once") -> Object:
    return {"job": "tick", "cron": "* * * * *", "tz": "UTC", "missed": missed}


async def sources(app: App) -> list[str]:
    """Which ticks have got a job that is done."""
    rows = await find_objects(app, MASTER, STATUS, FindOptions(where={"status": "succeeded"}, limit=1000))
    return sorted(row["source"] for row in rows)


async def until(app: App, count: int) -> list[str]:
    async with asyncio.timeout(30):
        for _ in itertools.count():
            if len(found := await sources(app)) >= count:
                break
            await asyncio.sleep(0.002)
    return found


async def test_each_tick_is_used_once_by_processes_that_come_and_go(app: App, clock: FakeClock) -> None:
    chance, ran = random.Random(5), list[str]()
    begun = clock.now()
    processes = [await Process(app, ran).start(every_minute()) for _ in range(3)]
    for tick in range(1, 41):
        clock.advance(MINUTE)
        gone = chance.randrange(3)
        await processes[gone].close()
        processes[gone] = await Process(app, ran).start(every_minute())
        for process in processes:
            process.schedules.wake()
        await until(app, tick)
    for process in processes:
        await process.close()
    told = await sources(app)
    assert len(told) == len(set(told)) == 40
    assert len(set(ran)) == 40
    assert clock.now() - begun == 40 * MINUTE


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("all", 25), ("skip", 0)])
async def test_ticks_that_were_missed(app: App, clock: FakeClock, missed: str, count: int) -> None:
    ran: list[str] = []
    process = await Process(app, ran).start(every_minute(missed))
    await process.close()
    clock.advance(25 * MINUTE)
    process = await Process(app, ran).start(every_minute(missed))
    async with asyncio.timeout(30):
        for _ in itertools.count():
            if (await app.store.rows.scan("schedules"))[0].value["tick"] > clock.now():
                break
            await asyncio.sleep(0.002)
    assert len(await until(app, count)) == count
    clock.advance(MINUTE)
    process.schedules.wake()
    assert len(await until(app, count + 1)) == count + 1
    await process.close()


async def test_a_schedule_that_is_no_longer_declared_ends(app: App, clock: FakeClock) -> None:
    ran: list[str] = []
    process = await Process(app, ran).start(every_minute())
    await process.schedules.declare([])
    clock.advance(MINUTE)
    process.schedules.wake()
    async with asyncio.timeout(30):
        for _ in itertools.count():
            if not await app.store.rows.scan("schedules"):
                break
            await asyncio.sleep(0.002)
    await process.close()
    assert (ran, await sources(app)) == ([], [])


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 9 * * *", "0 0 * * *", "59 1 * * *"])
@pytest.mark.parametrize("tz", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC"])
def test_a_daily_tick_is_one_for_each_day_over_a_year_of_clock_changes(cron: str, tz: str) -> None:
    at = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    days = []
    for _ in range(365):
        at = next_tick(cron, tz, at)
        days.append(datetime.fromtimestamp(at / 1000, ZoneInfo(tz)).date())
    assert len(set(days)) == 365
    assert (days[-1] - days[0]).days == 364


async def test_a_schedule_of_code_that_runs_elsewhere_is_left_to_it(app: App, clock: FakeClock) -> None:
    """A process that could not follow a deployment yet does not take its schedules for ended ones."""

    async def behind() -> bool:
        return False

    ran: list[str] = []
    elsewhere = await Process(app, ran).start(every_minute())
    await elsewhere.close()
    process = Process(app, ran)
    process.schedules = Schedules(app, process.jobs, behind, process.owner)
    await process.start()
    clock.advance(MINUTE)
    process.schedules.wake()
    async with asyncio.timeout(30):
        for _ in itertools.count():
            row = (await app.store.rows.scan("schedules"))[0]
            if row.fence > 0 and row.owner is None:
                break
            await asyncio.sleep(0.002)
    await process.close()
    elsewhere = await Process(app, ran).start(every_minute())
    clock.advance(MINUTE)
    elsewhere.schedules.wake()
    assert len(await until(app, 1)) == 1
    await elsewhere.close()
