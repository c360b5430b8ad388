"""GitHub: `{code}` from its sign-in page, with `code_verifier` if that was asked for. `endpoint` is the origin of an enterprise's own."""

from __future__ import annotations

from mbaas_auth.identity.codes import Exchange
from mbaas_auth.identity.oauth2 import Codes
from mbaas_auth.identity.options import Options, address, text, texts

_ORIGIN = "https://github.com"


def configured(options: Options) -> Codes:
    """The provider. Lacking says what is wrong."""
    redirects = texts(options, "redirectUris") if options.get("redirectUris") else frozenset[str]()
    exchange = Exchange(text(options, "clientId"), text(options, "clientSecret"), redirects, pkce=False)
    origin = address(options, "endpoint", _ORIGIN)
    users = "https://api.github.com/user" if origin == _ORIGIN else f"{origin}/api/v3/user"
    return Codes(exchange, f"{origin}/login/oauth/access_token", users)
