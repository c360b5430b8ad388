"""Does what is to be done for something that happened: decides whom it is sent to, and sends it.

Of one person that is three commits: what happened is on disk; what is sent is there and started, and goes on the wire; what became of it.
Of many, rows are written page by page, and each play's run is then sent like that of a campaign. A task that begins anew, since its process
has died, decides again unless something had been started: what had been is sent once more under the same send id, by which devices
show it once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.jobs.queue import Lost, Task
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import iso
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import PutRow, Row, Step
from mbaas_push.campaigns.recipients import subject_of
from mbaas_push.campaigns.segments import CLASS, after
from mbaas_push.deliveries import KEPT_MS, TABLE, Delivery, key_of
from mbaas_push.moments.firing import RECORDS, record
from mbaas_push.moments.gate import PlayGate, cancel
from mbaas_push.moments.judging import Judging
from mbaas_push.moments.offers import Offers
from mbaas_push.moments.push import Fire, push_of, run_of
from mbaas_push.moments.rules import Live, Rules
from mbaas_push.runs import FAILURES, FIRST_REST_MS, Runs, begun

TASKS, FIRES = "moment tasks", "play fires"
_MOST_DEVICES = 100
"""Of one person."""
_PAGE = 500


class Working:
    """Works on the moments of one app."""

    def __init__(self, app: App, runs: Runs, rules: Rules, settled: Callable[[], None], wake: Callable[[], None]) -> None:
        self._app, self._runs, self._rules, self._settled, self._wake = app, runs, rules, settled, wake
        self._offers = Offers(app)

    async def work(self, task: Task) -> int | None:
        """Take one as far as it goes now; when it is to go on, None when it has ended."""
        try:
            if "fire" not in task.value or task.value.get("started"):
                return await self._go_on(task)
            fire = Fire(**task.value["fire"])
            live = await self._rules.live()
            plays = [live[play] for play in fire.plays if play in live]
            judging = Judging(self._app, fire, plays, self._offers)
            if not fire.single:
                return await self._many(task, fire, judging, live)
            # Nobody else waits for what functions take their time for.
            asks = any(play.definition["functions"] for play in plays)
            with nullcontext() if asks else self._runs.turns.taking_part("moment"):
                return await self._one(task, fire, judging, live)
        except Lost:
            raise
        except Exception:
            get_logger(__name__).exception("a moment has failed", moment=task.key)
            return await self._failed(task)

    async def _failed(self, task: Task) -> int | None:
        """Try again what a fault has stopped, later each time; give it up in the end."""
        failures = int(task.value.get("failures", 0)) + 1
        if failures < FAILURES:
            await task.keep({**task.value, "failures": failures})
            return self._app.clock.now() + (FIRST_REST_MS << failures)
        if "fire" in task.value:
            await task.end(None, [self._recorded(Fire(**task.value["fire"]), task, "failed", {})])
            self._settled()
        return None

    async def _one(self, task: Task, fire: Fire, judging: Judging, live: dict[str, Live]) -> int | None:
        devices = await find_objects(self._app, MASTER, CLASS, FindOptions(where=fire.where, limit=_MOST_DEVICES))
        found = await judging.page(devices) if devices else self._nobody(fire)
        every = [delivery for deliveries in found.values() for delivery in deliveries]
        pending = {play: left for play, each in found.items() if (left := [one for one in each if one.state == "pending"])}
        steps = self._noted(fire, {play: len(each) for play, each in found.items()})
        steps += [delivery.step(self._app.clock.now()) for delivery in every if delivery.state != "pending"]
        again = None
        for play, deliveries in pending.items():
            # There is one at most: the others are outranked.
            again = await self._send(task, fire, live[play], deliveries, steps)
            steps = []
        told = {play: _counts(each) for play, each in found.items()}
        done = self._recorded(fire, task, "done", told)
        if again is None:
            await task.end(None, [*steps, done])
        else:
            await self._app.store.documents.commit([done])
        self._settled()
        return again

    async def _send(self, task: Task, fire: Fire, play: Live, deliveries: list[Delivery], steps: list[Step]) -> int | None:
        now = self._app.clock.now()
        push, run = push_of(play, fire, now), run_of(play.id, fire.id)
        value: Object = {**task.value, **begun(push), "state": "sending", "run": run, "play": play.id, "of": fire.id}
        with self._runs.turns.taking_part("moment"):
            if all(delivery.due <= now for delivery in deliveries):
                # Until something is started, whoever has the task next decides anew.
                task.row = replace(task.row, value=value)
                gate = PlayGate(self._app, run, push, fresh=not play.definition["functions"])
                return await self._runs.sending(task, gate).at_once(deliveries, steps)
            del value["fire"]
            await task.keep(value, [*steps, *(delivery.step(now) for delivery in deliveries)])
            return await self._runs.sending(task, PlayGate(self._app, run, push)).run()

    async def _go_on(self, task: Task) -> int | None:
        """Send what is left of a run."""
        value = task.value
        with self._runs.turns.taking_part("moment"):
            again = await self._runs.sending(task, PlayGate(self._app, value["run"], value["push"])).run()
        if again is None:
            await self._account(task)
        return again

    async def _account(self, task: Task) -> None:
        """Say with what happened how a run of it has ended."""
        value, at = task.value, ""
        counts: Counter[str] = Counter()
        while rows := await self._app.store.rows.scan(TABLE, at, _PAGE, f"{value['run']}:"):
            at = rows[-1].key
            counts.update(_counts(map(Delivery.of, rows)))

        def ended(row: Row | None) -> Row:
            known = row or Row(value["of"], {"plays": {}}, expires=self._app.clock.now())
            return replace(known, value={**known.value, "plays": {**known.value["plays"], value["play"]: dict(counts)}, "state": "done"})

        await self._app.store.rows.alter(RECORDS, value["of"], ended)

    async def _many(self, task: Task, fire: Fire, judging: Judging, live: dict[str, Live]) -> int | None:
        while page := await find_objects(self._app, MASTER, CLASS, after(fire.where, task.value.get("cursor", ""))):
            found = await judging.page(page)
            now = self._app.clock.now()
            counts = {play: Counter(count) for play, count in task.value.get("counts", {}).items()}
            for play, deliveries in found.items():
                counts.setdefault(play, Counter()).update(_counts(deliveries))
            steps: list[Step] = [delivery.step(now) for deliveries in found.values() for delivery in deliveries]
            for taken_back in (live[each] for each in fire.cancels if each in live):
                for subject in sorted({subject_of(one) for one in page}):
                    steps += await cancel(self._app, taken_back.id, subject, fire.at, taken_back.worth.lasts)
            await task.keep({**task.value, "cursor": page[-1]["objectId"], "counts": counts}, steps)
        counts = task.value.get("counts", {})
        runs = [self._run(fire, live[play]) for play, count in counts.items() if count.get("pending") and play in live]
        noted = self._noted(fire, {play: sum(count.values()) for play, count in counts.items()})
        await task.end(None, [*runs, *noted, self._recorded(fire, task, "done" if not runs else "sending", counts)])
        self._wake()
        self._settled()
        return None

    def _run(self, fire: Fire, play: Live) -> PutRow:
        """The task of a play's run of many."""
        now, run = self._app.clock.now(), run_of(play.id, fire.id)
        value = {**begun(push_of(play, fire, now)), "state": "sending", "run": run, "play": play.id, "of": fire.id}
        return PutRow(TASKS, run, value, due=now)

    def _noted(self, fire: Fire, plays: dict[str, int]) -> list[Step]:
        """The steps that keep that something set plays off, and for how many devices."""
        now = self._app.clock.now()
        live = {play: plays.get(play, 0) for play in fire.plays}
        return [
            PutRow(
                FIRES,
                f"{play}|{fire.at:014d}{fire.id}",
                {
                    "id": fire.id,
                    "run": run_of(play, fire.id),
                    "moment": fire.name,
                    "at": iso(now),
                    "occurredAt": iso(fire.at),
                    "devices": count,
                },
                expires=now + KEPT_MS,
            )
            for play, count in live.items()
        ]

    def _nobody(self, fire: Fire) -> dict[str, list[Delivery]]:
        """The rows of somebody of whom no device is known."""
        found: dict[str, list[Delivery]] = {}
        for play in fire.plays:
            key = key_of(run_of(play, fire.id), 0, f"subject {fire.subject or fire.id}")
            value: Object = {"state": "skipped", "reason": "no_address", "type": "other", "to": None, "installation": None}
            found[play] = [Delivery(key, {**value, "subject": fire.subject, "variant": "", "occurred": fire.at})]
        return found

    def _recorded(self, fire: Fire, task: Task, state: str, plays: Object) -> PutRow:
        row = record(fire, task.value["asked"], state, plays)
        return PutRow(RECORDS, row.key, row.value, expires=row.expires)


def _counts(deliveries: Iterable[Delivery]) -> Object:
    """How many have which end: `sent`, `failed`, `pending`, `again`, `skipped.<reason>`."""
    return dict(Counter(f"skipped.{one.value['reason']}" if one.state == "skipped" else one.state for one in deliveries))
