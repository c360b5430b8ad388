"""Which providers an app has: those that its options configure, each read once. What is not configured vouches for nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from mbaas.data.classes import field_name_is_valid
from mbaas_auth.identity.options import Lacking, Options
from mbaas_auth.identity.ports import Provider

_BY_NAME = ("apple", "facebook", "firebase", "github", "google", "keycloak", "ldap", "webauthn")
_BY_TYPE = ("ldap", "oauth2", "oidc")


def reader(name: str, options: Options) -> Callable[[Options], Provider] | None:
    """What makes the provider of these options; None if the server has none such."""
    if options.get("module"):
        return None  # the app's own code
    if options.get("oauth2") is True:
        return _reader_of("introspection")
    kind, known = (str(options["type"]), _BY_TYPE) if "type" in options else (name, _BY_NAME)
    return _reader_of(kind) if kind in known else None


def _reader_of(kind: str) -> Callable[[Options], Provider]:
    """That of a module, which is loaded for the apps that have such a provider: a start need not wait for the others."""
    made: Callable[[Options], Provider] = import_module(f"{__package__}.{kind}").configured
    return made


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
