"""Ending what runs beside a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_SECONDS = 5.0


async def end(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancel those tasks that there are, and wait until they have ended, in whichever way.

    One that goes on is cancelled again: before Python 3.12 `asyncio.wait_for`, by which PyMongo reads, forgets a cancellation that comes
    in the moment of its answer (python/cpython#81839).
    """
    given = [task for task in tasks if task is not None]
    going: set[asyncio.Task[Any]] = set(given)
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=_AGAIN_SECONDS)
    for task in given:
        if not task.cancelled():
            # That it failed is known by now, or of no interest any more.
            task.exception()
