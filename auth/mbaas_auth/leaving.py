"""Leaving: what an app has of a person is told to her as one document, and goes with her when her account does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.belongings import shown
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object, pointer
from mbaas.query import ast
from mbaas.storage.ports import Relate, Step
from mbaas_auth.accounts import policy_of
from mbaas_auth.roles import roles_of
from mbaas_auth.sessions import Sessions, sign_in_first


class Memberships:
    """What this room has of users: sessions and roles."""

    def __init__(self, app: App, sessions: Sessions) -> None:
        self._app, self._sessions = app, sessions

    async def of(self, user_id: str, caller: Caller) -> AsyncIterator[tuple[str, Object]]:
        where = ast.Equals(("user",), pointer("_User", user_id))
        async for session in shown(self._app, caller, self._sessions.schema, where):
            session.pop("sessionToken", None)
            yield "session", session
        for name in sorted(await roles_of(self._app, user_id)):
            yield "role", {"name": name}

    async def leave(self, user_id: str) -> list[Step]:
        steps = await self._sessions.endings(user_id)
        roles = self._app.classes.get("_Role")
        if roles is not None:
            owners = await self._app.store.documents.owners(roles, "users", [user_id])
            steps += [Relate(roles, "users", owner, remove=(user_id,)) for owner in owners]
        return steps


async def erase_me(app: App, caller: Caller) -> None:
    """Delete the signed-in user, with what is hers. 209 for one who is not signed in."""
    if caller.user_id is None:
        raise sign_in_first()
    await objects.delete(app, caller, "_User", caller.user_id)


async def export(app: App, caller: Caller, user_id: str) -> AsyncIterator[bytes]:
    """Everything that an app has of a person, as lines of JSON `{"kind", "object"}`, the user first. 209, 119, 101 come before.

    For herself (`me`), or for the master key.
    """
    wanted = caller.user_id if user_id == "me" else user_id
    if wanted is None:
        raise sign_in_first()
    if wanted != caller.user_id and not caller.master:
        raise ParseError(Code.OPERATION_FORBIDDEN, "Permission denied")
    user = await app.store.documents.get(app.classes.known_or_blank("_User"), wanted)
    if user is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "Object not found.")
    if caller.master:
        await app.audit.note(caller, "user exported", f"user {wanted}")
    return _lines(app, wanted, caller, await policy_of(app).show_self(wanted, user.body))


async def _lines(app: App, user_id: str, caller: Caller, user: Object) -> AsyncIterator[bytes]:
    yield _line("user", user)
    for belongings in app.belongings:
        async for kind, each in belongings.of(user_id, caller):
            yield _line(kind, each)


def _line(kind: str, each: Object) -> bytes:
    return orjson.dumps({"kind": kind, "object": each}) + b"\n"
