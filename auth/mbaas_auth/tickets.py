"""Tickets: each signs one user in once, within minutes. A mail's code and link, and the token that an app's own backend asks for.

What is kept of a ticket opens nothing: its code and its token are keyed hashes of its id under the master key, which is not in the
database. There is one for an address that nobody has, too; it is as good as any, and opens nothing.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Literal

from mbaas.data.app import App
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import DropRow, PutRow, Row, Step

Kind = Literal["mail", "token"]
_TABLE, _USED = "tickets", "tickets_used"
_ID, _PROOF, _DIGITS = 25, 32, 6
_MOST = 200
_TRIES = 5
"""How often a code may be wrong: of a million, five are tried."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that was shown: whose it is, and to which address it was sent, if it was. `used` are the steps that use it up:
    Duplicate if somebody else has."""

    kind: Kind
    user_id: str
    to: str | None
    used: tuple[Step, ...]


class Tickets:
    """The tickets of one app."""

    def __init__(self, app: App) -> None:
        self._app = app

    def issue(self, kind: Kind, user_id: str | None, to: str | None, seconds: int) -> tuple[str, int, PutRow]:
        """A new ticket's id, when it ends (ms), and the step that keeps it. No `user_id`: it opens nothing."""
        ticket_id, until = self._app.ids.object_id(_ID), self._app.clock.now() + seconds * 1000
        value: Object = {"kind": kind, "user": user_id, "to": to if user_id is not None else None, "tries": 0}
        return ticket_id, until, PutRow(_TABLE, ticket_id, value, expires=until)

    def code(self, ticket_id: str) -> str:
        """The digits that stand in a mail."""
        return str(int(self._hash("code", ticket_id), 16) % 10**_DIGITS).zfill(_DIGITS)

    def token(self, ticket_id: str) -> str:
        """What a link has, or who is told of the ticket itself."""
        return ticket_id + self._hash("token", ticket_id)[:_PROOF]

    def _hash(self, what: str, ticket_id: str) -> str:
        said = f"ticket {what} {self._app.options.app_id} {ticket_id}"
        return hmac.new(self._app.options.master_key.encode(), said.encode(), "sha256").hexdigest()

    async def good(self, ticket_id: str) -> bool:
        """True until it was used, or has ended."""
        return await self._app.store.rows.get(_TABLE, ticket_id) is not None

    async def by_code(self, ticket_id: Json, code: Json) -> Ticket:
        """The ticket of an id and the code of its mail. Each try counts, right or wrong. 101 for none."""
        if not _is_text(ticket_id) or not _is_text(code) or await self._app.store.rows.get(_TABLE, ticket_id) is None:
            raise wrong()

        def tried(row: Row | None) -> Row:
            if row is None or row.value["tries"] >= _TRIES:
                raise wrong()
            return replace(row, value={**row.value, "tries": row.value["tries"] + 1})

        row = await self._app.store.rows.alter(_TABLE, ticket_id, tried)
        if not hmac.compare_digest(self.code(ticket_id), code) or row.value["kind"] != "mail":
            raise wrong()
        return _read(row)

    async def by_token(self, token: Json) -> Ticket:
        """The ticket of a token. 101 for none."""
        if not _is_text(token) or not hmac.compare_digest(self.token(token[:_ID]), token):
            raise wrong()
        row = await self._app.store.rows.get(_TABLE, token[:_ID])
        if row is None:
            raise wrong()
        return _read(row)


def _read(row: Row) -> Ticket:
    if row.value["user"] is None:
        raise wrong()
    once = PutRow(_USED, row.key, None, expires=row.expires, if_absent=True)
    return Ticket(row.value["kind"], row.value["user"], row.value["to"], (once, DropRow(_TABLE, row.key)))


def _is_text(given: Json) -> bool:
    return isinstance(given, str) and 0 < len(given) <= _MOST and given.isascii()


def wrong() -> ParseError:
    """101, told alike for what is wrong, used, too late, or of nobody."""
    return ParseError(Code.OBJECT_NOT_FOUND, "The code is wrong, or no longer good.")
