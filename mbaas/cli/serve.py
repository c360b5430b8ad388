"""Run the server: bind first (so that a taken port is a sentence, not a traceback), then start the event loop."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import uvicorn

from mbaas import __version__, settings
from mbaas.app import Server, build
from mbaas.cli.claim import claim
from mbaas.cli.interpreter import tune_interpreter
from mbaas.cli.workers import Worker, fork
from mbaas.configuration import Configuration, configure
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.options import ServerOptions
from mbaas.observe.logs import get_logger, start_logging
from mbaas.wire.connections import Patient, Places, places
from mbaas.wire.live.connection import Connection

DRAIN_SECONDS = 25
_BACKLOG = 2048
_MESSAGE_BYTES = 1024 * 1024
"""The longest message of a live-query client."""


def serve(parse_config: Path | None) -> None:
    """Serve as configured, until SIGTERM or SIGINT."""
    configuration = configure(settings.read(), parse_config=parse_config)
    listeners = listen(configuration.server)
    run(configuration.listening_on(listeners[0].getsockname()[1]), listeners)


def listen(server: ServerOptions) -> list[socket.socket]:
    """A listening socket for each process; the kernel shares out the clients. SettingsError says what is wrong with the address."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    several = server.workers > 1 and sys.platform == "linux"
    try:
        first = socket.create_server((server.host, server.port), family=family, backlog=_BACKLOG)
        if not several:
            return [first] * server.workers
        # That one would have failed beside another server; those that share a port do not.
        host, port = first.getsockname()[:2]
        first.close()
        # Clients wait for the first process. The others take theirs when they serve.
        first = socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=True)
        return [first, *(_beside(first) for _ in range(server.workers - 1))]
    except OSError as error:
        where = f"cannot listen on {server.host} port {server.port}: {error.strerror or error}"
        raise settings.SettingsError(f"{where}; choose others by MBAAS_HOST and MBAAS_PORT") from error


def _beside(first: socket.socket) -> socket.socket:
    """A socket bound to the same address, that does not listen yet."""
    own = socket.socket(first.family)
    for level, option in ((socket.SOL_SOCKET, socket.SO_REUSEADDR), (socket.SOL_SOCKET, socket.SO_REUSEPORT)):
        own.setsockopt(level, option, 1)
    if own.family == socket.AF_INET6:
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    own.bind(first.getsockname())
    return own


def run(configuration: Configuration, listeners: list[socket.socket]) -> None:
    """Serve on the sockets, with a process for each. A first signal lets running requests finish, a second one does not."""
    apps = configuration.apps
    keys = [(app.master_key, app.read_only_master_key, app.maintenance_key, app.webhook_key) for app in apps]
    start_logging(configuration.server.log_format, secrets=[key for per_app in keys for key in per_app if key])
    log = get_logger("mbaas")
    for warning in configuration.warnings:
        log.warning(warning)
    for app in apps:
        if not app.database_url:
            claim(app.data_dir)
    tune_interpreter()
    worker = fork(listeners) if len(listeners) > 1 else Worker(0, 1, listeners[0])
    if worker is not None:
        _serve(configuration, worker)
    if worker is None or worker.count == 1:
        log.info("stopped")


def _serve(configuration: Configuration, worker: Worker) -> None:
    """One process, from its start to its end."""
    web = _Web(configuration, worker)
    # Until uvicorn listens to signals, and when it raises them again once it has stopped: leave with 0.
    signal.signal(signal.SIGTERM, lambda *_: web.leave())
    try:
        web.run(sockets=[worker.listener])
    except KeyboardInterrupt:
        pass
    except MbaasError as error:
        raise settings.SettingsError(error.message) from error
    finally:
        worker.listener.close()


class _Web(uvicorn.Server):
    """Opens the apps before anybody is answered, and says so when they are."""

    def __init__(self, configuration: Configuration, worker: Worker) -> None:
        self._configuration, self._worker = configuration, worker
        self._app = build(configuration.server, configuration.apps, (worker.number, worker.count))
        super().__init__(_config(self._app, configuration.server))

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        async with AsyncExitStack() as self._opened:
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._opened.enter_async_context(self._app.opened())
        await super().startup(sockets)
        self._worker.started(self._orphaned)
        if self._worker.number > 0:
            return
        server, apps = self._configuration.server, self._configuration.apps
        host = f"[{server.host}]" if ":" in server.host else server.host
        url = f"http://{host}:{server.port}{apps[0].mount}"
        get_logger("mbaas").info("serving", version=__version__, url=url, apps=[app.app_id for app in apps])

    def leave(self) -> None:
        """Stop as soon as what runs is finished."""
        self.should_exit = True

    def _orphaned(self) -> None:
        # At once: the address and the folder are wanted by whoever takes the first process's place.
        self.should_exit = self.force_exit = True


def _config(app: Server, options: ServerOptions) -> uvicorn.Config:
    ping_seconds = options.live_ping_ms / 1000
    return uvicorn.Config(
        app,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=Patient.of(Places(places(options.connections), options.client_timeout_ms / 1000)),
        ws=Connection,
        ws_per_message_deflate=False,
        ws_max_size=_MESSAGE_BYTES,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=ping_seconds,
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
