"""Sessions: from a token to a caller, and the `_Session` class.

Only a token's SHA-256 is kept (hidden field `_session_token`), so a copy of the database signs nobody in. Where Parse Server uses
the same database, tokens are kept as it keeps them, and those that it made hold until the database is sealed. `sessionToken` is
shown to the session that it belongs to and to no other.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from mbaas.data.app import App
from mbaas.data.commit import in_transaction
from mbaas.data.policies import Policy, Saved, Write
from mbaas.kernel.caller import MASTER, Caller, user_principals
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, Conflict, MbaasError, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Object, date, date_ms, pointer
from mbaas.observe.logs import get_logger
from mbaas.query import ast
from mbaas.storage.ports import Delete, Document, Entry, Find, Insert, Step, Update
from mbaas_auth.roles import roles_of

SEEN, NAME = "_seen", "_name"
"""Hidden fields: when a session was used last, and by which client; what its owner calls it."""
PARENT = "_parent_session"
"""Hidden field: the session that one was made with, and ends with."""
SPENT = "spent_tokens"
"""The table of tokens that were given back for new ones."""
_SEEN_MS = 3600 * 1000
_GRACE_MS = 10_000
"""How long an old token may come again because an answer was lost on the way, or two requests crossed."""
_REMEMBERED = 20_000
_HASH = re.compile(r"[0-9a-f]{64}")
_SERVERS = ("objectId", "user", "sessionToken", "expiresAt", "createdWith")
"""What a client that makes a session may not choose."""


def invalid_token(text: str = "Invalid session token") -> ParseError:
    """209 in Parse's words."""
    return ParseError(Code.INVALID_SESSION_TOKEN, text)


def sign_in_first() -> ParseError:
    """209 for one who is not signed in at all."""
    return ParseError(Code.INVALID_SESSION_TOKEN, "Invalid session token", sanitized="Permission denied")


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a token: whose it is, her roles' names, when it ends, and was changed (ms)."""

    session_id: str
    user_id: str
    roles: frozenset[str]
    principals: frozenset[str]
    expires: int | None
    anonymous: bool
    seen: int
    changed: int
    alone: bool
    """False for a session that another one made: it lasts no longer than that."""


