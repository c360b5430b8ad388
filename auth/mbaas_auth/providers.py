"""Who else may vouch for a user: the providers of `authData`. Anonymous is the one that needs nobody's word."""

from __future__ import annotations

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json

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
