"""Facebook: `{id, token}` of Limited Login, an id token, or `{id, access_token}` of the classic one, about which the Graph API is asked.

`appIds` are the apps that tokens are good for. With `appSecret` each question is signed with it (`appsecret_proof`).
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from urllib.parse import urlencode

from mbaas.kernel.values import Object
from mbaas_auth.identity.asking import ask, bearer
from mbaas_auth.identity.id_tokens import IdTokens
from mbaas_auth.identity.issuers import expected
from mbaas_auth.identity.options import Options, address, optional, texts
from mbaas_auth.identity.ports import Identity, Missing, NotVouched, Tools

_ISSUER = "https://www.facebook.com"
_GRAPH = "https://graph.facebook.com"


@dataclass(frozen=True, slots=True)
class Facebook:
    """Both logins; which one it is, the data says."""

    limited: IdTokens
    apps: frozenset[str]
    secret: str | None
    graph: str

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        if data.get("token"):
            return await self.limited.vouch(data, tools)
        token = data.get("access_token")
        if not token:
            raise Missing("access_token")
        if not isinstance(token, str):
            raise NotVouched("the access token is none")
        app, user = await asyncio.gather(self._asked("app", {}, token, tools), self._asked("me", {"fields": "id"}, token, tools))
        if not isinstance(app.get("id"), str) or app["id"] not in self.apps:
            raise NotVouched("the access token was given to another app")
        if not isinstance(user.get("id"), str) or not user["id"] or data.get("id") != user["id"]:
            raise NotVouched("the access token is somebody else's")
        return Identity(user["id"], dict(data))

    async def _asked(self, what: str, more: dict[str, str], token: str, tools: Tools) -> Object:
        proof = {"appsecret_proof": hmac.new(self.secret.encode(), token.encode(), "sha256").hexdigest()} if self.secret else {}
        query = urlencode({**more, **proof})
        return await ask(tools.outbound, f"{self.graph}/{what}{'?' + query if query else ''}", headers=bearer(token))


def configured(options: Options) -> Facebook:
    """The provider. Lacking says what is wrong. `endpoint` is another origin of the Graph API."""
    apps = texts(options, "appIds")
    limited = IdTokens(expected(options, {_ISSUER}, apps, f"{_ISSUER}/.well-known/oauth/openid/jwks/"), ("token",))
    return Facebook(limited, apps, optional(options, "appSecret", "") or None, address(options, "endpoint", _GRAPH))
