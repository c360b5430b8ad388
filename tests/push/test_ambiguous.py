"""What may have been sent, or not, when a process died or a line broke, and is not to be sent twice: `on_ambiguous: skip`."""

from __future__ import annotations

from collections import deque

import pytest

from mbaas.data.app import App
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import PushOptions
from mbaas.outbound.reach import Reach
from mbaas.testing.clock import FakeClock
from mbaas_push.campaigns.report import Report
from mbaas_push.mock.script import Reply, Script
from mbaas_push.room import opened
from mbaas_push.sending import _IN_FLIGHT_BESIDE
from tests.push import marketing
from tests.push.pushing import deliveries, device, ended, passing, push, runs, status, tokens
from tests.waiting import until


async def test_who_dies_while_sending_sends_nobody_anything_twice(closed_app: App, push_settings: PushOptions, script: Script) -> None:
    """The first process is ended with the first messages under way and unanswered."""
    app = closed_app
    for number in range(160):
        await device(app, f"t{number:03d}")
    script.latency_ms = 15
    async with opened(app, push_settings, Reach(open=True)):
        run = await push(app, on_ambiguous="skip")
        await until(lambda: len(script.receipts) > 0)
    async with opened(app, push_settings, Reach(open=True)):
        await ended(app, run)
    rows = {row["to"][1]: row for row in await deliveries(app, run)}
    unknown = {token for token, row in rows.items() if row["state"] == "unknown"}
    assert {row["state"] for row in rows.values()} == {"sent", "unknown"}
    assert 0 < len(unknown) <= _IN_FLIGHT_BESIDE
    assert all(rows[token]["ambiguous"] == 1 for token in unknown)
    received = tokens(script)
    assert set(received.values()) == {1}
    assert set(rows) - set(received) <= unknown
    told = await status(app, run)
    assert (told["status"], told["numSent"], told["numFailed"]) == ("succeeded", 160 - len(unknown), 0)


async def test_who_dies_with_a_second_attempt_on_the_wire_leaves_that(
    closed_app: App, push_settings: PushOptions, script: Script, clock: FakeClock
) -> None:
    app = closed_app
    script.tokens["busy"] = deque([Reply(status=503, retry_after_s=5), Reply(latency_ms=60_000)])
    await device(app, "busy")
    async with opened(app, push_settings, Reach(open=True)):
        run = await push(app, on_ambiguous="skip")

        async def refused() -> bool:
            return [row["state"] for row in await deliveries(app, run)] == ["again"]

        await until(refused)
        clock.advance(5_001)
        runs(app).wake()
        await until(lambda: len(script.receipts) == 2)
    async with opened(app, push_settings, Reach(open=True)):
        await ended(app, run)
    [row] = await deliveries(app, run)
    assert (row["state"], row["reason"], row["ambiguous"]) == ("unknown", "interrupted", 1)
    assert tokens(script) == {"busy": 1}


@pytest.mark.parametrize(("asked", "state", "received"), [("skip", "unknown", 1), ("resend", "sent", 2)])
async def test_a_line_that_breaks_leaves_it_open_or_is_tried_again(
    app: App, script: Script, clock: FakeClock, asked: str, state: str, received: int
) -> None:
    script.tokens["cut"] = deque([Reply(drop=True), Reply()])
    for token in ("cut", "fine"):
        await device(app, token)
    run = await push(app, on_ambiguous=asked)
    await passing(app, clock, run, 1000)
    rows = {row["to"][1]: row for row in await deliveries(app, run)}
    assert (rows["cut"]["state"], rows["cut"]["ambiguous"], rows["fine"]["state"]) == (state, 1, "sent")
    assert tokens(script) == {"cut": received, "fine": 1}


async def test_what_is_refused_for_a_while_was_surely_not_sent_and_is_tried_again(app: App, script: Script, clock: FakeClock) -> None:
    script.tokens["busy"] = deque([Reply(status=503), Reply()])
    await device(app, "busy")
    run = await push(app, on_ambiguous="skip")
    await passing(app, clock, run, 1000)
    assert [row["state"] for row in await deliveries(app, run)] == ["sent"]


async def test_a_campaign_that_sends_nothing_twice_counts_what_is_unknown(app: App, script: Script, clock: FakeClock) -> None:
    script.tokens["cut"] = deque([Reply(drop=True)])
    for token in ("cut", "fine"):
        await marketing.phone(app, token)
    made = await marketing.launched(app, onAmbiguous="skip")
    await marketing.passed(app, clock, made)
    run = await marketing.run_of(app, made)
    total = (await Report.of(app, [f"{run}:"])).total.counts
    assert (total["audience"], total["sent"], total["unknown"], total["pending"]) == (2, 1, 1, 0)
    assert tokens(script) == {"cut": 1, "fine": 1}


async def test_anything_else_is_no_answer_to_what_may_have_been_sent(app: App) -> None:
    with pytest.raises(ParseError, match="resend or skip"):
        await push(app, on_ambiguous="sometimes")
    with pytest.raises(ParseError, match="resend or skip"):
        await marketing.campaign(app, onAmbiguous=["skip"])
