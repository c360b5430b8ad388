"""Plays: what of one cannot be, what functions offer, where devices are, what it is worth as time goes by, what a stop leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Conflict, ParseError
from mbaas.kernel.options import PushOptions
from mbaas.kernel.values import Json, Object
from mbaas.outbound.reach import Reach
from mbaas.testing.clock import FakeClock
from mbaas_push.mock.script import Script
from mbaas_push.moments.worth import Worth
from mbaas_push.room import opened
from tests.push.marketing import person, phone, sent, tokens
from tests.push.playing import MINUTE, came_of, fire, idle, live, moments, order, outcome, passing, play, report
from tests.waiting import until

BERLIN: Object = {"latitude": 52.36, "longitude": 13.5}
DAY: Object = {"moment": "x"}


class Answers:
    """Functions that answer what they are told to; `slow` never does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, Object]] = []
        self.going = self.most = 0

    async def call(self, name: str, caller: Caller, params: Object) -> Object:
        self.asked.append((name, caller.user_id, params))
        if name.startswith("slow"):
            self.going += 1
            self.most = max(self.most, self.going)
            try:
                await asyncio.Event().wait()
            finally:
                self.going -= 1
        if name.startswith("broken"):
            raise ParseError(Code.SCRIPT_FAILED, "broken")
        return {"result": {"price": {"taxi.offer": 30, "bus.offer": 4}[name], "by": name}}

    async def linked(self, partner: str, external_id: Json) -> str | None:
        return None


