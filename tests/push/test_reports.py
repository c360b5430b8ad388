"""Rehearsing a campaign, and what is told of it afterwards: the report's sums are the audience's and the mock's own. Both stores."""

from __future__ import annotations

import csv
import io
from collections import Counter

import orjson
import pytest

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Json, Object
from mbaas.testing.clock import FakeClock
from mbaas_push import receipts
from mbaas_push.campaigns import rehearsal
from mbaas_push.campaigns.report import COUNTS, Report
from mbaas_push.campaigns.why import why
from mbaas_push.events import Event, events_of
from mbaas_push.mock.script import Script
from tests.push.marketing import campaign, campaigns, ended, launched, order, person, phone, rows, run_of, sent, tokens
from tests.waiting import until

_VARIANTS: Json = [
    {"name": "A", "content": {"body": "Hi {{user.name}}", "strict": True, "locales": {"de": {"body": "Hallo {{user.name}}"}}}},
    {"name": "B", "content": {"body": "Hello", "locales": {"de": {"body": "Guten Tag"}}}},
]


async def crowd(app: App, script: Script) -> None:
    """Sixty devices in three zones and two languages: some opted out, some dead, some of people without a name."""
    zones = ("Europe/Berlin", "Asia/Tokyo", "Mars/Base")
    named = [await person(app, f"p{number}", name=f"P{number}") for number in range(4)]
    for number in range(60):
        token = f"dead{number:02d}" if number % 10 == 9 else f"t{number:02d}"
        if token.startswith("dead"):
            script.change({"tokens": {token: [{"status": 404, "reason": "UNREGISTERED"}]}})
        outs = ["general"] if number % 12 == 5 else []
        user = named[number % 4] if number % 3 else None
        await phone(app, token, user, timeZone=zones[number % 3], localeIdentifier="de-DE" if number % 5 else "en-US", optOuts=outs)


async def post(app: App, *told: Object) -> Object:
    return await receipts.keep(app, {"receipts": list(told)})


async def test_the_sums_of_a_report_are_those_of_the_audience_and_of_the_provider(app: App, script: Script) -> None:
    await crowd(app, script)
    made = await launched(app, variants=_VARIANTS, control=10)
    await ended(app, made)
    found, data = await rows(app, run := await run_of(app, made)), sent(script)
    opened = sorted(data)[:8]
    for token in sorted(data)[:12]:
        await post(app, {"receipt": data[token]["receipt"], "kind": "delivered"})
    for token in opened:
        await post(app, {"receipt": data[token]["receipt"], "kind": "opened"})
    for number, token in enumerate(opened[:3]):
        bought = {"kind": "converted", "value": 9.95, "currency": "EUR", "id": f"order-{number}"}
        assert await post(app, *[{"receipt": data[token]["receipt"], **bought}] * 2) == {"kept": 1, "known": 1, "unknown": 0}
    await post(app, {"receipt": data[opened[0]]["receipt"], "kind": "converted", "value": 5, "currency": "USD", "id": "other"})
    told = (await Report.of(app, [run])).told()
    total = told["total"]
    accepted = tokens(script)
    assert total["audience"] == len(found) == 60
    assert total["sent"] == len(accepted) == sum(accepted.values()) == len(data)
    assert total["failed"] == sum(receipt.status == 404 for receipt in script.receipts) == told["failed"].get("UNREGISTERED", 0)
    assert total["suppressed"] == sum(told["suppressed"].values()) == 60 - total["sent"] - total["failed"]
    assert set(told["suppressed"]) <= {"opted_out", "control", "missing_field"}
    assert (total["delivered"], total["opened"], total["converted"], total["conversions"]) == (12, 8, 3, 4)
    assert total["value"] == {"EUR": 29.85, "USD": 5.0}
    for name, keys in told["by"].items():
        for count in COUNTS:
            assert sum(tally[count] for tally in keys.values()) == total[count], name
    assert set(told["by"]["zone"]) == {"Europe/Berlin", "Asia/Tokyo", "unknown"}
    assert set(told["by"]["locale"]) == {"de", "default"}
    said = Counter("A" if one["alert"].startswith(("Hi ", "Hallo ")) else "B" for one in data.values())
    assert {name: tally["sent"] for name, tally in told["by"]["variant"].items() if tally["sent"]} == dict(said)


