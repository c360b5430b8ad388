"""Servers with cloud code of the folders in `apps/`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer
from tests.functions.partnership import Partnership, partnership
from tests.functions.web import Web, web
from tests.secantus import database

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Web]:
    """Somebody else's web server."""
    with web() as running:
        yield running


@pytest.fixture(params=["embedded", "mongodb"])
async def partners(request: pytest.FixtureRequest, tmp_path: Path, elsewhere: Web) -> AsyncIterator[Partnership]:
    """A server that partners are registered with, on one store and then on the other."""
    url = database(request.getfixturevalue("mongo"), f"partners_{ObjectId()}") if request.param == "mongodb" else None
    elsewhere.on.clear()
    elsewhere.received.clear()
    async with partnership(tmp_path, elsewhere, url) as running:
        yield running


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A server whose functions misbehave."""
    settings = {"preset": "parse", "functions": APPS / "trouble"}
    with TestServer(tmp_path_factory.mktemp("trouble"), settings=settings) as running:
        yield running


def on_either(request: pytest.FixtureRequest, folder: Path, app: str | None = None, **more: object) -> Iterator[TestServer]:
    """A server with an app of this folder, or none, and `more` settings, on the store that the fixture's param names."""
    settings: dict[str, object] = {"preset": "parse", **({"functions": APPS / app} if app else {}), **more}
    if request.param == "mongodb":
        settings["database_url"] = database(request.getfixturevalue("mongo"), f"{app or 'plain'}_{ObjectId()}")
    with TestServer(folder, settings=settings) as running:
        yield running


@pytest.fixture(scope="session", params=["embedded", "mongodb"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A server with functions and triggers, on one store and then on the other; each test uses classes and users of its own."""
    yield from on_either(request, tmp_path_factory.mktemp(request.param), "calls")
