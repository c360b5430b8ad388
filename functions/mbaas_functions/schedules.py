"""Schedules: at each tick of a cron expression a job is put into the queue, once however many processes there are.

A tick that was used stays written down for a week, in the commit that puts its job: a process that comes late with it puts nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.clock import iso
from mbaas.kernel.values import Object
from mbaas.storage.ports import PutRow
from mbaas_functions.jobs import Jobs

_TABLE, _TICKS = "schedules", "ticks"
_REMEMBERED_MS = 7 * 24 * 3600 * 1000
_MOST_MISSED = 1000
_LATER_MS = 10_000
_AT_ONCE = 10
"""How many ticks that were missed get their jobs before it is written down how far that went: a process may be killed meanwhile."""


class Schedules:
    """The schedules of one app."""

    def __init__(self, app: App, jobs: Jobs, catch_up: Callable[[], Awaitable[bool]], owner: Owner) -> None:
        """`catch_up` declares what other processes may know already, and says whether it could."""
        self._app, self._jobs, self._catch_up = app, jobs, catch_up
        self._queue = Queue(app, _TABLE, self._tick, owner)
        self._declared: set[str] = set()

    async def declare(self, schedules: Iterable[Object]) -> None:
        """Have these schedules, each `{job, cron, tz, missed}`, and no others from now on. One that was there goes on from where it was."""
        self._declared = set()
        for given in schedules:
            key = f"{given['job']} {given['cron']} {given['tz']}"
            self._declared.add(key)
            tick = next_tick(given["cron"], given["tz"], self._app.clock.now())
            await self._queue.put(key, {**given, "tick": tick}, due=tick)

    def start(self) -> None:
        """Begin to tick."""
        self._queue.start()

    def wake(self) -> None:
        """Look now whether a tick is due."""
        self._queue.wake()

    async def close(self) -> None:
        """Stop."""
        await self._queue.close()

    async def _tick(self, task: Task) -> int | None:
        if task.key not in self._declared and not await self._catch_up():
            # It may be of code that runs elsewhere already.
            return self._app.clock.now() + _LATER_MS
        if task.key not in self._declared:
            return None
        value, now = task.value, self._app.clock.now()
        ticks, following = [value["tick"]], next_tick(value["cron"], value["tz"], value["tick"])
        while following <= now and len(ticks) < (_AT_ONCE if value["missed"] == "all" else _MOST_MISSED):
            ticks.append(following)
            following = next_tick(value["cron"], value["tz"], following)
        missed = value.get("behind", 0) + len(ticks)
        if following <= now and missed >= _MOST_MISSED:
            following = next_tick(value["cron"], value["tz"], now)
        for tick in _due(ticks, value["missed"]):
            await self._put(task.key, value["job"], tick)
        await task.keep({**value, "tick": following, "behind": missed if following <= now else 0})
        return following

    async def _put(self, schedule: str, job: str, tick: int) -> None:
        key = f"{schedule} {tick}"
        if await self._app.store.rows.get(_TICKS, key) is not None:
            return
        once = PutRow(_TICKS, key, None, expires=self._app.clock.now() + _REMEMBERED_MS, if_absent=True)
        await self._jobs.put(job, {}, f"schedule {iso(tick)}", beside=[once])


def _due(ticks: list[int], missed: str) -> list[int]:
    """Which ticks get a job, where more than the present one have passed: all, the last one for all of them, or none."""
    if missed == "all":
        return ticks
    return ticks[-1:] if missed == "once" or len(ticks) == 1 else []


def next_tick(cron: str, tz: str, after: int) -> int:
    """The first tick after a moment, in ms. An hour that a change of clocks leaves out or repeats gives a daily tick once."""
    start = datetime.fromtimestamp(after / 1000, UTC).astimezone(ZoneInfo(tz))
    found: datetime = next(CronSim(cron, start))
    return round(found.timestamp() * 1000)
