"""Any OAuth 2 provider that is asked what an access token is (RFC 7662), as Parse Server's `oauth2: true`: `{id, access_token}`.

`appidField` and `appIds` say which clients' tokens are good; without them a token that anybody was given is.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbaas.kernel.values import Object
from mbaas_auth.identity.asking import ask
from mbaas_auth.identity.options import Options, address, optional, text, texts
from mbaas_auth.identity.ports import Identity, Missing, NotVouched, Tools

_MOST = 16 * 1024


@dataclass(frozen=True, slots=True)
class Introspection:
    """An endpoint that tells whose a token is."""

    url: str
    user_field: str
    client_field: str | None
    clients: frozenset[str]
    authorization: str | None

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        token = data.get("access_token")
        if not token:
            raise Missing("access_token")
        if not isinstance(token, str) or len(token) > _MOST:
            raise NotVouched("the access token is none")
        headers = {"Authorization": self.authorization} if self.authorization else {}
        found = await ask(tools.outbound, self.url, form={"token": token}, headers=headers)
        whose = found.get(self.user_field)
        if found.get("active") is not True or not isinstance(whose, str) or not whose or data.get("id") != whose:
            raise NotVouched("the access token is not active, or somebody else's")
        if self.client_field is not None:
            named = found.get(self.client_field)
            if not any(isinstance(each, str) and each in self.clients for each in (named if isinstance(named, list) else [named])):
                raise NotVouched("the access token was given to another client")
        return Identity(whose, dict(data))


def configured(options: Options) -> Introspection:
    """The provider. Lacking says what is wrong."""
    client = text(options, "appidField") if options.get("appidField") else None
    return Introspection(
        address(options, "tokenIntrospectionEndpointUrl"),
        optional(options, "useridField", "sub"),
        client,
        texts(options, "appIds") if client else frozenset(),
        optional(options, "authorizationHeader", "") or None,
    )
