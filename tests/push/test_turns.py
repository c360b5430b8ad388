"""What is urgent goes first, and nothing waits for good."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from mbaas.kernel.values import Object
from mbaas_push.turns import MOST_CAMPAIGNS, Lane, Turns, lane_of


@pytest.mark.parametrize(
    ("lane", "other", "waits"),
    [
        ("campaign", "moment", True),
        ("campaign", "transactional", True),
        ("transactional", "moment", True),
        ("transactional", "campaign", False),
        ("moment", "transactional", False),
        ("campaign", "campaign", False),
    ],
)
async def test_a_run_waits_for_what_is_more_urgent(lane: Lane, other: Lane, waits: bool) -> None:
    turns = Turns()
    with turns.taking_part(lane), turns.taking_part(other):
        waiting = asyncio.create_task(turns.wait(lane))
        done, _ = await asyncio.wait([waiting], timeout=0.01)
        assert bool(done) is not waits
    async with asyncio.timeout(0.5):
        await waiting


async def test_it_does_not_wait_for_good() -> None:
    turns = Turns()
    with turns.taking_part("moment"):
        async with asyncio.timeout(5):
            await turns.wait("campaign")


def test_campaigns_leave_places_for_pushes() -> None:
    turns = Turns()
    with ExitStack() as sending:
        for _ in range(MOST_CAMPAIGNS):
            assert not turns.full("campaign")
            sending.enter_context(turns.taking_part("campaign"))
        assert turns.full("campaign")
        assert not turns.full("transactional")
    assert not turns.full("campaign")


def test_a_push_that_says_nothing_is_no_campaign() -> None:
    pushes: list[Object] = [{}, {"campaign": {}}, {"campaign": {}, "lane": "moment"}]
    assert [lane_of(push) for push in pushes] == ["transactional", "campaign", "moment"]
