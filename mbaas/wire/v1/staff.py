"""`/console/…`: who may use the console. The console itself is no part of the API."""

from __future__ import annotations

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_auth.staff.people import people_of

_CHANGE = "say who may use the console"


async def people(request: Request) -> Json:
    """Who may use the console."""
    return {"results": [person.told() for person in await people_of(request.app).all()], "next": None}


async def invite(request: Request) -> Answer:
    """A link by which somebody becomes one of them."""
    given = request.object()
    role, email = given.get("role"), given.get("email") or ""
    if not isinstance(role, str) or not isinstance(email, str) or not set(given) <= {"role", "email"}:
        raise ParseError(Code.VALIDATION_ERROR, "An invitation has a role, and may have an email.")
    request.about = f"console {role}"
    return Answer(201, orjson.dumps(await people_of(request.app).invite(role, email)))


async def remove(request: Request) -> Json:
    """Take the console from somebody."""
    await people_of(request.app).remove(request.params[0])
    return {}


ROUTES = (
    Route("GET", "/console/people", people, "Who may use the console", "console", master=True, base=BASE, batch=False),
    Route(
        "POST",
        "/console/invitations",
        invite,
        "Invite somebody to the console",
        "console",
        master=True,
        read_only=_CHANGE,
        base=BASE,
        batch=False,
        status=201,
    ),
    Route(
        "DELETE",
        "/console/people/:email",
        remove,
        "Take the console from somebody",
        "console",
        master=True,
        read_only=_CHANGE,
        base=BASE,
        batch=False,
    ),
)
