"""New passwords by mail: who is sent a link, and what becomes of it. Order of checks and texts are Parse Server 9.10's."""

from __future__ import annotations

from contextlib import suppress

from mbaas.data import objects, triggers
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code, Conflict, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.query import ast
from mbaas.storage.ports import Document, Find, Step, Update
from mbaas_auth import addresses, linking
from mbaas_auth.lockout import UNLOCKED
from mbaas_auth.mail.links import FIELDS, Links
from mbaas_auth.mail.outbox import address_of, evenly, outbox_of

INVALID = "Failed to reset password: username / email / token is invalid"
EXPIRED = "The password reset link has expired"


class NoReset(Exception):
    """A password cannot be chosen by this link; the text says why."""


class PasswordReset:
    """The links by which one app's users choose new passwords."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._policy = app.options.password_policy
        self._links = Links(app)

    async def request(self, caller: Caller, email: Json, token: Json) -> None:
        """`/requestPasswordReset`: a mail to an address, or to the one whose link has expired.

        204 for neither, 162 and 125 for what is no text; 101 for an address that nobody has, where the app wants that to be told.
        """
        outbox_of(self._app)
        if not email and not token:
            raise ParseError(Code.EMAIL_MISSING, "you must provide an email")
        if token and not isinstance(token, str):
            raise ParseError(Code.INVALID_VALUE, "token must be a string")
        async with evenly():
            await self._request(caller, email, token)

    async def _request(self, caller: Caller, email: Json, token: Json) -> None:
        outbox = outbox_of(self._app)
        if token:
            user = await self._links.owner("reset", token)
            if user is not None and not self._links.expired("reset", user):
                user = None
            email = user.body.get("email", email) if user is not None else email
        else:
            user = await self._at(email) if isinstance(email, str) else None
        if not isinstance(email, str):
            raise ParseError(Code.INVALID_EMAIL_ADDRESS, "you must provide a valid email string")
        if user is None and token:
            user = await self._at(email)
        if user is not None:
            await triggers.fire(self._app, "beforePasswordResetRequest", "_User", caller, user.body)
        elif not self._policy.reset_silent:
            raise ParseError(Code.OBJECT_NOT_FOUND, "A user with that email does not exist.")
        steps: list[Step] = [outbox.nothing()]
        if user is not None:
            steps = [*self._issue(user), outbox.letter("reset", user.body["objectId"], address_of(user))]
        await self._app.store.documents.commit(steps)
        outbox.wake()

    def _issue(self, user: Document) -> list[Step]:
        issued = self._links.issued("reset", user, self._policy.reset_valid_s, reuse=self._policy.reset_reuse)
        return [Update(self._app.classes.known_or_blank("_User"), user.body["objectId"], hidden=issued)] if issued else []

    async def _at(self, address: str) -> Document | None:
        """Whose address it is, or who has it for a name and no other address."""
        if (user := await addresses.owner_of(self._app, address)) is not None:
            return user
        nameless = ast.And((ast.Equals(("username",), address), ast.Equals(("email",), None)))
        found = await self._app.store.documents.find(Find(self._app.classes.known_or_blank("_User"), nameless, limit=1))
        return found[0] if found else None

    async def owner(self, token: Json) -> Document:
        """The user who may choose a password by the token. NoReset if nobody may."""
        user = await self._links.owner("reset", token)
        if user is None:
            raise NoReset(INVALID)
        if self._policy.reset_valid_s is not None and self._links.expired("reset", user):
            raise NoReset(EXPIRED)
        return user

    async def choose(self, token: Json, password: str) -> None:
        """Give the user of a token a new password; the token is used up, once, whoever comes at the same time. NoReset says why not.

        If nobody had proved the address before, it is proved now, and providers that were linked until now are not hers who proves it.
        """
        for _ in range(linking.ATTEMPTS):
            with suppress(Conflict):
                await self._choose(token, password)
                return
        raise NoReset(INVALID)

    async def _choose(self, token: Json, password: str) -> None:
        user = await self.owner(token)
        lockout = self._app.options.account_lockout
        hidden: Object = UNLOCKED if lockout is not None and lockout.unlock_on_reset else {}
        unused = self._links.unused("reset", user)
        body: Object = {"password": password}
        if ended := linking.planted(user):
            body["authData"] = ended
        first = not linking.is_proved(user)
        if first and user.body.get("email"):
            body["emailVerified"] = True
        # What a stranger links at the same time goes, too: then the proof begins again.
        expect = user.version if first else None
        try:
            await objects.update(self._app, MASTER, "_User", user.body["objectId"], body, guard=unused, hidden=hidden, expect=expect)
        except Conflict:
            raise
        except ParseError as error:
            raise NoReset(INVALID if error.code == Code.OBJECT_NOT_FOUND else error.message) from error


def forgotten() -> Object:
    """Hidden fields of a user whose password or address changes: a link that she was sent before works no more."""
    return {FIELDS["reset"].token: None, FIELDS["reset"].expires: None}
