"""Passkeys as their owner deals with them: signing in, adding one, the list of them, their names, taking one away.

How they are proved is in `identity/webauthn.py`; what is written here goes the way of every provider's data.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Conflict, ParseError
from mbaas.kernel.ops import Op, Set, Unset
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Document, Step, Update
from mbaas_auth import linking, providers
from mbaas_auth.identity.passkeys import Passkeys, name_of, shown, told_as
from mbaas_auth.mail.outbox import outbox_if_any
from mbaas_auth.sessions import sign_in_first


class Kept:
    """The passkeys of users, as something that belongs to them."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def of(self, user_id: str, caller: Caller) -> AsyncIterator[tuple[str, Object]]:
        user = await self._app.store.documents.get(self._app.classes.known_or_blank("_User"), user_id)
        for each in await _of(self._app, user) if user is not None else ():
            yield "passkey", shown(each)

    async def leave(self, user_id: str) -> list[Step]:
        return await Passkeys(self._app).leave(user_id)


async def options(app: App, caller: Caller, arguments: Object, *, register: bool) -> Object:
    """What `navigator.credentials` is to be called with: `get` to sign in, or `create` to add a passkey. 252 where there are none."""
    asked = await providers.challenge(app, caller, linking.PASSKEYS, {**arguments, "register": register})
    if asked is None:
        raise providers.unsupported()
    return asked


async def sign_in(app: App, caller: Caller, arguments: Object) -> Object:
    """The user whose passkey has answered, with a new session's token. 142 for what is no answer."""
    linked = arguments.get("authData")
    second = {"mfa": linked["mfa"]} if isinstance(linked, dict) and "mfa" in linked else {}
    saved = await objects.create(app, caller, "_User", {"authData": {**second, linking.PASSKEYS: _credential(arguments)}})
    return saved.answer


async def add(app: App, caller: Caller, arguments: Object) -> Object:
    """Keep a new passkey of the signed-in user, whom a mail tells; `name` is what she calls it."""
    user = await _signed_in(app, caller)
    credential = _credential(arguments)
    named = {**credential, "name": arguments["name"]} if "name" in arguments else credential
    try:
        await objects.update(app, caller, "_User", user.body["objectId"], {"authData": {linking.PASSKEYS: named}})
    except ParseError as error:
        if error.code != Code.SESSION_MISSING:
            raise
        raise providers.invalid(linking.PASSKEYS) from error  # she may change herself: it is the passkey that will not do
    return shown(await _own(app, caller, str(credential.get("id"))))


def _credential(arguments: Object) -> Object:
    found = arguments.get("credential")
    if not isinstance(found, dict) or not found:
        raise ParseError(Code.VALIDATION_ERROR, "credential is what PublicKeyCredential.toJSON() gives.")
    return found


async def passkeys(app: App, caller: Caller) -> list[Object]:
    """The passkeys of the signed-in user, the oldest first."""
    return [shown(each) for each in await _of(app, await _signed_in(app, caller))]


async def rename(app: App, caller: Caller, credential_id: str, name: Json) -> Object:
    """Give a passkey of hers another name. 101 for none of hers, 162 for no name."""
    wanted = name_of(name)
    if wanted is None:
        raise ParseError(Code.INVALID_VALUE, "name is missing.")
    return shown(await Passkeys(app).rename(await _own(app, caller, credential_id), wanted))


async def remove(app: App, caller: Caller, credential_id: str) -> None:
    """Take a passkey of hers away: it signs in no more. A mail tells her; with the last one `authData.webauthn` goes, too."""
    for _ in range(linking.ATTEMPTS):
        user = await _signed_in(app, caller)
        own = await _own(app, caller, credential_id)
        last = len(await _of(app, user)) == 1
        ops: list[Op] = [Set(("updatedAt",), iso(app.clock.now()))]
        if last:
            ops.append(Unset(("authData",) if len(user.body["authData"]) == 1 else ("authData", linking.PASSKEYS)))
        # Of one that is added and one that is removed at the same time the second is begun again, so that no last one stays behind.
        update = Update(app.classes.known_or_blank("_User"), user.body["objectId"], ops, expect=user.version)
        told = linking.told(app, user, "unlinked", told_as(str(own["name"])))
        try:
            await app.store.documents.commit([update, *Passkeys(app).removed(own), *told])
        except Conflict:
            continue
        if told and (outbox := outbox_if_any(app)) is not None:
            outbox.wake()
        return
    raise Conflict


async def _of(app: App, user: Document) -> list[Object]:
    known = (user.body.get("authData") or {}).get(linking.PASSKEYS)
    return await Passkeys(app).of(user.body["objectId"], known["id"]) if known else []


async def _own(app: App, caller: Caller, credential_id: str) -> Object:
    for each in await _of(app, await _signed_in(app, caller)):
        if each["id"] == credential_id:
            return each
    raise ParseError(Code.OBJECT_NOT_FOUND, "Object not found.")


async def _signed_in(app: App, caller: Caller) -> Document:
    users = app.classes.known_or_blank("_User")
    user = await app.store.documents.get(users, caller.user_id) if caller.user_id and caller.session_id else None
    if user is None:
        raise sign_in_first()
    return user
