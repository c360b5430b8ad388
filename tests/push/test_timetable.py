"""Campaigns are launched at each of their times once, and never before it: whatever clocks do, and whatever is ordered meanwhile.

A state machine: a campaign around a change of clocks, time that passes in steps of any size, and orders in any order. What came of it is
compared with a timetable that is worked out minute by minute. Nor does it matter whether somebody sets the server's clock back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from mbaas.app import open_app
from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import AppOptions, PushOptions, ServerOptions
from mbaas.kernel.values import Object
from mbaas.outbound.reach import Reach
from mbaas.services import Services
from mbaas.testing.clock import FakeClock
from mbaas_push.campaigns.campaigns import Campaigns
from mbaas_push.room import campaigns_of, opened, runs_of
from tests.push.timetable import DAY, HOUR, MINUTE, Plan, Timetable, due, ms
from tests.waiting import until

EXAMPLES = int(os.environ.get("MBAAS_TEST_EXAMPLES", "15"))
CHANGES = [
    ("Europe/Dublin", "2026-03-29T01:00"),
    ("Europe/Dublin", "2026-10-25T01:00"),
    ("America/St_Johns", "2026-03-08T02:00"),
    ("America/St_Johns", "2026-11-01T01:00"),
    ("Australia/Lord_Howe", "2026-10-04T02:00"),
    ("Australia/Lord_Howe", "2026-04-05T01:30"),
    ("Pacific/Apia", "2011-12-30T00:00"),
    ("Pacific/Apia", "2011-12-30T12:00"),
]
"""Zones, and what their clocks would show when they are changed: forward, back, by half an hour, and over a whole day."""
ZONES = sorted({zone for zone, _ in CHANGES})
LATE = st.sampled_from([("5m", 5 * MINUTE), ("1h", HOUR), ("3d", 3 * DAY)])
T = TypeVar("T")


class World:
    """An app with a device in each zone, a clock that is set by hand, and a provider that takes everything."""

    def __init__(self, app: App, clock: FakeClock, runner: asyncio.Runner) -> None:
        self.app, self.clock, self._runner = app, clock, runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    @property
    def campaigns(self) -> Campaigns:
        return campaigns_of(self.app)

    async def settle(self) -> None:
        """Until everything that is due has been done."""
        queues = [self.campaigns.launching._queue, runs_of(self.app)._queue]
        for queue in queues:
            queue.wake()
        await until(lambda: all(queue.resting for queue in queues))

    async def sent(self, made: str) -> list[Object]:
        """The deliveries of a campaign's runs, each with its `due` in ms and the `run`."""
        found: list[Object] = []
        for run in await self.campaigns.store.runs(made):
            rows = await self.app.store.rows.scan("deliveries", prefix=f"{run['id']}:")
            found += [{**row.value, "due": int(row.key.split(":")[1]), "run": run["id"]} for row in rows]
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with asyncio.Runner() as runner:
        stack, clock = AsyncExitStack(), FakeClock()
        folder: Path = tmp_path_factory.mktemp("timetable")

        async def begin() -> App:
            adapter: Object = {"adapter": {"module": "accept"}}
            options = AppOptions(app_id="a", master_key="m", data_dir=folder, push=adapter)
            app = await open_app(options, Services(ServerOptions(), {}, clock=clock))
            stack.push_async_callback(app.close)
            await stack.enter_async_context(opened(app, PushOptions(), Reach(open=True)))
            for zone in ZONES:
                body: Object = {"deviceToken": zone, "deviceType": "android", "installationId": zone, "timeZone": zone}
                await objects.create(app, MASTER, "_Installation", body)
            return app

        app = runner.run(begin())
        yield World(app, clock, runner)
        runner.run(stack.aclose())


