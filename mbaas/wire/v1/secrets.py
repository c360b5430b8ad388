"""`/secrets`: what functions may know and nobody reads back."""

from __future__ import annotations

from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, hosted


async def secret_names(request: Request) -> Json:
    """The names of secrets."""
    return {"results": await hosted(request).secrets.names(), "next": None}


async def put_secret(request: Request) -> Json:
    """Set a secret; what runs is loaded anew with it."""
    await hosted(request).set_secret(request.params[0], request.object().get("value"))
    return {}


async def drop_secret(request: Request) -> Json:
    """Forget a secret; what runs is loaded anew without it."""
    await hosted(request).drop_secret(request.params[0])
    return {}


ROUTES = (
    Route("GET", "/secrets", secret_names, "Names of secrets", "secrets", master=True, base=BASE),
    Route("PUT", "/secrets/:name", put_secret, "Set a secret", "secrets", master=True, read_only="set a secret", base=BASE),
    Route("DELETE", "/secrets/:name", drop_secret, "Forget a secret", "secrets", master=True, read_only="delete a secret", base=BASE),
)
