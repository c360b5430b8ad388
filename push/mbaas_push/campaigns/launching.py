"""From a scheduled campaign to its runs: at each of its times one run, however many processes there are, and none when it is too late.

What is next of a campaign is a task of a durable queue. That a run is launched commits with what comes after it, and with the campaign's
own change: a campaign that is cancelled, paused or edited at the same moment is looked at again.
"""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Conflict, Duplicate, MbaasError, ParseError
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import PutRow, Step
from mbaas_push.campaigns.schedule import Schedule, duration_ms
from mbaas_push.campaigns.store import Kept, Store
from mbaas_push.message import RESEND
from mbaas_push.runs import Runs
from mbaas_push.sending import CONTROL

TICKS = "campaign times"
_FOR_GOOD_MS = 10 * 365 * 86_400_000
UNDER_WAY = "campaign runs under way"
_PAGE = 500
_OF_DEFINITION = ("category", "audience", "variants", "control", "quietHours", "caps", "perSecond", "zone")


class Launching:
    """The times of an app's campaigns. A tick's value: `first` and `next`, wall times in ms, how many have been, and how many were sent."""

    def __init__(self, app: App, store: Store, runs: Runs, owner: Owner) -> None:
        self._app, self._store, self._runs = app, store, runs
        self._queue = Queue(app, TICKS, self._tick, owner)
        runs.ended, runs.tripped = self._ended, self._tripped

    def start(self) -> None:
        """Begin to launch."""
        self._queue.start()

    async def close(self) -> None:
        """Stop."""
        await self._queue.close()

    def wake(self) -> None:
        """Look now whether something is due."""
        self._queue.wake()

    def first(self, campaign: Kept) -> PutRow:
        """The step that has a campaign sent at its times. ParseError 142 if there are none."""
        schedule, now = Schedule.of(campaign.definition["schedule"]), self._app.clock.now()
        first = schedule.begun(now)
        wall = schedule.upcoming(first, now, campaign.value.get("launched"))
        if wall is None:
            raise ParseError(Code.VALIDATION_ERROR, "The time of the schedule has passed.")
        return PutRow(TICKS, campaign.id, {"first": first, "next": wall, "done": 0, "sent": 0}, due=schedule.due(wall))

    async def next_time(self, campaign: Kept) -> str | None:
        """When it is sent next: an instant, or without a zone each device's own time."""
        row = await self._app.store.rows.get(TICKS, campaign.id)
        if row is None or row.value["next"] is None:
            return None
        schedule, wall = Schedule.of(campaign.definition["schedule"]), row.value["next"]
        return iso(wall).removesuffix("Z") if schedule.local else iso(schedule.due(wall))

    async def again(self, campaign_id: str) -> None:
        """Look at a campaign anew that was paused."""
        if await self._app.store.rows.get(TICKS, campaign_id) is not None:
            await self._queue.recall(campaign_id, _as_it_is)

    async def _tick(self, task: Task) -> int | None:
        try:
            campaign = await self._store.get(task.key)
        except ParseError:
            return None
        value, wall, now = task.value, task.value["next"], self._app.clock.now()
        if wall is None or campaign.state not in ("scheduled", "paused"):
            return None
        schedule = Schedule.of(campaign.definition["schedule"])
        if campaign.state == "paused":
            return now + _FOR_GOOD_MS
        if (due := schedule.due(wall)) > now:
            return due
        following = schedule.following(value["first"], wall, value["done"] + 1)
        missed = schedule.missed(wall, now)
        kept = {**value, "next": following, "done": value["done"] + 1, "sent": value["sent"] + (not missed)}
        late = self._store.steps(campaign, "missed", None, {"time": iso(wall)})
        try:
            await task.keep(kept, late if missed else self._launched(campaign, schedule, wall))
        except Duplicate:
            # It was changed meanwhile.
            return now
        self._runs.wake()
        if following is None:
            await self._settle(campaign.id, "succeeded")
            return None
        return schedule.due(following)

    def _launched(self, campaign: Kept, schedule: Schedule, wall: int) -> list[Step]:
        run = self._app.ids.object_id()
        push = push_of(campaign, self._app.clock.now(), wall if schedule.local else schedule.due(wall), local=schedule.local)
        steps = self._store.steps(campaign, "launched", None, {"run": run, "time": iso(wall)}, launched=schedule.due(wall))
        under_way = PutRow(UNDER_WAY, f"{campaign.id}|{run}", {})
        return [*steps, self._store.note_run(campaign, run, test=False), under_way, self._runs.launch(run, push)]

    async def _ended(self, run: str, told: Object, how: str) -> None:
        if not told.get("test"):
            await self._app.store.rows.drop(UNDER_WAY, f"{told['id']}|{run}")
            await self._settle(told["id"], how)

    async def holding(self, campaign_id: str) -> list[Step]:
        """The steps that pause the runs of a campaign that have not ended."""
        return [PutRow(CONTROL, run, "paused") for run in await self.active(campaign_id)]

    async def _tripped(self, campaign_id: str, why: str) -> None:
        """Pause a campaign of which too much fails."""
        get_logger(__name__).error("a campaign was paused, since too much of it fails", campaign=campaign_id, reason=why)
        while (campaign := await self._store.get(campaign_id)).state == "scheduled":
            stopped = self._store.steps(campaign, "stopped", None, {"reason": why}, state="paused")
            try:
                await self._app.store.documents.commit([*stopped, *await self.holding(campaign_id)])
                return
            except Duplicate:
                # It was changed meanwhile.
                continue

    async def _settle(self, campaign_id: str, how: str) -> None:
        """End a campaign of which nothing is left. Asked whenever something of it has ended, and not wrong if nothing has."""
        while True:
            try:
                campaign = await self._store.get(campaign_id)
            except ParseError:
                return
            tick = await self._app.store.rows.get(TICKS, campaign_id)
            if campaign.state not in ("scheduled", "paused") or await self.active(campaign_id):
                return
            if tick is not None and tick.value["next"] is not None:
                return
            expired = tick is not None and not tick.value["sent"]
            try:
                state = "failed" if how == "failed" else "expired" if expired else "completed"
                await self._store.change(campaign, "ended", None, state=state)
                return
            except Conflict:
                continue

    async def active(self, campaign_id: str) -> dict[str, str]:
        """The campaign's runs that have not ended, with where each is: `materialising` or `sending`. Tests do not count."""
        prefix, after = f"{campaign_id}|", ""
        found: dict[str, str] = {}
        while page := await self._app.store.rows.scan(UNDER_WAY, after, _PAGE, prefix):
            after = page[-1].key
            for run in (row.key.removeprefix(prefix) for row in page):
                if (active := await self._runs.active(run)) is not None:
                    found[run] = str(active.value["state"])
        return found


def push_of(campaign: Kept, asked: int, at: int | None, *, local: bool = False, **test: object) -> Object:
    """The push of a run of a campaign as it is now."""
    definition = campaign.definition
    told = {"id": campaign.id, "version": campaign.value["version"], "past": definition["schedule"].get("past", "skip"), **test}
    told |= {name: definition[name] for name in _OF_DEFINITION if name in definition}
    said = definition["variants"][0]["content"]
    lasts = duration_ms(definition["expires"], "expires") if "expires" in definition else None
    return {
        "where": definition["audience"],
        "data": {name: said[key] for name, key in (("title", "title"), ("alert", "body")) if key in said},
        "at": at,
        "local": local,
        "expires": None if at is not None or lasts is None else asked + lasts,
        "lasts": lasts,
        "interval": None if lasts is None else lasts / 1000,
        "on_ambiguous": definition.get("onAmbiguous", RESEND),
        "asked": asked,
        "pushTime": None if at is None else iso(at).removesuffix("Z") if local else iso(at),
        "campaign": told,
    }


def _as_it_is(value: Object | None) -> Object:
    if value is None:
        raise MbaasError("the campaign has ended")
    return value
