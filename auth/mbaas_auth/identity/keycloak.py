"""Keycloak: `{id, access_token}`, with the `roles` and `groups` that the token says, if it does. `config` is Keycloak's own JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mbaas.kernel.values import Json, Object
from mbaas_auth.identity.id_tokens import Expected, proved_email, verified
from mbaas_auth.identity.issuers import expected
from mbaas_auth.identity.options import Lacking, Options, address, text
from mbaas_auth.identity.ports import Identity, NotVouched, Tools


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A realm, whose access tokens name the client that they were given to as `azp`."""

    expected: Expected

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        claims = await verified(data.get("access_token"), self.expected, tools, nonce=data.get("nonce"))
        if data.get("id") != claims["sub"]:
            raise NotVouched("the token is somebody else's")
        if any(_sorted(data.get(name)) != _sorted(claims.get(name)) for name in ("roles", "groups")):
            raise NotVouched("the token has other roles or groups")
        kept = {name: value for name, value in data.items() if name != "nonce"}
        return Identity(claims["sub"], kept, proved_email(claims, self.expected), self.expected.joins)


def configured(options: Options) -> Keycloak:
    """The provider. Lacking says what is wrong."""
    config = options.get("config")
    if not isinstance(config, Mapping):
        raise Lacking("config is missing")
    realm = f"{address(config, 'auth-server-url')}/realms/{text(config, 'realm')}"
    client = frozenset({text(config, "client-id")})
    return Keycloak(expected(options, {realm}, client, f"{realm}/protocol/openid-connect/certs", party="azp"))


def _sorted(value: Json) -> Json:
    return sorted(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else value