@pytest.mark.parametrize("closed_app", ["embedded"], indirect=True)
class TestOnOneStore:
    """What no store has a part in."""

    async def test_the_best_offer_fills_the_text_and_decides_between_plays(self, app: App, script: Script) -> None:
        app.functions = functions = Answers()
        await phone(app, "one", ann := await person(app, "ann", tier="gold"))
        asks = [
            {"name": name, "params": {"tier": "{{user.tier}}", "from": "{{moment.at}}"}, "worth": "price"}
            for name in ("bus.offer", "taxi.offer")
        ]
        ride = await live(app, functions=asks, content={"body": "{{offer.by}}: {{offer.price}}"})
        plain = await live(app, value={"amount": 20})
        told = await came_of(app, "e1", {"user": ann["objectId"]}, props={"at": BERLIN})
        assert told == {ride: {"sent": 1}, plain: {"skipped.outranked": 1}}
        assert sent(script)["one"]["alert"] == "taxi.offer: 30"
        assert functions.asked == [(name, ann["objectId"], {"tier": "gold", "from": BERLIN}) for name in ("bus.offer", "taxi.offer")]
        found = await report(app, ride)
        assert found["by"]["partner"]["taxi.offer"]["sent"] == 1
        assert found["functions"]["bus.offer"] == {"answered": 1, "timeout": 0, "failed": 0}

    async def test_who_does_not_answer_in_time_is_done_without(self, app: App, script: Script) -> None:
        app.functions = Answers()
        await phone(app, "one", ann := await person(app, "ann"))
        slow, broken = ([{"name": name, "budgetMs": 1}] for name in ("slow.offer", "broken"))
        body = {"body": "A taxi for {{offer.price}}", "strict": True}
        spare = await live(app, trigger={"moment": "a"}, functions=slow, content=body, fallback={"body": "Exit B"})
        skips = await live(app, trigger={"moment": "b"}, functions=slow, content=body)
        fails = await live(app, trigger={"moment": "c"}, functions=broken, content=body)
        subject: Object = {"user": ann["objectId"]}
        assert await came_of(app, "e1", subject, "a") == {spare: {"sent": 1}}
        assert sent(script)["one"]["alert"] == "Exit B"
        assert await came_of(app, "e1", subject, "b") == {skips: {"skipped.function_timeout": 1}}
        assert await came_of(app, "e1", subject, "c") == {fails: {"skipped.function_failed": 1}}
        assert (await report(app, spare))["functions"] == {"slow.offer": {"answered": 0, "timeout": 1, "failed": 0}}
        assert list((await report(app, spare))["by"]["variant"]) == ["fallback"]

    async def test_no_more_calls_of_a_function_are_under_way_than_it_bears(self, app: App) -> None:
        app.functions = functions = Answers()
        await phone(app, "one", ann := await person(app, "ann"))
        await live(app, functions=[{"name": "slow.offer", "budgetMs": 200, "concurrency": 2}])
        fired = [await fire(app, f"e{number}", {"user": ann["objectId"]}) for number in range(6)]
        for each in fired:
            await outcome(app, each)
        assert functions.most == 2

    async def test_a_device_that_enters_a_place_and_leaves_it(self, app: App, script: Script, clock: FakeClock) -> None:
        await phone(app, "one")
        fence = {"on": "enter", "center": BERLIN, "radius": 3000}
        made = await live(app, trigger={"geofence": fence}, cancelOn=[{"geofence": "exit"}])
        square = [{"latitude": a, "longitude": b} for a, b in ((0, 0), (0, 1), (1, 1), (1, 0))]
        other = await live(app, trigger={"geofence": {"on": "exit", "polygon": square}})
        assert {each["id"]: each["on"] for each in await moments(app).firing.fences()} == {made: ["enter", "exit"], other: ["exit"]}

        async def crossed(event: str, **body: Any) -> dict[str, Object]:
            given = {"eventId": event, "transition": "enter", **body}
            return await outcome(app, await moments(app).firing.geofence(Caller(installation_id="I-one"), given))

        near, far = {"latitude": 52.38, "longitude": 13.5}, {"latitude": 52.39, "longitude": 13.5}
        assert await crossed("e1", location=near) == {made: {"sent": 1}}
        assert await crossed("e2", location=far) == {}
        assert await crossed("e3", transition="exit", fence=made) == {}
        assert await crossed("e4", fence=made, occurredAt=iso(clock.now() - MINUTE)) == {made: {"skipped.cancelled": 1}}
        assert await crossed("e5", transition="exit", fence=other) == {other: {"sent": 1}}
        assert tokens(script) == {"one": 2}
        for wrong in (
            {},
            {"transition": "exit", "location": near},
            {"location": {"latitude": 91, "longitude": 0}},
            {"location": near, "props": {}},
        ):
            with pytest.raises(ParseError):
                await crossed("e6", **wrong)
        with pytest.raises(ParseError, match="installation id"):
            await moments(app).firing.geofence(Caller(), {"eventId": "x", "transition": "enter", "location": near})

    async def test_what_was_accepted_is_sent_after_a_start_unless_it_is_worth_nothing_by_then(
        self, closed_app: App, push_settings: PushOptions, script: Script, clock: FakeClock
    ) -> None:
        app = closed_app
        await phone(app, "one", ann := await person(app, "ann"))
        app.functions = Answers()
        async with opened(app, push_settings, Reach(open=True)):
            made = await live(app, functions=[{"name": "slow.offer", "budgetMs": 5000}], fallback={"body": "x"})
            first = await fire(app, "e1", {"user": ann["objectId"]})
        assert tokens(script) == {}
        app.functions = Answers()
        async with opened(app, push_settings, Reach(open=True)):
            late = await fire(app, "e2", {"user": ann["objectId"]}, occurredAt=iso(clock.now() - 6 * MINUTE))
        clock.advance(5 * MINUTE)
        app.functions = Broken()
        async with opened(app, push_settings, Reach(open=True)):
            assert await outcome(app, first) == {made: {"sent": 1}}
            assert await outcome(app, late) == {made: {"skipped.expired": 1}}
            assert await outcome(app, await fire(app, "e1", {"user": ann["objectId"]})) == {made: {"sent": 1}}
        assert tokens(script) == {"one": 1}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"trigger": {}},
            {"trigger": {"moment": "two words"}},
            {"trigger": {"geofence": {"on": "enter", "center": BERLIN, "radius": 0}}},
            {"trigger": {"geofence": {"on": "enter", "polygon": [BERLIN, BERLIN]}}},
            {"trigger": {"change": {"className": "Nothing"}}},
            {"trigger": {"change": {"className": "_Session"}}},
            {"trigger": {"change": {"className": "_User", "where": {"password": "x"}}}},
            {"trigger": {"change": {"className": "_User", "subject": "username"}}},
            {"trigger": {"change": {"className": "_User"}}, "functions": [{"name": "offer"}]},
            {"trigger": {"change": {"className": "_User"}}, "content": {"body": "{{moment.email}}"}},
            {"trigger": {"change": {"className": "_User"}}, "content": {"body": "{{moment.authData.facebook.id}}"}},
            {"validFor": "0m"},
            {"validFor": "8d"},
            {"validFor": "٣m"},
            {"validFor": None},
            {"value": {"amount": 0}},
            {"value": {"amount": 1, "curve": "halfLife"}},
            {"value": {"amount": 1, "curve": "step", "steps": [{"after": "2m", "share": 0.5}, {"after": "1m", "share": 0.1}]}},
            {"minValue": -1},
            {"cooldown": "31d"},
            {"cancelOn": [{"geofence": "exit"}]},
            {"audience": {"events": [{"name": "x", "atLeast": 1, "days": 7}]}},
            {"audience": {"where": {"createdAt": {"$gt": {"$relativeTime": "1 day ago"}}}}},
            {"audience": {"where": {"user": {"$inQuery": {"className": "_User", "where": {}}}}}},
            {"filter": {"x": {"$text": {"$search": {"$term": "x"}}}}},
            {"content": {"body": "{{user.email}}"}},
            {"content": {"body": "{{offer.price}}"}},
            {"content": {"body": "x", "badge": 1}},
            {"fallback": {"body": "x"}},
            {"functions": [{"name": "offer", "params": {"x": "{{offer.y}}"}}]},
            {"functions": [{"name": "offer"}, {"name": "offer"}]},
            {"functions": [{"name": "offer"}], "fallback": {"body": "{{offer.x}}"}},
            {"functions": [{"name": "offer"}], "onTimeout": "fallback"},
            {"schedule": {"at": "now"}},
        ],
    )
    async def test_a_play_that_makes_no_sense_is_refused(self, app: App, wrong: Object) -> None:
        with pytest.raises(ParseError):
            await play(app, **wrong)

    async def test_a_play_has_states_versions_and_an_audit(self, app: App) -> None:
        made = await play(app)
        room = moments(app).plays
        body: Object = {"name": "Other", "trigger": DAY, "validFor": "1m", "content": {"body": "y"}}
        before = (await room.get(made))["updatedAt"]
        assert (await room.edit(made, body, MASTER, None))["version"] == 2
        with pytest.raises(Conflict):
            await room.order(made, "start", MASTER, 1)
        assert before != (await order(app, made, "start"))["updatedAt"]
        for wrong in ("start", "resume"):
            with pytest.raises(ParseError, match="cannot be told"):
                await order(app, made, wrong)
        with pytest.raises(ParseError, match="cannot be told to edit"):
            await room.edit(made, body, MASTER, None)
        assert (await order(app, made, "pause", "resume", "retire"))["state"] == "retired"
        assert [each["what"] for each in await room.store.audit(made)] == ["created", "edited", "started", "paused", "resumed", "retired"]
        assert [each["name"] for each in await room.store.versions(made)] == ["Taxi", "Other"]
        copy = await room.duplicate(made, MASTER)
        assert (copy["name"], copy["state"]) == ("Other (copy)", "draft")
        await room.delete(made, MASTER, None)
        with pytest.raises(ParseError, match="No play has the id"):
            await room.get(made)

    async def test_moments_that_make_no_sense_are_refused(self, app: App) -> None:
        subject: Object = {"user": "x"}
        every: list[Object] = [{"eventId": ""}, {"subject": {}}, {"subject": {"user": "x", "where": {}}}]
        every += [{"occurredAt": "soon"}, {"props": []}, {"more": 1}]
        for wrong in every:
            with pytest.raises(ParseError):
                await moments(app).fire("landed", {"eventId": "e", "subject": subject, **wrong})
        with pytest.raises(ParseError, match="password"):
            await fire(app, "e", {"where": {"user": {"$inQuery": {"className": "_User", "where": {"password": "x"}}}}})
        with pytest.raises(ParseError, match="bytes"):
            await fire(app, "e", subject, props={"x": "y" * 4096})
        with pytest.raises(ParseError, match="no such partner"):
            await fire(app, "e", {"partner": "taxi", "externalId": "M-1"})

    async def test_an_id_of_a_partner_that_is_not_linked_is_answered_like_any_other(self, app: App, script: Script) -> None:
        app.functions = Answers()
        await phone(app, "one", ann := await person(app, "ann"))
        made = await live(app, trigger={"moment": "taxi.arrived"})
        firing = moments(app).firing
        body: Object = {"eventId": "e1", "externalId": "M-1"}
        known = await firing.of_partner("taxi", "arrived", body, ann["objectId"])
        unknown = await firing.of_partner("taxi", "arrived", {**body, "eventId": "e2"}, None)
        assert (len(known), known != unknown) == (len(unknown), True)
        assert await outcome(app, known) == {made: {"sent": 1}}
        assert await firing.of_partner("bus", "arrived", body, ann["objectId"]) != known
        assert await came_of(app, "e3", {"partner": "taxi", "externalId": "M-9"}, "taxi.arrived") == {}
        assert await came_of(app, "e3", {"partner": "taxi", "externalId": "M-9"}, "taxi.arrived") == {}
        await idle(app)
        assert tokens(script) == {"one": 1}

    async def test_a_device_that_is_gone_and_one_that_has_opted_out_meanwhile_are_sent_nothing(
        self, app: App, script: Script, clock: FakeClock
    ) -> None:
        kept = [await phone(app, token, channels=["f"]) for token in ("stays", "leaves", "goes")]
        clock.advance((24 * 60 * MINUTE) - clock.now() % (24 * 60 * MINUTE))
        made = await live(app, quietHours={"from": "00:00", "to": "00:05"})
        await fire(app, "e1", {"where": {"channels": "f"}})
        await idle_until_held(app, 3)
        await objects.update(app, MASTER, "_Installation", kept[1], {"optOuts": ["*"]})
        await objects.delete(app, MASTER, "_Installation", kept[2])
        await passing(app, clock)
        assert tokens(script) == {"stays": 1}
        assert (await report(app, made))["suppressed"] == {"opted_out": 1, "unregistered": 1}


