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


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    opened = await open_store(tmp_path, clock, tuning=Tuning(synchronous="OFF"))
    yield opened
    await opened.close()
