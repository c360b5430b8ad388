"""Who else may vouch for a user: the providers of `authData`. Anonymous is the one that needs nobody's word.

An app's own code may be a provider (`cloud.auth_provider`). Any other is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger

_KNOWN = frozenset(
    "apple facebook github google gpgames gcenter instagram keycloak ldap line linkedin meetup mfa microsoft oauth2 phantauth qq spotify"
    " twitter vkontakte wechat weibo".split()
)
"""Providers that Parse Server has; each must be configured before it is asked."""


def unsupported() -> ParseError:
    """252 in Parse's words."""
    return ParseError(Code.UNSUPPORTED_SERVICE, "This authentication method is unsupported.")


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


async def declare(app: App, names: Iterable[str]) -> None:
    """Have the app's own code be these providers: an id of theirs stands for one user. MbaasError if it stands for several already."""
    declared, registered = list(names), app.classes.unique["_User"]
    for name, options in app.options.auth.items():
        if isinstance(options, Mapping) and options.get("module") and name not in declared:
            get_logger(__name__).warning("nobody can sign in: the functions declare no such provider", provider=name)
    indexes = {f"auth_data_{name}": {f"authData.{name}.id": 1} for name in declared}
    if indexes:
        made = {"indexes": {**registered["indexes"], **indexes}, "unique": registered["unique"] | indexes.keys()}
        app.classes.unique["_User"] = {**registered, **made}
        await app.classes.complete("_User")


async def vouched(app: App, caller: Caller, name: str, data: Json, user: Object | None) -> None:
    """Refuse what a provider does not vouch for. `user` is whom the data is to be linked to, if she is there already."""
    if name == "anonymous" or not app.triggers.has("authProvider", name):
        check(name, data, anonymous=app.options.enable_anonymous_users)
        return
    options = app.options.auth.get(name)
    options = options if isinstance(options, Mapping) else {}
    if not isinstance(data, dict) or options.get("enabled") is False:
        raise unsupported()
    if not isinstance(data.get("id"), str) or not data["id"]:
        raise ParseError(Code.INVALID_VALUE, f"Invalid authData id for provider '{name}'.")
    own = {key: value for key, value in options.items() if key != "module"}
    await app.triggers.fire("authProvider", name, caller, {"authData": data, "options": own, "object": user})
