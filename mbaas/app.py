"""The composition root: every room is made and tied to the others here, and nowhere else."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mbaas.kernel.addresses import client_address, within
from mbaas.kernel.options import LOOPBACK, AppOptions, ServerOptions
from mbaas.services import Services

LOCAL = ("127.0.0.0/8", *LOOPBACK)


def build(server: ServerOptions, apps: Iterable[AppOptions]) -> ASGIApp:
    """The whole server as one ASGI application. Nothing is opened before its lifespan starts."""
    services = Services(server, {app.app_id: app for app in apps})
    return _outside_the_mount(services)


def _outside_the_mount(services: Services) -> Starlette:
    """The routes that belong to the process and not to an app: health and metrics."""
    ready = False

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        nonlocal ready
        services.server.data_dir.mkdir(parents=True, exist_ok=True)
        ready = True
        yield
        ready = False

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        return JSONResponse({"status": "ok" if ready else "unavailable"}, 200 if ready else 503)

    async def metrics(request: Request) -> Response:
        if not _may_see_metrics(request, services.server.trusted_proxies, list(services.apps.values())):
            return JSONResponse({"error": "unauthorized"}, 403)
        body, content_type = services.metrics.render()
        return Response(body, headers={"content-type": content_type})

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)], lifespan=lifespan)


def _may_see_metrics(request: Request, trusted: tuple[str, ...], apps: Sequence[AppOptions]) -> bool:
    """From this machine, or with an app's master key from where that key may be used.

    An address that only an undeclared proxy on this machine vouches for is not this machine.
    """
    peer = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for", "")
    address = client_address(peer, forwarded, trusted)
    if within(address, LOCAL) and not (forwarded and not within(peer, trusted)):
        return True
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    given = (request.headers.get("x-parse-master-key") or bearer).encode()
    return any(hmac.compare_digest(given, app.master_key.encode()) and within(address, app.master_key_ips) for app in apps)
