"""Signing in and out, one's own user and session. Sign-up is a create of a user, in `classes`."""

from __future__ import annotations

from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas_auth import accounts, leaving


async def log_in(request: Request) -> Json:
    """Sign in with a name or an address, and a password."""
    return await accounts.log_in(request.app, request.caller, request.texts())


async def verify_password(request: Request) -> Json:
    """The user of a name and a password; no session is made."""
    return await accounts.verify_password(request.app, request.caller, request.texts())


async def log_in_as(request: Request) -> Json:
    """A session of any user, for the master key."""
    user_id = request.texts().get("userId")
    shown = await accounts.log_in_as(request.app, request.caller, user_id)
    request.about = f"user {user_id}"
    return shown


async def log_out(request: Request) -> Json:
    """End the session of the request."""
    return await accounts.log_out(request.app, request.caller)


async def me(request: Request) -> Json:
    """The signed-in user."""
    return await accounts.me(request.app, request.caller)


async def erase_me(request: Request) -> Json:
    """Delete the signed-in user, with what belongs to her."""
    await leaving.erase_me(request.app, request.caller)
    return {}


async def my_session(request: Request) -> Json:
    """The session of the request."""
    return await accounts.my_session(request.app, request.caller.session_token)


async def upgrade(request: Request) -> Json:
    """A new session for the signed-in user."""
    return await accounts.upgrade_session(request.app, request.caller, request.caller.session_token)


async def request_password_reset(request: Request) -> Json:
    """Ask for a mail with a link to choose a new password."""
    return await accounts.request_password_reset(request.app, request.caller, request.object())


async def request_verification(request: Request) -> Json:
    """Ask for a mail with a link to verify an address."""
    return await accounts.request_verification(request.app, request.object())


async def challenge(request: Request) -> Json:
    """Ask a provider for its challenge."""
    return await accounts.challenge(request.app, request.caller, request.object())


ROUTES = (
    Route("GET", "/users/me", me, "The signed-in user", "users"),
    Route("DELETE", "/users/me", erase_me, "Delete the signed-in user, with what is hers", "users", read_only="delete itself"),
    Route("GET", "/login", log_in, "Sign in", "users", session="never", limit="sign-in"),
    Route("POST", "/login", log_in, "Sign in", "users", session="never", limit="sign-in"),
    Route("POST", "/loginAs", log_in_as, "A session of any user (master key)", "users"),
    Route("POST", "/logout", log_out, "Sign out", "users"),
    Route("GET", "/verifyPassword", verify_password, "Check a password", "users", limit="sign-in"),
    Route("POST", "/verifyPassword", verify_password, "Check a password", "users", limit="sign-in"),
    Route("POST", "/upgradeToRevocableSession", upgrade, "A new session for the signed-in user", "sessions", session="revocable"),
    Route("GET", "/sessions/me", my_session, "The session of the request", "sessions", session="never"),
    Route("POST", "/requestPasswordReset", request_password_reset, "Ask for a mail to choose a new password", "users", limit="mail"),
    Route("POST", "/verificationEmailRequest", request_verification, "Ask for a mail to verify the address", "users", limit="mail"),
    Route("POST", "/challenge", challenge, "Ask a provider for its challenge", "users", limit="sign-in"),
)
