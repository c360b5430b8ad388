"""Users: the rules of the `_User` class.

Order of checks and texts are Parse Server 9.10's. The password's hash is a hidden field; `authData` is shown to its
owner and the master key alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from mbaas.data import triggers
from mbaas.data.app import App
from mbaas.data.classes import field_name_is_valid
from mbaas.data.options import EVERYTHING
from mbaas.data.policies import Policy, Saved, Write
from mbaas.data.shape import Shape
from mbaas.kernel.acl import allowed, permits
from mbaas.kernel.caller import MASTER, Caller, user_principals
from mbaas.kernel.errors import Code, Duplicate, MbaasError, ParseError, forbidden, not_found
from mbaas.kernel.ops import Op, Set
from mbaas.kernel.values import Json, Object
from mbaas.query import ast
from mbaas.storage.ports import Document, Step, Update
from mbaas_auth import linking, providers
from mbaas_auth.credentials import Credentials
from mbaas_auth.identity.ports import Identity
from mbaas_auth.lockout import COUNT, EXPIRES, Lockout
from mbaas_auth.mail.links import FIELDS, Links
from mbaas_auth.mail.outbox import outbox_if_any
from mbaas_auth.mfa import Mfa
from mbaas_auth.password_reset import PasswordReset, forgotten
from mbaas_auth.password_rules import CHANGED, PasswordRules
from mbaas_auth.passwords import Passwords
from mbaas_auth.roles import roles_of
from mbaas_auth.sessions import Sessions
from mbaas_auth.verification import Verification, unverified

_DROPPED = frozenset({"sessionToken", "createdAt", "updatedAt"})
_WHOLE = frozenset({"username", "password", "email", "emailVerified", "authData"})
"""What is checked before it is written: never set by a path into it."""
_WAYS_IN = frozenset({"password", "email", "authData"})
_EMAIL = re.compile(r"^.+@.+$")


class UserPolicy(Policy):
    """Names and addresses are unique ignoring case, passwords are hashed, a change of password ends every session."""

    location = "/users/"
    owned_by_itself = True
    plain_reads = False
    remembers = True
    schema = {
        "indexes": {
            "email_unique": {"email": 1},
            "username_unique": {"username": 1},
            "auth_data_anonymous": {"authData.anonymous.id": 1},
            **{fields.token: {fields.token: 1} for fields in FIELDS.values()},
        },
        "unique": frozenset({"username_unique", "email_unique", "auth_data_anonymous"}),
        "folded": frozenset({"username_unique", "email_unique"}),
    }

    def __init__(self, app: App, sessions: Sessions, passwords: Passwords) -> None:
        self._app, self.sessions, self.passwords = app, sessions, passwords
        self._rules = PasswordRules(app, passwords)
        self._links, self._lockout = Links(app), Lockout(app)
        self.verification, self.password_reset, self.mfa = Verification(app), PasswordReset(app), Mfa(app)
        self.credentials = Credentials(app, passwords, self._rules, self._lockout, self.verification)

    def rewrite(self, caller: Caller, where: ast.Node) -> ast.Node:
        """Nobody searches by what providers know of people, nor by passwords, and not even the master key by what is kept of a second
        factor, which Parse Server keeps beside it; such a condition holds for nobody."""
        if isinstance(where, (ast.And, ast.Or, ast.Nor)):
            return type(where)(tuple(self.rewrite(caller, part) for part in where.parts))
        path = getattr(where, "path", ("",))
        private = ("password",) if caller.omnipotent else ("password", "authData")
        kept = path[:2] == ("authData", "mfa") and path[2:] not in ((), ("status",))
        return ast.NOTHING if kept or path[0] in private else where

    async def before(self, write: Write) -> None:
        body = write.body
        for name in [k for k in body if k in _DROPPED or k.startswith("_")]:
            del body[name]
        if not write.creating:
            await self._refuse_strangers(write)
        for name in body:
            if "." in name and name.partition(".")[0] in _WHOLE:
                raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name: {name}.")
        if not write.creating:
            for name in body:
                if not field_name_is_valid(name.partition(".")[0]):
                    raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name for update: {name}")
            if isinstance(body.get("username"), dict):
                raise ParseError(Code.INVALID_JSON, "You cannot use [object Object] as a query parameter.")
        self._check_credentials(write)
        if not write.creating and write.caller.session_id is not None and body.keys() & _WAYS_IN:
            # A session that ends meanwhile, with whatever was a stranger's, leaves no way in behind.
            write.steps.append(Update(self.sessions.schema, write.caller.session_id))
        if "emailVerified" in body and not write.caller.omnipotent:
            raise forbidden("Clients aren't allowed to manually update email verification.")
        if "authData" in body:
            await self._auth_data(write)

    async def _refuse_strangers(self, write: Write) -> None:
        """Who may not change an account learns nothing of it: no check that follows is made for her."""
        caller, user_id = write.caller, write.object_id
        if caller.omnipotent or (user_id is not None and caller.user_id == user_id):
            return
        user = await self._user(user_id or "") if caller.user_id is not None else None
        if user is None or not permits(allowed(user.body.get("ACL"), "write"), caller.principals):
            raise self.missing(caller, "update", not_found())

    def _check_credentials(self, write: Write) -> None:
        if not write.creating or providers.given(self.mfa.others(write.body.get("authData"))):
            return
        for name, code, text in (
            ("username", Code.USERNAME_MISSING, "bad or missing username"),
            ("password", Code.PASSWORD_MISSING, "password is required"),
        ):
            if not isinstance(write.body.get(name), str) or not write.body[name]:
                raise ParseError(code, text)

    async def _auth_data(self, write: Write) -> None:
        """Check what providers say, log in whom they know, and keep the rest to be written."""
        sent = write.body.pop("authData")
        if not isinstance(sent, dict) or sent.get("__op"):
            raise providers.unsupported()
        if not sent:
            return
        given = self.mfa.others(sent)
        assert isinstance(given, dict)
        current = await self._user(write.object_id) if write.object_id else None
        known = (current.body.get("authData") if current else None) or {}
        fresh = {k: v for k, v in given.items() if v is None or not linking.is_echo(known.get(k), v)}
        identities = await linking.vouched(self._app, write.caller, fresh, self.show_all(current.body) if current else None)
        kept = {name: identity.kept for name, identity in identities.items()}
        given = {**given, **kept}
        owner, asked = await self.linked(given), False
        if owner is None and write.creating and write.caller.user_id is None:
            owner = await linking.joined(self._app, self.sessions, self.mfa, identities, sent.get("mfa"))
            asked = owner is not None
        linking.refuse_unknown(identities, owner)
        asked = asked or any(identity.strong for identity in identities.values())
        if owner is not None and owner.body["objectId"] != write.object_id:
            if write.creating and write.caller.user_id in (None, owner.body["objectId"]):
                write.reply = await self._log_in_with(write, owner, given, sent.get("mfa"), asked=asked, identities=identities)
                return
            raise linking.taken()
        second = await self.mfa.change(write, current, sent["mfa"]) if "mfa" in sent and self.mfa.offered else {}
        if second and write.object_id:
            # A code that was used up has changed her.
            current = await self._user(write.object_id)
        if fresh or second:
            self._link(write, current, fresh, second, identities)

    def _link(self, write: Write, current: Document | None, fresh: Object, second: Object, identities: Mapping[str, Identity]) -> None:
        """Have what providers say, and what becomes of the second factor, be written, and their owner be told of them."""
        known = (current.body.get("authData") if current else None) or {}
        kept = {name: identity.kept for name, identity in identities.items()}
        merged = {k: v for k, v in {**known, **fresh, **kept, **second}.items() if v is not None}
        if merged or not write.creating:
            write.body["authData"] = merged or {"__op": "Delete"}
        write.answer.setdefault("authDataResponse", {})
        if any(fresh[name] != kept[name] for name in kept) and (write.creating or write.caller.user_id == write.object_id):
            write.answer["authData"] = merged
        if current is not None:
            # Of two that are linked at the same time neither is lost: the second is begun again.
            write.expect = write.expect or current.version
            write.steps += [*linking.notices(self._app, current, {**fresh, **kept}), *linking.added(self._app, current, identities)]
        email = write.body.get("email") if "email" in write.body or current is None else current.body.get("email")
        if linking.proves(identities.values(), email):
            write.body["emailVerified"] = True
            write.hidden.update(self._links.ended("verification"))

    async def linked(self, given: Object) -> Document | None:
        """The user whom these provider ids belong to. 208 if they are several users'."""
        return await linking.owner(self._app, given)

    async def _log_in_with(
        self,
        write: Write,
        owner: Document,
        given: Object,
        second: Json = None,
        *,
        asked: bool = False,
        identities: Mapping[str, Identity] = MappingProxyType({}),
    ) -> Saved:
        """Sign the owner in; her second factor is `second`, unless she was `asked` for it before. `identities`: what providers say of
        her besides."""
        user_id = owner.body["objectId"]
        location = f"{self.location}{user_id}"
        if owner.body.get("ACL") == {} and not write.caller.omnipotent:
            raise ParseError(Code.OBJECT_NOT_FOUND, "User not found.")  # she is locked out
        if write.caller.omnipotent or write.caller.user_id is not None:
            return Saved(await self.show_self(user_id, owner.body), 200, location)
        if not asked:
            await self.mfa.demand(owner, second)
        caller = await triggers.fire(self._app, "beforeLogin", "_User", write.caller, owner.body)
        created_with: Object = {"action": "login", "authProvider": ",".join(given)}
        steps, token = await self.sessions.open(user_id, created_with, write.caller.installation_id)
        body, renewed = owner.body, self._renewed(owner, given)
        if renewed:
            body = {**body, "authData": {**body["authData"], **renewed}}
        proved = linking.vouched_address(self._app, owner, identities.values())
        if proved[0]:
            body = {**body, "emailVerified": True}
        await self._app.store.documents.commit([self._still_vouched(owner, given, renewed, *proved), *steps])
        await triggers.after(self._app, "afterLogin", "_User", caller, body)
        shown = await self.show_self(user_id, body)
        return Saved({**shown, "sessionToken": token, "authDataResponse": {}}, 200, location)

    @staticmethod
    def _renewed(owner: Document, given: Object) -> Object:
        """What providers say anew of a user whom they have vouched for: tokens that have changed, under ids that have not."""
        known = owner.body.get("authData") or {}
        return {
            name: data
            for name, data in given.items()
            if isinstance(data, dict) and isinstance(was := known.get(name), dict) and was != data and was.get("id") == data.get("id")
        }

    def _still_vouched(self, owner: Document, given: Object, renewed: Object, proved: list[Op], hidden: Object, same: ast.Node) -> Step:
        """The step that keeps what is renewed and proved; 101 if a provider that she comes with has been taken away, or the address that
        is proved: then no session is opened."""
        known = owner.body.get("authData") or {}
        vouched = tuple(
            ast.Equals(("authData", name, "id"), data["id"])
            for name, data in given.items()
            if isinstance(data, dict) and isinstance(was := known.get(name), dict) and data.get("id") and was.get("id") == data["id"]
        )
        ops = [*(Set(("authData", name), data) for name, data in renewed.items()), *proved]
        users = self._app.classes.known_or_blank("_User")
        return Update(users, owner.body["objectId"], ops, hidden, guard=ast.both(ast.And(vouched), same))

    async def _user(self, user_id: str) -> Document | None:
        return await self._app.store.documents.get(self._app.classes.known_or_blank("_User"), user_id)

    async def prepare(self, write: Write) -> None:
        body, caller = write.body, write.caller
        assert write.object_id is not None
        if body.get("email") == "":
            body["email"] = {"__op": "Delete"}
        email = body.get("email")
        if isinstance(email, str) and not _EMAIL.match(email):
            raise ParseError(Code.INVALID_EMAIL_ADDRESS, "Email address format is invalid.")
        if "password" in body:
            await self._password(write)
        self._lower(body)
        self.verification.demand(write)
        if "email" in body and "emailVerified" not in body and not write.creating:
            user = await self._user(write.object_id)
            if user is not None and user.body.get("email") != body["email"]:
                # What was proved was another address; and one that is proved at this moment is no proof of this one.
                write.expect = write.expect or user.version
                if user.body.get("emailVerified") is True:
                    body["emailVerified"] = False
        if not write.creating and ("email" in body or "_hashed_password" in write.hidden):
            write.hidden.update(forgotten())
        self._own_acl(write)
        if write.creating:
            await self._sign_up(write)
        elif caller.user_id is None and not caller.omnipotent:
            raise ParseError(Code.OBJECT_NOT_FOUND, "Object not found.")

    async def _password(self, write: Write) -> None:
        password = write.body.pop("password")
        if not isinstance(password, str):
            raise ParseError(Code.INCORRECT_TYPE, "a password is a string")
        user = None if write.creating else await self._user(write.object_id or "")
        await self._rules.check(password, write.body.get("username"), user)
        write.hidden.update(self._rules.remembered(user))
        write.hidden["_hashed_password"] = await self.passwords.hash(password) if password else None
        if write.creating:
            return
        assert write.object_id is not None
        if not write.caller.omnipotent and write.caller.user_id != write.object_id:
            return  # the commit refuses her; nothing of the sessions is touched
        first = write.body.get("emailVerified") is True and user is not None and not linking.is_proved(user)
        if first or self._app.options.revoke_session_on_password_reset:
            write.steps += await self.sessions.endings(write.object_id)
        if not write.caller.omnipotent:
            insert, token = self.sessions.new(write.object_id, None, write.caller.installation_id, write.caller.session_expires)
            write.steps.append(insert)
            write.answer["sessionToken"] = token

    def _lower(self, body: Object) -> None:
        options = self._app.options
        for name, wanted in (("username", options.lowercase_username), ("email", options.lowercase_email)):
            if wanted and isinstance(body.get(name), str):
                body[name] = body[name].lower()

    def _own_acl(self, write: Write) -> None:
        """A person may always read and write herself, whatever list she sends."""
        wanted = write.body.get("ACL")
        if not write.creating and (wanted is None or write.caller.omnipotent):
            return
        acl = dict(wanted) if isinstance(wanted, dict) else {}
        if wanted is None and not self._app.options.enforce_private_users:
            acl["*"] = {"read": True}
        acl[write.object_id or ""] = {"read": True, "write": True}
        write.body["ACL"] = acl

    async def _sign_up(self, write: Write) -> None:
        body = write.body
        assert write.object_id is not None
        if not body.get("username"):
            body["username"] = self._app.ids.object_id(25)
            write.answer["username"] = body["username"]
        if write.caller.omnipotent:
            return
        linked = ",".join(body["authData"]) if isinstance(body.get("authData"), dict) else ""
        if (linked and write.caller.user_id is not None) or self.verification.bars:
            return
        created_with: Object = {"action": "login" if linked else "signup", "authProvider": linked or "password"}
        steps, token = await self.sessions.open(write.object_id, created_with, write.caller.installation_id)
        write.steps += steps
        write.answer["sessionToken"] = token

    async def after(self, write: Write) -> None:
        if write.object_id and not write.creating:
            self.sessions.forget_user(write.object_id)
        outbox = outbox_if_any(self._app)
        if outbox is not None and (write.hidden.get(FIELDS["verification"].token) or "authData" in write.body):
            outbox.wake()
        if write.creating and not write.caller.omnipotent and self.verification.refuses_sign_up:
            write.refusal = unverified()

    async def before_delete(self, app: App, caller: Caller, document: Document) -> list[Step]:
        """What belongs to a person goes with her."""
        steps: list[Step] = []
        for belongings in app.belongings:
            steps += await belongings.leave(document.body["objectId"])
        return steps

    async def after_delete(self, app: App, caller: Caller, document: Document) -> None:
        self.sessions.forget_user(document.body["objectId"])

    def purged(self) -> None:
        self.sessions.forget_all()

    async def changed(self, object_id: str | None) -> None:
        if object_id is None:
            self.sessions.forget_all()
        else:
            self.sessions.forget_user(object_id)

    def admit(self, caller: Caller, operation: str, class_name: str) -> None:
        if operation == "delete" and caller.user_id is None and not caller.omnipotent:
            raise ParseError(Code.SESSION_MISSING, "Insufficient auth to delete user")

    async def forestalled(self, write: Write, error: Duplicate) -> Saved | None:
        """Of those who come with the same provider's id at the same time, one is signed up and the others are signed in."""
        given = write.body.get("authData")
        if not error.index.startswith("auth_data_") or not isinstance(given, dict):
            return None
        owner = await self.linked(given)
        if owner is None or write.caller.user_id not in (None, owner.body["objectId"]):
            return None
        return await self._log_in_with(write, owner, given)

    def refusal(self, error: Duplicate) -> MbaasError:
        if error.index == "username_unique":
            return ParseError(Code.USERNAME_TAKEN, "Account already exists for this username.")
        if error.index == "email_unique":
            return ParseError(Code.EMAIL_TAKEN, "Account already exists for this email address.")
        if error.index.startswith(("auth_data_", "passkeys")):
            return linking.taken()
        return error

    def missing(self, caller: Caller, operation: str, error: MbaasError) -> MbaasError:
        if not caller.omnipotent:
            return ParseError(Code.SESSION_MISSING, "Insufficient auth.", sanitized="Permission denied")
        return ParseError(Code.OBJECT_NOT_FOUND, "Object not found for delete.") if operation == "delete" else error

    def reveal(self, caller: Caller, body: Object) -> Object:
        if not caller.omnipotent and body.get("objectId") != caller.user_id:
            body.pop("authData", None)
        return self.mfa.shown(body)

    def private(self, caller: Caller, hidden: Object) -> Object:
        """The maintenance key is shown what of hidden fields Parse Server shows to it, but for hashes of passwords."""
        if not caller.maintenance:
            return {}
        shown = {**self._links.shown(hidden), **{name: hidden[name] for name in (COUNT, EXPIRES, CHANGED) if name in hidden}}
        return {name: value["iso"] if isinstance(value, dict) else value for name, value in shown.items()}

    def announce(self, caller: Caller, body: Object) -> Object:
        """How people sign in elsewhere is told to those who ask, not sent about."""
        if not caller.omnipotent:
            body.pop("authData", None)
        return body

    def single(self, caller: Caller, body: Object) -> Object:
        if caller.session_token is not None and body.get("objectId") == caller.user_id:
            body["sessionToken"] = caller.session_token
        return body

    def show_all(self, body: Object) -> Object:
        """A user as the master key sees her."""
        classes = self._app.classes
        return Shape(self._app, MASTER, self, classes.rules("_User"), classes.known_or_blank("_User"), EVERYTHING).show(body)

    async def show_self(self, user_id: str, body: Object) -> Object:
        """A user as she sees herself."""
        roles = await roles_of(self._app, user_id)
        herself = Caller(user_id=user_id, roles=roles, principals=user_principals(user_id, roles))
        classes = self._app.classes
        shape = Shape(self._app, herself, self, classes.rules("_User"), classes.known_or_blank("_User"), EVERYTHING)
        return shape.show(body)
