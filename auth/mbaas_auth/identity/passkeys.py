"""What is kept of passkeys: their public keys and counters, and the challenges that they sign.

A row each, so that every process knows them. A passkey belongs to a user as long as its `handle` is the id of her
`authData.webauthn`: when that goes, in whichever way, all of them are good for nothing at once.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import DropRow, PutRow, Row, Step
from mbaas_auth.identity.ports import NotVouched

_PASSKEYS, _OF_USER, _CHALLENGES = "passkeys", "passkeys_of", "passkey_challenges"
CHALLENGE_SECONDS = 300
_CHALLENGE_BYTES = 32
MOST = 20
"""Passkeys of one user."""
_LONGEST_NAME = 100


def text(data: bytes) -> str:
    """Bytes as browsers write them in JSON."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _key(data: bytes) -> str:
    """What a row is found by: ids may be longer than keys."""
    return text(hashlib.sha256(data).digest())


class Passkeys:
    """The passkeys of one app's users."""

    def __init__(self, app: App) -> None:
        self._app, self._rows = app, app.store.rows

    async def challenge(self, user_id: str | None, handle: str | None) -> bytes:
        """A new challenge: to sign in with (no user), or to add a passkey of `handle` to this user."""
        made = bytes.fromhex(self._app.ids.hex(_CHALLENGE_BYTES))
        until = self._app.clock.now() + CHALLENGE_SECONDS * 1000
        await self._app.store.documents.commit([PutRow(_CHALLENGES, _key(made), {"user": user_id, "handle": handle}, expires=until)])
        return made

    async def asked(self, challenge: bytes) -> Row:
        """What a challenge was made for. NotVouched for one that was not made here, was used, or is over."""
        row = await self._rows.get(_CHALLENGES, _key(challenge))
        if row is None:
            raise NotVouched("there is no such challenge, or none any more")
        return row

    async def use(self, challenge: bytes) -> Row:
        """The same, which is used up by it: of those who come at the same time one has it."""
        row = await self.asked(challenge)
        if not await self._rows.drop(_CHALLENGES, row.key):
            raise NotVouched("the challenge was used")
        return row

    async def of(self, user_id: str, handle: Json) -> list[Object]:
        """The passkeys of a user, the oldest first; those of another handle are good for nothing any more, and no part of it."""
        found = [row.value async for row in self._all(user_id) if row.value["handle"] == handle]
        return sorted(found, key=lambda each: str(each["createdAt"]))

    async def _all(self, user_id: str) -> AsyncIterator[Row]:
        for known in await self._rows.scan(_OF_USER, prefix=f"{user_id}."):
            row = await self._rows.get(_PASSKEYS, known.key.removeprefix(f"{user_id}."))
            if row is not None:
                yield row

    async def credential(self, credential_id: bytes) -> Object:
        """The passkey of that id. NotVouched if nobody has it."""
        row = await self._rows.get(_PASSKEYS, _key(credential_id))
        if row is None:
            raise NotVouched("there is no such passkey")
        found: Object = row.value
        return found

    async def added(self, asked: Row, credential_id: bytes, about: Object) -> list[Step]:
        """Steps that keep a passkey and use its challenge up. Duplicate if somebody has it, Conflict if the challenge was used."""
        user_id, handle, key = asked.value["user"], asked.value["handle"], _key(credential_id)
        now = iso(self._app.clock.now())
        value: Object = {"id": text(credential_id), "user": user_id, "handle": handle, "createdAt": now, "lastUsedAt": None, **about}
        dead = [row.key async for row in self._all(user_id) if row.value["handle"] != handle]
        return [
            DropRow(_CHALLENGES, asked.key, fence=asked.fence),
            PutRow(_PASSKEYS, key, value, if_absent=True),
            PutRow(_OF_USER, f"{user_id}.{key}", None),
            *self._gone(user_id, dead),
        ]

    async def count(self, credential_id: bytes, signed: int, *, backed_up: bool) -> None:
        """Note that a passkey was used. NotVouched if its counter has not risen: then there are two of it."""
        now = iso(self._app.clock.now())

        def used(row: Row | None) -> Row:
            if row is None:
                raise _removed()
            if (signed or row.value["count"]) and signed <= row.value["count"]:
                raise ParseError(Code.OBJECT_NOT_FOUND, f"its counter says {signed} after {row.value['count']}: it may have been copied")
            return replace(row, value={**row.value, "count": signed, "backedUp": backed_up, "lastUsedAt": now})

        try:
            await self._rows.alter(_PASSKEYS, _key(credential_id), used)
        except ParseError as error:
            if error.code != Code.OBJECT_NOT_FOUND:
                raise
            raise NotVouched(error.message) from error

    async def rename(self, credential: Object, name: str) -> Object:
        """Call a passkey something else; what it is then. 101 if it was removed."""

        def renamed(row: Row | None) -> Row:
            if row is None:
                raise _removed()
            return replace(row, value={**row.value, "name": name})

        row = await self._rows.alter(_PASSKEYS, self._key_of(credential), renamed)
        found: Object = row.value
        return found

    def removed(self, credential: Object) -> list[Step]:
        """Steps that take a passkey away."""
        return self._gone(str(credential["user"]), [self._key_of(credential)])

    async def leave(self, user_id: str) -> list[Step]:
        """Steps that take all passkeys of a user away."""
        return self._gone(user_id, [row.key async for row in self._all(user_id)])

    @staticmethod
    def _gone(user_id: str, keys: list[str]) -> list[Step]:
        return [step for key in keys for step in (DropRow(_PASSKEYS, key), DropRow(_OF_USER, f"{user_id}.{key}"))]

    @staticmethod
    def _key_of(credential: Object) -> str:
        padded = str(credential["id"])
        return _key(base64.urlsafe_b64decode(padded + "=" * (-len(padded) % 4)))


def _removed() -> ParseError:
    return ParseError(Code.OBJECT_NOT_FOUND, "The passkey was removed.")


def shown(credential: Object) -> Object:
    """A passkey as its owner sees it."""
    return {name: credential[name] for name in ("id", "name", "aaguid", "transports", "synced", "backedUp", "createdAt", "lastUsedAt")}


def told_as(name: str) -> str:
    """What mails call a passkey."""
    return f"Passkey ({name})"


def name_of(given: Json) -> str | None:
    """What somebody calls a passkey. 162 for what is no name."""
    if given is None:
        return None
    if not isinstance(given, str) or not 0 < len(given.strip()) <= _LONGEST_NAME:
        raise ParseError(Code.INVALID_VALUE, f"name must be a text of at most {_LONGEST_NAME} characters.")
    return given.strip()
