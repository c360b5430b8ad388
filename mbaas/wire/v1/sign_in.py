"""`/codes`, `/sign-in`, `/tokens`: signing in without a password."""

from __future__ import annotations

import orjson

from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_auth import captcha, sign_in


async def request_code(request: Request) -> Json:
    """Ask for a mail with a code."""
    return await sign_in.request_code(request.app, request.object().get("email"))


async def enter(request: Request) -> Json:
    """Sign in by a code, a link's token, or a token of the app's own backend."""
    return await sign_in.sign_in(request.app, request.caller, request.object())


async def make_token(request: Request) -> Answer:
    """A token that signs a user in once."""
    given = request.object()
    made = await sign_in.make_token(request.app, request.caller, given.get("userId"), given.get("expiresIn"))
    request.about = f"user {given.get('userId')}"
    return Answer(201, orjson.dumps(made))


async def challenge(request: Request) -> Json:
    """A captcha for whoever is about to sign up, or to ask for a mail."""
    return captcha.challenge_of(request.app)


ROUTES = (
    Route("GET", "/captcha", challenge, "A captcha to be solved", "sign-in", base=BASE),
    Route("POST", "/codes", request_code, "Ask for a mail with a code", "sign-in", base=BASE, limit="mail"),
    Route("POST", "/sign-in", enter, "Sign in by a code or a token", "sign-in", base=BASE, session="never", limit="sign-in"),
    Route("POST", "/tokens", make_token, "A token for one user", "sign-in", master=True, read_only="make tokens", base=BASE, status=201),
)
