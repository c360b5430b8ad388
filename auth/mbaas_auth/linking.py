"""Whose account a provider's word opens, and what becomes of accounts when providers are linked to them and taken away.

Whoever knows an address may have signed up with it before its owner did, with a password and providers of her own (account
pre-hijacking). So the first proof that the address is somebody's ends every way in that was there before it. A second factor is no way
in, and stays: no proof of an address opens what it guards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mbaas.data.app import App
from mbaas.data.columns import stored
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Conflict, ParseError
from mbaas.kernel.ops import Op, Set, Unset
from mbaas.kernel.values import Json, Object
from mbaas.query import ast
from mbaas.storage.ports import Document, Find, Step, Update
from mbaas_auth import addresses, providers
from mbaas_auth.identity.ports import Identity
from mbaas_auth.mail.links import Links
from mbaas_auth.mail.outbox import outbox_if_any
from mbaas_auth.mail.ports import Notice
from mbaas_auth.mfa import Mfa
from mbaas_auth.sessions import Sessions

ATTEMPTS = 25
"""How often a proof is begun again because the account changes at the same time: a stranger who keeps changing it is not to keep it."""
_NO_WAY_IN = frozenset({"mfa"})
"""What stands in `authData` and signs nobody in by itself."""
PASSKEYS = "webauthn"
"""What stands there for all passkeys of a user; she is told of each that is added."""


def is_echo(known: Json, sent: Json) -> bool:
    """True if a client only says again what is known: SDKs send all of `authData` with each new link."""
    if not isinstance(known, dict) or not isinstance(sent, dict) or not sent:
        return False
    return all(name in known and known[name] == value for name, value in sent.items())


def is_proved(user: Document) -> bool:
    """True if somebody has shown that the user's address is hers."""
    return bool(user.body.get("email")) and user.body.get("emailVerified") is True


def proves(identities: Iterable[Identity], email: Json) -> bool:
    """True if one of the providers says that the address is proved."""
    return any(addresses.same(each.email, email) for each in identities)


def taken() -> ParseError:
    """208: an id of a provider is another user's."""
    return ParseError(Code.ACCOUNT_ALREADY_LINKED, "this auth is already used")


async def vouched(app: App, caller: Caller, auth_data: Object, user: Object | None) -> dict[str, Identity]:
    """Whom each provider vouches for. `user` is whom that is to be linked to, if she is there already. 105, 121 for odd keys."""
    given = {name: data for name, data in sorted(auth_data.items()) if data is not None}
    found = {name: await providers.vouched(app, caller, name, data, user) for name, data in given.items()}
    for name, identity in found.items():
        if identity.whose is not None and not _meant_for(user, name, identity):
            raise providers.invalid(name)
    kept = {name: identity.kept for name, identity in found.items()}
    # What is kept at a sign-in passes no other check: it is no save.
    app.keywords.refuse(kept)
    stored(kept)
    return found


async def owner(app: App, given: Object) -> Document | None:
    """The user whom these provider ids belong to. 208 if they are several users'."""
    schema = app.classes.known_or_blank("_User")
    ids = {
        name: data["id"]
        for name, data in given.items()
        if isinstance(data, dict) and isinstance(data.get("id"), str) and data["id"] and providers.index_of(name) in schema.indexes
    }
    if not ids:
        return None
    where = ast.Or(tuple(ast.Equals(("authData", name, "id"), each) for name, each in ids.items()))
    found = await app.store.documents.find(Find(schema, where, limit=2))
    if len(found) > 1:
        raise taken()
    return found[0] if found else None


def _meant_for(user: Object | None, name: str, identity: Identity) -> bool:
    """True if what was made for one user comes from her, and takes the place of nothing that she has had since."""
    known = (user.get("authData") or {}).get(name) if user is not None else None
    return user is not None and user.get("objectId") == identity.whose and (known is None or known.get("id") == identity.id)


def refuse_unknown(identities: Mapping[str, Identity], user: Document | None) -> None:
    """101 for an identity with which nobody signs up, and which is not that user's."""
    known = (user.body.get("authData") if user else None) or {}
    for name, identity in identities.items():
        if not identity.signs_up and identity.whose is None and (known.get(name) or {}).get("id") != identity.id:
            raise providers.invalid(name)


async def at_login(app: App, caller: Caller, user: Document, shown: Object, given: Json) -> tuple[Object, list[Step]]:
    """What providers say of a user beside her password: what of her changes, and the steps that keep it. 208 if it is another's.

    `shown` is the user as the master key sees her.
    """
    known = user.body.get("authData") or {}
    if not given:
        return {}, []
    if not isinstance(given, dict):
        raise providers.unsupported()
    identities = await vouched(app, caller, given, shown)
    refuse_unknown(identities, user)
    for name, identity in identities.items():
        if identity.whose is not None:
            raise providers.invalid(name)  # it is added by whoever is signed in
    kept = {name: identity.kept for name, identity in identities.items() if not is_echo(known.get(name), identity.kept)}
    whose = await owner(app, kept)
    if whose is not None and whose.body["objectId"] != user.body["objectId"]:
        raise taken()
    proved, hidden, same = vouched_address(app, user, identities.values())
    if not kept and not proved:
        return {}, []
    changed: Object = {"authData": {**known, **kept}} if kept else {}
    if proved:
        changed["emailVerified"] = True
    ops = [*(Set(("authData", name), data) for name, data in kept.items()), *proved]
    update = Update(app.classes.known_or_blank("_User"), user.body["objectId"], ops, hidden, guard=same)
    return changed, [update, *notices(app, user, kept)]


