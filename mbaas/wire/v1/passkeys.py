"""`/passkeys`: signing in with a passkey, and the passkeys that a person has."""

from __future__ import annotations

import orjson

from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_auth import passkeys


async def to_sign_in(request: Request) -> Json:
    """What a browser is to ask a passkey for, to sign in."""
    return await passkeys.options(request.app, request.caller, {}, register=False)


async def enter(request: Request) -> Json:
    """Sign in with what a passkey has answered."""
    return await passkeys.sign_in(request.app, request.caller, request.object())


async def to_register(request: Request) -> Json:
    """What a browser is to make a passkey with, for the signed-in user."""
    return await passkeys.options(request.app, request.caller, request.object(), register=True)


async def add(request: Request) -> Answer:
    """Keep a new passkey of the signed-in user."""
    return Answer(201, orjson.dumps(await passkeys.add(request.app, request.caller, request.object())))


async def shown(request: Request) -> Json:
    """The user's passkeys."""
    return {"results": [*await passkeys.passkeys(request.app, request.caller)], "next": None}


async def rename(request: Request) -> Json:
    """Give a passkey another name."""
    return await passkeys.rename(request.app, request.caller, request.params[0], request.object().get("name"))


async def remove(request: Request) -> Json:
    """Take a passkey away."""
    await passkeys.remove(request.app, request.caller, request.params[0])
    return {}


_TAG, _READ_ONLY = "passkeys", "change passkeys"
ROUTES = (
    Route("POST", "/passkeys/options", to_sign_in, "Ask for options to sign in", _TAG, base=BASE, limit="sign-in"),
    Route("POST", "/passkeys/sign-in", enter, "Sign in with a passkey", _TAG, base=BASE, session="never", limit="sign-in"),
    Route("POST", "/passkeys/registration", to_register, "Ask for options to add one", _TAG, base=BASE, limit="sign-in"),
    Route("POST", "/passkeys", add, "Add a passkey", _TAG, base=BASE, read_only=_READ_ONLY, status=201),
    Route("GET", "/passkeys", shown, "The user's passkeys", _TAG, base=BASE),
    Route("PUT", "/passkeys/:id", rename, "Name a passkey", _TAG, base=BASE, read_only=_READ_ONLY),
    Route("DELETE", "/passkeys/:id", remove, "Remove a passkey", _TAG, base=BASE, read_only=_READ_ONLY),
)
