"""Sign in with Apple: `{id, token}`, an identity token from the phone.

`clientId` is the app's bundle id, and of web pages the services id. Apple writes `email_verified` as a text now and then.
"""

from __future__ import annotations

from mbaas_auth.identity.id_tokens import IdTokens
from mbaas_auth.identity.issuers import expected
from mbaas_auth.identity.options import Options, texts

_ISSUER = "https://appleid.apple.com"


def configured(options: Options) -> IdTokens:
    """The provider. Lacking says what is wrong."""
    what = expected(options, {_ISSUER}, texts(options, "clientId"), f"{_ISSUER}/auth/keys", textual=True)
    return IdTokens(what, ("token", "id_token"))
