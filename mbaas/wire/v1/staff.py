"""`/console/…`: who may use the console. The console itself is no part of the API."""

from __future__ import annotations

from functools import partial

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_auth.staff import factor
from mbaas_auth.staff.people import people_of

_CHANGE = "say who may use the console"


async def people(request: Request) -> Json:
    """Who may use the console."""
    results = [person.told() for person in await people_of(request.app).all()]
    return {"results": results, "next": None, "factorRequired": await factor.required(request.app)}


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


async def reset_factor(request: Request) -> Json:
    """Take the second factor of one of them away, who has lost it."""
    person = await people_of(request.app).get(request.params[0])
    if person is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "Nobody uses the console with this address.")
    await factor.reset(request.app, person)
    return {}


async def require_factor(request: Request) -> Json:
    """Say whether everybody needs a second factor."""
    given = request.object()
    everybody = given.get("required")
    if not isinstance(everybody, bool) or len(given) > 1:
        raise ParseError(Code.VALIDATION_ERROR, "required is true or false.")
    request.about = f"console factor {'required' if everybody else 'not required'}"
    await factor.require(request.app, everybody)
    return {"required": everybody}


_changing = partial(Route, tag="console", master=True, read_only=_CHANGE, base=BASE, batch=False)
ROUTES = (
    Route("GET", "/console/people", people, "Who may use the console", "console", master=True, base=BASE, batch=False),
    _changing("POST", "/console/invitations", invite, "Invite somebody to the console", status=201),
    _changing("DELETE", "/console/people/:email", remove, "Take the console from somebody"),
    _changing("DELETE", "/console/people/:email/factor", reset_factor, "Take the second factor of somebody away"),
    _changing("PUT", "/console/factor", require_factor, "Say whether everybody needs a second factor"),
)