class Machine(RuleBasedStateMachine):
    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.made, self.state, self.held, self.latest = "", "", 0, 0
        self.table = Timetable(Plan("UTC", 0))

    @property
    def now(self) -> int:
        return self.world.clock.now()

    @initialize(change=st.sampled_from(CHANGES), before=st.integers(0, 3 * 24 * 60), data=st.data())
    def write(self, change: tuple[str, str], before: int, data: st.DataObject) -> None:
        """A campaign at about the time at which clocks are changed, up to three days before."""
        self.change = change
        at = due(ms(change[1]), change[0]) - before * MINUTE
        self.world.clock.advance(at - self.now)
        self.table = Timetable(self.plan(data))
        self.made = self.world.run(self.world.campaigns.create(self.definition(), MASTER))["id"]
        self.state = "draft"
        self.begin()

    def plan(self, data: st.DataObject) -> Plan:
        """At a minute near the change, on some day before or at it, once or again and again."""
        zone, shown = self.change
        first = ms(shown) + data.draw(st.integers(-3, 1)) * DAY + data.draw(st.integers(-8, 12)) * 15 * MINUTE
        kinds: list[dict[str, Any]] = [{}, {"every": 1}, {"every": 2}, {"weekdays": frozenset((4, 6))}, {"cron": True}]
        kind = data.draw(st.sampled_from(kinds))
        times = data.draw(st.sampled_from([None, None, 1, 2]))
        return Plan(zone, first, data.draw(st.booleans()), **kind, times=times, late=data.draw(LATE))

    def definition(self) -> Object:
        return {"name": "x", "content": {"body": "hello"}, "schedule": dict(self.table.plan.given())}

    def order(self, order: str) -> None:
        self.world.run(self.world.campaigns.order(self.made, order, MASTER, None))

    def settle(self) -> None:
        self.world.run(self.world.settle())
        self.latest = max(self.latest, self.now)
        if self.state == "scheduled":
            self.table.pass_to(self.now)
        self.told = self.world.run(self.world.campaigns.get(self.made))
        if self.state == "scheduled" and self.table.next is None and not self.told["active"]:
            self.state = "completed" if self.table.sent else "expired"

    def begin(self) -> None:
        """Approve and schedule what is a draft."""
        self.order("approve")
        if self.table.schedule(self.now):
            self.order("schedule")
            self.state = "scheduled"
        else:
            with pytest.raises(ParseError, match="has passed"):
                self.order("schedule")
            self.state = "approved"
        self.settle()

    @rule(minutes=st.sampled_from([1, 7, 29, 30, 31, 60, 90, 600, 1440, 3000]))
    def pass_time(self, minutes: int) -> None:
        self.world.clock.advance(minutes * MINUTE)
        self.settle()

    @precondition(lambda self: self.table.next is not None)
    @rule(beside=st.sampled_from([-1, 0, 1]), late=st.booleans())
    def pass_to_the_next_time(self, beside: int, late: bool) -> None:
        """To the very millisecond, or one beside it; or to the last one at which it is not too late."""
        assert self.table.next is not None
        plan = self.table.plan
        at = plan.due(self.table.next) + (plan.late[1] + (26 * HOUR if plan.local else 0) if late else 0) + beside
        if at > self.now:
            self.world.clock.advance(at - self.now)
            self.settle()

    @rule(minutes=st.sampled_from([1, 10, 90, 1440]))
    def set_the_clock_back(self, minutes: int) -> None:
        self.world.clock.advance(-minutes * MINUTE)
        self.settle()

    @precondition(lambda self: self.state == "scheduled")
    @rule()
    def pause(self) -> None:
        self.order("pause")
        self.state, self.held = "paused", self.arrived()
        self.settle()

    @precondition(lambda self: self.state == "paused")
    @rule()
    def resume(self) -> None:
        self.order("resume")
        self.state = "scheduled"
        self.settle()

    @precondition(lambda self: self.state in ("scheduled", "paused", "approved"))
    @rule()
    def cancel(self) -> None:
        self.order("cancel")
        self.state, self.table.next = "cancelled", None
        self.settle()

    @precondition(lambda self: self.state in ("scheduled", "approved"))
    @rule(same=st.booleans(), data=st.data())
    def edit(self, same: bool, data: st.DataObject) -> None:
        """And schedule it again."""
        if self.told["active"]:
            with pytest.raises(ParseError, match="being sent"):
                self.world.run(self.world.campaigns.edit(self.made, self.definition(), MASTER, None))
            return
        if not same:
            self.table.plan = self.plan(data)
        self.world.run(self.world.campaigns.edit(self.made, self.definition(), MASTER, None))
        self.state = "draft"
        self.begin()

    def arrived(self) -> int:
        """How much has been sent."""
        return sum(row["state"] == "sent" for row in self.world.run(self.world.sent(self.made)))

    @invariant()
    def what_became_of_it_is_what_the_timetable_says(self) -> None:
        if not self.made:
            return
        told = self.told["state"] if self.told["state"] not in ("materialising", "sending") else "scheduled"
        assert told == self.state
        audit = self.world.run(self.world.campaigns.store.audit(self.made))
        for what, wanted in (("launched", self.table.launched), ("missed", self.table.missed)):
            found = [from_iso(entry["time"]) for entry in audit if entry["what"] == what]
            assert found == wanted
        at_once = [from_iso(entry["at"]) for entry in audit if entry["what"] == "launched"]
        assert all(at is not None and at <= self.latest for at in at_once)

    @invariant()
    def nobody_gets_anything_before_its_time_or_twice(self) -> None:
        if not self.made:
            return
        rows = self.world.run(self.world.sent(self.made))
        seen = [(row["run"], row["to"][1]) for row in rows]
        assert len(seen) == len(set(seen))
        for row in rows:
            if row["state"] == "sent":
                assert row["due"] <= row["at"] <= self.latest
                assert row["tries"] == 1
            if row["state"] == "pending" and self.state not in ("paused", "cancelled"):
                assert row["due"] > self.now
        if self.state == "paused":
            assert self.arrived() == self.held
        walls = set(self.table.launched)
        local = [row for row in rows if "offset" in row]
        assert all(row["due"] in {due(wall, row["zone"]) for wall in walls} for row in local)

    def teardown(self) -> None:
        if self.state in ("scheduled", "paused", "approved"):
            self.order("cancel")
        self.world.run(self.world.settle())


def test_whatever_clocks_do_and_whatever_is_ordered(world: World) -> None:
    class Here(Machine):
        pass

    Here.world = world
    run_state_machine_as_test(
        Here,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)),
    )
