"""What somebody may do to events, receipts and campaigns who means no good, or is merely quick. Both stores, a fake clock."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from mbaas.data.app import App
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Conflict, ParseError
from mbaas.kernel.values import Object
from mbaas.testing.clock import FakeClock
from mbaas_push import event_queries, receipts
from mbaas_push.campaigns import rehearsal
from mbaas_push.event_queries import Window
from mbaas_push.events import events_of, read, read_all
from mbaas_push.mock.script import Script
from tests.push.marketing import HELLO, campaign, campaigns, ended, launched, order, person, phone, sent
from tests.push.playing import fire


async def test_nobody_takes_an_event_of_others_away_by_its_id(closed_app: App, clock: FakeClock) -> None:
    app, now = closed_app, clock.now()
    for caller in (Caller(user_id="ann"), Caller(user_id="bob"), Caller(user_id="ann"), Caller(installation_id="i1")):
        await events_of(app).keep([read("Bought", {"id": "order-7"}, caller, now)])
    found = await event_queries.counts(app, "Bought", Window(0, now + 1))
    assert found == {"user:ann": 1, "user:bob": 1, "installation:i1": 1}


def test_what_an_event_with_dimensions_does_not_know_is_refused(clock: FakeClock) -> None:
    with pytest.raises(ParseError, match="usr"):
        read_all({"events": [{"name": "Bought", "usr": "ann", "dimensions": {}}]}, MASTER, clock.now())


async def test_a_device_converts_a_hundred_times_and_no_more(app: App, script: Script) -> None:
    await phone(app, "one")
    await ended(app, await launched(app))
    receipt = sent(script)["one"]["receipt"]

    async def post(kind: str, ids: range) -> Object:
        return await receipts.keep(app, {"receipts": [{"receipt": receipt, "kind": kind, "id": f"{n}"} for n in ids]})

    assert await post("converted", range(60)) == {"kept": 60, "known": 0, "unknown": 0}
    assert await post("converted", range(50, 120)) == {"kept": 40, "known": 10, "unknown": 20}
    assert await post("converted", range(1000, 2000)) == {"kept": 0, "known": 0, "unknown": 1000}
    assert await post("opened", range(1)) == {"kept": 1, "known": 0, "unknown": 0}


@pytest.mark.parametrize(
    "audience",
    [
        {"where": {"deviceToken": {"$regex": "^a"}}},
        {"where": {"$or": [{"deviceToken": {"$gt": "a"}}]}},
        {"users": {"authData.facebook.id": "x"}},
        {"users": {"$or": [{"password": "x"}]}},
        {"where": {"user": {"$inQuery": {"className": "_User", "where": {"authData": {"$exists": True}}}}}},
        {"users": {"objectId": {"$inQuery": {"className": "_Session", "where": {"sessionToken": {"$regex": "^r"}}}}}},
        {"where": {"x": {"$select": {"query": {"className": "_Session", "where": {}}, "key": "sessionToken"}}}},
    ],
)
async def test_secrets_are_not_found_out_by_counting(app: App, audience: Object) -> None:
    for doing in (campaign(app, audience=audience), rehearsal.preview(campaigns(app), {"audience": audience}, 1)):
        with pytest.raises(ParseError) as refused:
            await doing
        assert refused.value.code == 119


async def test_a_query_that_no_store_can_ask_is_refused_before_anything_is_kept(app: App) -> None:
    """A pattern that is none, also in a subquery; of an audience, a preview, and of whom a moment is about."""
    broken: Object = {"channels": {"$regex": "("}}
    for where in (broken, {"$or": [{"x": 1}, broken]}, {"user": {"$inQuery": {"className": "_User", "where": {"city": {"$regex": "("}}}}}):
        for doing in (
            campaign(app, audience={"where": where}),
            rehearsal.preview(campaigns(app), {"audience": {"where": where}}, 1),
            fire(app, "e1", {"where": where}),
        ):
            with pytest.raises(ParseError) as refused:
                await doing
            assert refused.value.code == 102
    assert not await app.store.rows.scan("moments")


@pytest.mark.parametrize("given", [{}, {"where": {"channels": "x"}}, {"audience": {}, "where": {}}])
async def test_a_preview_of_no_audience_is_not_one_of_everybody(app: App, given: Object) -> None:
    with pytest.raises(ParseError):
        await rehearsal.preview(campaigns(app), given, 1)


async def test_a_preview_shows_devices_whose_user_is_none(app: App) -> None:
    await phone(app, "one", {"name": "Ann"})
    assert (await rehearsal.preview(campaigns(app), {"audience": {}}, 5))["sample"][0]["user"] is None


async def test_a_dry_run_of_what_is_months_ahead_is_of_what_people_have_done_until_now(app: App, clock: FakeClock) -> None:
    await phone(app, "one")
    await events_of(app).keep([read("AppOpened", {}, Caller(installation_id="i-one"), clock.now())])
    made = await campaign(
        app, audience={"events": [{"name": "AppOpened", "atLeast": 1, "days": 7}]}, schedule={"at": "2027-01-01T09:00:00", "local": True}
    )
    assert (await rehearsal.dry_run(campaigns(app), await campaigns(app).store.get(made), 5))["sends"] == 1


@pytest.mark.parametrize("wrong", [{"variant": []}, {"variant": {}}, {"locale": []}, {"user": "ann"}])
async def test_a_test_that_cannot_be_is_refused(app: App, wrong: Object) -> None:
    found = await campaigns(app).store.get(await campaign(app))
    with pytest.raises(ParseError) as refused:
        await rehearsal.send_test(campaigns(app), found, {"users": [(await person(app, "ann"))["objectId"]], **wrong})
    assert refused.value.code == 142


async def test_the_same_draft_is_made_once_by_all_who_ask_at_once(app: App) -> None:
    body: Object = {"name": "Spring", "content": HELLO}
    made = await asyncio.gather(*(campaigns(app).create(body, MASTER, "key") for _ in range(5)))
    assert len({each["id"] for each in made}) == 1
    assert len((await campaigns(app).store.page("", 10))[0]) == 1


async def test_what_is_deleted_meanwhile_does_not_come_back(app: App) -> None:
    made = await campaign(app)
    room = campaigns(app)
    as_read = await room.store.get(made)
    await room.delete(made, MASTER, None)
    with pytest.raises(Conflict):
        await room.store.change(as_read, "approved", MASTER, state="approved")
    with pytest.raises(ParseError):
        await room.get(made)
    assert [entry["what"] for entry in await room.store.audit(made)] == ["created", "deleted"]
    other = await campaign(app)
    as_read = await room.store.get(other)
    await order(app, other, "approve", "schedule")
    with pytest.raises(Conflict):
        await room.store.drop(as_read, MASTER)
    for unknown in (room.store.audit("nobody"), room.store.versions("nobody")):
        with pytest.raises(ParseError):
            await unknown


async def test_a_copy_of_a_long_name_can_be_edited(app: App) -> None:
    copy = await campaigns(app).duplicate(await campaign(app, name="n" * 200), MASTER)
    assert (await campaigns(app).edit(copy["id"], {"name": copy["name"], "content": HELLO}, MASTER, None))["version"] == 2


@pytest.mark.parametrize(
    "wrong", [[], 5, "x", {"tokens": []}, {"tokens": {"a": 5}}, {"tokens": {"a": [{"sta": 1}]}}, {"latency": 5}, {"streams": "x"}]
)
def test_a_script_that_is_none_changes_nothing(wrong: Any) -> None:
    script = Script()
    with pytest.raises((ValueError, TypeError, AttributeError)):
        script.change({"latency_ms": 5, **wrong} if isinstance(wrong, dict) else wrong)
    assert dataclasses.replace(script, receipts=script.receipts) == dataclasses.replace(Script(), receipts=script.receipts)
