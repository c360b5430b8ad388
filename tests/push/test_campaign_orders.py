"""Orders that come at the worst moment, and runs that a fault stops. Both stores, a fake clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mbaas.data.app import App
from mbaas.jobs.queue import Task
from mbaas.kernel.clock import iso
from mbaas.kernel.values import Object
from mbaas.testing.clock import FakeClock
from mbaas_push import breaker, sending, turns
from mbaas_push import runs as runs_module
from mbaas_push.audience import materialise
from mbaas_push.mock.script import Reply, Script
from mbaas_push.room import runs_of
from tests.push.marketing import campaigns, ended, launched, order, passed, passing, phone, reasons, rows, run_of, state, tokens
from tests.waiting import until

DAY_MS = 86_400_000


async def received(script: Script, count: int) -> None:
    async def so_many() -> bool:
        return len(script.receipts) >= count

    await until(so_many)


async def test_what_is_resumed_while_its_last_windows_land_is_sent_once(app: App, script: Script) -> None:
    """Whoever sends it is left with it: taken away, what is on the wire would be sent once more."""
    script.latency_ms = 300
    for number in range(80):
        await phone(app, f"t{number:02d}")
    made = await launched(app, perSecond=40)
    for count in (1, 12, 24):
        await received(script, count)
        await order(app, made, "pause", "resume")
    await ended(app, made)
    assert tokens(script) == {f"t{number:02d}": 1 for number in range(80)}
    found = await rows(app, await run_of(app, made))
    assert not [value for value in found.values() if "ambiguous" in value]


async def test_a_process_that_dies_between_pause_and_resume_leaves_no_run_behind(app: App, script: Script) -> None:
    """What a resumed campaign says and what its runs do is one commit."""
    for number in range(10):
        await phone(app, f"t{number}")
    made = await launched(app, perSecond=5)
    await received(script, 1)
    await order(app, made, "pause")
    assert len(await app.store.rows.scan("push orders")) == 1
    found = await campaigns(app).store.get(made)
    assert found.state == "paused"
    await order(app, made, "resume")
    assert await app.store.rows.scan("push orders") == []
    await ended(app, made)
    assert len(tokens(script)) == 10


async def test_what_was_paused_for_months_goes_on_where_it_was(app: App, script: Script, clock: FakeClock) -> None:
    for number in range(20):
        await phone(app, f"t{number:02d}")
    made = await launched(app, perSecond=10)
    await received(script, 2)
    await order(app, made, "pause")
    run = await run_of(app, made)

    async def rests() -> bool:
        row = await app.store.rows.get("pushes", run)
        return row is not None and row.owner is None

    await until(rests)
    assert len(script.receipts) < 20
    clock.advance(100 * DAY_MS)
    while await app.store.rows.expire(clock.now()):
        pass
    await order(app, made, "resume")
    await passed(app, clock, made)
    assert tokens(script) == {f"t{number:02d}": 1 for number in range(20)}


@pytest.mark.parametrize(("failures", "wanted"), [(3, "completed"), (1000, "failed")])
async def test_a_run_that_a_fault_stops_is_tried_again_and_given_up_in_the_end(
    app: App, script: Script, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, failures: int, wanted: str
) -> None:
    left = failures

    async def faulty(task: Task, turn: Callable[[], Awaitable[int]]) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ZeroDivisionError
        await materialise(task, turn)

    monkeypatch.setattr(runs_module, "materialise", faulty)
    await phone(app, "one")
    made = await launched(app)
    await passed(app, clock, made, wanted)
    run = await run_of(app, made)
    assert failures - left == (4 if wanted == "completed" else 8)
    assert reasons(await rows(app, run)) == ({"one": "sent"} if wanted == "completed" else {})
    assert (await runs_of(app).told(run))["status"] == ("succeeded" if wanted == "completed" else "failed")
    assert await state(app, made) == wanted


async def test_campaigns_that_go_out_slowly_hold_up_no_others(
    app: App, script: Script, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SLICE_SECONDS", 0.05)
    for number in range(3):
        await phone(app, f"t{number}")
    slow = [await launched(app, content={"body": "slow"}, perSecond=0.001) for _ in range(turns.MOST_CAMPAIGNS)]
    await received(script, turns.MOST_CAMPAIGNS)
    quick = await launched(app, content={"body": "quick"})

    async def given_way() -> bool:
        return any(row.owner is None and row.value["state"] == "sending" for row in await app.store.rows.scan("pushes"))

    await until(given_way)
    clock.advance(1000)
    runs_of(app).wake()
    await ended(app, quick)
    assert reasons(await rows(app, await run_of(app, quick))) == {f"t{number}": "sent" for number in range(3)}
    for each in slow:
        assert (await order(app, each, "cancel"))["state"] == "cancelled"

    async def all_ended() -> bool:
        return await app.store.rows.scan("pushes") == []

    await until(all_ended)
    for each in slow:
        found = list(reasons(await rows(app, await run_of(app, each))).values())
        assert found.count("sent") + found.count("skipped cancelled") == 3
    assert sum(tokens(script).values()) < 3 + 3 * len(slow)


async def test_however_many_runs_are_under_way_all_of_them_are_cancelled(app: App, script: Script, clock: FakeClock) -> None:
    """One of each minute waits for the morning. On MongoDB fewer: a commit takes long there."""
    many = 65 if app.options.database_url is None else 12
    await phone(app, "one", timeZone="UTC")
    hour = iso(clock.now())[11:13]
    quiet: Object = {"from": f"{hour}:00", "to": f"{(int(hour) + 23) % 24:02d}:00"}
    made = await launched(app, schedule={"at": iso(clock.now()), "repeat": "* * * * *", "times": many}, quietHours=quiet)

    async def so_many() -> bool:
        row = await app.store.rows.get("campaign times", made)
        if row is not None and row.owner is None and row.due is not None:
            clock.advance(max(0, row.due - clock.now()))
        campaigns(app).launching.wake()
        return len(await campaigns(app).store.runs(made)) == many

    await until(so_many)
    assert len((await campaigns(app).get(made))["active"]) == many
    await order(app, made, "cancel")

    async def all_ended() -> bool:
        return await app.store.rows.scan("pushes") == [] == await app.store.rows.scan("campaign runs under way")

    await passing(app, clock, all_ended)
    assert not script.receipts


async def test_a_campaign_that_mostly_fails_is_stopped_and_goes_on_when_somebody_has_seen_why(
    app: App, script: Script, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_WINDOW", 5)
    monkeypatch.setattr(sending, "_IN_FLIGHT", 5)
    monkeypatch.setattr(breaker, "LEAST", 10)
    for number in range(25):
        await phone(app, f"t{number:02d}")
        script.tokens[f"t{number:02d}"] = deque([Reply(403, "SENDER_ID_MISMATCH") if number % 2 else Reply()])
    made = await launched(app)
    await ended(app, made, "paused")
    entry = (await campaigns(app).store.audit(made))[-1]
    assert (entry["what"], entry["by"]) == ("stopped", "server")
    assert "SENDER_ID_MISMATCH" in entry["reason"]
    assert len(script.receipts) < 25
    await order(app, made, "resume")
    await passed(app, clock, made)
    assert len(script.receipts) == 25
