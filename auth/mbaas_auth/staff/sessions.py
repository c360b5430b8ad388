"""Who is signed in to the console. A row for each, by the hash of its token; it ends with the working day, or with its person.

Who has shown her password and still has to show her second factor has a ticket, which opens nothing but that question.
"""

from __future__ import annotations

from contextlib import suppress

from mbaas.data.app import App
from mbaas.kernel.errors import Conflict
from mbaas.kernel.ids import token_hash
from mbaas.kernel.values import Object
from mbaas.storage.ports import ChangeRow, PutRow, Row
from mbaas_auth.staff.people import Person, people_of

LASTS_S = 12 * 3600
_TABLE, _TICKETS = "console sessions", "console tickets"
_TICKET_S = 600
_PAGE = 500


async def begin(app: App, person: Person) -> str:
    """A new session's token, of her as she was when she was let in: without a second factor it ends once she has one."""
    return await _issue(app, _TABLE, person, LASTS_S)


async def person_of(app: App, token: str) -> Person | None:
    """Whose session it is; None if it has ended, or she may no longer use the console, or was invited anew."""
    return await _whose(app, _TABLE, token)


async def prove(app: App, token: str) -> None:
    """Have a session go on whose person has just shown her new second factor."""
    row = await app.store.rows.get(_TABLE, token_hash(token))
    if row is not None:
        # Who signs out in this moment is signed out.
        with suppress(Conflict):
            proven = PutRow(_TABLE, row.key, {**row.value, "factor": True}, expires=row.expires)
            await app.store.documents.commit([ChangeRow(_TABLE, row), proven])


async def end(app: App, token: str) -> None:
    """End a session."""
    await app.store.rows.drop(_TABLE, token_hash(token))


async def end_others(app: App, person: Person, token: str) -> None:
    """End all of a person's sessions but this one."""
    after, own = "", token_hash(token)
    while rows := await app.store.rows.scan(_TABLE, after, _PAGE):
        for row in rows:
            if row.value["email"] == person.email and row.key != own:
                await app.store.rows.drop(_TABLE, row.key)
        after = rows[-1].key


async def ticket(app: App, person: Person) -> str:
    """What she comes back with, and a code."""
    return await _issue(app, _TICKETS, person, _TICKET_S)


async def ticket_of(app: App, token: str) -> Person | None:
    """Whose ticket it is; None if it is too old, or was used."""
    return await _whose(app, _TICKETS, token)


async def use(app: App, token: str) -> bool:
    """Use a ticket up; False if somebody else has."""
    return await app.store.rows.drop(_TICKETS, token_hash(token))


async def _issue(app: App, table: str, person: Person, seconds: int) -> str:
    token = app.ids.hex(32)
    value: Object = {"email": person.email, "id": person.id, "factor": person.factor}
    await app.store.rows.put_many(table, [Row(token_hash(token), value, expires=app.clock.now() + seconds * 1000)])
    return token


async def _whose(app: App, table: str, token: str) -> Person | None:
    row = await app.store.rows.get(table, token_hash(token))
    if row is None:
        return None
    person = await people_of(app).get(row.value["email"])
    if person is None or person.id != row.value["id"]:
        return None
    # A password that was shown while the factor was set up is no more than a password.
    return None if person.factor and not row.value.get("factor") else person
