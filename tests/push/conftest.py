"""An app whose pushes go to the mock provider over a real socket, on either store and a fake clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bson import ObjectId

from mbaas.app import open_app
from mbaas.configuration import push_options
from mbaas.data.app import App
from mbaas.kernel.options import AppOptions, PushOptions, ServerOptions
from mbaas.outbound.reach import Reach
from mbaas.services import Services
from mbaas.settings import read
from mbaas.testing.clock import FakeClock
from mbaas_push.mock import credentials
from mbaas_push.mock.script import Script
from mbaas_push.mock.server import listening
from mbaas_push.room import opened
from tests.secantus import database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def script() -> Script:
    """What the mock does, and what it was sent."""
    return Script()


@pytest.fixture
async def push_settings(tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PushOptions]:
    """The mock is there; these are the options that lead to it."""
    folder = tmp_path / "mock"
    credentials.make(folder)
    async with listening(script, folder / "cert.pem", folder / "cert.key") as port:
        with monkeypatch.context() as environment:
            for name, value in credentials.settings(folder, port).items():
                environment.setenv(name, value)
            options = push_options(read())
        yield options


@pytest.fixture(params=["embedded", "mongodb"])
async def closed_app(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[App]:
    """An app that sends nothing yet."""
    url = database(request.getfixturevalue("mongo"), f"push_{ObjectId()}") if request.param == "mongodb" else None
    options = AppOptions(app_id="a", master_key="m", data_dir=tmp_path / "data", database_url=url)
    app = await open_app(options, Services(ServerOptions(), {}, clock=clock))
    yield app
    await app.close()


@pytest.fixture
async def app(closed_app: App, push_settings: PushOptions) -> AsyncIterator[App]:
    """The same, sending."""
    async with opened(closed_app, push_settings, Reach(open=True)):
        yield closed_app