class Broken(Answers):
    """Functions that fail at once."""

    async def call(self, name: str, caller: Caller, params: Object) -> Object:
        raise ParseError(Code.SCRIPT_FAILED, "broken")


async def idle_until_held(app: App, count: int) -> None:
    """Wait until so many deliveries wait for their time."""

    async def held() -> bool:
        rows = await app.store.rows.scan("deliveries")
        tasks = await app.store.rows.scan("moment tasks")
        return len(rows) == count and len(tasks) == 1 and tasks[0].owner is None

    await until(held)


_CURVES = st.one_of(
    st.just({"curve": "constant"}),
    st.just({"curve": "linear"}),
    st.integers(1, 90).map(lambda minutes: {"curve": "halfLife", "halfLife": f"{minutes}m"}),
    st.just({"curve": "step", "steps": [{"after": "1m", "share": 0.6}, {"after": "5m", "share": 0.2}]}),
)


@given(_CURVES, st.floats(0.01, 1000), st.floats(0, 50), st.integers(1, 60), st.integers(0, 70 * MINUTE))
def test_a_push_is_of_use_just_as_long_as_it_is_worth_the_least(curve: Object, amount: float, least: float, minutes: int, at: int) -> None:
    worth = Worth({"amount": amount, **curve}, minutes * MINUTE, least)
    useful = worth.useful(amount)
    assert 0 <= useful <= worth.lasts
    assert worth.share(at) <= worth.share(max(0, at - MINUTE))
    if at < useful:
        assert amount * worth.share(at) >= least * (1 - 1e-6)
    elif at > useful + 1:
        assert at >= worth.lasts or amount * worth.share(at) <= least * (1 + 1e-3) + 1e-6
