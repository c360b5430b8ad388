"""The links of mails, and the tokens in them: each proves that somebody reads what is sent to an address, once.

What is kept of a token opens nothing: the other half of it is a keyed hash of what is kept, whose key (the master key) is not in
the database. It can be made again for a mail that is sent again. One kind's token is none of the other's, nor another app's.
Where Parse Server uses the same database, tokens are kept as it keeps them: whole.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

from mbaas.data.app import App
from mbaas.kernel.values import Json, Object, date, date_ms
from mbaas.query import ast
from mbaas.storage.ports import Document, Find

LinkKind = Literal["verification", "reset"]
_KEPT, _PROOF = 25, 32
_MOST = 200


@dataclass(frozen=True, slots=True)
class Fields:
    """The hidden fields of a kind of link, by Parse Server's names, and the last part of its address."""

    token: str
    expires: str
    path: str


FIELDS: dict[LinkKind, Fields] = {
    "verification": Fields("_email_verify_token", "_email_verify_token_expires_at", "verify_email"),
    "reset": Fields("_perishable_token", "_perishable_token_expires_at", "request_password_reset"),
}


class Links:
    """The links of one app."""

    def __init__(self, app: App) -> None:
        self._app = app

    def issued(self, kind: LinkKind, user: Document | None, valid_s: float | None, *, reuse: bool) -> Object:
        """Hidden fields of a user who is to be sent a link; none where the one that she was sent is to be used again."""
        fields, now = FIELDS[kind], self._app.clock.now()
        if reuse and user is not None and user.hidden.get(fields.token):
            expires = date_ms(user.hidden.get(fields.expires))
            if expires is not None and expires > now:
                return {}
        made = self._app.ids.object_id(_KEPT)
        return {fields.token: made, fields.expires: None if valid_s is None else date(now + round(valid_s * 1000))}

    def ended(self, kind: LinkKind) -> Object:
        """Hidden fields of a user whose link is not to work any more."""
        return {FIELDS[kind].token: None, FIELDS[kind].expires: None}

    def token(self, kind: LinkKind, kept: str) -> str:
        """The token of which this is kept."""
        return kept if self._app.sharing.shared else kept + self._proof(kind, kept)

    def kept(self, kind: LinkKind, token: Json) -> str | None:
        """What is kept of a token; None for one that was never given out."""
        if not isinstance(token, str) or not 0 < len(token) <= _MOST or not token.isascii():
            return None
        if self._app.sharing.shared:
            return token
        kept, proof = token[:_KEPT], token[_KEPT:]
        return kept if hmac.compare_digest(proof, self._proof(kind, kept)) else None

    def _proof(self, kind: LinkKind, kept: str) -> str:
        said = f"{kind} {self._app.options.app_id} {kept}"
        return hmac.new(self._app.options.master_key.encode(), said.encode(), "sha256").hexdigest()[:_PROOF]

    async def owner(self, kind: LinkKind, token: Json) -> Document | None:
        """The user who was sent the token, expired or not."""
        kept = self.kept(kind, token)
        if kept is None:
            return None
        where = ast.Equals((FIELDS[kind].token,), kept)
        found = await self._app.store.documents.find(Find(self._app.classes.known_or_blank("_User"), where, limit=1))
        return found[0] if found else None

    def unused(self, kind: LinkKind, user: Document) -> ast.Node:
        """The condition that the user's link has not been used since."""
        return ast.Equals((FIELDS[kind].token,), user.hidden.get(FIELDS[kind].token))

    def expired(self, kind: LinkKind, user: Document) -> bool:
        """True for a link that has an end, which is over."""
        expires = date_ms(user.hidden.get(FIELDS[kind].expires))
        return expires is not None and expires <= self._app.clock.now()

    def address(self, kind: LinkKind, user: Document) -> str | None:
        """The link that a mail to the user has; None if she is to be sent none any more."""
        kept, base = user.hidden.get(FIELDS[kind].token), self._app.options.link_url
        if not isinstance(kept, str) or base is None:
            return None
        pages, token = self._app.options.pages, quote(self.token(kind, kept), safe="")
        place = f"{base}/{pages.endpoint}/{quote(self._app.options.app_id, safe='')}/{FIELDS[kind].path}"
        if pages.frame_url:
            return f"{pages.frame_url}?link={quote(place.removeprefix(base), safe='')}&token={token}"
        return f"{place}?token={token}"

    def host(self) -> str:
        """The host of the links."""
        return urlsplit(self._app.options.link_url or "").hostname or "localhost"

    def shown(self, hidden: Object) -> Object:
        """Tokens and their ends, for the maintenance key, as Parse Server shows them to it."""
        out: Object = {}
        for kind, fields in FIELDS.items():
            if isinstance(kept := hidden.get(fields.token), str):
                out[fields.token] = self.token(kind, kept)
            if fields.expires in hidden:
                out[fields.expires] = hidden[fields.expires]
        return out
