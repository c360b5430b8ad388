"""Which providers an app has: those that its options configure, each read once. What is not configured vouches for nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mbaas.data.classes import field_name_is_valid
from mbaas_auth.identity import apple, facebook, firebase, github, google, introspection, keycloak, ldap, oauth2, oidc
from mbaas_auth.identity.options import Lacking, Options
from mbaas_auth.identity.ports import Provider

_BY_NAME: dict[str, Callable[[Options], Provider]] = {
    "apple": apple.configured,
    "facebook": facebook.configured,
    "firebase": firebase.configured,
    "github": github.configured,
    "google": google.configured,
    "keycloak": keycloak.configured,
    "ldap": ldap.configured,
}
_BY_TYPE: dict[str, Callable[[Options], Provider]] = {"ldap": ldap.configured, "oauth2": oauth2.configured, "oidc": oidc.configured}


def reader(name: str, options: Options) -> Callable[[Options], Provider] | None:
    """What makes the provider of these options; None if the server has none such."""
    if options.get("module"):
        return None  # the app's own code
    if options.get("oauth2") is True:
        return introspection.configured
    return _BY_TYPE.get(str(options.get("type"))) if "type" in options else _BY_NAME.get(name)


def configured(auth: Mapping[str, Any]) -> tuple[dict[str, Provider], dict[str, str]]:
    """The providers by name, and what is wrong with those that cannot be configured so, by name, too."""
    providers: dict[str, Provider] = {}
    problems: dict[str, str] = {}
    for name, options in auth.items():
        make = reader(name, options) if isinstance(options, Mapping) else None
        if make is None or options.get("enabled") is False:
            continue
        try:
            if not field_name_is_valid(name) or name in ("anonymous", "mfa"):
                raise Lacking("no provider can be called that")
            providers[name] = make(options)
        except Lacking as error:
            problems[name] = str(error)
    return providers, problems
