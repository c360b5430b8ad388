"""Somebody sets the server's clock, by a day or an hour, while pushes are sent or wait: nobody gets one twice, nobody is left out, and
nothing waits for a day. Both stores, a fake clock, real sockets."""

from __future__ import annotations

from collections import deque

import pytest

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.options import PushOptions
from mbaas.outbound.reach import Reach
from mbaas.testing.clock import FakeClock
from mbaas_push.mock.script import Reply, Script
from mbaas_push.room import opened
from tests.push.pushing import deliveries, device, ended, passing, push, runs, tokens
from tests.waiting import until

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
JUMPS = [pytest.param(HOUR_MS, id="forward"), pytest.param(-DAY_MS, id="back")]


@pytest.mark.parametrize("jump", JUMPS)
async def test_while_a_push_is_being_sent_it_changes_nothing(app: App, script: Script, clock: FakeClock, jump: int) -> None:
    for number in range(40):
        await device(app, f"t{number:02d}")
    script.latency_ms = 400
    run = await push(app)
    await until(lambda: len(script.receipts) > 0)
    clock.advance(jump)
    runs(app).wake()
    told = await ended(app, run)
    assert tokens(script) == {f"t{number:02d}": 1 for number in range(40)}
    assert (told["numSent"], told["numFailed"]) == (40, 0)
    assert not [row for row in await deliveries(app, run) if "ambiguous" in row]


async def waiting(app: App, script: Script) -> str:
    """A push that has been refused for five seconds."""
    script.tokens["busy"] = deque([Reply(status=503, retry_after_s=5), Reply()])
    await device(app, "busy")
    run = await push(app)

    async def refused() -> bool:
        row = await app.store.rows.get("pushes", run)
        return row is not None and row.owner is None and [row["state"] for row in await deliveries(app, run)] == ["again"]

    await until(refused)
    return run


@pytest.mark.parametrize("jump", JUMPS)
async def test_what_is_to_be_tried_again_is_tried_soon(app: App, script: Script, clock: FakeClock, jump: int) -> None:
    run = await waiting(app, script)
    clock.advance(jump)
    runs(app).wake()
    assert (await ended(app, run))["numSent"] == 1
    assert tokens(script) == {"busy": 1}


@pytest.mark.parametrize("jump", JUMPS)
async def test_so_it_is_where_the_server_begins_anew_meanwhile(
    closed_app: App, push_settings: PushOptions, script: Script, clock: FakeClock, jump: int
) -> None:
    async with opened(closed_app, push_settings, Reach(open=True)):
        run = await waiting(closed_app, script)
    clock.advance(jump)
    async with opened(closed_app, push_settings, Reach(open=True)):
        assert (await ended(closed_app, run))["numSent"] == 1
    assert tokens(script) == {"busy": 1}


async def test_a_step_back_of_a_second_shortens_no_wait(app: App, script: Script, clock: FakeClock) -> None:
    run = await waiting(app, script)
    clock.advance(-1000)
    runs(app).wake()
    await until(lambda: runs(app)._queue.resting)
    assert tokens(script) == {}
    await passing(app, clock, run, 1000)
    assert tokens(script) == {"busy": 1}


async def test_what_has_a_time_is_sent_at_that_and_once_however_the_clock_gets_there(app: App, script: Script, clock: FakeClock) -> None:
    await device(app, "tokyo", timeZone="Asia/Tokyo")
    await device(app, "paris", timeZone="Europe/Paris")
    later = await push(app, push_time=iso(clock.now() + 2 * HOUR_MS))
    local = await push(app, push_time=f"{iso(clock.now() + 2 * DAY_MS)[:10]}T09:00:00.000")
    for jump in (-DAY_MS, HOUR_MS, -HOUR_MS, DAY_MS + HOUR_MS):
        clock.advance(jump)
        runs(app).wake()
        await until(lambda: runs(app)._queue.resting)
        assert tokens(script) == {}
    clock.advance(DAY_MS)
    runs(app).wake()
    assert (await ended(app, later))["numSent"] == 2
    clock.advance(-2 * HOUR_MS)
    runs(app).wake()
    await until(lambda: runs(app)._queue.resting)
    clock.advance(3 * DAY_MS)
    runs(app).wake()
    assert (await ended(app, local))["numSent"] == 2
    assert tokens(script) == {"tokyo": 2, "paris": 2}


async def test_a_token_for_apple_is_of_the_time_that_it_is(app: App, script: Script, clock: FakeClock) -> None:
    """One from the future is refused there."""
    await device(app, "b" * 64, "ios")
    await ended(app, await push(app))
    clock.advance(-DAY_MS)
    await ended(app, await push(app))
    [row] = await app.store.rows.scan("provider tokens")
    assert row.value["issued"] == clock.now()
    assert len(script.accepted()) == 2
