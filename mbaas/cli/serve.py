"""Run the server: bind first (so that a taken port is a sentence, not a traceback), then start the event loop."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from mbaas import __version__, settings
from mbaas.app import build
from mbaas.cli.claim import claim
from mbaas.configuration import Configuration, configure
from mbaas.kernel.options import ServerOptions
from mbaas.observe.logs import get_logger, start_logging

DRAIN_SECONDS = 25
_GARBAGE = 20_000
"""Allocations between two searches for unreachable cycles. At Python's 700 they take a tenth of a busy server's time."""

_TURN_SECONDS = 0.001
"""How long a thread may go on in Python while another waits: the loop must hear of a commit before 5 ms, Python's own, are over."""


def serve(parse_config: Path | None) -> None:
    """Serve as configured, until SIGTERM or SIGINT."""
    configuration = configure(settings.read(), parse_config=parse_config)
    listener = listen(configuration.server)
    run(configuration.listening_on(listener.getsockname()[1]), listener)


def listen(server: ServerOptions) -> socket.socket:
    """The listening socket; SettingsError says what is wrong with the address."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        return socket.create_server((server.host, server.port), family=family, backlog=2048)
    except OSError as error:
        where = f"cannot listen on {server.host} port {server.port}: {error.strerror or error}"
        raise settings.SettingsError(f"{where}; choose others by MBAAS_HOST and MBAAS_PORT") from error


def run(configuration: Configuration, listener: socket.socket) -> None:
    """Serve on the socket. A first signal lets running requests finish, a second one does not."""
    server, apps = configuration.server, configuration.apps
    keys = [(app.master_key, app.read_only_master_key, app.maintenance_key, app.webhook_key) for app in apps]
    start_logging(server.log_format, secrets=[key for per_app in keys for key in per_app if key])
    log = get_logger("mbaas")
    for warning in configuration.warnings:
        log.warning(warning)
    for app in apps:
        if not app.database_url:
            claim(app.data_dir)
    config = uvicorn.Config(
        build(server, apps),
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    log.info("serving", version=__version__, url=f"http://{server.host}:{server.port}", apps=[app.app_id for app in apps])
    _tune_interpreter()
    web = uvicorn.Server(config)
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises the signal again once it has stopped: leave with 0
    try:
        web.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
    if not web.started:
        raise SystemExit(3)
    log.info("stopped")


def _tune_interpreter() -> None:
    """What is loaded stays for good, and need not be looked through again; a thread that has written to disk is heard soon."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 50)
    sys.setswitchinterval(_TURN_SECONDS)
