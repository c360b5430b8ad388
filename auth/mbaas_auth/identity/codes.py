"""Authorization codes (OAuth 2): exchanged at the provider's token endpoint, with the proof that whoever brings one asked for it (PKCE).

Source: RFC 6749, RFC 7636, RFC 9700. The endpoint and where codes may have been sent to come from the configuration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mbaas.kernel.values import Object
from mbaas_auth.identity.asking import ask
from mbaas_auth.identity.ports import Missing, NotVouched, Tools

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Exchange:
    """How an app's codes are exchanged. `pkce`: none without a verifier. `redirects`: where they may have been sent to, to the letter."""

    client_id: str
    client_secret: str | None
    redirects: frozenset[str] = frozenset()
    pkce: bool = True

    async def tokens(self, data: Object, url: str, tools: Tools) -> Object:
        """The answer of the token endpoint. NotVouched if it refuses the code, or should not be asked."""
        code, verifier = data.get("code"), data.get("code_verifier")
        if not code:
            raise Missing("code")
        if not isinstance(code, str) or len(code) > _MOST:
            raise NotVouched("the code is none")
        form = {"grant_type": "authorization_code", "client_id": self.client_id, "code": code, **self._redirect(data)}
        if self.client_secret is not None:
            form["client_secret"] = self.client_secret
        if verifier is None and self.pkce:
            raise Missing("code_verifier")
        if verifier is not None:
            if not isinstance(verifier, str) or not _VERIFIER.match(verifier):
                raise NotVouched("the code_verifier is none")
            form["code_verifier"] = verifier
        answer = await ask(tools.outbound, url, form=form)
        if "error" in answer:
            raise NotVouched(f"the code was refused: {str(answer['error'])[:100]}")
        return answer

    def _redirect(self, data: Object) -> dict[str, str]:
        sent = data.get("redirect_uri")
        if sent is None:
            return {"redirect_uri": next(iter(self.redirects))} if len(self.redirects) == 1 else {}
        if not isinstance(sent, str) or sent not in self.redirects:
            raise NotVouched("codes are not sent to that redirect_uri")
        return {"redirect_uri": sent}


def access_token(answer: Object) -> str:
    """The access token of a token endpoint's answer."""
    found = answer.get("access_token")
    if not isinstance(found, str) or not found:
        raise NotVouched("the code was exchanged for no access token")
    return found
