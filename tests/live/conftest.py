"""Servers with live queries, as a user starts them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer
from tests.secantus import database


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """One server for a file: each test has classes of its own."""
    with TestServer(tmp_path_factory.mktemp("live"), settings={"preset": "parse"}) as running:
        yield running


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A server of one process, whose counts are those of all that happens."""
    with TestServer(tmp_path_factory.mktemp("alone"), settings={"preset": "parse", "workers": 1}) as running:
        yield running


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A server on one store, and then on the other."""
    settings = {"preset": "parse"}
    if request.param == "mongodb":
        settings["database_url"] = database(request.getfixturevalue("mongo"), f"live_{ObjectId()}")
    with TestServer(tmp_path_factory.mktemp(request.param), settings=settings) as running:
        yield running
