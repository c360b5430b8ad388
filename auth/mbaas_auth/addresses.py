"""Whose an e-mail address is. People write theirs in any case; whatever else looks alike is another address.

The index that keeps addresses apart takes more for the same than case (`ß` and `ss`, letters of full width), and a database that
Parse Server has written may hold two that differ in case alone: neither makes one person's address another's.
"""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.kernel.values import Json
from mbaas.storage.ports import Document


def same(one: Json, other: Json) -> bool:
    """True if two addresses differ in the case of ASCII letters at most."""
    return isinstance(one, str) and isinstance(other, str) and _folded(one) == _folded(other)


async def owner_of(app: App, address: str) -> Document | None:
    """The user with this address, or else the one with it in another case; None where that is nobody, or several."""
    alike = await app.store.documents.alike(app.classes.known_or_blank("_User"), ("email",), address)
    hers = [user for user in alike if same(user.body.get("email"), address)]
    hers = [user for user in hers if user.body["email"] == address] or hers
    return hers[0] if len(hers) == 1 else None


def _folded(address: str) -> bytes:
    return address.encode(errors="surrogatepass").lower()
