"""Firebase Authentication: `{id, token}`, an id token of a Firebase project's users. `projectId` names the project.

It is verified as any other id token, with Google's keys for it; no service account is needed.
"""

from __future__ import annotations

from mbaas_auth.identity.id_tokens import IdTokens
from mbaas_auth.identity.issuers import expected
from mbaas_auth.identity.options import Options, text

_ISSUER = "https://securetoken.google.com/"
_KEYS = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"


def configured(options: Options) -> IdTokens:
    """The provider. Lacking says what is wrong."""
    project = text(options, "projectId")
    return IdTokens(expected(options, {_ISSUER + project}, frozenset({project}), _KEYS), ("token", "id_token"))
