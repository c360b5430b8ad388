"""Business moments to the mock provider: who is sent which play, until when, once, and why somebody is not. Both stores, a fake clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import airportsdata
import pytest

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Object
from mbaas.testing.clock import FakeClock
from mbaas_push import receipts
from mbaas_push.mock.script import Script
from tests.push.marketing import launched, passed, person, phone, rows, run_of, sent, tokens
from tests.push.playing import MINUTE, came_of, fire, idle, live, moments, order, outcome, passing, report
from tests.waiting import until


async def test_whoever_lands_is_sent_the_play_filled_in_and_it_lasts_as_long_as_it_is_worth_something(
    app: App, script: Script, clock: FakeClock
) -> None:
    ann = await person(app, "ann", name="Ann")
    await phone(app, "one", ann)
    await phone(app, "two", ann)
    await phone(app, "bob", await person(app, "bob"))
    made = await live(app, content={"title": "Hi {{user.name}}", "body": "Welcome to {{moment.city}}", "link": "app://taxi"})
    at = clock.now() - 2 * MINUTE
    told = await came_of(app, "e1", {"user": ann["objectId"]}, occurredAt=iso(at), props={"city": "Berlin"})
    assert told == {made: {"sent": 2}}
    data = sent(script)
    assert sorted(data) == ["one", "two"]
    assert (data["one"]["title"], data["one"]["alert"], data["one"]["play"]) == ("Hi Ann", "Welcome to Berlin", made)
    assert {receipt.message["android"]["ttl"] for receipt in script.accepted()} == {"480s"}
    await receipts.keep(app, {"receipts": [{"receipt": data["one"]["receipt"], "kind": "opened"}]})
    bought = {"receipt": data["one"]["receipt"], "kind": "converted", "value": 30, "currency": "EUR"}
    await receipts.keep(app, {"receipts": [bought]})
    found = await report(app, made)
    assert (found["fired"], found["eligible"]) == (1, 2)
    assert [found["total"][name] for name in ("audience", "sent", "opened", "converted", "value")] == [2, 2, 1, 1, {"EUR": 30.0}]
    assert (found["age"]["p50"], found["age"]["most"]) == (2 * MINUTE, 2 * MINUTE)


async def test_the_same_event_a_hundred_times_sends_once_and_answers_the_same(app: App, script: Script) -> None:
    await phone(app, "one", ann := await person(app, "ann"))
    made = await live(app)
    fired = await asyncio.gather(*(fire(app, "e1", {"user": ann["objectId"]}) for _ in range(100)))
    assert len(set(fired)) == 1
    assert await outcome(app, fired[0]) == {made: {"sent": 1}}
    assert await came_of(app, "e1", {"user": ann["objectId"]}) == {made: {"sent": 1}}
    assert await came_of(app, "e2", {"user": ann["objectId"]}) == {made: {"sent": 1}}
    assert tokens(script) == {"one": 2}
    assert (await report(app, made))["fired"] == 2


async def test_what_is_told_too_late_is_counted_and_never_sent(app: App, script: Script, clock: FakeClock) -> None:
    await phone(app, "one", ann := await person(app, "ann"))
    made = await live(app, value={"amount": 8, "curve": "linear"}, minValue=2)
    subject: Object = {"user": ann["objectId"]}
    assert await came_of(app, "old", subject, occurredAt=iso(clock.now() - 10 * MINUTE)) == {made: {"skipped.expired": 1}}
    assert await came_of(app, "poor", subject, occurredAt=iso(clock.now() - 8 * MINUTE)) == {made: {"skipped.min_value": 1}}
    assert tokens(script) == {}
    assert await came_of(app, "new", subject, occurredAt=iso(clock.now() - 3 * MINUTE)) == {made: {"sent": 1}}
    # After 7.5 minutes it is worth less than 2.
    [receipt] = script.accepted()
    assert receipt.message["android"]["ttl"] == "270s"
    assert (await report(app, made))["worth"] == {"sent": 5.6, "late": 16.0}
    with pytest.raises(ParseError, match="two minutes ahead"):
        await fire(app, "ahead", subject, occurredAt=iso(clock.now() + 2 * MINUTE + 1))
    assert await came_of(app, "fast clock", subject, occurredAt=iso(clock.now() + 2 * MINUTE)) == {made: {"sent": 1}}


async def test_a_provider_that_is_out_for_a_quarter_of_an_hour_is_sent_nothing_stale_afterwards(
    app: App, script: Script, clock: FakeClock
) -> None:
    await phone(app, "one", ann := await person(app, "ann"))
    made = await live(app)
    script.change({"tokens": {"one": [{"status": 503, "reason": "UNAVAILABLE", "retry_after_s": 900}, {}]}})
    for number in range(5):
        assert await came_of(app, f"e{number}", {"user": ann["objectId"]}) in ({made: {"again": 1}}, {made: {"sent": 1}})
    assert tokens(script) == {"one": 4}
    await passing(app, clock)
    assert tokens(script) == {"one": 4}
    assert (await report(app, made))["suppressed"] == {"expired": 1}


async def test_of_several_plays_the_one_that_is_worth_most_is_sent_and_the_others_are_outranked(
    app: App, script: Script, clock: FakeClock
) -> None:
    await phone(app, "one", ann := await person(app, "ann"))
    steady = await live(app, value={"amount": 5}, content={"body": "steady"})
    fading = await live(app, value={"amount": 9, "curve": "halfLife", "halfLife": "2m"}, content={"body": "fading"})
    subject: Object = {"user": ann["objectId"]}
    assert await came_of(app, "e1", subject) == {fading: {"sent": 1}, steady: {"skipped.outranked": 1}}
    at = iso(clock.now() - 2 * MINUTE)
    assert await came_of(app, "e2", subject, occurredAt=at) == {steady: {"sent": 1}, fading: {"skipped.outranked": 1}}
    await order(app, fading, "pause")
    assert await came_of(app, "e3", subject) == {steady: {"sent": 1}}
    assert sent(script)["one"]["alert"] == "steady"


async def test_a_play_leaves_somebody_alone_for_a_while_and_keeps_to_the_caps_of_its_category(
    app: App, script: Script, clock: FakeClock
) -> None:
    await phone(app, "one", ann := await person(app, "ann"))
    await phone(app, "two", ann)
    rested = await live(app, cooldown="30m", caps=[{"count": 2, "hours": 24}])
    subject: Object = {"user": ann["objectId"]}
    same = await asyncio.gather(*(fire(app, f"e{number}", subject) for number in range(4)))
    found = [(await outcome(app, each))[rested] for each in same]
    assert sorted(map(str, found)) == sorted(map(str, [{"sent": 2}] + [{"skipped.cooldown": 2}] * 3))
    clock.advance(31 * MINUTE)
    assert await came_of(app, "later", subject) == {rested: {"sent": 2}}
    clock.advance(31 * MINUTE)
    assert await came_of(app, "third", subject) == {rested: {"skipped.capped": 2}}


async def test_whom_a_play_does_not_fit_or_may_not_reach_is_told_with_the_reason(app: App, script: Script) -> None:
    rich, poor = await person(app, "rich", tier="gold"), await person(app, "poor", tier="tin")
    await phone(app, "fine", rich, appVersion="2.0")
    await phone(app, "old", rich, appVersion="1.0")
    await phone(app, "quiet", rich, appVersion="2.0", optOuts=["trips"])
    await phone(app, "other", poor, appVersion="2.0")
    made = await live(
        app, category="trips", audience={"where": {"appVersion": "2.0"}, "users": {"tier": "gold"}}, filter={"delay": {"$gt": 30}}
    )
    assert await came_of(app, "small", {"user": rich["objectId"]}, props={"delay": 30}) == {}
    assert await came_of(app, "big", {"user": rich["objectId"]}, props={"delay": 31}) == {made: {"sent": 1, "skipped.opted_out": 1}}
    assert await came_of(app, "tin", {"user": poor["objectId"]}, props={"delay": 31}) == {}
    nobody = await person(app, "nobody", tier="gold")
    assert await came_of(app, "none", {"user": nobody["objectId"]}, props={"delay": 31}) == {made: {"skipped.no_address": 1}}
    found = await report(app, made)
    assert (found["fired"], found["eligible"], found["total"]["sent"]) == (3, 1, 1)


async def test_the_control_group_and_strict_texts_are_those_of_campaigns(app: App, script: Script) -> None:
    made = await live(app, control=50, content={"body": "Hi {{user.name}}", "strict": True})
    wanted, reasons = {"sent", "skipped.control", "skipped.missing_field"}, set[str]()
    for number in range(80):
        # Who is in the control group is a matter of chance.
        await phone(app, f"t{number}", user := await person(app, f"u{number}", **({"name": "Ann"} if number % 2 else {})))
        told = (await came_of(app, f"e{number}", {"user": user["objectId"]}))[made]
        reasons |= set(told)
        if reasons >= wanted:
            break
    assert reasons == wanted


async def test_who_leaves_before_she_is_sent_it_is_sent_nothing_whatever_comes_first(app: App, script: Script, clock: FakeClock) -> None:
    await phone(app, "one", ann := await person(app, "ann"))
    made = await live(app, cancelOn=[{"moment": "boarded"}], quietHours={"from": "00:00", "to": "00:05"})
    subject: Object = {"user": ann["objectId"]}
    now = clock.now()
    # She boards again before it is known that she had landed.
    await fire(app, "b1", subject, "boarded", occurredAt=iso(now))
    assert await came_of(app, "l1", subject, occurredAt=iso(now - MINUTE)) == {made: {"skipped.cancelled": 1}}
    clock.advance(MINUTE)
    assert await came_of(app, "l2", subject, occurredAt=iso(clock.now())) == {made: {"sent": 1}}
    # It waits for the end of the quiet hours, and she boards meanwhile.
    midnight = (clock.now() // (24 * 60 * MINUTE) + 1) * 24 * 60 * MINUTE
    clock.advance(midnight + MINUTE - clock.now())
    assert await came_of(app, "l3", subject) == {made: {"pending": 1}}
    clock.advance(MINUTE)
    await fire(app, "b2", subject, "boarded")
    await passing(app, clock)
    assert tokens(script) == {"one": 1}
    assert (await report(app, made))["suppressed"] == {"cancelled": 2}


async def test_a_play_that_is_paused_holds_back_and_one_that_is_retired_sends_nothing_more(
    app: App, script: Script, clock: FakeClock
) -> None:
    await phone(app, "one", ann := await person(app, "ann"))
    subject: Object = {"user": ann["objectId"]}
    script.change({"tokens": {"one": [{"status": 500, "reason": "INTERNAL"}, {"status": 500, "reason": "INTERNAL"}, {}]}})
    made, other = await live(app), await live(app, trigger={"moment": "left"})
    assert await came_of(app, "e1", subject) == {made: {"again": 1}}
    assert await came_of(app, "e2", subject, "left") == {other: {"again": 1}}
    await order(app, made, "pause")
    await order(app, other, "retire")

    clock.advance(2 * MINUTE)
    moments(app).queue.wake()
    assert await came_of(app, "e3", subject) == {}
    assert tokens(script) == {}
    await order(app, made, "resume")
    await passing(app, clock)
    assert tokens(script) == {"one": 1}
    assert (await report(app, other))["suppressed"] == {"cancelled": 1}


async def test_something_that_happens_to_many_is_sent_to_all_of_them(app: App, script: Script) -> None:
    for number in range(7):
        await phone(app, f"t{number}", channels=["flight7"])
    await phone(app, "other")
    made = await live(app)
    cheap = await live(app, value={"amount": 0.5})
    fired = await fire(app, "delayed", {"where": {"channels": "flight7"}})
    await idle(app)
    assert await outcome(app, fired) == {made: {"sent": 7}, cheap: {"skipped.outranked": 7}}
    assert tokens(script) == {f"t{number}": 1 for number in range(7)}


async def test_changes_of_a_class_set_plays_off(app: App, script: Script) -> None:
    await phone(app, "one", ann := await person(app, "ann"))
    await objects.create(app, MASTER, "Order", {"status": "new", "user": ann})
    late = await live(
        app,
        trigger={"change": {"className": "Order", "on": ["enter"], "where": {"status": "late"}}},
        content={"body": "Order {{moment.number}} is late"},
    )
    made = (await objects.create(app, MASTER, "Order", {"status": "new", "user": ann, "number": 7})).answer["objectId"]
    for status in ("late", "late", "lost", "late"):
        await objects.update(app, MASTER, "Order", made, {"status": status})

    async def twice() -> bool:
        return tokens(script) == {"one": 2}

    await until(twice)
    await idle(app)
    assert sent(script)["one"]["alert"] == "Order 7 is late"
    assert (await report(app, late))["fired"] == 2


@pytest.mark.parametrize("closed_app", ["embedded"], indirect=True)
async def test_a_campaign_goes_out_at_nine_by_the_clocks_of_all_airports(app: App, script: Script, clock: FakeClock) -> None:
    """One of the airports' time zones for each distance from UTC, before and after the night in which Europe's clocks are put on."""
    every = sorted({airport["tz"] for airport in airportsdata.load().values()})
    nights = [datetime(2026, 3, day, 9, tzinfo=UTC) for day in (28, 30)]
    zones = list({tuple(night.astimezone(ZoneInfo(zone)).utcoffset() for night in nights): zone for zone in every}.values())
    clock.advance((from_iso("2026-03-28T09:00:00Z") or 0) - clock.now())
    for zone in zones:
        await phone(app, zone, timeZone=zone)
    made = await launched(app, schedule={"at": "2026-03-29T09:00:00", "local": True})
    await passed(app, clock, made)
    told = await rows(app, await run_of(app, made))
    shown = {zone: datetime.fromtimestamp(row["at"] / 1000, ZoneInfo(zone)) for zone, row in told.items() if row["state"] == "sent"}
    assert len(zones) > 40
    assert shown.keys() == set(zones)
    assert {f"{at:%Y-%m-%d %H:%M}" for at in shown.values()} == {"2026-03-29 09:00"}
    assert len({row["at"] // MINUTE for row in told.values()}) > 30