async def test_a_report_is_written_as_csv_and_as_lines(app: App, script: Script) -> None:
    await phone(app, "one")
    made = await launched(app)
    await ended(app, made)
    await post(app, {"receipt": sent(script)["one"]["receipt"], "kind": "converted", "value": 2.5, "currency": "EUR"})
    report = await Report.of(app, [await run_of(app, made)])
    first, *_ = table = list(csv.DictReader(io.StringIO(report.csv())))
    assert (first["by"], first["audience"], first["sent"], first["converted"], first["value"]) == ("total", "1", "1", "1", "2.5 EUR")
    lines = [orjson.loads(line) for line in report.ndjson().splitlines()]
    assert [(line["by"], line["key"]) for line in lines] == [(line["by"], line["key"]) for line in table]


async def test_a_dry_run_says_what_a_run_then_does(app: App, script: Script, clock: FakeClock) -> None:
    await crowd(app, script)
    made = await campaign(app, variants=_VARIANTS, control=10)
    found = await campaigns(app).store.get(made)
    told = await rehearsal.dry_run(campaigns(app), found, 5)
    every = [one.told() async for one in rehearsal.rehearse(campaigns(app), found)]
    assert (told["audience"], len(told["rendered"]), len(told["suppressions"])) == (len(every), 5, 5) == (60, 5, 5)
    assert tokens(script) == {}
    await order(app, made, "approve", "schedule")
    await ended(app, made)
    done = {row["installation"]: row for row in (await rows(app, await run_of(app, made))).values()}
    report = (await Report.of(app, [await run_of(app, made)])).told()
    assert report["suppressed"] == told["suppressed"]
    assert told["sends"] == report["total"]["sent"] + report["total"]["failed"]
    for one in every:
        row = done[one["installation"]]
        assert (one["variant"], one["locale"], one["zone"]) == (row["variant"], row["locale"], row["zone"])
        assert one.get("reason") == (row["reason"] if row["state"] == "skipped" else None)
        assert ("data" in one) == (row["state"] != "skipped")
    alerts = {one["data"]["alert"] for one in every if "data" in one}
    assert alerts == {data["alert"] for data in sent(script).values()}
    assert all(0 < one["bytes"] < 4096 for one in every if "data" in one)


async def test_a_preview_counts_the_audience_and_shows_some_of_it(app: App, clock: FakeClock) -> None:
    user = await person(app, "ann", city="Paris", email="ann@example.com")
    for number in range(30):
        await phone(app, f"token-{number}", user if number < 10 else None, channels=["news"] if number % 2 else [])
    await events_of(app).keep([Event("Bought", clock.now(), user["objectId"])])

    async def size(audience: Object, sample: int = 3) -> tuple[int, int]:
        told = await rehearsal.preview(campaigns(app), {"audience": audience}, sample)
        assert "token-" not in str(told["sample"])
        assert "example.com" not in str(told["sample"])
        return told["size"], len(told["sample"])

    assert await size({}) == (30, 3)
    assert await size({"where": {"channels": "news"}}) == (15, 3)
    assert await size({"where": {"channels": "news"}, "users": {"city": "Paris"}}) == (5, 3)
    assert await size({"events": [{"name": "Bought", "atLeast": 1, "days": 1}]}, 20) == (10, 10)
    assert await size({"events": [{"name": "Bought", "atMost": 0, "days": 1}]}) == (20, 3)


async def test_a_test_goes_to_ones_own_phone_whatever_holds_it_back(app: App, script: Script) -> None:
    ann = await person(app, "ann", name="Ann")
    mine = await phone(app, "mine", ann, optOuts=["*"])
    await phone(app, "other")
    made = await campaign(app, variants=_VARIANTS, control=99, quietHours={"from": "00:00", "to": "23:59"})
    found = await campaigns(app).store.get(made)
    run = await rehearsal.send_test(campaigns(app), found, {"users": [ann["objectId"]], "variant": "A", "locale": "de"})

    async def over() -> bool:
        return await app.store.rows.get("pushes", run) is None

    await until(over)
    assert {token: data["alert"] for token, data in sent(script).items()} == {"mine": "Hallo Ann"}
    assert [each["test"] for each in await campaigns(app).store.runs(made)] == [True]
    assert (await campaigns(app).get(made))["state"] == "draft"
    refused: list[Object] = [{}, {"installations": ["nobody"]}, {"installations": [mine], "variant": "C"}, {"users": [3]}]
    for wrong in refused:
        with pytest.raises(ParseError):
            await rehearsal.send_test(campaigns(app), found, wrong)


