"""`/changes`: what a client that keeps objects of its own has missed."""

from __future__ import annotations

from mbaas.data import changes
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE


async def follow(request: Request) -> bytes:
    """Changes of a class since a position."""
    return await changes.changes(request.app, request.caller, changes.Wanted.parse(request.texts()))


ROUTES = (Route("GET", "/changes", follow, "Changes of a class since a position", "changes", base=BASE),)
