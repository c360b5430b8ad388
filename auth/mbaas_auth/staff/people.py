"""Who may use an app's console, as what, and the links by which they become so: each is used once, and ends.

A row for each person, by her address; of a link the hash alone is kept. The link of the first owner needs no row: it is made of the
master key, and is good for as long as nobody has used it, or any other.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import quote, urlsplit

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Conflict, Duplicate, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.options import AppOptions
from mbaas.kernel.values import Object
from mbaas.storage.ports import ChangeRow, DropRow, PutRow, Row, Step
from mbaas_auth.breaches import ROOM, Breaches
from mbaas_auth.passwords import Passwords

Role = Literal["owner", "developer", "marketer", "read-only"]
ROLES: tuple[Role, ...] = get_args(Role)
SHORTEST_PASSWORD = 12
PATH = "/console"
TABLE = "console people"
_INVITATIONS = "console invitations"
_FIRST = "first-owner-"
_LASTS_MS = 7 * 86_400_000
_PAGE, _LONGEST = 500, 200
_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,130}")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may use the console. `id` is another one after she was invited anew; `phone` is the id of her own device or user.
    `factor` is true if she signs in with a second factor, too."""

    id: str
    email: str
    role: Role
    since: int
    phone: str = ""
    factor: bool = False

    def told(self) -> Object:
        """What is said of her."""
        return {"email": self.email, "role": self.role, "since": iso(self.since), "factor": self.factor}


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that is still good: as what, and whose it is, if it says so. `used` are the steps that use it up."""

    role: Role
    email: str
    used: tuple[Step, ...]


class People:
    """The console's people of one app."""

    def __init__(self, app: App) -> None:
        # These hashes are never Parse Server's to read, whatever database they are in.
        self._app, self._passwords = app, Passwords()

    async def invite(self, role: str, email: str = "") -> Object:
        """A new link: `{"url", "role", "email", "expiresAt"}`. For somebody who is there it is a new password and role. 142, 125."""
        if role not in ROLES:
            raise ParseError(Code.VALIDATION_ERROR, f"role is one of {', '.join(ROLES)}.")
        address = _address(email) if email else ""
        token, until = self._app.ids.hex(24), self._app.clock.now() + _LASTS_MS
        row = Row(token_hash(token), {"role": role, "email": address}, expires=until)
        await self._app.store.rows.put_many(_INVITATIONS, [row])
        url = link(self._app.options, token)
        return {"url": url, "role": role, "email": address or None, "expiresAt": iso(until)}

    async def invitation(self, token: str) -> Invitation | None:
        """What a link is good for; None once it was used, or is too old, or is none."""
        rows = self._app.store.rows
        if token.startswith(_FIRST):
            right = hmac.compare_digest(token.encode(), first_token(self._app.options).encode())
            if not right or await rows.get(_INVITATIONS, _FIRST) is not None or await rows.scan(TABLE, "", 1):
                return None
            return Invitation("owner", "", (PutRow(_INVITATIONS, _FIRST, None, if_absent=True),))
        row = await rows.get(_INVITATIONS, token_hash(token))
        if row is None:
            return None
        return Invitation(row.value["role"], row.value["email"], (DropRow(_INVITATIONS, row.key, fence=row.fence),))

    async def accept(self, token: str, email: str, password: str) -> Person:
        """Use a link up. 101 if it is no longer good, 125 for no address, 142 for a weak password, 203 for an address that is taken."""
        invitation = await self.invitation(token)
        if invitation is None:
            raise _used()
        address = invitation.email or _address(email)
        await self._check(password, address)
        person = Person(self._app.ids.object_id(), address, invitation.role, self._app.clock.now())
        value: Object = {"id": person.id, "role": person.role, "since": person.since, "phone": ""}
        value["hash"] = await self._passwords.hash(password)
        # Who was invited by her address proves by the link that it is she; an open link takes nobody's place.
        before = await self._app.store.rows.get(TABLE, address) if invitation.email else None
        kept: tuple[Step, ...] = (PutRow(TABLE, address, value, if_absent=True),)
        if before is not None and "factor" in before.value:
            # A link is a new password. Who has found one lacks the second factor, as who has found a password does.
            value["factor"], person = before.value["factor"], replace(person, factor=True)
        if before is not None:
            kept = changed(before, value)
        try:
            await self._app.store.documents.commit([*invitation.used, *kept])
        except Conflict as error:
            raise _used() from error
        except Duplicate as error:
            if error.index == _INVITATIONS:
                raise _used() from error
            raise ParseError(Code.EMAIL_TAKEN, "Somebody signs in with this address already.") from error
        return person

    async def verify(self, email: str, password: str) -> Person | None:
        """Who has this address and this password. It takes as long for an address that nobody has."""
        row = await self._app.store.rows.get(TABLE, _folded(email)) if len(email) <= _LONGEST else None
        right, _ = await self._passwords.verify(password, row.value["hash"] if row is not None else None)
        return _person(row) if right and row is not None else None

    async def get(self, email: str) -> Person | None:
        """The person of an address."""
        row = await self._app.store.rows.get(TABLE, _folded(email))
        return None if row is None else _person(row)

    async def all(self) -> Sequence[Person]:
        """Everybody, by address."""
        found: list[Person] = []
        after = ""
        while rows := await self._app.store.rows.scan(TABLE, after, _PAGE):
            found += map(_person, rows)
            after = rows[-1].key
        return found

    async def remove(self, email: str) -> None:
        """Take the console from somebody, at once. 101 if it is nobody's address."""
        if not await self._app.store.rows.drop(TABLE, _folded(email)):
            raise ParseError(Code.OBJECT_NOT_FOUND, "Nobody uses the console with this address.")

    async def note_phone(self, person: Person, phone: str) -> None:
        """Keep which device, or whose devices, her test messages go to."""
        row = await self._app.store.rows.get(TABLE, person.email)
        if row is not None and row.value["id"] == person.id:
            # Who changes something else of her in this moment has the turn; the next test notes it.
            with suppress(Conflict):
                await self._app.store.documents.commit(changed(row, {**row.value, "phone": phone[:_LONGEST]}))

    async def _check(self, password: str, address: str) -> None:
        if len(password) < SHORTEST_PASSWORD:
            raise ParseError(Code.VALIDATION_ERROR, f"A password has at least {SHORTEST_PASSWORD} characters.")
        if address.partition("@")[0] in password.casefold() and len(password) < 2 * SHORTEST_PASSWORD:
            raise ParseError(Code.VALIDATION_ERROR, "A password does not contain the name of the address.")
        breaches: Breaches | None = self._app.rooms.get(ROOM)
        if breaches is not None and await breaches.knows(password):
            raise ParseError(Code.VALIDATION_ERROR, "This password was stolen elsewhere; choose another one.")


