"""A server that really listens, for the tests of the wire."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from mbaas.data.app import App
from mbaas.kernel.clock import SystemClock
from mbaas.kernel.ids import Ids
from mbaas.kernel.options import AppOptions, FileUpload
from mbaas.wire.asgi import Wire
from mbaas_auth import room
from tests.wire.memory_store import MemoryStore, options


class Running:
    """A wire with two apps on a port of its own: `app` as in the golden transcripts, and `strict`, which says less and allows less."""

    def __init__(self, folder: Path) -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{listener.getsockname()[1]}/parse"
        open_app = AppOptions(
            **options(public_url=self.base, data_dir=folder, file_upload=FileUpload(public=True, anonymous_user=True), max_batch=5)
        )
        strict = AppOptions(
            **options(
                app_id="strict",
                public_url=self.base,
                data_dir=folder,
                sanitized_errors=True,
                max_upload_bytes=2000,
                master_key_ips=("10.0.0.0/8",),
                maintenance_key_ips=(),
                allow_origin=("https://a.example", "https://b.example"),
            )
        )
        self.apps = {o.app_id: App(o, MemoryStore(), SystemClock(), Ids()) for o in (open_app, strict)}
        wire = Wire(self.apps, trusted_proxies=("127.0.0.2/32",))
        config = uvicorn.Config(
            wire, loop="uvloop", http="httptools", log_level="error", access_log=False, lifespan="off", proxy_headers=False
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listener)), daemon=True)
        self._thread.start()

    async def _serve(self, listener: socket.socket) -> None:
        for app in self.apps.values():
            room.join(app)
            await app.start()
        await self._server.serve([listener])

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
