"""Who else may vouch for a user: the providers of `authData`. Anonymous is the one that needs nobody's word.

An app's own code may be a provider (`cloud.auth_provider`), and so are those that `auth` configures (`identity/`). Any other is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.outbound.calls import Outbound
from mbaas_auth.identity.configured import configured
from mbaas_auth.identity.documents import Documents
from mbaas_auth.identity.ports import ByPassword, Challenging, Identity, Missing, NotVouched, Provider, Tools, Unreachable

ROOM = "identity"
LIMITS = "limits"
"""The room of what counts sign-ins, which the entrances bring (`Limiter`)."""

_KNOWN = frozenset(
    "apple facebook github google gpgames gcenter instagram keycloak ldap line linkedin meetup mfa microsoft oauth2 phantauth qq spotify"
    " twitter vkontakte wechat weibo".split()
)
"""Providers that Parse Server has; each must be configured before it is asked."""


class Attempt(Protocol):
    """A sign-in that was counted."""

    async def failed(self) -> None:
        """It was wrong."""

    async def forgive(self) -> None:
        """It was right."""


class Limiter(Protocol):
    """Counts sign-ins, by address and by account. TooMany ends them."""

    async def attempt(self, kind: Literal["sign-in"], caller: Caller, arguments: Json) -> Attempt | None:
        """Count one."""


def unsupported() -> ParseError:
    """252 in Parse's words."""
    return ParseError(Code.UNSUPPORTED_SERVICE, "This authentication method is unsupported.")


def invalid(name: str) -> ParseError:
    """101 for what the provider does not vouch for."""
    return ParseError(Code.OBJECT_NOT_FOUND, f"{name.capitalize()} auth is invalid for this user.")


def given(auth_data: Json) -> bool:
    """True if at least one provider's data is there to be checked."""
    return isinstance(auth_data, dict) and any(isinstance(data, dict) and data for data in auth_data.values())


def check(name: str, data: Json, *, anonymous: bool) -> None:
    """Refuse what a provider does not vouch for. Raises 162 for an id that is no string, 252 for an unknown provider.

    `anonymous`: whether people may stay without a name.
    """
    if not isinstance(data, dict):
        raise unsupported()
    if "id" in data and not isinstance(data["id"], str):
        raise ParseError(Code.INVALID_VALUE, f"Invalid authData id for provider '{name}'.")
    if name == "anonymous":
        if not anonymous or data.get("id") is None:
            raise unsupported()
        return
    if name in _KNOWN:
        raise ParseError(Code.OBJECT_NOT_FOUND, f"{name.capitalize()} auth is not configured.")
    raise unsupported()


def join(app: App) -> None:
    """Have an id of a configured provider stand for one user; before the app starts."""
    _index(app, configured(app.options.auth)[0])


def opened(app: App, outbound: Outbound) -> None:
    """Have the configured providers vouch from now on."""
    app.rooms[ROOM] = (configured(app.options.auth)[0], Tools(outbound, Documents(outbound, app.clock), app))


async def declare(app: App, names: Iterable[str]) -> None:
    """Have the app's own code be these providers: an id of theirs stands for one user. MbaasError if it stands for several already."""
    declared = list(names)
    for name, options in app.options.auth.items():
        if isinstance(options, Mapping) and options.get("module") and name not in declared:
            get_logger(__name__).warning("nobody can sign in: the functions declare no such provider", provider=name)
    if declared:
        _index(app, declared)
        await app.classes.complete("_User")


def index_of(name: str) -> str:
    """The name of the unique index over a provider's ids."""
    return f"auth_data_{name}"


def _index(app: App, names: Iterable[str]) -> None:
    indexes, registered = {index_of(name): {f"authData.{name}.id": 1} for name in names}, app.classes.unique["_User"]
    made = {"indexes": {**registered["indexes"], **indexes}, "unique": registered["unique"] | indexes.keys()}
    app.classes.unique["_User"] = {**registered, **made}


async def vouched(app: App, caller: Caller, name: str, data: Json, user: Object | None) -> Identity:
    """Whom a provider vouches for; refuses what it does not. `user` is whom the data is to be linked to, if she is there already."""
    options = app.options.auth.get(name)
    options = options if isinstance(options, Mapping) else {}
    own_code = name != "anonymous" and app.triggers.has("authProvider", name)
    providers, tools = app.rooms.get(ROOM, ({}, None))
    if not own_code and name not in providers:
        check(name, data, anonymous=app.options.enable_anonymous_users)
        return Identity(data["id"], data)
    if not isinstance(data, dict) or options.get("enabled") is False:
        raise unsupported()
    if own_code:
        if not isinstance(data.get("id"), str) or not data["id"]:
            raise ParseError(Code.INVALID_VALUE, f"Invalid authData id for provider '{name}'.")
        own = {key: value for key, value in options.items() if key != "module"}
        await app.triggers.fire("authProvider", name, caller, {"authData": data, "options": own, "object": user})
        return Identity(data["id"], data)
    if "id" in data and not isinstance(data["id"], str):
        raise ParseError(Code.INVALID_VALUE, f"Invalid authData id for provider '{name}'.")
    provider = providers[name]
    if isinstance(provider, ByPassword):
        return await _guessed(app, caller, name, provider, data, tools)
    return await _asked(name, provider, data, tools)


async def _guessed(app: App, caller: Caller, name: str, provider: Provider, data: Object, tools: Tools) -> Identity:
    """The same of one that is asked with a password: that is tried no more often than one of the app's own, by whichever entrance."""
    limiter: Limiter | None = app.rooms.get(LIMITS)
    attempt = await limiter.attempt("sign-in", caller, {"username": f"{name} {data.get('id')}"}) if limiter is not None else None
    try:
        identity = await _asked(name, provider, data, tools)
    except ParseError:
        if attempt is not None:
            await attempt.failed()
        raise
    if attempt is not None:
        await attempt.forgive()
    return identity


async def challenge(app: App, caller: Caller, name: str, given: Json) -> Object | None:
    """What a provider asks before it vouches; None for one that asks nothing. `given` is what the client says that it wants."""
    provider = app.rooms.get(ROOM, ({}, None))[0].get(name)
    if not isinstance(provider, Challenging):
        return None
    return await provider.challenge(app, caller, given if isinstance(given, dict) else {})


async def _asked(name: str, provider: Provider, data: Object, tools: Tools) -> Identity:
    """What a configured provider says. A client is told that it does not vouch, and the log why."""
    try:
        return await provider.vouch(data, tools)
    except NotVouched as error:
        get_logger(__name__).info("an identity provider does not vouch", provider=name, reason=str(error))
        raise invalid(name) from error
    except Missing as error:
        raise ParseError(Code.VALIDATION_ERROR, f"{name.capitalize()} {error} is required.") from error
    except Unreachable as error:
        get_logger(__name__).warning("an identity provider cannot be asked", provider=name, reason=str(error))
        raise ParseError(Code.CONNECTION_FAILED, f"{name.capitalize()} cannot be reached.") from error
