"""What clients choose (tokens, endpoints, kinds of devices) and what providers answer costs no other device its push, and ends."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mbaas.data.app import App
from mbaas.jobs.queue import Task
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import PushOptions
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Row
from mbaas.testing.clock import FakeClock
from mbaas_push.deliveries import TABLE
from mbaas_push.mock.providers import Answered, answer
from mbaas_push.mock.script import Reply, Script
from mbaas_push.sending import Sending
from mbaas_push.transports.accept import Accept
from mbaas_push.transports.lane import Reply as LaneReply
from mbaas_push.turns import Turns
from tests.push.pushing import deliveries, device, ended, passing, push, runs, status, tokens
from tests.push.test_sending import subscription
from tests.waiting import until


@pytest.mark.parametrize(
    "token", ["../../token", "%2e%2e/%2e%2e/token", "a?b", "a#b", "a b", "a\r\nb: c", "a\0b", "é", "x" * 100_000], ids=ascii
)
async def test_a_token_that_is_no_token_of_apples_is_never_part_of_a_path(app: App, script: Script, token: str) -> None:
    await device(app, token, "ios")
    await device(app, "f" * 64, "ios")
    told = await ended(app, await push(app))
    assert (told["numSent"], told["numFailed"]) == (1, 1)
    assert tokens(script) == {"f" * 64: 1}


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({"topic": "a\r\napns-priority: 1"}, {}),
        ({"collapse_id": "a\napns-push-type: voip"}, {}),
        ({"push_type": "alert\r\n\r\nPOST / HTTP/1.1"}, {}),
        ({"topic": "é"}, {}),
        ({"topic": "t" * 100_000}, {}),
        ({}, {"appIdentifier": "com.example\r\nauthorization: bearer x"}),
    ],
    ids=ascii,
)
async def test_what_becomes_a_header_cannot_become_two(app: App, script: Script, data: Object, fields: dict[str, Json]) -> None:
    await device(app, "e" * 64, "ios", **fields)
    run = await push(app, data={"alert": "x", **data})
    assert (await ended(app, run))["numFailed"] == 1
    assert not script.receipts
    [row] = await deliveries(app, run)
    assert "printable" in row["reason"]


@pytest.mark.parametrize("kind", ["a.b", "$x", "__op", "x" * 5000], ids=lambda kind: kind[:5])
async def test_a_kind_of_device_that_a_client_made_up_is_counted_with_its_like(app: App, script: Script, kind: str) -> None:
    await device(app, "odd", kind, pushType="fcm")
    await device(app, "fine")
    told = await ended(app, await push(app))
    assert told["sentPerType"] == {"android": 1, "other": 1}
    assert tokens(script) == {"odd": 1, "fine": 1}


async def waiting(app: App, run: str) -> None:
    """Until a run rests because what it has left was refused for a while."""

    async def rests() -> bool:
        row = await app.store.rows.get("pushes", run)
        return row is not None and row.owner is None and row.value["state"] == "sending"

    await until(rests)


async def test_what_expires_while_it_waits_for_its_next_attempt_ends_the_push(app: App, script: Script, clock: FakeClock) -> None:
    script.change({"tokens": {"busy": [{"status": 503, "retry_after_s": 5}]}})
    await device(app, "busy")
    run = await push(app, expiration_interval=3)
    await waiting(app, run)
    clock.advance(6000)
    runs(app).wake()
    await ended(app, run)
    assert (await runs(app).told(run))["counts"] == {"skipped.expired": 1}
    assert len(script.receipts) == 1


async def test_a_cancelled_push_leaves_nothing_that_waits_for_its_next_attempt(app: App, script: Script) -> None:
    script.change({"tokens": {"busy": [{"status": 503, "retry_after_s": 5}]}})
    await device(app, "busy")
    run = await push(app)
    await waiting(app, run)
    await runs(app).order(run, "cancel")
    await ended(app, run)
    [row] = await deliveries(app, run)
    assert (row["state"], row["reason"]) == ("skipped", "cancelled")
    assert (await runs(app).told(run))["counts"] == {"skipped.cancelled": 1}
    assert await app.store.rows.scan("redeliveries") == []


async def test_to_resume_what_is_not_paused_sends_nothing_twice(app: App, script: Script) -> None:
    script.latency_ms = 300
    await device(app, "a1")
    run = await push(app)

    async def on_the_wire() -> bool:
        return bool(script.receipts)

    await until(on_the_wire)
    await runs(app).order(run, "resume")
    await ended(app, run)
    assert tokens(script) == {"a1": 1}


async def test_a_push_that_is_resumed_before_its_time_still_finds_its_devices_at_its_time(
    app: App, script: Script, clock: FakeClock
) -> None:
    await device(app, "early", badge=1)
    run = await push(app, push_time=iso(clock.now() + 60_000), data={"badge": "Increment"})
    await runs(app).order(run, "pause")
    await runs(app).order(run, "resume")

    async def rests() -> bool:
        row = await app.store.rows.get("pushes", run)
        return row is not None and row.owner is None and row.due == clock.now() + 60_000

    await until(rests)
    assert (await runs(app).told(run))["status"] == "scheduled"
    await device(app, "late")
    clock.advance(61_000)
    runs(app).wake()
    await ended(app, run)
    assert tokens(script) == {"early": 1, "late": 1}


@pytest.mark.parametrize("body", [b'{"error": "no"}', b'{"error": [1]}', b'{"error": {"details": null}}', b"[]", b"<html>", b""], ids=ascii)
async def test_an_answer_that_makes_no_sense_is_taken_by_its_status(
    app: App, script: Script, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    def garbled(script: Script, method: str, path: str, headers: dict[str, str], message: bytes) -> Answered:
        return answer(script, method, path, headers, message) if path == "/token" else Answered(403, body, reply=Reply(403))

    monkeypatch.setattr("mbaas_push.mock.server.answer", garbled)
    await device(app, "a1")
    run = await push(app)
    await ended(app, run)
    [row] = await deliveries(app, run)
    assert (row["state"], row["reason"], row.get("ambiguous", 0)) == ("failed", "403", 0)


@pytest.mark.parametrize("kind", ["android", "ios"])
async def test_a_gateway_of_a_provider_that_is_out_is_tried_again(app: App, script: Script, clock: FakeClock, kind: str) -> None:
    script.change({"tokens": {"a1": [{"status": 502}, {}]}})
    await device(app, "a1", kind)
    run = await push(app)
    await passing(app, clock, run, 1000)
    assert (await status(app, run))["numSent"] == 1


async def test_an_answer_without_end_is_not_read(
    app: App, script: Script, monkeypatch: pytest.MonkeyPatch, push_settings: PushOptions
) -> None:
    """The endpoint of a browser may be anybody's server."""
    read: list[int] = []

    def noted(code: int, body: bytes, retry_after_s: int) -> LaneReply:
        read.append(len(body))
        return LaneReply(code, body, retry_after_s)

    monkeypatch.setattr("mbaas_push.mock.server.answer", lambda *_: Answered(201, b"x" * 60_000, reply=Reply(201)))
    monkeypatch.setattr("mbaas_push.transports.h2_connection.MOST_BYTES", 1000)
    monkeypatch.setattr("mbaas_push.transports.h2_connection.Reply", noted)
    await device(app, subscription(push_settings, "b1")[0], "web")
    assert (await ended(app, await push(app)))["numSent"] == 1
    assert read == [0]


