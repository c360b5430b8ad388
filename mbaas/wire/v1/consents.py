"""`/consents`: which partners a signed-in user lets know who she is."""

from __future__ import annotations

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_functions.room import functions_of


def _user(request: Request) -> str:
    if request.caller.user_id is None:
        raise ParseError(Code.INVALID_SESSION_TOKEN, "Invalid session token")
    return request.caller.user_id


async def consents(request: Request) -> Json:
    """What the user has consented to, and what she has withdrawn."""
    return {"results": await functions_of(request.app).partners.subjects.consents(_user(request))}


async def consent(request: Request) -> Json:
    """Let a partner know who she is: a code, which the partner redeems once within ten minutes."""
    partners, user_id = functions_of(request.app).partners, _user(request)
    return await partners.subjects.consent(await partners.registry.get(request.params[0]), user_id)


async def withdraw(request: Request) -> Json:
    """Take it back, at once."""
    await functions_of(request.app).partners.subjects.withdraw(_user(request), request.params[0])
    return {}


ROUTES = (
    Route("GET", "/consents", consents, "What the user has consented to", "consents", base=BASE),
    Route("POST", "/consents/:partner", consent, "Let a partner know who the user is", "consents", base=BASE, read_only="consent"),
    Route("DELETE", "/consents/:partner", withdraw, "Take that back", "consents", base=BASE, read_only="withdraw consent"),
)
