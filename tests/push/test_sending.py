"""Pushes to the mock provider: who gets what, what is tried again, and what becomes of it. Real HTTP/2, both stores, a fake clock."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import Counter, deque
from contextlib import suppress

import http_ece
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import PushOptions
from mbaas.outbound.reach import Reach
from mbaas.storage.ports import Find
from mbaas.testing.clock import FakeClock
from mbaas_push.mock.script import Reply, Script
from mbaas_push.room import opened
from tests.push.pushing import deliveries, device, ended, passing, push, runs, status, tokens
from tests.waiting import until


def subscription(port_of: PushOptions, name: str) -> tuple[str, bytes, bytes]:
    """What a browser would give an app, with the private key and secret that it keeps."""
    key, secret = ec.generate_private_key(ec.SECP256R1()), b"0123456789abcdef"
    public = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    told = {
        "endpoint": f"{port_of.fcm_endpoint}/wp/{name}",
        "keys": {"p256dh": urlsafe_b64encode(public).decode(), "auth": urlsafe_b64encode(secret).decode()},
    }
    private = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return json.dumps(told), private, secret


async def test_each_device_of_the_query_is_sent_the_push_once_by_its_own_provider(
    app: App, script: Script, push_settings: PushOptions
) -> None:
    browser, _, _ = subscription(push_settings, "b1")
    for token, kind, channels in (
        ("a1", "android", ["news"]),
        ("a2", "android", []),
        ("f" * 64, "ios", ["news"]),
        (browser, "web", ["news"]),
    ):
        await device(app, token, kind, channels=channels)
    run = await push(app, {"channels": "news"}, data={"alert": "hello", "uri": "app://x"})
    told = await ended(app, run)
    assert tokens(script) == {"a1": 1, "f" * 64: 1, "b1": 1}
    assert {name: told[name] for name in ("status", "numSent", "numFailed", "sentPerType")} == {
        "status": "succeeded",
        "numSent": 3,
        "numFailed": 0,
        "sentPerType": {"android": 1, "ios": 1, "web": 1},
    }
    by_provider = {receipt.provider: receipt for receipt in script.accepted()}
    android = by_provider["fcm"].message
    assert json.loads(android["data"]["data"]) == {"alert": "hello", "uri": "app://x"}
    assert (android["android"]["priority"], android["android"]["ttl"]) == ("HIGH", "2419200s")
    assert by_provider["apns"].message == {"aps": {"alert": "hello"}, "uri": "app://x"}
    apple = by_provider["apns"].headers
    assert (apple["apns-topic"], apple["apns-push-type"], apple["apns-priority"]) == ("com.example.app", "alert", "10")
    assert by_provider["webpush"].headers["content-encoding"] == "aes128gcm"
    assert {row["state"] for row in await deliveries(app, run)} == {"sent"}


async def test_what_a_browser_is_sent_is_what_it_can_read(app: App, script: Script, push_settings: PushOptions) -> None:
    """http_ece is the oracle."""
    browser, private, secret = subscription(push_settings, "b1")
    await device(app, browser, "web")
    await ended(app, await push(app))
    [receipt] = script.accepted()
    key = serialization.load_der_private_key(private, None)
    read = json.loads(http_ece.decrypt(bytes.fromhex(receipt.message), private_key=key, auth_secret=secret, version="aes128gcm"))
    assert read["alert"] == "hello"


async def test_a_language_of_the_device_is_spoken_and_badges_are_counted(app: App, script: Script) -> None:
    await device(app, "de", localeIdentifier="de-AT", badge=4)
    await device(app, "pt", localeIdentifier="pt-BR")
    data = {"alert": "hello", "title": "news", "alert-de": "hallo", "badge": "Increment"}
    await ended(app, await push(app, data=data))
    sent = {receipt.token: json.loads(receipt.message["data"]["data"]) for receipt in script.accepted()}
    assert sent == {"de": {"alert": "hallo", "title": "news", "badge": 5}, "pt": {"alert": "hello", "title": "news", "badge": 1}}
    schema = app.classes.known_or_blank("_Installation")
    found = {document.body["deviceToken"]: document.body["badge"] async for document in app.store.documents.scan(Find(schema))}
    assert found == {"de": 5, "pt": 1}


async def test_what_is_refused_for_a_while_is_tried_again_and_what_is_dead_is_not(app: App, script: Script, clock: FakeClock) -> None:
    script.change({"tokens": {"busy": [{"status": 503, "retry_after_s": 5}, {}], "gone": [{"status": 404, "reason": "UNREGISTERED"}]}})
    for token in ("busy", "gone", "fine"):
        await device(app, token)
    run = await push(app)

    async def refused() -> bool:
        return sorted(row["state"] for row in await deliveries(app, run)) == ["again", "failed", "sent"]

    await until(refused)
    assert tokens(script) == {"fine": 1}
    clock.advance(5_001)
    runs(app).wake()
    told = await ended(app, run)
    assert tokens(script) == {"fine": 1, "busy": 1}
    assert (told["numSent"], told["numFailed"]) == (2, 1)
    rows = {row["to"][1]: row for row in await deliveries(app, run)}
    assert (rows["gone"]["state"], rows["gone"]["reason"]) == ("failed", "UNREGISTERED")
    schema = app.classes.known_or_blank("_Installation")
    left = [document.body.get("deviceToken") async for document in app.store.documents.scan(Find(schema))]
    assert Counter(left) == {None: 1, "busy": 1, "fine": 1}


async def test_an_address_that_was_registered_anew_is_kept(app: App, script: Script, clock: FakeClock) -> None:
    token = "e" * 64
    script.change({"tokens": {token: [{"status": 410, "reason": "Unregistered", "timestamp": clock.now() - 1}]}})
    installation = await device(app, token, "ios")
    assert (await ended(app, await push(app)))["numFailed"] == 1
    found = await app.store.documents.get(app.classes.known_or_blank("_Installation"), installation)
    assert found is not None
    assert found.body["deviceToken"] == token


async def test_after_five_attempts_it_has_failed(app: App, script: Script, clock: FakeClock) -> None:
    script.tokens["busy"] = deque([Reply(status=503, reason="UNAVAILABLE")])
    await device(app, "busy")
    run = await push(app)
    await passing(app, clock, run, 1000)
    [row] = await deliveries(app, run)
    assert (row["state"], row["reason"], row["tries"]) == ("failed", "UNAVAILABLE", 5)
    assert len(script.receipts) == 5


async def test_a_line_that_breaks_costs_no_message(app: App, script: Script, clock: FakeClock) -> None:
    """Connections are cut with messages under way, and say farewell: each device is sent the push, some a second time, as the rows say."""
    script.change({"reset_every": 20, "goaway_every": 15})
    for number in range(60):
        await device(app, f"t{number:03d}")
    run = await push(app)
    await passing(app, clock, run, 500)
    rows = {row["to"][1]: row for row in await deliveries(app, run)}
    assert {row["state"] for row in rows.values()} == {"sent"}
    for token, times in tokens(script).items():
        assert times <= 1 + rows[token].get("ambiguous", 0)
    assert len(tokens(script)) == 60


async def test_it_is_sent_at_its_time_and_not_after_it_has_expired(app: App, script: Script, clock: FakeClock) -> None:
    await device(app, "a1")
    at = clock.now() + 3_600_000
    later = await push(app, push_time=iso(at))
    late = await push(app, push_time=iso(at), expiration_interval=60)
    assert (await status(app, later))["status"] == "scheduled"
    assert (await status(app, later))["pushTime"] == iso(at)
    clock.advance(3_600_000 + 61_000)
    runs(app).wake()
    assert (await ended(app, later))["numSent"] == 1
    assert (await ended(app, late))["numSent"] == 0
    [row] = await deliveries(app, late)
    assert (row["state"], row["reason"]) == ("skipped", "expired")


async def test_a_time_without_a_zone_is_each_devices_own(app: App, script: Script, clock: FakeClock) -> None:
    for token, zone in (("tokyo", "Asia/Tokyo"), ("paris", "Europe/Paris"), ("nowhere", "Mars/Base")):
        await device(app, token, timeZone=zone)
    tomorrow = iso(clock.now() + 2 * 86_400_000)[:10]
    run = await push(app, push_time=f"{tomorrow}T09:00:00.000")
    await passing(app, clock, run, 1_800_000)
    order = [receipt.token for receipt in script.receipts]
    assert order == ["tokyo", "paris", "nowhere"]
    told = await status(app, run)
    assert told["sentPerUTCOffset"]["9"] == 1
    assert told["pushTime"] == f"{tomorrow}T09:00:00.000"


async def test_a_push_is_paused_resumed_and_cancelled(app: App, script: Script, clock: FakeClock) -> None:
    for number in range(3):
        await device(app, f"t{number}")
    at = iso(clock.now() + 60_000)
    paused, dropped = await push(app, push_time=at), await push(app, push_time=at)
    await runs(app).order(paused, "pause")
    await runs(app).order(dropped, "cancel")
    assert (await ended(app, dropped))["numSent"] == 0
    clock.advance(61_000)
    runs(app).wake()
    assert tokens(script) == {}
    await runs(app).order(paused, "resume")
    assert (await ended(app, paused))["numSent"] == 3
    with pytest.raises(ParseError, match="waits or is being sent"):
        await runs(app).order(paused, "pause")


async def test_who_dies_while_sending_costs_no_message(closed_app: App, push_settings: PushOptions, script: Script) -> None:
    """Each process is ended at once, with what is under way unanswered, until one gets to the end."""
    app = closed_app
    for number in range(250):
        await device(app, f"t{number:03d}")
    script.latency_ms = 15
    async with opened(app, push_settings, Reach(open=True)):
        run = await push(app)
    rounds = 0
    while await app.store.rows.get("pushes", run) is not None:
        rounds += 1
        async with opened(app, push_settings, Reach(open=True)):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.08 * rounds):
                    await ended(app, run)
    told = await status(app, run)
    assert (told["status"], told["numSent"]) == ("succeeded", 250)
    rows = {row["to"][1]: row for row in await deliveries(app, run)}
    received = tokens(script)
    assert len(received) == 250
    assert all(times <= 1 + rows[token].get("ambiguous", 0) for token, times in received.items())


async def test_a_query_that_makes_no_sense_fails_the_push_and_says_why(app: App) -> None:
    run = await app.pushes.send(MASTER, {"where": {"$or": 1}, "data": {}})
    told = await ended(app, run)
    assert told["status"] == "failed"
    assert told["errorMessage"]["code"] == 102
