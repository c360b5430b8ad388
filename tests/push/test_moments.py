"""Business moments to the mock provider: who is sent which play, until when, once, and why somebody is not. Both stores, a fake clock."""

from __future__ import annotations

import asyncio

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.testing.clock import FakeClock
from mbaas_push import receipts
from mbaas_push.mock.script import Script
from tests.push.marketing import person, phone, sent, tokens
from tests.push.playing import MINUTE, came_of, fire, live, outcome, report


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
