"""Seeing that code was saved: for development, where what is saved runs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from mbaas_functions.secrets import FILE

_SECONDS = 0.2


async def watch(folder: Path, changed: Callable[[], Awaitable[None]]) -> None:
    """Call `changed` whenever a Python file of the folder, or its file of secrets, was written, added or removed; until cancelled."""
    seen = _state(folder)
    while True:
        await asyncio.sleep(_SECONDS)
        if (now := _state(folder)) != seen:
            seen = now
            await changed()


def _state(folder: Path) -> dict[Path, tuple[int, int]]:
    found = {}
    for path in (*folder.rglob("*.py"), folder / FILE):
        try:
            stat = path.stat()
        except OSError:
            continue
        found[path] = stat.st_mtime_ns, stat.st_size
    return found