def vouched_address(app: App, user: Document, identities: Iterable[Identity]) -> tuple[list[Op], Object, ast.Node]:
    """The operators and hidden fields that note that a provider proves the address of who signs in, and the condition that it is still
    hers; nothing where it is proved already, or no provider proves it. She has shown that the account is hers: nothing of it goes."""
    email = user.body.get("email")
    if is_proved(user) or not proves(identities, email):
        return [], {}, ast.EVERYTHING
    return _proved_now(app), Links(app).ended("verification"), ast.Equals(("email",), email)


def _proved_now(app: App) -> list[Op]:
    return [Set(("emailVerified",), True), Set(("updatedAt",), iso(app.clock.now()))]


def added(app: App, user: Document, identities: Mapping[str, Identity]) -> list[Step]:
    """Steps that keep what providers know from now on, and have the user be told of what is no new provider."""
    steps: list[Step] = []
    for identity in identities.values():
        steps += identity.steps
        if identity.told is not None:
            steps += told(app, user, "linked", identity.told)
    return steps


def planted(user: Document) -> Object:
    """What is to be taken out of `authData` when the address is proved for the first time; nothing afterwards."""
    known = user.body.get("authData")
    if is_proved(user) or not isinstance(known, dict):
        return {}
    return dict.fromkeys(sorted(known.keys() - _NO_WAY_IN))


def proof(app: App, user: Document) -> tuple[list[Op], Object]:
    """The operators and hidden fields that note the first proof of a user's address, and take away what signed in before it. Her
    sessions are ended with them."""
    ops: list[Op] = [Unset(("authData", name)) for name in planted(user)]
    links = Links(app)
    ops += _proved_now(app)
    return ops, {"_hashed_password": None, **links.ended("reset"), **links.ended("verification")}


def notices(app: App, user: Document, changed: Mapping[str, Json]) -> list[Step]:
    """Steps that have the user be told, where she has an address: `changed` are providers with their data, None for one taken away."""
    known = user.body.get("authData") or {}
    steps: list[Step] = []
    for name, data in changed.items():
        by_itself = name == PASSKEYS and data is not None
        if name != "anonymous" and name not in _NO_WAY_IN and not by_itself and _differs(known.get(name), data):
            steps += told(app, user, "unlinked" if data is None else "linked", "Passkey" if name == PASSKEYS else name)
    return steps


def told(app: App, user: Document, kind: Notice, about: str) -> list[Step]:
    """The step that has a user be told what was done to her account; none where she has no address, or no mails are sent."""
    outbox, email = outbox_if_any(app), user.body.get("email")
    return [outbox.notice(kind, user.body["objectId"], email, about)] if outbox is not None and isinstance(email, str) else []


def _differs(known: Json, data: Json) -> bool:
    """True if a provider comes, goes, or stands for somebody else from now on."""
    was, is_now = (each.get("id") if isinstance(each, dict) else None for each in (known, data))
    return (known is None) != (data is None) or was != is_now


async def joined(app: App, sessions: Sessions, mfa: Mfa, identities: Mapping[str, Identity], second: Json) -> Document | None:
    """The user whose proved address a provider names, once she is linked; None if that is nobody, or no provider is trusted with it.

    If the address is proved here for the first time, everything that signed in and the sessions that were there end. Who has a second
    factor shows it (`second`) before anything is linked; and where nobody has proved the address, nobody can tell whose it is.
    """
    for name, identity in identities.items():
        user = await _joining(app, mfa, name, identity)
        if user is not None:
            await mfa.demand(user, second)
        for _ in range(ATTEMPTS):
            user = await _joining(app, mfa, name, identity)
            if user is None:
                break
            if is_proved(user) and name in (user.body.get("authData") or {}):
                return user  # she has come twice at the same time
            try:
                return await _join(app, sessions, user, name, identity)
            except Conflict:
                continue
    return None


async def _joining(app: App, mfa: Mfa, name: str, identity: Identity) -> Document | None:
    """The user whose address a provider names, if it may be linked to her."""
    user = await addresses.owner_of(app, identity.email) if identity.joins and identity.email else None
    if user is None or user.body.get("ACL") == {}:
        return None
    if not is_proved(user):
        return None if mfa.active(user) else user
    known = (user.body.get("authData") or {}).get(name)
    # She may be another one to the provider than she was.
    return user if known is None or known.get("id") == identity.id else None


async def _join(app: App, sessions: Sessions, user: Document, name: str, identity: Identity) -> Document | None:
    """The user with the provider added; before the first proof of her address with nothing else. Conflict if she changed meanwhile."""
    user_id, first = user.body["objectId"], not is_proved(user)
    told = notices(app, user, {name: identity.kept})
    ops, hidden = proof(app, user) if first else ([], {})
    ops = [*(op for op in ops if op.path != ("authData", name)), Set(("authData", name), identity.kept)]
    endings = await sessions.endings(user_id) if first else []
    update = Update(app.classes.known_or_blank("_User"), user_id, ops, hidden, expect=user.version)
    [written, *_] = await app.store.documents.commit([update, *told, *endings])
    sessions.forget_user(user_id)
    if told and (outbox := outbox_if_any(app)) is not None:
        outbox.wake()
    return written.after
