"""Google: `{id, id_token}`. `clientId` is the id, or are the ids, that tokens are made for."""

from __future__ import annotations

from mbaas_auth.identity.id_tokens import IdTokens
from mbaas_auth.identity.issuers import expected
from mbaas_auth.identity.options import Options, texts

_ISSUERS = {"https://accounts.google.com", "accounts.google.com"}
_KEYS = "https://www.googleapis.com/oauth2/v3/certs"


def configured(options: Options) -> IdTokens:
    """The provider. Lacking says what is wrong."""
    return IdTokens(expected(options, _ISSUERS, texts(options, "clientId"), _KEYS))
