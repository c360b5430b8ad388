"""Who a name or an address and a password belong to.

Order of checks and texts are Parse Server 9.10's.
"""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.query import ast
from mbaas.storage.ports import Document, Find, PutRow, Step, Update
from mbaas_auth import linking
from mbaas_auth.lockout import UNLOCKED, Lockout
from mbaas_auth.mail.outbox import outbox_if_any
from mbaas_auth.password_rules import PasswordRules
from mbaas_auth.passwords import Passwords
from mbaas_auth.verification import Verification

_WRONG = "Invalid username/password."


class Credentials:
    """Names, addresses and passwords of one app's users."""

    def __init__(self, app: App, passwords: Passwords, rules: PasswordRules, lockout: Lockout, verification: Verification) -> None:
        self._app, self._passwords, self._rules, self._lockout, self._verification = app, passwords, rules, lockout, verification

    async def authenticate(self, arguments: Object, caller: Caller) -> Document:
        """The user of a name or address and a password; 101 for a wrong one, the same and as slow for an unknown one."""
        username, email, password = arguments.get("username"), arguments.get("email"), arguments.get("password")
        if not username and not email:
            raise ParseError(Code.USERNAME_MISSING, "username/email is required.")
        if not password:
            raise ParseError(Code.PASSWORD_MISSING, "password is required.")
        if any(not isinstance(v, str) for v in (password, username or "", email or "")):
            raise ParseError(Code.OBJECT_NOT_FOUND, _WRONG)
        user = await self._named(username, email)
        hashed = user.hidden.get("_hashed_password") if user else None
        known = hashed if isinstance(hashed, str) else None
        right, renew = await self._lockout.verify(user, lambda: self._passwords.verify(str(password), known))
        if user is None or not right or (user.body.get("ACL") == {} and not caller.omnipotent):
            raise ParseError(Code.OBJECT_NOT_FOUND, _WRONG)
        self._verification.refuse(user, caller, arguments)
        await self._rules.refuse_expired(user)
        if renew:
            renewed: Object = {"_hashed_password": await self._passwords.hash(str(password))}
            try:
                [written] = await self._app.store.documents.commit([self._same_password(user, renewed)])
            except ParseError as error:
                if error.code != Code.OBJECT_NOT_FOUND:
                    raise
                return await self.authenticate(arguments, caller)  # somebody was quicker: is it right still?
            user = written.after or user
        return user

    async def sign_in(self, user: Document, steps: list[Step]) -> None:
        """Write what a sign-in by password writes. 208 if an id of a provider has become somebody else's meanwhile, 101 if the password
        has: where it is taken away with every session, no session is opened by it a moment later."""
        try:
            await self._app.store.documents.commit([self._same_password(user, {}), *steps])
        except Duplicate as error:
            raise linking.taken() from error
        except ParseError as error:
            if error.code != Code.OBJECT_NOT_FOUND:
                raise
            raise ParseError(Code.OBJECT_NOT_FOUND, _WRONG) from error
        if (outbox := outbox_if_any(self._app)) is not None and any(isinstance(step, PutRow) for step in steps):
            outbox.wake()

    def _same_password(self, user: Document, hidden: Object) -> Step:
        """The step that sets hidden fields of a user, if she has the password that was looked at; 101 if she has another by now."""
        same = ast.Equals(("_hashed_password",), user.hidden.get("_hashed_password"))
        return Update(self._app.classes.known_or_blank("_User"), user.body["objectId"], hidden=hidden, guard=same)

    async def unlock(self, name: str) -> bool:
        """Forget the wrong passwords of a name or an address; False if nobody is called that."""
        user = await self._named(name, None)
        if user is not None:
            step = Update(self._app.classes.known_or_blank("_User"), user.body["objectId"], hidden=UNLOCKED)
            await self._app.store.documents.commit([step])
        return user is not None

    async def _named(self, username: Json, email: Json) -> Document | None:
        if username and email:
            where: ast.Node = ast.And((ast.Equals(("username",), username), ast.Equals(("email",), email)))
        elif email:
            where = ast.Equals(("email",), email)
        else:
            where = ast.Or((ast.Equals(("username",), username), ast.Equals(("email",), username)))
        found = await self._app.store.documents.find(Find(self._app.classes.known_or_blank("_User"), where, limit=2))
        by_name = [user for user in found if user.body.get("username") == username]
        return next(iter(by_name or found), None)