def changed(row: Row, value: Object) -> tuple[Step, Step]:
    """The steps that replace a person's row as it was read: Conflict if it was replaced meanwhile. The put raises the fence."""
    return ChangeRow(TABLE, row), PutRow(TABLE, row.key, value)


def people_of(app: App) -> People:
    """The app's people."""
    people = app.rooms.setdefault("console people", People(app))
    assert isinstance(people, People)
    return people


def first_token(options: AppOptions) -> str:
    """What the link of the first owner has."""
    said = f"first owner of the console of {options.app_id}"
    return _FIRST + hmac.new(options.master_key.encode(), said.encode(), "sha256").hexdigest()[:40]


def link(options: AppOptions, token: str) -> str:
    """Where somebody who was invited goes."""
    origin = "://".join(urlsplit(options.public_url)[:2])
    return f"{origin}{PATH}/join/{token}?app={quote(options.app_id, safe='')}"


def _person(row: Row) -> Person:
    value = row.value
    return Person(value["id"], row.key, value["role"], value["since"], value["phone"], "factor" in value)


def _folded(email: str) -> str:
    return email.strip().casefold()


def _address(email: str) -> str:
    folded = _folded(email)
    if not _ADDRESS.fullmatch(folded) or not folded.isprintable():
        raise ParseError(Code.INVALID_EMAIL_ADDRESS, "This is no e-mail address.")
    return folded


def _used() -> ParseError:
    return ParseError(Code.OBJECT_NOT_FOUND, "This link was used, or is too old. Ask for a new one.")
