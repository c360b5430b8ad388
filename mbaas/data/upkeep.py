"""What an app does for itself while it runs: rows that have expired go, and the feed is cut to what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from mbaas.data.app import App
from mbaas.kernel.tasks import end
from mbaas.observe.logs import get_logger

EVERY_SECONDS = 60
_BATCH = 1000


async def clean(app: App) -> None:
    """One round."""
    now = app.clock.now()
    while await app.store.rows.expire(now, _BATCH) == _BATCH:
        pass
    await app.store.feed.trim(now)


def keep_up(app: App) -> Callable[[], Awaitable[None]]:
    """Clean every minute from now on; returns what ends that."""
    return partial(end, [asyncio.get_running_loop().create_task(_rounds(app))])


async def _rounds(app: App) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await clean(app)
        except Exception:
            get_logger(__name__).exception("upkeep failed; it is tried again in a minute", app=app.options.app_id)
