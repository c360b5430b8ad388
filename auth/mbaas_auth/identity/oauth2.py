"""Any OAuth 2 provider: `type: "oauth2"`, under a name of the app's own. `{code, code_verifier, redirect_uri}` from the app.

The code is exchanged for an access token, with which the provider is asked who that is. Of the data only the id is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbaas.kernel.values import Json, Object
from mbaas_auth.identity.asking import ask, bearer
from mbaas_auth.identity.codes import Exchange, access_token
from mbaas_auth.identity.options import Options, address, optional, text, texts
from mbaas_auth.identity.ports import Identity, NotVouched, Tools


@dataclass(frozen=True, slots=True)
class Codes:
    """A provider that is asked with the token that a code stands for. `field`: what of its answer is the person's id."""

    exchange: Exchange
    token_url: str
    user_url: str
    field: str = "id"

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        token = access_token(await self.exchange.tokens(data, self.token_url, tools))
        user = await ask(tools.outbound, self.user_url, headers=bearer(token))
        known = identifier(user.get(self.field))
        if data.get("id") not in (None, known):
            raise NotVouched("the code is somebody else's")
        return Identity(known, {"id": known})


def configured(options: Options) -> Codes:
    """The provider. Lacking says what is wrong."""
    secret = optional(options, "clientSecret", "") or None
    exchange = Exchange(text(options, "clientId"), secret, texts(options, "redirectUris"))
    return Codes(exchange, address(options, "tokenUrl"), address(options, "userUrl"), optional(options, "idField", "sub"))


def identifier(value: Json) -> str:
    """An id that a provider says, which may be a number, as a text."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not 0 < len(str(value)) <= 255:
        raise NotVouched("the provider does not say who it is")
    return str(value)