class Sessions:
    """The sessions of one app, with the recently used ones in memory; what changes them says `forget`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._forgotten = 0
        """How often something had to be forgotten: what was read before that is not remembered after it."""

    async def caller(self, token: str, base: Caller) -> Caller:
        """`base` as the user whose token it is. Raises 209 for one that is unknown, expired, or of a user who is deleted or locked out.

        Live queries ask with the token that they were begun with; whatever that was changed for since, it is no theft."""
        known = self._known.get(token) or await self._load(token)
        if known.expires is not None and known.expires <= self._app.clock.now() and self._app.options.expire_inactive_sessions:
            self._known.pop(token, None)
            raise invalid_token("Session token is expired.")
        if self._app.clock.now() - known.seen >= _SEEN_MS:
            known = await self._see(token, known, base)
        if self._app.options.extend_session_on_use and known.expires is not None and known.alone:
            known = await self._extend(token, known)
        return replace(
            base,
            user_id=known.user_id,
            anonymous=known.anonymous,
            roles=known.roles,
            principals=known.principals,
            session_id=known.session_id,
            session_token=token,
            session_expires=known.expires if self._app.options.expire_inactive_sessions else None,
        )

    async def _see(self, token: str, known: Known, caller: Caller) -> Known:
        """Note that the session is used, at most once an hour."""
        known = replace(known, seen=self._app.clock.now())
        if token in self._known:
            self._known[token] = known
        if not self._app.sharing.shared:  # Parse Server could not read a session with a hidden field that it does not know
            hidden: Object = {SEEN: {"at": known.seen, "client": caller.client_version}}
            with suppress(ParseError):  # it has ended meanwhile
                await self._app.store.documents.commit([Update(self.schema, known.session_id, hidden=hidden)])
        return known

    async def _extend(self, token: str, known: Known) -> Known:
        """`extendSessionOnUse`: one that is used has its whole length again, as in Parse Server when half of it has gone since it was
        changed."""
        now, length = self._app.clock.now(), self._app.options.session_length_s * 1000
        if now - known.changed < length / 2:
            return known
        from mbaas.data import objects

        longer = replace(known, expires=now + length, changed=now)
        if token in self._known:  # so that those who come meanwhile do not, too
            self._known[token] = longer
        try:
            await objects.update(self._app, MASTER, "_Session", known.session_id, self.ending(now))
        except ParseError as error:
            # The request is of no less worth; the next one tries again.
            self.forget_session(known.session_id)
            get_logger(__name__).warning("a session could not be extended", session=known.session_id, reason=error.message)
            return known
        return longer

    async def requester(self, token: str, base: Caller) -> Caller:
        """The same for a request. If the token was given back for a new one, and comes again, its session ends."""
        try:
            return await self.caller(token, base)
        except ParseError:
            await self._end_stolen(token)
            raise

    async def _end_stolen(self, token: str) -> None:
        row = None if self._app.sharing.shared else await self._app.store.rows.get(SPENT, self.kept(token))
        if row is None or self._app.clock.now() - row.value["at"] < _GRACE_MS:
            return
        from mbaas.data import objects

        with suppress(ParseError):
            await objects.delete(self._app, MASTER, "_Session", row.value["session"])
            get_logger(__name__).warning("a session has ended: a token of it came twice", session=row.value["session"])

    def touched(self, entry: Entry) -> Callable[[Caller], bool] | None:
        """Whose rights an entry of the feed changes, of whichever process; what is remembered of them is forgotten."""
        changed = entry.object_id
        if entry.class_name == "_Role":
            self.forget_all()
            return lambda caller: caller.user_id is not None
        if entry.op == "create":
            return None
        if entry.class_name == "_Session" and entry.op == "delete" and (user_id := _whose(entry.before)) is not None:
            # Those that were made with it have ended, too.
            self.forget_user(user_id)
            return lambda caller: caller.user_id == user_id
        if entry.class_name == "_Session":
            self.forget_session(changed)
            return lambda caller: caller.session_id == changed
        if entry.class_name == "_User":
            self.forget_user(changed)
            return lambda caller: caller.user_id == changed
        return None

    async def _load(self, token: str) -> Known:
        forgotten = self._forgotten
        document = await self.find(token)
        user_id, users = _whose(document), self._app.classes.get("_User")
        if document is None or user_id is None or users is None or not await self._maker_is_there(document):
            raise invalid_token()
        person = await self._app.store.documents.get(users, user_id)
        if person is None or person.body.get("ACL") == {}:  # she is gone, or locked out
            raise invalid_token()
        roles = await roles_of(self._app, user_id)
        expires = date_ms(document.body.get("expiresAt"))
        seen = document.hidden.get(SEEN)
        at = int(seen["at"]) if isinstance(seen, dict) else 0
        known = Known(
            document.body["objectId"],
            user_id,
            roles,
            user_principals(user_id, roles),
            expires,
            _is_anonymous(person),
            seen=at,
            changed=from_iso(document.body.get("updatedAt", "")) or 0,
            alone=PARENT not in document.hidden,
        )
        if self._forgotten == forgotten:
            self._known[token] = known
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    async def _maker_is_there(self, session: Document) -> bool:
        """False if a session was made with one that has ended. Most go with it; one that is made in that moment may not be found then."""
        while isinstance(maker := session.hidden.get(PARENT), str):
            found = await self._app.store.documents.get(self.schema, maker)
            if found is None:
                return False
            session = found
        return True

    async def find(self, token: str) -> Document | None:
        """The session of a token, expired or not."""
        where = self.holds(token)
        found = await self._app.store.documents.find(Find(self.schema, where, limit=1))
        return found[0] if found else None

    def kept(self, token: str) -> str:
        """A new token as it is kept."""
        return token if self._app.sharing.shared else token_hash(token)

    def holds(self, token: str) -> ast.Node:
        """The condition on the session of a token. What has the form of a hash is never taken for a token that is kept in plain:
        hashes that were read in a copy of the database open nothing."""
        hashed = token_hash(token)
        if self._app.sharing.plain and not _HASH.fullmatch(token):
            return ast.In(("_session_token",), (token, hashed))
        return ast.Equals(("_session_token",), hashed)

    @property
    def schema(self) -> ClassSchema:
        return self._app.classes.known_or_blank("_Session")

    def new(self, user_id: str, created_with: Object | None, installation_id: str | None, until: int | None = None) -> tuple[Insert, str]:
        """A session to be inserted with the write that calls for it, and its token; `until` as of `ending`."""
        now = self._app.clock.now()
        token = self._app.ids.token()
        body: Object = {"objectId": self._app.ids.object_id(), "createdAt": iso(now), "updatedAt": iso(now)}
        body["user"] = pointer("_User", user_id)
        if created_with:
            body["createdWith"] = created_with
        body.update(self.ending(now, until))
        if installation_id:
            body["installationId"] = installation_id
        return Insert(self.schema, Document(body, {"_session_token": self.kept(token)}, 1)), token

    def ending(self, now: int, until: int | None = None) -> Object:
        """When a session that begins now ends; nothing where none does.

        `until`: when the session ends by which it is made (ms). It lasts no longer, or who has a token would never have to sign in again.
        """
        options = self._app.options
        ends = now + options.session_length_s * 1000
        return {"expiresAt": date(ends if until is None else min(ends, until))} if options.expire_inactive_sessions else {}

    def makers(self, user_id: str, session_id: str) -> list[Step]:
        """Steps that write a session only while its user and the session that it is made with are there, and have who ends one of these
        in the same moment find it."""
        return [Update(self._app.classes.known_or_blank("_User"), user_id), Update(self.schema, session_id)]

    async def endings(self, user_id: str, installation_id: str | None = None) -> list[Step]:
        """Steps that end the user's sessions: all of them, or those of one installation."""
        where: ast.Node = ast.Equals(("user",), pointer("_User", user_id))
        if installation_id is not None:
            where = ast.both(where, ast.Equals(("installationId",), installation_id))
        rows = await self._app.store.documents.find(Find(self.schema, where))
        return [Delete(self.schema, row.body["objectId"], if_there=True) for row in rows]

    async def open(self, user_id: str, created_with: Object | None, installation_id: str | None) -> tuple[list[Step], str]:
        """Steps that open a session, and end the earlier ones of the same installation; and the new token."""
        endings = await self.endings(user_id, installation_id) if installation_id else []
        insert, token = self.new(user_id, created_with, installation_id)
        return [*endings, insert], token

    def forget_user(self, user_id: str) -> None:
        """The user's rights changed, or her sessions ended."""
        self._forgotten += 1
        for token in [t for t, known in self._known.items() if known.user_id == user_id]:
            del self._known[token]

    def forget_session(self, session_id: str) -> None:
        """The session changed or ended."""
        self._forgotten += 1
        for token in [t for t, known in self._known.items() if known.session_id == session_id]:
            del self._known[token]

    def forget_all(self) -> None:
        """Roles changed, or a whole class was emptied."""
        self._forgotten += 1
        self._known.clear()


