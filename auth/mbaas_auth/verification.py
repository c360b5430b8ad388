"""Addresses, and the proof that they are somebody's: who is sent a mail for it, and what becomes of its link.

Order of checks and texts are Parse Server 9.10's. `emailVerified` is true from the moment that the link of the last mail was
opened, and false again when the address changes.
"""

from __future__ import annotations

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.policies import Write
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.query import ast
from mbaas.storage.ports import Document, Find, Step, Update
from mbaas_auth import addresses
from mbaas_auth.mail.links import Links
from mbaas_auth.mail.outbox import address_of, evenly, outbox_if_any, outbox_of


class Verification:
    """The addresses of one app's users."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._options = app.options.email_verification
        self._links = Links(app)

    def demand(self, write: Write) -> None:
        """Have a new address be proved: with the write, a link is made and its mail waits."""
        if "email" not in write.body:
            return
        email = write.body["email"]
        if not isinstance(email, str):  # it is taken away
            write.hidden.update(self._links.ended("verification"))
            return
        linked = write.body.get("authData")
        vouched = write.creating and isinstance(linked, dict) and linked.keys() - {"anonymous", "mfa"}
        if not self._options.wanted or vouched:
            return
        if "emailVerified" not in write.triggered:
            write.body["emailVerified"] = False
        write.hidden.update(self._links.issued("verification", None, self._options.valid_s, reuse=False))
        outbox = outbox_if_any(self._app)
        if outbox is not None and self._options.send:
            assert write.object_id is not None
            write.steps.append(outbox.letter("verification", write.object_id, email))

    @property
    def bars(self) -> bool:
        """True if nobody is signed in before she has proved her address."""
        return self._options.wanted and self._options.prevent_login

    @property
    def refuses_sign_up(self) -> bool:
        """True if a sign-up that signs nobody in is told as an error."""
        return self.bars and self._options.prevent_signup

    def refuse(self, user: Document, caller: Caller, arguments: Object) -> None:
        """205 for one who has to prove her address first."""
        ignored = caller.omnipotent and arguments.get("ignoreEmailVerification")
        if self.bars and not user.body.get("emailVerified") and not ignored:
            raise unverified()

    async def request(self, email: Json) -> None:
        """`/verificationEmailRequest`: the mail once more. 204, 125 for no address; the rest is told only where the app wants that."""
        outbox_of(self._app)
        if not email:
            raise ParseError(Code.EMAIL_MISSING, "you must provide an email")
        if not isinstance(email, str):
            raise ParseError(Code.INVALID_EMAIL_ADDRESS, "you must provide a valid email string")
        async with evenly():
            await self._request(email)

    async def _request(self, email: str) -> None:
        user = await addresses.owner_of(self._app, email)
        if user is None and not self._options.silent:
            raise ParseError(Code.EMAIL_NOT_FOUND, f"No user found with email {email}")
        if user is not None and user.body.get("emailVerified") and not self._options.silent:
            raise ParseError(Code.OTHER_CAUSE, f"Email {email} is already verified.")
        await self._send_again(user)

    async def resend(self, username: Json, token: Json) -> bool:
        """The same for who has the name, or a link that has expired. False where there is nobody to write to, unless that is a secret."""
        async with evenly():
            sent = await self._send_again(await self._named(username, token))
        return sent or self._options.silent

    async def _named(self, username: Json, token: Json) -> Document | None:
        """The user of a name, of a token, or of both."""
        parts: list[ast.Node] = [ast.Equals(("username",), username)] if isinstance(username, str) and username else []
        if token:
            owner = await self._links.owner("verification", token)
            if owner is None:
                return None
            parts.append(ast.Equals(("objectId",), owner.body["objectId"]))
        return await self._one(ast.And(tuple(parts))) if parts else None

    async def _one(self, where: ast.Node) -> Document | None:
        found = await self._app.store.documents.find(Find(self._app.classes.known_or_blank("_User"), where, limit=1))
        return found[0] if found else None

    async def _send_again(self, user: Document | None) -> bool:
        """Have a mail wait for the user, or nothing where there is none to be sent; either is written."""
        outbox = outbox_if_any(self._app)
        if outbox is None:
            return False
        wanted = user is not None and self._options.wanted and not user.body.get("emailVerified")
        steps: list[Step] = []
        if user is not None and wanted:
            issued = self._links.issued("verification", user, self._options.valid_s, reuse=self._options.reuse)
            user_id = user.body["objectId"]
            if issued:
                steps.append(Update(self._app.classes.known_or_blank("_User"), user_id, hidden=issued))
            steps.append(outbox.letter("verification", user_id, address_of(user)) if self._options.send else outbox.nothing())
        await self._app.store.documents.commit(steps or [outbox.nothing()])
        outbox.wake()
        return wanted

    async def verify(self, token: Json) -> Document | None:
        """The user whose address is proved by the token now; None if the token is not, or no longer, good for that."""
        user = await self._links.owner("verification", token) if self._options.wanted else None
        if user is None:
            return None
        if self._options.valid_s is not None and (user.body.get("emailVerified") or self._links.expired("verification", user)):
            return None
        unused, used = self._links.unused("verification", user), self._links.ended("verification")
        try:
            await objects.update(self._app, MASTER, "_User", user.body["objectId"], {"emailVerified": True}, guard=unused, hidden=used)
        except ParseError:
            return None  # used at the same time, or the app's own code refuses it
        return user


def unverified() -> ParseError:
    """205 in Parse's words."""
    return ParseError(Code.EMAIL_NOT_FOUND, "User email is not verified.")
