"""Servers as users start them, shared by the whole suite: each test makes classes and people of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer
from tests.secantus import GIVEN, database
from tests.security.attack import Target

KEYS = {"read_only_master_key": "read-only-key", "maintenance_key": "maintenance-key"}


def started(folder: Any, **settings: object) -> Iterator[Target]:
    """On a database of its own where MBAAS_TEST_MONGO_URL names a MongoDB; else on SQLite."""
    store = {} if GIVEN is None else {"database_url": database(GIVEN, f"security_{ObjectId()}")}
    with TestServer(folder, "serve", settings={**KEYS, **store, **settings}) as server:
        target = Target(server)
        with target.http:
            yield target


@pytest.fixture(scope="session")
def parse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server as Parse Server's users know it: open classes, no limits."""
    yield from started(tmp_path_factory.mktemp("parse"), preset="parse")


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with the defaults of `mbaas serve`."""
    yield from started(tmp_path_factory.mktemp("production"))


@pytest.fixture(scope="session", params=["parse", "production"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each of the two."""
    found: Target = request.getfixturevalue(request.param)
    return found