async def test_an_endpoint_that_fills_a_connection_is_not_called(app: App, script: Script, push_settings: PushOptions) -> None:
    await device(app, subscription(push_settings, "x" * 100_000)[0], "web")
    await device(app, subscription(push_settings, "b1")[0], "web")
    told = await ended(app, await push(app))
    assert (told["numSent"], told["numFailed"]) == (1, 1)
    assert tokens(script) == {"b1": 1}


@pytest.mark.parametrize("moment", [8e12, -8e12, "0001-01-01T00:00:00", "9999-12-31T23:59:59", float("inf")])
async def test_a_time_that_no_date_can_tell_is_refused(app: App, moment: Json) -> None:
    with pytest.raises(ParseError, match="is not valid time"):
        await push(app, push_time=moment)


async def test_who_dies_again_while_it_recovers_costs_no_message(closed_app: App, clock: FakeClock) -> None:
    """A full page of the window has its end, one row behind it is in doubt, and the process ends after its first mark."""
    app = closed_app
    keys = [f"run:{0:014d}:{number:024d}" for number in range(151)]
    value = {"to": ["fcm", "t", "token", "", False], "type": "android", "installation": "i"}
    rows = [Row(key, {**value, "state": "pending" if key == keys[-1] else "sent"}) for key in keys]
    await app.store.rows.put_many(TABLE, rows)
    asked: Object = {"data": {}, "expires": None, "lasts": None}
    run: Object = {"push": asked, "state": "sending", "started": keys[-1], "settled": "", "counts": {}}
    await app.store.rows.put_many("pushes", [Row("run", run, due=clock.now())])
    [row] = await app.store.rows.claim("pushes", clock.now(), "somebody", 10_000, 1)
    task = Task(app, "pushes", row)

    async def dies(counts: Mapping[str, int]) -> None:
        raise SystemError

    with pytest.raises(SystemError):
        await Sending(task, Accept().send, dies, Turns()).run()
    assert task.value["settled"] < keys[-1]