async def test_everybody_can_be_told_why_she_did_not_get_it(app: App, script: Script, clock: FakeClock) -> None:
    script.change({"tokens": {"gone": [{"status": 404, "reason": "UNREGISTERED"}]}})
    ann = await person(app, "ann", name="Ann", city="Paris")
    await phone(app, "got", ann)
    await phone(app, "gone", ann)
    await phone(app, "out", ann, optOuts=["general"])
    rome = await person(app, "bob", city="Rome")
    await phone(app, "rome", rome)
    buyer = await person(app, "cem", city="Paris")
    await phone(app, "buyer", buyer)
    await events_of(app).keep([Event("Bought", clock.now(), buyer["objectId"])])
    audience = {"users": {"city": "Paris"}, "events": [{"name": "Bought", "atMost": 0, "days": 30}]}
    made = await launched(app, audience=audience)
    await ended(app, made)
    run = await run_of(app, made)
    await post(app, {"receipt": sent(script)["got"]["receipt"], "kind": "opened"})
    clock.advance(1000)
    late = await phone(app, "late", ann)

    async def answers(**who: str) -> list[tuple[str, str | None]]:
        given: dict[str, str | None] = {"user": None, "installation": None, **who}
        told = await why(app, made, run, **given)
        assert all(one["says"] for one in told)
        return sorted((one["state"], one["reason"]) for one in told)

    assert await answers(user=ann["objectId"]) == [
        ("failed", "UNREGISTERED"),
        ("sent", None),
        ("skipped", "opted_out"),
        ("unlisted", "registered_later"),
    ]
    assert await answers(user=rome["objectId"]) == [("unlisted", "not_in_query")]
    assert await answers(user=buyer["objectId"]) == [("unlisted", "not_by_events")]
    assert await answers(user="nobody") == [("unlisted", "no_device")]
    assert await answers(installation=late) == [("unlisted", "registered_later")]
    [got] = [one for one in await why(app, made, run, user=ann["objectId"], installation=None) if one["state"] == "sent"]
    assert got["receipts"] == ["opened"]
    assert "to" not in got
    with pytest.raises(ParseError, match="no such run"):
        await why(app, made, "nothing", user="x", installation=None)


async def test_a_receipt_is_of_a_delivery_that_was_sent(app: App, script: Script, clock: FakeClock) -> None:
    await phone(app, "one")
    await phone(app, "out", optOuts=["*"])
    made = await launched(app)
    await ended(app, made)
    row = await app.store.rows.scan("deliveries", prefix=f"{await run_of(app, made)}:")
    out = next(each.key for each in row if each.value["state"] == "skipped")
    forged = sent(script)["one"]["receipt"][:-4] + "0000"
    at = iso(clock.now() + 86_400_000)
    for receipt in (out, forged):
        assert await post(app, {"receipt": receipt, "kind": "opened", "at": at}) == {"kept": 0, "known": 0, "unknown": 1}
    one = sent(script)["one"]["receipt"]
    refused: list[Json] = [
        {"receipt": "x", "kind": "opened"},
        {"receipt": one, "kind": "liked"},
        {"receipt": one, "kind": "opened", "value": 1, "currency": "EUR"},
        {"receipt": one, "kind": "converted", "value": 1},
        {"receipt": one, "kind": "converted", "value": "much", "currency": "EUR"},
        {"receipt": one, "kind": "opened", "at": "soon"},
        [],
    ]
    for wrong in refused:
        with pytest.raises(ParseError):
            await receipts.keep(app, {"receipts": [wrong]})
    assert (await campaigns(app).runs.told(await run_of(app, made)))["counts"]["sent"] == 1
    assert (await campaigns(app).get(made))["state"] == "completed"
