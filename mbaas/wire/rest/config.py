"""`/config`: parameters that every client reads and the master key changes."""

from __future__ import annotations

from mbaas.data import config
from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route


async def read(request: Request) -> Json:
    """The parameters that the caller may see."""
    return await config.read(request.app, request.caller)


async def change(request: Request) -> Json:
    """Set or operate on parameters."""
    return await config.change(request.app, request.caller, request.object())


ROUTES = (
    Route("GET", "/config", read, "Read the config", "config"),
    Route("PUT", "/config", change, "Change the config", "config", master=True, read_only="update the config"),
)
