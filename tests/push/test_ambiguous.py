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


@pytest.mark.parametrize("asked", ["skip", "resend"])
async def test_who_ends_in_order_hears_of_what_is_on_the_wire(
    closed_app: App, push_settings: PushOptions, script: Script, asked: str
) -> None:
    """The first process is told to end with the first messages under way and unanswered."""
    app = closed_app
    for number in range(160):
        await device(app, f"t{number:03d}")
    script.latency_ms = 300
    async with opened(app, push_settings, Reach(open=True)):
        run = await push(app, on_ambiguous=asked)
        await until(lambda: len(script.receipts) > 0)
    begun = len(script.receipts)
    async with opened(app, push_settings, Reach(open=True)):
        await ended(app, run)
    rows = {row["to"][1]: row for row in await deliveries(app, run)}
    assert {row["state"] for row in rows.values()} == {"sent"}
    assert not [row for row in rows.values() if "ambiguous" in row]
    assert (0 < begun <= _IN_FLIGHT_BESIDE) or asked == "resend"
    assert tokens(script) == dict.fromkeys(rows, 1)
    told = await status(app, run)
    assert (told["status"], told["numSent"], told["numFailed"]) == ("succeeded", 160, 0)


async def test_who_dies_with_a_second_attempt_on_the_wire_leaves_that(
    closed_app: App, push_settings: PushOptions, script: Script, clock: FakeClock
) -> None:
    app = closed_app
    script.tokens["busy"] = deque([Reply(status=503, retry_after_s=5), Reply(latency_ms=60_000)])
    script.tokens["busy too"] = deque([Reply(status=503, retry_after_s=5), Reply()])
    for token in script.tokens:
        await device(app, token)
    async with opened(app, push_settings, Reach(open=True)):
        run = await push(app, on_ambiguous="skip")

        async def refused() -> bool:
            return [row["state"] for row in await deliveries(app, run)] == ["again"] * 2

        await until(refused)
        clock.advance(5_001)
        runs(app).wake()
        await until(lambda: len(script.receipts) == 4)
    async with opened(app, push_settings, Reach(open=True)):
        await ended(app, run)
    rows = {row["to"][1]: row for row in await deliveries(app, run)}
    assert [rows["busy"][name] for name in ("state", "reason", "ambiguous")] == ["unknown", "interrupted", 1]
    # What had its answer when the first process ended is not in doubt for that.
    assert (rows["busy too"]["state"], rows["busy too"].get("ambiguous")) == ("sent", None)
    assert tokens(script) == {"busy": 1, "busy too": 1}


@pytest.mark.parametrize(("asked", "state", "received"), [("skip", "unknown", 1), ("resend", "sent", 2)])
async def test_a_line_that_breaks_leaves_it_open_or_is_tried_again(
    app: App, script: Script, clock: FakeClock, asked: str, state: str, received: int
) -> None:
    # What is cut has nobody else's message under way.
    script.streams = 1
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
    script.streams = 1
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
