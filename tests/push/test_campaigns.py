"""Campaigns to the mock provider: who is sent what, when, and why somebody is not. Real HTTP/2, both stores, a fake clock."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Conflict, ParseError
from mbaas.kernel.options import PushOptions
from mbaas.kernel.values import Json, Object
from mbaas.outbound.reach import Reach
from mbaas.testing.clock import FakeClock
from mbaas_push.campaigns.definition import check
from mbaas_push.campaigns.recipients import assigned
from mbaas_push.campaigns.report import Report
from mbaas_push.events import Event, events_of
from mbaas_push.mock.script import Script
from mbaas_push.room import opened
from tests.push.marketing import (
    HELLO,
    campaign,
    campaigns,
    ended,
    launched,
    order,
    passed,
    passing,
    person,
    phone,
    reasons,
    rows,
    run_of,
    sent,
    state,
    tokens,
)
from tests.waiting import until

DAY_MS = 86_400_000


async def test_an_audience_is_made_of_devices_of_users_and_of_what_they_have_done(app: App, script: Script, clock: FakeClock) -> None:
    now = clock.now()
    for name, city, opens, buys in (("ann", "Paris", 3, 0), ("bob", "Paris", 3, 1), ("cem", "Rome", 3, 0), ("dan", "Paris", 2, 0)):
        user = await person(app, name, city=city, name=name.title())
        await phone(app, name, user, channels=["news"])
        opened = [Event("AppOpened", now - days * DAY_MS, user["objectId"]) for days in range(opens)]
        await events_of(app).keep([*opened, Event("AppOpened", now - 9 * DAY_MS, user["objectId"])])
        await events_of(app).keep([Event("Bought", now - 20 * DAY_MS, user["objectId"])] * buys)
    await phone(app, "nobody", channels=["news"])
    audience = {
        "where": {"channels": "news"},
        "users": {"city": "Paris"},
        "events": [{"name": "AppOpened", "atLeast": 3, "days": 7}, {"name": "Bought", "atMost": 0, "days": 30}],
    }
    made = await launched(app, audience=audience, content={"title": "Hi {{user.name | there}}", "body": "x", "link": "app://x"})
    await ended(app, made)
    data = sent(script)
    assert list(data) == ["ann"]
    assert (data["ann"]["title"], data["ann"]["alert"], data["ann"]["uri"]) == ("Hi Ann", "x", "app://x")
    assert [entry["what"] for entry in await campaigns(app).store.audit(made)] == ["created", "approved", "scheduled", "launched", "ended"]


async def test_everybody_who_is_not_sent_it_has_a_row_that_says_why(app: App, script: Script) -> None:
    ann = await person(app, "ann", name="Ann")
    await phone(app, "fine", ann)
    await phone(app, "noname", await person(app, "bob"))
    await phone(app, "optout", ann, optOuts=["promo"])
    await phone(app, "allout", ann, optOuts=["*"])
    await phone(app, "other", ann, optOuts=["news"])
    lost = await phone(app, "lost", ann)
    await objects.update(app, MASTER, "_Installation", lost, {"deviceToken": {"__op": "Delete"}})
    made = await launched(app, category="promo", content={"body": "Hi {{user.name}}", "strict": True})
    await ended(app, made)
    run = await run_of(app, made)
    assert reasons(await rows(app, run)) == {
        "fine": "sent",
        "other": "sent",
        "noname": "skipped missing_field",
        "optout": "skipped opted_out",
        "allout": "skipped opted_out",
        lost: "skipped no_address",
    }
    assert sorted(sent(script)) == ["fine", "other"]
    counts = (await campaigns(app).runs.told(run))["counts"]
    assert counts == {"sent": 2, "skipped.missing_field": 1, "skipped.no_address": 1, "skipped.opted_out": 2}


async def test_variants_and_the_control_group_are_the_same_for_a_person_in_every_run(app: App, script: Script, clock: FakeClock) -> None:
    for number in range(60):
        await phone(app, f"t{number:02d}")
    user = await person(app, "ann")
    await phone(app, "one", user)
    await phone(app, "two", user)
    variants = [{"name": name, "weight": weight, "content": {"body": name}} for name, weight in (("A", 1), ("B", 3))]
    schedule = {"at": iso(clock.now() + 60_000), "repeat": "FREQ=DAILY", "times": 2}
    made = await launched(app, variants=variants, control=20, schedule=schedule)
    await passed(app, clock, made)
    first, second = [await rows(app, run["id"]) for run in await campaigns(app).store.runs(made)]
    assert {token: (row["variant"], row["state"]) for token, row in first.items()} == {
        token: (row["variant"], row["state"]) for token, row in second.items()
    }
    assert first["one"]["variant"] == first["two"]["variant"]
    held = [token for token, row in first.items() if row.get("reason") == "control"]
    assert 4 <= len(held) <= 24
    assert set(tokens(script).values()) == {2}
    assert {token: data["alert"] for token, data in sent(script).items()} == {
        token: row["variant"] for token, row in first.items() if token not in held
    }


def test_variants_get_their_shares() -> None:
    variants: list[Object] = [{"name": "A", "weight": 1}, {"name": "B", "weight": 3}]
    found = [assigned("c", f"user:{number}", variants) for number in range(4000)]
    assert 900 < found.count("A") < 1100
    assert assigned("other", "user:1", variants) in ("A", "B")


async def test_it_is_said_in_the_language_of_the_device_with_picture_buttons_and_badge(app: App, script: Script) -> None:
    await phone(app, "br", localeIdentifier="pt_BR", badge=2)
    await phone(app, "pt", localeIdentifier="pt-PT")
    await phone(app, "fr", localeIdentifier="fr-FR")
    said = {
        "title": "News",
        "body": "Hello",
        "image": "https://example.com/a.png",
        "buttons": [{"id": "go", "title": "Go", "link": "app://go"}],
        "badge": "Increment",
        "sound": "ping",
        "data": {"screen": "offers"},
        "locales": {"pt": {"body": "Olá"}, "pt-BR": {"body": "Oi", "title": "Novidades"}},
    }
    made = await launched(app, content=said)
    await ended(app, made)
    data = sent(script)
    assert {token: (one["title"], one["alert"], one["badge"]) for token, one in data.items()} == {
        "br": ("Novidades", "Oi", 3),
        "pt": ("News", "Olá", 1),
        "fr": ("News", "Hello", 1),
    }
    one = data["fr"]
    assert (one["image"], one["sound"], one["screen"], one["mutable-content"]) == ("https://example.com/a.png", "ping", "offers", 1)
    assert one["buttons"] == [{"id": "go", "title": "Go", "link": "app://go"}]
    assert (one["campaign"], one["receipt"].split(":")[0]) == (made, await run_of(app, made))


async def test_a_silent_one_shows_nothing(app: App, script: Script) -> None:
    await phone(app, "f" * 64, deviceType="ios")
    await ended(app, await launched(app, content={"silent": True, "data": {"sync": 1}}))
    [receipt] = script.accepted()
    assert receipt.message["aps"] == {"content-available": 1}
    assert (receipt.headers["apns-push-type"], receipt.message["sync"]) == ("background", 1)


async def test_caps_hold_across_the_campaigns_of_a_category(app: App, script: Script, clock: FakeClock) -> None:
    user = await person(app, "ann")
    await phone(app, "one", user)
    await phone(app, "two", user)
    script.change({"tokens": {"dead": [{"status": 400, "reason": "INVALID_ARGUMENT"}]}})
    await phone(app, "dead")
    cap: Json = [{"count": 1, "hours": 24}]
    for category in ("promo", "promo", "news"):
        await ended(app, await launched(app, category=category, caps=cap))
    found = [reasons(await rows(app, run)) for run in [await run_of(app, one) for one in await ids(app)]]
    assert sorted(row["one"] for row in found) == ["sent", "sent", "skipped capped"]
    assert [row["one"] == row["two"] for row in found] == [True] * 3
    assert all(row["dead"].startswith("failed") for row in found)
    clock.advance(DAY_MS)
    await ended(app, await launched(app, category="promo", caps=cap))
    assert tokens(script) == {"one": 3, "two": 3}


async def ids(app: App) -> list[str]:
    return [found.id for found in (await campaigns(app).store.page("", 100))[0]]


async def test_quiet_hours_hold_until_the_morning_of_the_device(app: App, script: Script, clock: FakeClock) -> None:
    """It is 09:05 UTC, 18:05 in Tokyo and 04:05 in New York."""
    for token, zone in (("london", "Europe/London"), ("tokyo", "Asia/Tokyo"), ("york", "America/New_York"), ("where", None)):
        await phone(app, token, timeZone=zone or "Mars/Base")
    quiet = {"from": "18:00", "to": "08:00"}
    made = await launched(app, quietHours=quiet, zone="Asia/Tokyo")
    skipped = await launched(app, quietHours={**quiet, "then": "skip"}, zone="Asia/Tokyo")
    await ended(app, skipped)
    assert reasons(await rows(app, await run_of(app, skipped))) == {
        "london": "sent",
        **dict.fromkeys(("tokyo", "york", "where"), "skipped quiet_hours"),
    }
    begun = clock.now()
    await passed(app, clock, made)
    assert tokens(script) == {"london": 2, "tokyo": 1, "york": 1, "where": 1}
    late = {token: row["at"] for token, row in (await rows(app, await run_of(app, made))).items()}
    assert late["london"] == begun
    assert iso(late["york"])[:15] == "2026-01-31T13:0"
    assert iso(late["tokyo"])[:15] == iso(late["where"])[:15] == "2026-01-31T23:0"


async def test_who_opts_out_between_is_not_sent_it(app: App, script: Script, clock: FakeClock) -> None:
    leaving, gone = await phone(app, "leaving"), await phone(app, "gone")
    await phone(app, "staying")
    at = iso(clock.now() + 2 * DAY_MS)[:10]
    for installation in (leaving, gone):
        await objects.update(app, MASTER, "_Installation", installation, {"timeZone": "Pacific/Honolulu"})
    made = await launched(app, schedule={"at": f"{at}T09:00:00", "local": True})

    async def first_is_sent() -> bool:
        return bool(tokens(script))

    await passing(app, clock, first_is_sent)
    await objects.update(app, MASTER, "_Installation", leaving, {"optOuts": ["general"]})
    await objects.delete(app, MASTER, "_Installation", gone)
    await passed(app, clock, made)
    assert reasons(await rows(app, await run_of(app, made))) == {
        "staying": "sent",
        "leaving": "skipped opted_out",
        "gone": "skipped unregistered",
    }


async def test_local_time_recurs_once_a_day_for_each_device(app: App, script: Script, clock: FakeClock) -> None:
    """Over the change of clocks in Europe: 02:30 is left out in Paris on 29 March 2026, and comes at 03:00."""
    clock.advance(1_774_526_400_000 - clock.now())  # 2026-03-26T12:00Z
    for token, zone in (("paris", "Europe/Paris"), ("tokyo", "Asia/Tokyo")):
        await phone(app, token, timeZone=zone)
    schedule = {"at": "2026-03-28T02:30:00", "local": True, "repeat": "30 2 * * *", "until": "2026-03-30"}
    made = await launched(app, schedule=schedule)
    assert (await campaigns(app).get(made))["next"] == "2026-03-28T02:30:00.000"
    await passed(app, clock, made)
    assert tokens(script) == {"paris": 3, "tokyo": 3}
    found = [await rows(app, run["id"]) for run in await campaigns(app).store.runs(made)]
    assert [iso(row["paris"]["at"])[:15] for row in found] == ["2026-03-28T01:3", "2026-03-29T01:0", "2026-03-30T00:3"]


@pytest.mark.parametrize(("past", "sent_to"), [("skip", {"new york": 1}), ("send", {"new york": 1, "tokyo": 1})])
async def test_where_the_time_has_passed_it_is_done_as_the_schedule_says(
    app: App, script: Script, clock: FakeClock, past: str, sent_to: dict[str, int]
) -> None:
    for token, zone in (("tokyo", "Asia/Tokyo"), ("new york", "America/New_York")):
        await phone(app, token, timeZone=zone)
    made = await launched(app, schedule={"at": "2026-01-31T12:00:00", "local": True, "past": past})
    await passed(app, clock, made)
    assert tokens(script) == sent_to


async def test_the_next_day_is_another_way(app: App, script: Script, clock: FakeClock) -> None:
    await phone(app, "tokyo", timeZone="Asia/Tokyo")
    made = await launched(app, schedule={"at": "2026-01-31T12:00:00", "local": True, "past": "next_day"})
    await passed(app, clock, made)
    [row] = (await rows(app, await run_of(app, made))).values()
    assert iso(row["at"])[:15] == "2026-02-01T03:0"


async def test_it_is_paused_resumed_edited_and_cancelled(app: App, script: Script, clock: FakeClock) -> None:
    await phone(app, "one")
    at = iso(clock.now() + 3_600_000)
    made = await launched(app, schedule={"at": at, "late": "1d"})
    assert (await campaigns(app).get(made))["next"] == at
    await order(app, made, "pause")
    clock.advance(3_700_000)
    campaigns(app).launching.wake()
    with pytest.raises(ParseError, match="paused cannot be told to edit"):
        await campaigns(app).edit(made, {"name": "x", "content": HELLO}, MASTER, None)
    assert await state(app, made) == "paused"
    await order(app, made, "resume")
    await ended(app, made)
    assert tokens(script) == {"one": 1}
    other = await launched(app, schedule={"at": iso(clock.now() + DAY_MS)})
    told = await campaigns(app).edit(other, {"name": "Other", "content": {"body": "y"}}, MASTER, None)
    assert (told["state"], told["version"], told["next"], told["approvedVersion"]) == ("draft", 2, None, None)
    assert [each["name"] for each in await campaigns(app).store.versions(other)] == ["Spring", "Other"]
    await order(app, other, "approve", "schedule")
    await ended(app, other)
    dropped = await launched(app, schedule={"at": iso(clock.now() + DAY_MS)})
    assert (await order(app, dropped, "cancel"))["state"] == "cancelled"
    clock.advance(DAY_MS)
    campaigns(app).launching.wake()
    assert tokens(script) == {"one": 2}
    with pytest.raises(ParseError, match="cancelled cannot be told to resume"):
        await order(app, dropped, "resume")


async def test_a_campaign_is_paused_and_cancelled_while_it_is_being_sent(app: App, script: Script, clock: FakeClock) -> None:
    for number in range(40):
        await phone(app, f"t{number:02d}")
    made = await launched(app, perSecond=20)

    async def some() -> bool:
        return len(tokens(script)) >= 5

    await until(some)
    assert (await order(app, made, "pause"))["state"] == "paused"

    async def stopped() -> bool:
        row = await app.store.rows.get("pushes", await run_of(app, made))
        return row is not None and row.owner is None

    await until(stopped)
    before = len(tokens(script))
    assert 5 <= before < 40
    await order(app, made, "resume", "cancel")
    run = await run_of(app, made)

    async def over() -> bool:
        return await app.store.rows.get("pushes", run) is None

    await until(over)
    found = list(reasons(await rows(app, run)).values())
    assert found.count("sent") == len(tokens(script))
    assert found.count("sent") + found.count("skipped cancelled") == 40
    assert await state(app, made) == "cancelled"


async def test_what_is_too_late_is_not_begun(app: App, script: Script, clock: FakeClock) -> None:
    await phone(app, "one")
    made = await launched(app, schedule={"at": iso(clock.now() + 60_000)})
    clock.advance(60_000 + 5 * 60_000 + 1)
    campaigns(app).launching.wake()
    await ended(app, made, "expired")
    assert tokens(script) == {}
    with pytest.raises(ParseError, match="has passed"):
        await launched(app, schedule={"at": iso(clock.now() - DAY_MS)})
    again = await launched(app, schedule={"at": iso(clock.now() + 60_000), "repeat": "FREQ=DAILY", "times": 3})
    clock.advance(DAY_MS + 60_000)
    await passed(app, clock, again)
    audit = [entry["what"] for entry in await campaigns(app).store.audit(again)]
    assert audit == ["created", "approved", "scheduled", "missed", "launched", "launched", "ended"]


async def test_two_who_change_it_at_once_are_not_both_right(app: App) -> None:
    made = await campaign(app)
    told = await campaigns(app).get(made)
    body: Object = {"name": "x", "content": HELLO}
    results = await asyncio.gather(
        *(campaigns(app).edit(made, body, Caller(master=True, ip=str(n)), None) for n in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, dict) for result in results) >= 1
    assert all(isinstance(result, (dict, Conflict)) for result in results)
    assert len(await campaigns(app).store.versions(made)) == 1 + sum(isinstance(result, dict) for result in results)
    with pytest.raises(Conflict):
        await campaigns(app).order(made, "approve", MASTER, from_iso(told["updatedAt"]))


_REFUSED: list[tuple[Object, str]] = [
    ({"name": ""}, "name is"),
    ({"sms": 1}, "has no sms"),
    ({"content": {"body": "{{user.name"}}, "without its"),
    ({"content": {"body": "{{os.environ | x}}x"}}, "is no field"),
    ({"content": {"body": "{{user.email}}"}}, "not allowed to show email"),
    ({"content": {"body": "{{installation.deviceToken}}"}}, "may not be shown"),
    ({"content": {"title": 3}}, "title is a text"),
    ({"content": {}}, "has a title or a body"),
    ({"content": {"body": "x", "data": {"alert": 1}}}, "object without"),
    ({"content": {"body": "x", "buttons": [{"id": "a"}]}}, "buttons"),
    ({"content": {"body": "x", "badge": "many"}}, "badge"),
    ({"content": {"body": "x", "locales": {"Klingon!": {}}}}, "language"),
    ({"audience": {"users": {"email": "x"}}}, "not allowed to query email"),
    ({"audience": {"where": {"user": {"$inQuery": {"className": "_User", "where": {"email": "x"}}}}}}, "query email on class _User"),
    ({"audience": {"where": {"$or": 1}}}, "must be an array"),
    ({"audience": {"events": [{"name": "x", "days": 7}]}}, "atLeast"),
    ({"audience": {"events": [{"name": "x", "days": 0, "atLeast": 1}]}}, "days is"),
    ({"variants": []}, "has a content, or variants"),
    ({"control": 100}, "control"),
    ({"caps": [{"count": 1}]}, "caps"),
    ({"quietHours": {"from": "22:00", "to": "22:00"}}, "end"),
    ({"quietHours": {"from": "25:00", "to": "22:00"}}, "quietHours"),
    ({"zone": "Mars/Base"}, "zone"),
    ({"perSecond": 0}, "perSecond"),
    ({"expires": "soon"}, "expires"),
    ({"schedule": {"at": "2026-02-01T09:00:00"}}, "needs zone"),
    ({"schedule": {"at": "2026-02-01T09:00:00Z", "local": True}}, "instant"),
    ({"schedule": {"at": "now", "repeat": "FREQ=DAILY"}}, "begins at a time"),
    ({"schedule": {"at": "2026-02-01T09:00:00Z", "repeat": "FREQ=YEARLY"}}, "FREQ is"),
    ({"schedule": {"at": "2026-02-01T09:00:00Z", "repeat": "99 9 * * *"}}, "cron"),
    ({"schedule": {"at": "2026-02-01T09:00:00Z", "times": 3}}, "repeats"),
]
"""Definitions that make no sense, and what is said of them."""


def complaint(app: App, definition: Object) -> str:
    try:
        check(app, {"name": "x", "content": {"body": "x"}, **definition})
    except ParseError as error:
        return error.message
    return ""


async def test_what_cannot_be_sent_is_refused_when_it_is_written(closed_app: App) -> None:
    """One app for all of them: to open one takes longer than to ask it."""
    found = {says: complaint(closed_app, definition) for definition, says in _REFUSED}
    assert {says: text for says, text in found.items() if says not in text} == {}
    assert complaint(closed_app, {}) == ""


async def test_what_no_provider_takes_is_not_approved(app: App) -> None:
    made = await campaign(app, content={"body": "x" * 4090})
    with pytest.raises(ParseError, match="fcm takes 4096"):
        await order(app, made, "approve")


async def test_who_dies_at_any_moment_of_a_campaign_costs_nobody_a_message(
    closed_app: App, push_settings: PushOptions, script: Script, clock: FakeClock
) -> None:
    """Each process is ended while it launches, finds its devices or sends. Nobody is left out, counted twice, or capped by herself."""
    app = closed_app
    for number in range(40):
        await phone(app, f"t{number:03d}", badge=0)
    script.latency_ms = 10
    said: Object = {"title": "Hi", "body": "x", "badge": "Increment"}
    async with opened(app, push_settings, Reach(open=True)):
        made = await launched(app, content=said, control=30, caps=[{"count": 1, "hours": 24}])
    rounds, how = 0, ""
    while how != "completed":
        rounds += 1
        async with opened(app, push_settings, Reach(open=True)):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1 * rounds):
                    await ended(app, made)
            how = await state(app, made)
            runs = [run["id"] for run in await campaigns(app).store.runs(made)]
    [run] = runs
    found, received = await rows(app, run), tokens(script)
    control = {token for token, row in found.items() if row["state"] == "skipped"}
    assert {row.get("reason", "") for row in found.values()} == {"", "control"}
    assert len(found) == 40
    assert set(received) == set(found) - control
    assert all(times <= 1 + found[token].get("ambiguous", 0) for token, times in received.items())
    assert {data["badge"] for data in sent(script).values()} == {1}
    total = (await Report.of(app, [run])).total.counts
    assert (total["audience"], total["sent"], total["suppressed"]) == (40, len(received), len(control))


async def test_more_campaigns_than_places_are_sent_all_the_same_and_a_push_between_them(app: App, script: Script, clock: FakeClock) -> None:
    for number in range(3):
        await phone(app, f"t{number}")
    script.latency_ms = 50
    made = [await campaign(app, content={"body": f"c{number}"}) for number in range(7)]
    for each in made:
        await order(app, each, "approve", "schedule")
    await app.pushes.send(MASTER, {"where": {}, "data": {"alert": "now"}})
    for each in made:
        await passed(app, clock, each)

    async def all_sent() -> bool:
        return tokens(script) == {f"t{number}": 8 for number in range(3)}

    await until(all_sent)
