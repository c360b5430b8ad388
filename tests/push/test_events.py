"""What apps track is kept, counted and exported. Both stores, a fake clock."""

from __future__ import annotations

import asyncio
from collections import Counter

import orjson
import pytest

from mbaas.data.app import App
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Json, Object, date
from mbaas.testing.clock import FakeClock
from mbaas_push import event_queries
from mbaas_push.event_queries import DAY_MS, Window
from mbaas_push.events import TABLE, Events, events_of, read, read_all

ANN = Caller(user_id="ann", installation_id="I-1")


async def track(app: App, name: str, body: Object | None = None, caller: Caller = ANN) -> None:
    await events_of(app).keep([read(name, body or {}, caller, app.clock.now())])


async def exported(app: App, window: Window) -> list[Json]:
    return [orjson.loads(line) async for part in event_queries.export(app, None, window) for line in part.splitlines()]


async def test_events_are_counted_per_user_and_per_installation_in_a_window(closed_app: App, clock: FakeClock) -> None:
    app, now = closed_app, clock.now()
    for days in (0, 1, 6, 8):
        await track(app, "AppOpened", {"at": date(now - days * DAY_MS), "dimensions": {"source": "push" if days else "home"}})
    await track(app, "AppOpened", {"at": iso(now), "push_hash": "abc"}, Caller(installation_id="i-2"))
    await track(app, "Bought / a|b", {"dimensions": {"sku": "x"}})
    week = Window(now - 7 * DAY_MS, now + 1)
    assert await event_queries.counts(app, "AppOpened", week) == Counter({"user:ann": 3, "installation:i-1": 3, "installation:i-2": 1})
    assert await event_queries.counts(app, "AppOpened", week, {"source": "push"}) == Counter({"user:ann": 2, "installation:i-1": 2})
    assert await event_queries.names(app) == ["AppOpened", "Bought / a|b"]
    lines = await exported(app, week)
    assert len(lines) == 5
    assert lines[-1] == {"name": "Bought / a|b", "at": iso(now), "user": "ann", "installation": "i-1", "dimensions": {"sku": "x"}}
    assert {"name": "AppOpened", "at": iso(now), "installation": "i-2", "dimensions": {"push_hash": "abc"}} in lines


async def test_actives_are_told_by_day_week_and_month(closed_app: App, clock: FakeClock) -> None:
    app, now = closed_app, clock.now()
    for user, days in (("ann", 0), ("ann", 1), ("bob", 3), ("cem", 20), ("dan", 40)):
        await track(app, "AppOpened", {"at": date(now - days * DAY_MS), "user": user}, MASTER)
    told = await event_queries.actives(app, "user", 2, now)
    assert told == [
        {"day": "2026-01-30", "daily": 1, "weekly": 2, "monthly": 3},
        {"day": "2026-01-31", "daily": 1, "weekly": 2, "monthly": 3},
    ]
    assert (await event_queries.actives(app, "user", 1, now, "Other"))[0]["monthly"] == 0


async def test_an_event_with_an_id_is_kept_once_and_those_that_come_together_share_rows(closed_app: App, clock: FakeClock) -> None:
    app = closed_app
    body: Object = {"events": [{"name": "Order", "id": "o1", "user": "ann", "value": 5}, {"name": "Order", "id": "o2", "user": "ann"}]}
    for _ in range(3):
        await events_of(app).keep(read_all(body, MASTER, clock.now()))
    assert (await event_queries.counts(app, "Order", Window(0, clock.now() + 1)))["user:ann"] == 2
    await asyncio.gather(*(track(app, "Seen") for _ in range(200)))
    assert (await event_queries.counts(app, "Seen", Window(0, clock.now() + 1)))["user:ann"] == 200
    assert len(await app.store.rows.scan(TABLE, prefix="Seen|")) < 50


async def test_events_go_when_their_time_is_over(closed_app: App, clock: FakeClock) -> None:
    app, kept = closed_app, closed_app.options.event_retention_ms
    await track(app, "Old", {"at": date(clock.now() - kept)})
    await track(app, "New", {"at": date(clock.now() + 3_600_000)})
    assert [line["name"] for line in await exported(app, Window(0, clock.now() + DAY_MS))] == ["New"]
    clock.advance(kept)
    assert await exported(app, Window(0, clock.now())) == []


@pytest.mark.parametrize(
    ("name", "body"),
    [("", {}), ("x" * 101, {}), ("x", {"at": "soon"}), ("x", {"dimensions": [1]}), ("x", {"id": 3}), ("x", {"d": "x" * 5000})],
)
def test_what_is_no_event_is_refused(name: str, body: Object) -> None:
    with pytest.raises(ParseError):
        read(name, body, ANN, 0)


def test_a_client_speaks_for_nobody_else() -> None:
    event = read("x", {"user": "bob"}, ANN, 0)
    assert (event.user, event.dimensions) == ("ann", {"user": "bob"})


def test_events_of_an_app_are_one_for_all_who_ask(closed_app: App) -> None:
    assert isinstance(events_of(closed_app), Events)
    assert events_of(closed_app) is events_of(closed_app)
