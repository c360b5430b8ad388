"""Who is signed in to the console. A row for each, by the hash of its token; it ends with the working day, or with its person."""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.kernel.ids import token_hash
from mbaas.storage.ports import Row
from mbaas_auth.staff.people import Person, people_of

LASTS_S = 12 * 3600
_TABLE = "console sessions"


async def begin(app: App, person: Person) -> str:
    """A new session's token."""
    token = app.ids.hex(32)
    row = Row(token_hash(token), {"email": person.email, "id": person.id}, expires=app.clock.now() + LASTS_S * 1000)
    await app.store.rows.put_many(_TABLE, [row])
    return token


async def person_of(app: App, token: str) -> Person | None:
    """Whose session it is; None if it has ended, or she may no longer use the console, or was invited anew."""
    row = await app.store.rows.get(_TABLE, token_hash(token))
    if row is None:
        return None
    person = await people_of(app).get(row.value["email"])
    return person if person is not None and person.id == row.value["id"] else None


async def end(app: App, token: str) -> None:
    """End a session."""
    await app.store.rows.drop(_TABLE, token_hash(token))
