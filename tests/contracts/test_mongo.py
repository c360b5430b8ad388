"""The contracts of the storage ports, on MongoDB."""

# ruff: noqa: F403
from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from bson import ObjectId

from mbaas.storage.mongo.store import MongoStore, open_store
from mbaas.testing.clock import FakeClock
from mbaas.testing.contracts.documents import *
from mbaas.testing.contracts.feed import *
from mbaas.testing.contracts.places import *
from mbaas.testing.contracts.queries import *
from mbaas.testing.contracts.rows import *
from mbaas.testing.contracts.schemas import *
from tests.secantus import database


@pytest.fixture
async def store(mongo: str, clock: FakeClock) -> AsyncIterator[MongoStore]:
    opened = await open_store(database(mongo, f"contract_{ObjectId()}"), clock)
    yield opened
    await opened.close()
