"""A store in a fresh folder, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mbaas.storage.sqlite.connection import Tuning
from mbaas.storage.sqlite.store import SqliteStore, open_store
from mbaas.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=[10.0, 0.0], ids=["quick-disk", "slow-disk"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    """Commits of a quick disk are waited for on the loop, those of a slow one in the thread."""
    opened = await open_store(tmp_path, clock, tuning=Tuning(synchronous="OFF", quick_seconds=request.param))
    yield opened
    await opened.close()