def _whose(session: Document | None) -> str | None:
    user = session.body.get("user") if session is not None else None
    return user["objectId"] if isinstance(user, dict) else None


def _is_anonymous(person: Document) -> bool:
    linked = person.body.get("authData")
    return isinstance(linked, dict) and bool(linked.get("anonymous"))


class SessionPolicy(Policy):
    """Everybody sees, changes and ends her own sessions only; what the server put into one stays as it is."""

    schema = {
        "indexes": {"session_token": {"_session_token": 1}, "session_user": {"user": 1}},
        "unique": frozenset({"session_token"}),
    }
    plain_reads = False
    remembers = True

    def __init__(self, app: App, sessions: Sessions) -> None:
        self._app, self._sessions = app, sessions

    def admit(self, caller: Caller, operation: str, class_name: str) -> None:
        if caller.user_id is None and not caller.omnipotent:
            raise invalid_token("Session token required.") if operation in ("create", "update") else sign_in_first()

    def scope(self, caller: Caller, operation: str) -> ast.Node:
        if caller.omnipotent or caller.user_id is None:
            return ast.EVERYTHING
        return ast.Equals(("user",), pointer("_User", caller.user_id))

    def rewrite(self, caller: Caller, where: ast.Node) -> ast.Node:
        """`sessionToken` is compared as it is kept: by hash, for equality only."""
        if isinstance(where, (ast.And, ast.Or, ast.Nor)):
            return type(where)(tuple(self.rewrite(caller, part) for part in where.parts))
        path = getattr(where, "path", None)
        if path != ("sessionToken",):
            return where
        if isinstance(where, ast.Equals) and isinstance(where.value, str):
            return self._sessions.holds(where.value)
        return ast.NOTHING

    async def before(self, write: Write) -> None:
        if any(name.partition(".")[0] == "ACL" for name in write.body):
            raise ParseError(Code.INVALID_KEY_NAME, "Cannot set ACL on a Session.")
        if write.creating:
            await self._create(write)
        else:
            self._refuse_fixed(write.caller, write.body)

    def _refuse_fixed(self, caller: Caller, body: Object) -> None:
        user = body.get("user")
        own = isinstance(user, dict) and user.get("objectId") == caller.user_id
        fixed = ["installationId", "sessionToken"]
        if not caller.omnipotent:
            fixed = [*([] if own else ["user"]), *fixed, "expiresAt", "createdWith"]
        for name in body:
            if name.partition(".")[0] in fixed:
                raise ParseError(Code.INVALID_KEY_NAME, f"Invalid key name: {name}")

    async def _create(self, write: Write) -> None:
        caller, body = write.caller, write.body
        if caller.omnipotent:
            token = body.pop("sessionToken", None)
            if isinstance(token, str):
                write.hidden["_session_token"] = self._sessions.kept(token)
            if caller.session_id is not None and caller.user_id is not None:
                write.hidden[PARENT] = caller.session_id
                write.steps += self._sessions.makers(caller.user_id, caller.session_id)
            return
        from mbaas.data import objects

        assert caller.user_id is not None
        given = {k: v for k, v in body.items() if k.partition(".")[0] not in _SERVERS}
        rules, columns = self._app.classes.rules("_Session"), self._sessions.schema.fields
        rules.check(caller, "create")
        if any(name.partition(".")[0] not in columns for name in given):
            rules.check(caller, "addField")
        token = self._app.ids.token()
        made: Object = {
            "sessionToken": token,
            "user": pointer("_User", caller.user_id),
            "createdWith": {"action": "create"},
            **self._sessions.ending(self._app.clock.now(), caller.session_expires),
            **given,
        }
        try:
            saved = await objects.create(self._app, caller.as_master(), "_Session", made)
        except Conflict as error:
            if in_transaction(caller):
                raise
            raise invalid_token() from error  # she has signed out meanwhile
        answer = {**made, "objectId": saved.answer["objectId"]}
        write.reply = Saved(answer, 201, saved.location)

    async def after(self, write: Write) -> None:
        if write.object_id:
            self._sessions.forget_session(write.object_id)

    async def before_delete(self, app: App, caller: Caller, document: Document) -> list[Step]:
        """A session that was made with this one ends with it, and so do those made with that."""
        own = ast.Equals(("user",), document.body.get("user"))
        ended: list[str] = []
        parents = [document.body["objectId"]]
        while parents:
            where = ast.both(own, ast.In((PARENT,), tuple(parents)))
            rows = await app.store.documents.find(Find(self._sessions.schema, where))
            parents = [row.body["objectId"] for row in rows]
            ended += parents
        return [Delete(self._sessions.schema, session_id, if_there=True) for session_id in ended]

    async def after_delete(self, app: App, caller: Caller, document: Document) -> None:
        self._sessions.forget_session(document.body["objectId"])
        if (user_id := _whose(document)) is not None:
            self._sessions.forget_user(user_id)

    def purged(self) -> None:
        self._sessions.forget_all()

    async def changed(self, object_id: str | None) -> None:
        if object_id is None:
            self._sessions.forget_all()
        else:
            self._sessions.forget_session(object_id)

    def missing(self, caller: Caller, operation: str, error: MbaasError) -> MbaasError:
        return ParseError(Code.OBJECT_NOT_FOUND, "Object not found for delete.") if operation == "delete" else error

    def reveal(self, caller: Caller, body: Object) -> Object:
        return with_token(caller, body)


def with_token(caller: Caller, body: Object) -> Object:
    """A session as its owner sees it: the token is told only to the session that it is of."""
    if caller.session_token is not None and body.get("objectId") == caller.session_id:
        body["sessionToken"] = caller.session_token
    return body
