"""Any OpenID Connect provider: `type: "oidc"`, under a name of the app's own.

`{id, id_token, nonce}`, or `{code, code_verifier, redirect_uri, nonce}` that is exchanged for an id token. Where its keys and its
token endpoint are is read in the issuer's own document, unless the options say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mbaas.kernel.values import Object
from mbaas_auth.identity.codes import Exchange
from mbaas_auth.identity.id_tokens import ALGORITHMS, Expected, proved_email, verified
from mbaas_auth.identity.issuers import expected
from mbaas_auth.identity.options import Lacking, Options, address, optional, texts
from mbaas_auth.identity.ports import Identity, NotVouched, Tools


@dataclass(frozen=True, slots=True)
class OpenId:
    """One issuer. `exchange`: codes may be brought, too."""

    issuer: str
    expected: Expected
    exchange: Exchange | None
    token_url: str

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        if data.get("code") is not None and self.exchange is not None:
            url = self.token_url or await tools.documents.endpoint(self.issuer, "token_endpoint")
            token = (await self.exchange.tokens(data, url, tools)).get("id_token")
        else:
            token = data.get("id_token")
        keys_url = self.expected.keys_url or await tools.documents.endpoint(self.issuer, "jwks_uri")
        wanted = replace(self.expected, keys_url=keys_url)
        claims = await verified(token, wanted, tools, nonce=data.get("nonce"))
        # Of a code the client need not know whose it is.
        if data.get("id") != claims["sub"] and not ("code" in data and data.get("id") is None):
            raise NotVouched("the token is somebody else's")
        return Identity(claims["sub"], {"id": claims["sub"]}, proved_email(claims, wanted), wanted.joins)


def configured(options: Options) -> OpenId:
    """The provider. Lacking says what is wrong."""
    address(options, "issuer")
    clients = texts(options, "clientId")
    algorithms = texts(options, "algorithms") if options.get("algorithms") else frozenset({"RS256"})
    if not algorithms <= ALGORITHMS:
        raise Lacking(f"algorithms may be {', '.join(sorted(ALGORITHMS))}")
    # To the letter, with a slash at its end or without one.
    issuer = str(options["issuer"])
    exchange = None
    if options.get("redirectUris"):
        if len(clients) > 1:
            raise Lacking("clientId must be one text, where redirectUris are given")
        exchange = Exchange(min(clients), optional(options, "clientSecret", "") or None, texts(options, "redirectUris"))
    what = expected(options, {issuer}, clients, "", algorithms=algorithms, nonce_bound=True)
    return OpenId(issuer, what, exchange, address(options, "tokenUrl") if options.get("tokenUrl") else "")
