"""Topics of Firebase: devices are subscribed by firebase-admin, and one message reaches all who have. Over HTTP/2 to the mock provider."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Object
from mbaas.storage.ports import Find
from mbaas.testing.clock import FakeClock
from mbaas_push import subscriptions
from mbaas_push.dead_letters import DeadLetters, Wanted
from mbaas_push.message import read
from mbaas_push.mock.script import Reply, Script
from mbaas_push.room import subscriptions_of
from mbaas_push.topics import holds, is_condition
from tests.push.pushing import deliveries, device, ended, passing, runs, tokens

NOW = 1_769_850_300_123


async def changed(app: App, topic: str, where: Object, *, subscribe: bool = True, cursor: str | None = None) -> Object:
    return await subscriptions_of(app).change(
        topic, {"where": where, **({} if cursor is None else {"cursor": cursor})}, subscribe=subscribe
    )


async def sent(app: App, clock: FakeClock | None = None, **fields: Any) -> tuple[str, Object]:
    """A push to topics that has ended: its id and its `_PushStatus`."""
    run = await app.pushes.send(MASTER, {"data": {"alert": "hello"}, **fields})
    if clock is not None:
        await passing(app, clock, run, 1000)
    return run, await ended(app, run)


def reached(script: Script) -> list[str]:
    """Whom Firebase has handed a message to topics."""
    return sorted(receipt.token for receipt in script.receipts if receipt.provider == "fcm topics")


async def addresses(app: App) -> set[str]:
    schema = app.classes.known_or_blank("_Installation")
    return {document.body["deviceToken"] async for document in app.store.documents.scan(Find(schema)) if "deviceToken" in document.body}


async def test_one_message_reaches_the_devices_of_the_query_that_was_subscribed(app: App, script: Script) -> None:
    for token, kind, more in (("a1", "android", {}), ("a2", "android", {}), ("f1", "ios", {"pushType": "fid"}), ("e" * 64, "ios", {})):
        await device(app, token, kind, channels=["news"], **more)
    await device(app, "other", channels=["sports"])
    assert await changed(app, "news", {"channels": "news"}) == {"subscribed": 3, "failed": {}, "next": None}
    assert await changed(app, "news", {"deviceToken": "a2"}, subscribe=False) == {"unsubscribed": 1, "failed": {}, "next": None}
    # To be told twice is no failure, either way.
    assert await changed(app, "news", {"channels": "news", "deviceToken": "a1"}) == {"subscribed": 1, "failed": {}, "next": None}
    assert (await changed(app, "news", {"deviceToken": "a2"}, subscribe=False))["unsubscribed"] == 1
    run, told = await sent(app, topic="news", data={"alert": "hello", "uri": "app://x"})
    assert reached(script) == ["a1", "f1"]
    [asked] = [receipt for receipt in script.accepted() if receipt.provider == "fcm"]
    assert (asked.token, json.loads(asked.message["data"]["data"])) == ("news", {"alert": "hello", "uri": "app://x"})
    [row] = await deliveries(app, run)
    assert (row["state"], row["to"][:3]) == ("sent", ["fcm", "news", "topic"])
    assert (told["status"], told["numSent"], told["sentPerType"], told["query"]) == ("succeeded", 1, {"topic": 1}, '{"topic":"news"}')


async def test_a_condition_reaches_whom_it_holds_for(app: App, script: Script) -> None:
    script.topics = {"a": {"1", "2", "4"}, "b%20": {"2", "3"}, "c": {"3", "4"}}
    await sent(app, condition="('a' in topics || 'b%20' in topics) && !('c' in topics)")
    assert reached(script) == ["1", "2"]


async def test_a_dead_address_is_forgotten_and_what_else_fails_is_counted(app: App, script: Script) -> None:
    script.change(
        {"tokens": {"gone": [{"status": 404, "reason": "UNREGISTERED"}], "full": [{"status": 400, "reason": "INVALID_ARGUMENT"}] * 2}}
    )
    script.tokens["lost"] = deque([Reply(404)])
    script.tokens["busy"] = deque([Reply(429, "QUOTA_EXCEEDED", retry_after_s=0), Reply(503), Reply()])
    script.tokens["late"] = deque([Reply(drop=True), Reply(401, "UNAUTHENTICATED"), Reply()])
    for token in ("gone", "full", "lost", "busy", "late", "fine"):
        await device(app, token)
    told = await changed(app, "a%b~c", {})
    assert told == {"subscribed": 3, "failed": {"UNREGISTERED": 1, "INVALID_ARGUMENT": 1, "NOT_FOUND": 1}, "next": None}
    assert script.topics == {"a%b~c": {"busy", "late", "fine"}}
    assert await addresses(app) == {"full", "lost", "busy", "late", "fine"}


async def test_a_long_query_goes_on_where_the_request_before_it_ended(app: App, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST", 2)
    monkeypatch.setattr(subscriptions, "_SECONDS", 0)
    for number in range(5):
        await device(app, f"t{number}")
    told = await changed(app, "news", {})
    done, requests = told["subscribed"], 1
    while told["next"] is not None:
        told = await changed(app, "news", {}, cursor=told["next"])
        done, requests = done + told["subscribed"], requests + 1
    assert (done, requests, script.topics) == (5, 3, {"news": {f"t{number}" for number in range(5)}})


async def test_what_fails_for_now_ends_the_request_where_it_can_go_on(app: App, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST", 1)
    script.tokens["t1"] = deque([Reply(401, "UNAUTHENTICATED")])
    ids = sorted([(await device(app, f"t{number}"), f"t{number}") for number in range(3)])
    before = [token for _, token in ids].index("t1")
    told = await changed(app, "news", {})
    assert (told["subscribed"], told["failed"]) == (before, {"UNAUTHENTICATED": 1})
    del script.tokens["t1"]
    assert await changed(app, "news", {}, cursor=told["next"]) == {"subscribed": 3 - before, "failed": {}, "next": None}
    assert script.topics == {"news": {"t0", "t1", "t2"}}


async def test_a_message_to_a_topic_is_tried_again_and_is_a_dead_letter_in_the_end(app: App, script: Script, clock: FakeClock) -> None:
    script.topics = {"news": {"a"}}
    script.tokens["news"] = deque([Reply(503), Reply(404, "UNREGISTERED"), Reply()])
    run, told = await sent(app, clock, topic="news")
    assert (told["numSent"], told["numFailed"], tokens(script)) == (0, 1, {})
    again = await DeadLetters(app, runs(app)).requeue(run, Wanted.read({}), MASTER)
    assert again["requeued"] == 1
    await passing(app, clock, run, 1000)
    assert (await ended(app, run))["numSent"] == 1
    assert reached(script) == ["a"]
    assert len({receipt.message["data"]["push_id"] for receipt in script.receipts}) == 1


async def test_it_is_sent_at_its_time_or_not_at_all(app: App, script: Script, clock: FakeClock) -> None:
    script.topics = {"news": {"a"}}
    late = await app.pushes.send(MASTER, {"topic": "news", "data": {"alert": "x"}, "push_time": iso(clock.now() + 60_000)})
    never = await app.pushes.send(MASTER, {"topic": "news", "data": {"alert": "y"}, "push_time": iso(clock.now() + 90_000)})
    await runs(app).order(never, "cancel")
    await ended(app, never)
    clock.advance(60_000)
    runs(app).wake()
    assert (await ended(app, late))["numSent"] == 1
    assert [json.loads(receipt.message["data"]["data"]) for receipt in script.accepted()] == [{"alert": "x"}] * 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"topic": "a", "where": {}}, "without where"),
        ({"topic": "a", "channels": ["a"]}, "without channels"),
        ({"topic": "a", "condition": "'a' in topics"}, "without condition"),
        ({"condition": "'a' in topics", "where": {}}, "without where"),
        ({"topic": "a b"}, "topic is a name"),
        ({"topic": "/topics/a"}, "topic is a name"),
        ({"topic": "a" * 901}, "topic is a name"),
        ({"topic": ""}, "topic is a name"),
        ({"topic": None}, "topic is a name"),
        ({"topic": ["a"]}, "topic is a name"),
        ({"condition": "a"}, "joins one to five"),
        ({"condition": " || ".join(f"'{name}' in topics" for name in "abcdef")}, "joins one to five"),
        ({"topic": "a", "data": {"topic": "com.example"}}, "topic of its data is Apple's"),
        ({"topic": "a", "data": {"alert": {"title": "x"}}}, "alert of its data is Apple's"),
        ({"topic": "a", "data": {"alert": "x", "thread-id": "y"}}, "thread-id of its data is Apple's"),
        ({"topic": "a", "data": {"badge": "Increment"}}, "without an increment"),
        ({"topic": "a", "data": {"alert": "x", "alert-de": "y"}}, "without alert-de"),
        ({"topic": "a", "data": {"title-de": "y"}}, "without title-de"),
        ({"topic": "a", "push_time": "2026-03-01T09:00:00"}, "push_time of each device"),
        ({"topic": "a", "data": {"alert": "x" * 1962}}, "2049 bytes"),
    ],
)
def test_such_a_push_to_topics_is_refused(body: Object, told: str) -> None:
    with pytest.raises(ParseError, match=told) as refused:
        read({"data": {"alert": "x"}, **body}, NOW)
    assert refused.value.code == 115


def test_what_fits_is_taken() -> None:
    assert read({"topic": "a" * 900, "data": {"alert": "x" * 1961}}, NOW).to == {"topic": "a" * 900}
    assert read({"channels": ["a"], "data": {"topic": "com.example", "collapse_id": "c"}}, NOW).to is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "()",
        "'a' in topic",
        "'a' in topics 'b' in topics",
        "'a' in topics &&",
        "'a' in topics & 'b' in topics",
        "1 && 'a' in topics",
        "('a' in topics",
        '"a" in topics',
        "!" * 200 + "'a' in topics",
        "'a' in topics" + " " * 6000,
    ],
)
def test_that_is_no_condition(text: str) -> None:
    assert not is_condition(text)


def test_operators_are_taken_from_left_to_right() -> None:
    assert not holds("'a' in topics || 'b' in topics && 'c' in topics", "a")
    assert holds("'a' in topics || ('b' in topics && 'c' in topics)", "a")


NAMES = st.sampled_from("abcde").map(lambda name: f"'{name}' in topics")
CONDITIONS = st.recursive(
    NAMES,
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"), st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda three: f"({' '.join(three)})")
    ),
    max_leaves=5,
)


@given(CONDITIONS, st.sets(st.sampled_from("abcde")))
def test_in_parentheses_a_condition_means_what_it_means_to_python(condition: str, topics: set[str]) -> None:
    python = condition.replace("&&", "and").replace("||", "or").replace("!", " not ")
    assert is_condition(condition)
    assert holds(condition, topics) is eval(python, {"topics": topics})
