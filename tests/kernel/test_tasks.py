"""A task that forgets its first cancellation ends all the same."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from mbaas.kernel import tasks


async def test_one_that_forgets_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_AGAIN_SECONDS", 0.01)
    forgotten: list[bool] = []

    async def forgets() -> None:
        never = asyncio.Event()
        with suppress(asyncio.CancelledError):
            await never.wait()
        forgotten.append(True)
        await never.wait()

    async def fails() -> None:
        raise ValueError

    running = [asyncio.create_task(forgets()), asyncio.create_task(fails())]
    await asyncio.sleep(0)
    await tasks.end([*running, None])
    assert forgotten == [True]
    assert running[0].cancelled()
