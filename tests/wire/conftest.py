"""A server that really listens, for the tests of the wire."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from bson import ObjectId

from mbaas.app import open_app
from mbaas.data.app import App
from mbaas.kernel.options import AppOptions, FileUpload, ServerOptions
from mbaas.services import Services
from mbaas.testing.process import TestServer
from mbaas.wire.asgi import Wire
from tests.secantus import GIVEN, database
from tests.wire.people import Person
from tests.wire.scenarios import options

OPEN = FileUpload(public=True, anonymous_user=True)
STRICT: dict[str, Any] = {
    "app_id": "strict",
    "sanitized_errors": True,
    "max_upload_bytes": 2000,
    "master_key_ips": ("10.0.0.0/8",),
    "maintenance_key_ips": (),
    "allow_origin": ("https://a.example", "https://b.example"),
}


def _store() -> dict[str, Any]:
    """Options for a database of its own where MBAAS_TEST_MONGO_URL names a MongoDB; else SQLite in the data folder."""
    return {} if GIVEN is None else {"database_url": database(GIVEN, f"wire_{ObjectId()}")}


class Running:
    """A wire with two apps on a port of its own: `app` as in the golden transcripts, and `strict`, which says less and allows less."""

    def __init__(self, folder: Path) -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # now, so that a first request that is early waits instead of being refused
        self.base = f"http://127.0.0.1:{listener.getsockname()[1]}/parse"
        self._options = (
            AppOptions(**options(data_dir=folder / "app", public_url=self.base, file_upload=OPEN, max_batch=5, **_store())),
            AppOptions(**options(data_dir=folder / "strict", public_url=self.base, **STRICT, **_store())),
        )
        self.apps: dict[str, App] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listener)), daemon=True)
        self._thread.start()
        self._ready.wait(60)

    async def _serve(self, listener: socket.socket) -> None:
        services = Services(ServerOptions(), {found.app_id: found for found in self._options})
        self.apps |= {found.app_id: await open_app(found, services) for found in self._options}
        wire = Wire(self.apps, trusted_proxies=("127.0.0.2/32",))
        config = uvicorn.Config(
            wire, loop="uvloop", http="httptools", log_level="error", access_log=False, lifespan="off", proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._ready.set()
        await self._server.serve([listener])
        for app in self.apps.values():
            await app.close()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests of this folder; each test uses classes of its own."""
    running = Running(tmp_path_factory.mktemp("files"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def http(server: Running) -> Iterator[httpx.Client]:
    """A client that sends nothing by itself but its address."""
    with httpx.Client(timeout=30, headers={"accept": "*/*"}) as client:
        yield client


@pytest.fixture(scope="session", params=["embedded", "mongodb"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A server as a user starts it, on one store and then on the other; each test uses classes and users of its own."""
    settings = {"preset": "parse"}
    if request.param == "mongodb":
        settings["database_url"] = database(request.getfixturevalue("mongo"), f"either_{ObjectId()}")
    with TestServer(tmp_path_factory.mktemp(request.param), settings=settings) as running:
        yield running


@pytest.fixture
def ann(either: TestServer) -> Person:
    return Person.signed_up(either)


@pytest.fixture
def public(either: TestServer) -> Person:
    return Person(either)
