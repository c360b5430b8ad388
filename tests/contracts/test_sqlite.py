"""The contracts of the storage ports, on SQLite."""

# ruff: noqa: F403
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mbaas.storage.sqlite.connection import Tuning
from mbaas.storage.sqlite.store import SqliteStore, open_store
from mbaas.testing.clock import FakeClock
from mbaas.testing.contracts.documents import *
from mbaas.testing.contracts.feed import *
from mbaas.testing.contracts.places import *
from mbaas.testing.contracts.queries import *
from mbaas.testing.contracts.rows import *
from mbaas.testing.contracts.schemas import *
from mbaas.testing.contracts.text import *


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    opened = await open_store(tmp_path, clock, tuning=Tuning(synchronous="OFF"))
    yield opened
    await opened.close()
