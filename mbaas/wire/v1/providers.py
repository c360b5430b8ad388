"""`/providers/check`: whether the credentials of the push providers are good."""

from __future__ import annotations

from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_push.room import providers_checked


async def check(request: Request) -> Json:
    """What each provider says of them; nobody is sent anything."""
    found = await providers_checked(request.app)
    return {"results": [each.told() for each in found]}


ROUTES = (
    Route(
        "POST",
        "/providers/check",
        check,
        "Whether the push providers take the credentials",
        "push",
        master=True,
        read_only="check the push providers",
        base=BASE,
        batch=False,
    ),
)
