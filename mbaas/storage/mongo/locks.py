"""Locks by name that exist while someone holds or awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Locks:
    """One lock per name, on one event loop."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def held(self, name: Hashable) -> AsyncIterator[None]:
        """Wait for the lock, hold it, and forget it if nobody waits any more."""
        lock, users = self._known.get(name, (asyncio.Lock(), 0))
        self._known[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._known[name]
            if users == 1:
                del self._known[name]
            else:
                self._known[name] = lock, users - 1
