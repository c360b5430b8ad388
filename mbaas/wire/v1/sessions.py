"""`/sessions` and `/users/:id/data`: where a person is signed in, and all that the app has of her."""

from __future__ import annotations

from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_auth import devices, leaving

_NDJSON = b"application/x-ndjson"
_HEADERS = [(b"content-disposition", b'attachment; filename="data.ndjson"'), (b"cache-control", b"no-store")]


async def sessions(request: Request) -> Json:
    """Where the user is signed in."""
    return {"results": await devices.sessions(request.app, request.caller), "next": None}


async def name(request: Request) -> Json:
    """Give a session a name."""
    return await devices.name_session(request.app, request.caller, request.params[0], request.object().get("name"))


async def end(request: Request) -> Json:
    """End a session."""
    await devices.end(request.app, request.caller, request.params[0])
    return {}


async def end_others(request: Request) -> Json:
    """End all sessions but this one."""
    return {"ended": await devices.end_others(request.app, request.caller)}


async def rotate(request: Request) -> Json:
    """A new token for this session."""
    return await devices.rotate(request.app, request.caller)


async def data(request: Request) -> Answer:
    """All that the app has of a person, a line each."""
    lines = await leaving.export(request.app, request.caller, request.params[0])
    return Answer(200, b"", list(_HEADERS), _NDJSON, stream=lines)


ROUTES = (
    Route("GET", "/sessions", sessions, "Where the user is signed in", "sessions", base=BASE),
    Route("PUT", "/sessions/:id", name, "Name a session", "sessions", base=BASE, read_only="name sessions"),
    Route("DELETE", "/sessions", end_others, "End all sessions but this one", "sessions", base=BASE, read_only="end sessions"),
    Route("DELETE", "/sessions/:id", end, "End a session", "sessions", base=BASE, read_only="end sessions"),
    Route("POST", "/sessions/rotate", rotate, "A new token for this session", "sessions", base=BASE, read_only="rotate tokens"),
    Route("GET", "/users/:id/data", data, "All that the app has of a person", "users", base=BASE, batch=False),
)
