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
from mbaas.testing.contracts.text import *
from tests.secantus import GIVEN, database

SECANTUS_HAS_NO_TEXT_INDEX = (
    "test_terms",
    "test_no_term_is_an_error",
    "test_case_and_accents_count_on_request",
    "test_the_best_come_first_with_their_score",
    "test_other_conditions_hold_too",
    "test_the_index_follows_writes",
    "test_a_column_without_a_text_index_is_refused",
)
"""Every contract that is left out where SecantusDB stands for MongoDB; what is sent for `$text` is proved in
tests/storage/test_mongo_compile.py, and MBAAS_TEST_MONGO_URL runs these too."""
if GIVEN is None:
    for _name in SECANTUS_HAS_NO_TEXT_INDEX:
        del globals()[_name]


@pytest.fixture
async def store(mongo: str, clock: FakeClock) -> AsyncIterator[MongoStore]:
    opened = await open_store(database(mongo, f"contract_{ObjectId()}"), clock)
    yield opened
    await opened.close()
