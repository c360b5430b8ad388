"""What has failed for good is listed, and sent again by whoever may send: once, within bounds, and with counts that add up."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Json, Object
from mbaas.testing.clock import FakeClock
from mbaas_push.campaigns.report import Report
from mbaas_push.dead_letters import DeadLetters, Wanted
from mbaas_push.mock.script import Reply, Script
from tests.push import marketing
from tests.push.pushing import deliveries, device, ended, push, runs, tokens
from tests.waiting import until


def dead_letters(app: App) -> DeadLetters:
    return DeadLetters(app, runs(app))


async def listed(app: App, run: str, state: str | None = None) -> dict[str, str]:
    """Delivery → reason."""
    found, following = await dead_letters(app).page(run, state, "", 100)
    assert following is None
    return {str(row["delivery"]): str(row["reason"]) for row in found}


async def requeue(app: App, run: str, **wanted: Json) -> Object:
    return await dead_letters(app).requeue(run, Wanted.read(dict(wanted)), MASTER)


async def failing(app: App, script: Script) -> str:
    """A push of which two fail for good, one is gone, one has arrived."""
    script.tokens |= {
        "wrong": deque([Reply(status=400, reason="INVALID_ARGUMENT")]),
        "other": deque([Reply(status=403, reason="SENDER_ID_MISMATCH")]),
        "gone": deque([Reply(status=404, reason="UNREGISTERED")]),
    }
    for token in ("wrong", "other", "gone", "fine"):
        await device(app, token)
    run = await push(app)
    assert (await ended(app, run))["numFailed"] == 3
    return run


async def test_what_has_failed_is_listed_without_what_is_gone_and_sent_again(app: App, script: Script) -> None:
    run = await failing(app, script)
    assert sorted(reason.partition(":")[0] for reason in (await listed(app, run)).values()) == ["INVALID_ARGUMENT", "SENDER_ID_MISMATCH"]
    before = {receipt.token: receipt for receipt in script.receipts}
    script.tokens.clear()
    assert await requeue(app, run) == {"requeued": 2, "expired": 0, "more": False}
    told = await ended(app, run)
    assert (told["status"], told["numSent"], told["numFailed"]) == ("succeeded", 3, 1)
    assert (told["sentPerType"], told["failedPerType"]) == ({"android": 3}, {"android": 1})
    assert tokens(script) == {"wrong": 1, "other": 1, "fine": 1}
    again = {receipt.token: receipt for receipt in script.accepted()}
    assert again["wrong"].message["data"]["push_id"] == before["wrong"].message["data"]["push_id"]
    assert await listed(app, run) == {}
    assert await requeue(app, run) == {"requeued": 0, "expired": 0, "more": False}
    progress = await runs(app).told(run)
    assert (progress["counts"], progress["failures"]) == ({"sent": 3, "failed": 1}, {"UNREGISTERED": 1})
    assert {row["to"][1]: row.get("requeued") for row in await deliveries(app, run)} == {"wrong": 1, "other": 1, "gone": None, "fine": None}


async def test_one_of_them_is_chosen_by_its_delivery_or_its_reason_and_no_more_than_the_limit(app: App, script: Script) -> None:
    run = await failing(app, script)
    found = await listed(app, run)
    [wrong] = [key for key, reason in found.items() if reason.startswith("INVALID")]
    assert await requeue(app, run, deliveries=[wrong, wrong, f"{run}:1:x", "other:1:x"]) == {"requeued": 1, "expired": 0, "more": False}
    await ended(app, run)
    # It has failed once more, and can be tried again.
    assert await listed(app, run) == found
    assert await requeue(app, run, reason=found[wrong]) == {"requeued": 1, "expired": 0, "more": False}
    await ended(app, run)
    assert await requeue(app, run, limit=1) == {"requeued": 1, "expired": 0, "more": True}
    told = await ended(app, run)
    assert (told["numSent"], told["numFailed"]) == (1, 3)
    assert await requeue(app, run, state="unknown") == {"requeued": 0, "expired": 0, "more": False}


async def test_what_may_have_been_sent_is_sent_again_only_when_that_is_said(app: App, script: Script) -> None:
    script.tokens["cut"] = deque([Reply(drop=True), Reply()])
    await device(app, "cut")
    run = await push(app, on_ambiguous="skip")
    await ended(app, run)
    assert (await requeue(app, run))["requeued"] == 0
    assert list((await listed(app, run, "unknown")).values()) != []
    assert (await requeue(app, run, state="unknown"))["requeued"] == 1
    assert (await ended(app, run))["numSent"] == 1
    [row] = await deliveries(app, run)
    assert (row["state"], row["ambiguous"], tokens(script)) == ("sent", 1, {"cut": 2})


async def test_of_many_who_ask_at_once_one_has_them_sent(app: App, script: Script) -> None:
    run = await failing(app, script)
    script.tokens.clear()
    answers = await asyncio.gather(*(requeue(app, run) for _ in range(5)), return_exceptions=True)
    await ended(app, run)
    refused = [answer for answer in answers if isinstance(answer, ParseError)]
    sent = [answer["requeued"] for answer in answers if isinstance(answer, dict)]
    assert sum(sent) == 2
    assert {error.status for error in refused} <= {409}
    assert tokens(script) == {"wrong": 1, "other": 1, "fine": 1}


async def test_what_has_expired_stays_dead(app: App, script: Script, clock: FakeClock) -> None:
    script.tokens["wrong"] = deque([Reply(status=400, reason="INVALID_ARGUMENT")])
    await device(app, "wrong")
    run = await push(app, expiration_interval=60)
    await ended(app, run)
    clock.advance(61_000)
    assert await requeue(app, run) == {"requeued": 0, "expired": 1, "more": False}
    assert len(await listed(app, run)) == 1


async def test_a_push_that_waits_was_cancelled_or_never_was_has_none(app: App, script: Script, clock: FakeClock) -> None:
    for token in ("busy", "wrong"):
        script.tokens[token] = deque([Reply(status=503 if token == "busy" else 400, retry_after_s=3600)])
        await device(app, token)
    run = await push(app)

    async def one_has_failed() -> bool:
        return sorted(row["state"] for row in await deliveries(app, run)) == ["again", "failed"]

    await until(one_has_failed)
    with pytest.raises(ParseError, match="is being sent") as waits:
        await requeue(app, run)
    await runs(app).order(run, "cancel")
    await ended(app, run)
    with pytest.raises(ParseError, match="no dead letters"):
        await requeue(app, run)
    with pytest.raises(ParseError, match="no dead letters") as unknown:
        await requeue(app, "nobody")
    assert (waits.value.status, unknown.value.code) == (409, 101)


async def test_of_a_campaign_opt_outs_hold_the_report_adds_up_and_the_audit_says_who(app: App, script: Script, clock: FakeClock) -> None:
    for token in ("a", "b", "fine"):
        await marketing.phone(app, token)
        script.tokens[token] = deque([Reply(status=200 if token == "fine" else 400, reason="INVALID_ARGUMENT")])
    made = await marketing.launched(app, caps=[{"count": 1, "hours": 24}])
    await marketing.passed(app, clock, made)
    run = await marketing.run_of(app, made)
    await ended(app, run)
    script.tokens.clear()
    await objects.create(app, MASTER, "_Installation", {"installationId": "i-b", "optOuts": ["*"]})
    assert (await requeue(app, run))["requeued"] == 2
    await ended(app, run)
    assert marketing.reasons(await marketing.rows(app, run)) == {"a": "sent", "b": "skipped opted_out", "fine": "sent"}
    total = (await Report.of(app, [f"{run}:"])).total.counts
    assert (total["audience"], total["sent"], total["suppressed"], total["failed"]) == (3, 2, 1, 0)
    assert [entry["what"] for entry in await marketing.campaigns(app).store.audit(made)][-1] == "requeued"
    assert await marketing.state(app, made) == "completed"


async def test_a_campaigns_runs_are_gone_through_at_once(app: App, script: Script, clock: FakeClock) -> None:
    for token in ("wrong", "fine"):
        await marketing.phone(app, token)
    script.tokens["wrong"] = deque([Reply(status=400, reason="INVALID_ARGUMENT"), Reply()])
    made = await marketing.launched(app)
    await marketing.passed(app, clock, made)
    run = await marketing.run_of(app, made)
    await ended(app, run)
    assert await dead_letters(app).requeue_failed([run, "another"], MASTER) == 1
    await ended(app, run)
    assert tokens(script) == {"wrong": 1, "fine": 1}
    assert await dead_letters(app).requeue_failed([run], MASTER) == 0


async def test_a_campaign_that_is_paused_sends_nothing_again(app: App, script: Script, clock: FakeClock) -> None:
    await marketing.phone(app, "wrong")
    script.tokens["wrong"] = deque([Reply(status=400, reason="INVALID_ARGUMENT")])
    start = "2026-01-31T09:06:00Z"
    made = await marketing.launched(app, schedule={"at": start, "repeat": "FREQ=DAILY"})

    async def launched_and_over() -> bool:
        found = await marketing.campaigns(app).store.runs(made)
        return bool(found) and await app.store.rows.get("pushes", found[0]["id"]) is None

    await marketing.passing(app, clock, launched_and_over)
    run = await marketing.run_of(app, made)
    await marketing.order(app, made, "pause")
    with pytest.raises(ParseError, match="paused"):
        await requeue(app, run)
    await marketing.order(app, made, "cancel")
    with pytest.raises(ParseError, match="cancelled"):
        await requeue(app, run)
    assert tokens(script) == {}


@pytest.mark.parametrize(
    "body",
    [
        {"state": "sent"},
        {"state": ["failed"]},
        {"reason": 5},
        {"deliveries": "all"},
        {"deliveries": [1]},
        {"deliveries": ["x"], "reason": "y"},
        {"limit": 0},
        {"limit": 1001},
        {"limit": True},
        {"everything": True},
    ],
)
def test_what_cannot_be_asked_for_is_refused(body: Object) -> None:
    with pytest.raises(ParseError) as refused:
        Wanted.read(body)
    assert refused.value.code == 102
