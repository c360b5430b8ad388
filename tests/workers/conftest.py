"""Several processes that answer as one: of one server on either store, or of servers of their own on one MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer
from tests.workers.asking import CLIENTS, MACHINES, ONE_MACHINE, PROCESSES, Connection, Stores


@pytest.fixture(scope="session")
def stores(request: pytest.FixtureRequest) -> Stores:
    return Stores(request)


@pytest.fixture(scope="module", params=[*ONE_MACHINE, MACHINES])
def servers(request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[TestServer]]:
    """One server of several processes, or as many servers, each with a folder of its own."""
    count = PROCESSES if request.param == MACHINES else 1
    settings = stores.settings(request.param, workers=PROCESSES // count)
    with ExitStack() as stack:
        folders: list[Path] = [tmp_path_factory.mktemp(request.param) for _ in range(count)]
        yield [stack.enter_context(TestServer(folder, settings=settings)) for folder in folders]


@pytest.fixture
def clients(servers: list[TestServer]) -> Iterator[list[Connection]]:
    """One after the other goes to another server."""
    made = [Connection(servers[n % len(servers)]) for n in range(CLIENTS)]
    for client in made:
        assert client("GET", "/health")[0] == 200
    yield made
    for client in made:
        client.close()
