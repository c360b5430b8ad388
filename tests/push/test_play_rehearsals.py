"""What a play would send, and to whom, before it is live; and a copy to one's own phone. Nothing of it counts."""

from __future__ import annotations

import pytest

from mbaas.data import schemas
from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Json, Object
from mbaas.testing.clock import FakeClock
from mbaas_push.campaigns import rehearsal as of_campaigns
from mbaas_push.mock.script import Script
from mbaas_push.moments import rehearsal
from mbaas_push.room import runs_of
from tests.push.marketing import campaign, campaigns, person, phone, sent, tokens
from tests.push.playing import MINUTE, came_of, live, moments, play, report
from tests.waiting import until

pytestmark = pytest.mark.parametrize("closed_app", ["embedded"], indirect=True)
OFFER: Object = {"functions": [{"name": "taxi.offer", "worth": "price"}], "content": {"body": "A taxi for {{offer.price}}", "strict": True}}


class Counted:
    """Functions that offer a taxi, and know how often they were asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def call(self, name: str, caller: Caller, params: Object) -> Object:
        self.asked += 1
        return {"result": {"price": 30}}

    async def linked(self, partner: str, external_id: Json) -> str | None:
        return None


async def dry(app: App, made: str, subject: Object, **more: Json) -> Object:
    room = moments(app)
    return await rehearsal.dry_run(app, room, await room.plays.store.get(made), {"subject": subject, **more}, 10)


async def tried(app: App, made: str, **given: Json) -> Object:
    """How a test has ended."""
    room = moments(app)
    run = await rehearsal.send_test(app, room, runs_of(app), await room.plays.store.get(made), given)

    async def over() -> bool:
        return await app.store.rows.get("push results", run) is not None

    await until(over)
    return await runs_of(app).told(run)


async def test_a_draft_says_what_it_would_send_and_sends_nothing(app: App, script: Script) -> None:
    ann = await person(app, "ann", tier="gold")
    one = await phone(app, "one", ann, localeIdentifier="de")
    await phone(app, "two", ann, optOuts=["promo"])
    content: Object = {"body": "{{moment.city}}, {{user.tier}}", "locales": {"de": {"body": "Hallo {{moment.city}}"}}}
    made = await play(app, category="promo", content=content, filter={"delay": {"$gt": 5}})
    told = await dry(app, made, {"user": ann["objectId"]}, props={"city": "Rome", "delay": 9})
    assert {name: told[name] for name in ("state", "fits", "devices", "sends", "suppressed")} == {
        "state": "draft",
        "fits": True,
        "devices": 2,
        "sends": 1,
        "suppressed": {"opted_out": 1},
    }
    [seen] = told["rendered"]
    assert (seen["installation"], seen["locale"], seen["data"]["alert"], seen["provider"]) == (one, "de", "Hallo Rome", "fcm")
    wrong = await dry(app, made, {"user": ann["objectId"]}, props={"delay": 1})
    assert (wrong["fits"], wrong["suppressed"], wrong["rendered"]) == (False, {"filter": 2}, [])
    assert (tokens(script), (await report(app, made))["fired"]) == ({}, 0)


async def test_each_rule_that_holds_somebody_back_says_so(app: App, clock: FakeClock) -> None:
    ann, bob = await person(app, "ann", tier="gold"), await person(app, "bob")
    for name, whose in (("one", ann), ("two", bob)):
        await phone(app, name, whose)
    subject: Object = {"user": ann["objectId"]}
    gold = await play(app, audience={"users": {"$or": [{"tier": "gold"}, {"tier": "silver", "city": "Rome"}]}})
    assert (await dry(app, gold, {"user": bob["objectId"]}))["suppressed"] == {"audience": 1}
    assert (await dry(app, gold, {"where": {"deviceType": "android"}}))["suppressed"] == {"audience": 1}
    assert (await dry(app, gold, subject, occurredAt=iso(clock.now() - 11 * MINUTE)))["suppressed"] == {"expired": 1}
    rested = await live(app, trigger={"moment": "a"}, cooldown="6h")
    await came_of(app, "e1", subject, "a")
    capped = await live(app, trigger={"moment": "b"}, caps=[{"count": 1, "hours": 24}])
    # However often it is asked, nothing of the caps is used up.
    assert [(await dry(app, capped, subject))["sends"] for _ in range(3)] == [1, 1, 1]
    await came_of(app, "e2", subject, "b")
    assert (await dry(app, capped, subject))["suppressed"] == {"capped": 1}
    assert (await dry(app, rested, subject))["suppressed"] == {"cooldown": 1}
    night = await play(app, quietHours={"from": "00:00", "to": "23:59", "then": "skip"})
    assert (await dry(app, night, subject))["suppressed"] == {"quiet_hours": 1}
    more = await live(app, trigger={"moment": "c"}, value={"amount": 9})
    less = await play(app, trigger={"moment": "c"})
    told = await dry(app, less, subject)
    assert (told["suppressed"], told["suppressions"][0]["detail"]) == ({"outranked": 1}, more)
    nobody = await dry(app, less, {"user": "nobody"})
    assert (nobody["devices"], nobody["sends"]) == (0, 0)


async def test_functions_are_asked_only_where_that_is_said(app: App) -> None:
    app.functions = functions = Counted()
    await phone(app, "one", ann := await person(app, "ann"))
    subject: Object = {"user": ann["objectId"]}
    bare, spare = await play(app, **OFFER), await play(app, **OFFER, fallback={"body": "Exit B"})
    assert (await dry(app, bare, subject))["suppressed"] == {"function_timeout": 1}
    assert (await dry(app, spare, subject))["rendered"][0]["data"]["alert"] == "Exit B"
    assert (await dry(app, bare, subject, offer={"price": 7}))["rendered"][0]["data"]["alert"] == "A taxi for 7"
    assert functions.asked == 0
    [seen] = (await dry(app, bare, subject, ask=True))["rendered"]
    assert (seen["data"]["alert"], seen["partner"], functions.asked) == ("A taxi for 30", "taxi.offer", 1)


async def test_a_test_goes_to_the_devices_that_it_names_whatever_holds_them_back(app: App, script: Script) -> None:
    app.functions = functions = Counted()
    ann = await person(app, "ann")
    one = await phone(app, "one", ann, optOuts=["*"])
    await phone(app, "two", await person(app, "bob"))
    made = await play(app, **OFFER, fallback={"body": "Exit B"}, cooldown="6h", audience={"users": {"tier": "gold"}})
    assert (await tried(app, made, users=[ann["objectId"]], offer={"price": 7}))["counts"] == {"sent": 1}
    assert (sent(script)["one"]["alert"], sent(script)["one"]["play"]) == ("A taxi for 7", made)
    assert (await tried(app, made, installations=[one], variant="fallback"))["counts"] == {"sent": 1}
    assert sent(script)["one"]["alert"] == "Exit B"
    # What it would say lacks an offer.
    assert (await tried(app, made, installations=[one]))["counts"] == {"skipped.missing_field": 1}
    assert (tokens(script), functions.asked) == ({"one": 2}, 0)
    told = await report(app, made)
    assert (told["fired"], told["total"]["sent"]) == (0, 0)


async def test_what_has_become_private_since_it_was_written_is_not_shown(app: App, script: Script) -> None:
    await phone(app, "one", ann := await person(app, "ann", city="Rome"))
    said: Object = {"content": {"body": "In {{user.city}}"}}
    made, other = await play(app, **said), await campaign(app, **said)
    [seen] = (await dry(app, made, {"user": ann["objectId"]}))["rendered"]
    assert seen["data"]["alert"] == "In Rome"
    everybody: Object = {"*": True}
    rights: Object = {"find": everybody, "get": everybody, "protectedFields": {"*": ["email", "city"]}}
    await schemas.change(app, "_User", {"classLevelPermissions": rights})
    room, kept = campaigns(app), await campaigns(app).store.get(other)
    for asking in (
        dry(app, made, {"user": ann["objectId"]}),
        tried(app, made, users=[ann["objectId"]]),
        of_campaigns.dry_run(room, kept, 10),
        of_campaigns.send_test(room, kept, {"users": [ann["objectId"]]}),
    ):
        with pytest.raises(ParseError, match="not allowed to show city"):
            await asking
    assert tokens(script) == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "subject"),
        ({"subject": {"user": "x"}, "eventId": ""}, "eventId"),
        ({"subject": {"user": "x"}, "offer": 5}, "offer is an object"),
        ({"subject": {"user": "x"}, "ask": "yes"}, "ask is true or false"),
        ({"subject": {"user": "x"}, "props": []}, "props"),
        ({"subject": {"user": "x"}, "installation": "x"}, "installation"),
        ({"subject": {"partner": "taxi", "externalId": "M-1"}}, "knows nobody"),
    ],
)
async def test_a_dry_run_that_makes_no_sense_is_refused(app: App, wrong: Object, said: str) -> None:
    app.functions = Counted()
    made = await play(app)
    with pytest.raises(ParseError, match=said):
        await rehearsal.dry_run(app, moments(app), await moments(app).plays.store.get(made), wrong, 10)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "names installations or users"),
        ({"users": ["nobody"]}, "device that is known"),
        ({"users": ["x"], "variant": "Z"}, "variant is one of"),
        ({"users": ["x"], "props": 1}, "props is an object"),
        ({"users": ["x"], "subject": {}}, "no subject"),
    ],
)
async def test_a_test_that_makes_no_sense_is_refused(app: App, wrong: Object, said: str) -> None:
    made = await play(app)
    with pytest.raises(ParseError, match=said):
        await rehearsal.send_test(app, moments(app), runs_of(app), await moments(app).plays.store.get(made), wrong)
