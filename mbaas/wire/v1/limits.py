"""`/limits`: what callers have used of the limits, for whoever is asked why somebody is told to wait, and to let her in again."""

from __future__ import annotations

from mbaas.data.uses import Use
from mbaas.kernel.addresses import network_of
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.wire.limits import account_name
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, whole
from mbaas_auth import accounts

_PAGE, _MOST = 100, 1000


def _asked(request: Request, name: str) -> str | None:
    given = request.texts().get(name)
    if given is not None and (not isinstance(given, str) or not given):
        raise ParseError(Code.INVALID_QUERY, f"{name} must be a text.")
    return given


async def _of(request: Request) -> list[Use] | None:
    """What is counted of the account, or of the address, that is asked for; None if neither is."""
    account, address = _asked(request, "account"), _asked(request, "address")
    if account is not None:
        return await request.app.uses.of(account_name(account))
    return None if address is None else await request.app.uses.of(network_of(address))


async def used(request: Request) -> Json:
    """What is used of which limits now: all, or those of an `account` (name or mail address) or of an `address`."""
    found = await _of(request)
    if found is not None:
        return {"results": [_told(use) for use in found], "next": None}
    limit = max(1, whole(request, "limit", _PAGE, _MOST))
    page = await request.app.uses.page(_asked(request, "cursor") or "", limit + 1)
    following = page[limit - 1].key if len(page) > limit else None
    return {"results": [_told(use) for use in page[:limit]], "next": following}


def _told(use: Use) -> Object:
    return {"id": use.key, "limit": use.limit, "who": use.who, "count": use.count, "endsAt": iso(use.ends)}


async def reset(request: Request) -> Json:
    """Count from nothing again: for an `account`, whose lockout ends, too, or for an `address`."""
    found = await _of(request)
    if found is None:
        raise ParseError(Code.INVALID_QUERY, "account or address says whose limits begin anew.")
    for use in found:
        await request.app.uses.reset(use.key)
    account = _asked(request, "account")
    unlocked = account is not None and await accounts.unlock(request.app, account)
    return {"reset": len(found), "unlocked": unlocked}


async def reset_one(request: Request) -> Json:
    """Count one limit of one caller from nothing again, by its id."""
    if not await request.app.uses.reset(request.params[0]):
        raise ParseError(Code.OBJECT_NOT_FOUND, "Nothing is counted by that id.")
    return {}


_READ_ONLY = "reset limits"
ROUTES = (
    Route("GET", "/limits", used, "What is used of which limits", "limits", master=True, base=BASE),
    Route("DELETE", "/limits", reset, "Let an account or an address begin anew", "limits", master=True, read_only=_READ_ONLY, base=BASE),
    Route("DELETE", "/limits/:id", reset_one, "Let one limit begin anew", "limits", master=True, read_only=_READ_ONLY, base=BASE),
)
