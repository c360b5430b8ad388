"""Where a person is signed in: her sessions as she sees them, with names and last uses, to be ended one by one.

And rotation: a session takes a new token in exchange for its old one. Whoever brings the old one again has a stolen copy, or the owner's
was stolen: then the session ends for both.
"""

from __future__ import annotations

from contextlib import suppress

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ops import Set
from mbaas.kernel.values import Json, Object, date_ms, pointer
from mbaas.query import ast
from mbaas.storage.ports import Document, Find, PutRow, Update
from mbaas_auth.accounts import policy_of
from mbaas_auth.sessions import NAME, PARENT, SEEN, SPENT, sign_in_first

_LONGEST_NAME = 100


async def sessions(app: App, caller: Caller) -> list[Object]:
    """The sessions of the signed-in user, the latest first. 209 for one who is not signed in."""
    user_id, schema = _signed_in(caller), policy_of(app).sessions.schema
    where = ast.Equals(("user",), pointer("_User", user_id))
    found = await app.store.documents.find(Find(schema, where, order=((("createdAt",), True),)))
    return [_shown(each, caller) for each in found if not _over(app, each)]


def _shown(session: Document, caller: Caller) -> Object:
    body, seen = session.body, session.hidden.get(SEEN)
    seen = seen if isinstance(seen, dict) else {}
    at, ends = seen.get("at"), date_ms(body.get("expiresAt"))
    return {
        "id": body["objectId"],
        "current": body["objectId"] == caller.session_id,
        "name": session.hidden.get(NAME),
        "client": seen.get("client"),
        "installationId": body.get("installationId"),
        "createdWith": body.get("createdWith"),
        "createdAt": body.get("createdAt"),
        "lastUsedAt": iso(int(at)) if at is not None else None,
        "expiresAt": iso(ends) if ends is not None else None,
    }


def _over(app: App, session: Document) -> bool:
    ends = date_ms(session.body.get("expiresAt"))
    return ends is not None and ends <= app.clock.now()


async def name_session(app: App, caller: Caller, session_id: str, name: Json) -> Object:
    """Give one of her sessions a name. 162 for no name, 101 for none of hers."""
    if not isinstance(name, str) or not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise ParseError(Code.INVALID_VALUE, f"name must be a text of at most {_LONGEST_NAME} characters.")
    session = await _own(app, caller, session_id)
    if app.sharing.shared:
        raise ParseError(Code.COMMAND_UNAVAILABLE, "Sessions have no names on a database that Parse Server uses, too.")
    hidden: Object = {NAME: name.strip()}
    await app.store.documents.commit([Update(policy_of(app).sessions.schema, session.body["objectId"], hidden=hidden)])
    return _shown(Document(session.body, {**session.hidden, **hidden}), caller)


async def end(app: App, caller: Caller, session_id: str) -> None:
    """End one of her sessions. 101 for none of hers."""
    session = await _own(app, caller, session_id)
    await objects.delete(app, caller.as_master(), "_Session", session.body["objectId"])


async def end_others(app: App, caller: Caller) -> int:
    """End all her sessions but the calling one; how many."""
    ended, schema = 0, policy_of(app).sessions.schema
    others = [session["id"] for session in await sessions(app, caller) if not session["current"]]
    # It ends with the one that it was made with no more: that is among those which end now.
    await app.store.documents.commit([Update(schema, str(caller.session_id), hidden={PARENT: None})])
    for session_id in others:
        with suppress(ParseError):  # it has ended meanwhile, or with another of them
            await end(app, caller, session_id)
            ended += 1
    return ended


async def rotate(app: App, caller: Caller) -> Object:
    """A new token for the calling session, whose old one is good no more. 209 where somebody else was quicker."""
    user = pointer("_User", _signed_in(caller))
    assert caller.session_id is not None
    assert caller.session_token is not None
    kept = policy_of(app).sessions
    if app.sharing.shared:
        raise ParseError(Code.COMMAND_UNAVAILABLE, "Tokens are not rotated on a database that Parse Server uses, too.")
    token, now = app.ids.token(), app.clock.now()
    ends = caller.session_expires or now + app.options.session_length_s * 1000
    spent = PutRow(SPENT, kept.kept(caller.session_token), {"session": caller.session_id, "at": now}, expires=ends)
    # Fed, though no column gets another value: who remembers the old token, in other processes and for live queries, hears of it.
    ops = [Set(("user",), user)]
    hidden: Object = {"_session_token": kept.kept(token)}
    step = Update(kept.schema, caller.session_id, ops, hidden, guard=kept.holds(caller.session_token))
    try:
        await app.store.documents.commit([step, spent])
    except ParseError as error:
        if error.code != Code.OBJECT_NOT_FOUND:
            raise
        raise sign_in_first() from error
    kept.forget_session(caller.session_id)
    return {"sessionToken": token}


async def _own(app: App, caller: Caller, session_id: str) -> Document:
    """One of the caller's sessions, `me` for the calling one."""
    user_id = _signed_in(caller)
    wanted = caller.session_id if session_id == "me" else session_id
    session = await app.store.documents.get(policy_of(app).sessions.schema, wanted or "")
    user = session.body.get("user") if session is not None else None
    if session is None or not isinstance(user, dict) or user.get("objectId") != user_id:
        raise ParseError(Code.OBJECT_NOT_FOUND, "Object not found.")
    return session


def _signed_in(caller: Caller) -> str:
    if caller.user_id is None or caller.session_id is None:
        raise sign_in_first()
    return caller.user_id
