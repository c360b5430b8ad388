"""Patience in tests: looking now and then whether something holds that nobody tells of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PATIENT_SECONDS, PAUSE_SECONDS = 100, 0.002


async def until(holds: Callable[[], bool | Awaitable[bool]], then: Callable[[], Awaitable[None]] | None = None) -> None:
    """Wait until something holds; `then` is done again and again meanwhile. TimeoutError if it never does."""
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            # Not at once: what is waited for needs the processor, too.
            await asyncio.sleep(PAUSE_SECONDS)
            if then is not None:
                await then()
