"""A second factor: codes of an authenticator app with recovery codes, or codes by text message, as Parse Server's adapter `mfa` speaks.

What is kept is hidden: the secret, hashes of the recovery codes, the last step that was used. `authData.mfa` says of a user no more
than `{"status": "enabled"}`. Where Parse Server uses the same database, its adapter must find the secret, so it is kept as that keeps
it. A code is used up by one write under a condition: of those who come with it at the same time one is let in.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from mbaas.data.app import App
from mbaas.data.policies import Write
from mbaas.kernel.addresses import network_of
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.ops import Op, Set
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.query import ast
from mbaas.storage.ports import Document, Update
from mbaas_auth.sms.ports import NotSent, Texter
from mbaas_auth.totp import Totp

KEPT = "_mfa"
"""The hidden field with what is kept of the factor; `uses` in it is a number that every change raises."""
TEXTER = "texter"
_ENABLED: Object = {"status": "enabled"}
_NUMBER = re.compile(r"[+]*[(]?[0-9]{1,3}[)]?[-\s./0-9]*")
_RECOVERY_CODES, _RECOVERY_SIZE = 2, 30
_SHORTEST_SECRET, _LONGEST = 20, 200
_TRIES, _TRIES_MS = 10, 600_000
_MESSAGES, _FROM_ADDRESS = 5, 30
"""Messages to a number, and for a user, in that time; and for all who ask from one address, since each sign-up is somebody new."""
_ATTEMPTS = 5
_SMS_SECONDS = 300
"""How long a code by message is good, at least: Parse Server's 30 s are over before some messages come."""


class Mfa:
    """The second factors of one app's users."""

    def __init__(self, app: App) -> None:
        self._app, options = app, app.options.mfa
        self.offered = options is not None
        self._sms, self._by_app = options is not None and options.sms, options is not None and options.totp
        self._totp = Totp(options.digits, options.period_s, options.algorithm) if options else Totp()

    def active(self, user: Document) -> bool:
        """True if the user has a second factor that she must show."""
        kept = _kept(user)
        return self.offered and bool((self._by_app and kept.get("secret")) or (self._sms and kept.get("mobile")))

    async def demand(self, user: Document, given: Json) -> None:
        """Refuse a sign-in without the second factor; `given` is `authData.mfa` of it. -1 where it is missing, 141 where it is wrong."""
        if not self.active(user):
            return
        if not isinstance(given, dict) or not given:
            raise ParseError(Code.OTHER_CAUSE, "Missing additional authData mfa")
        await self._prove(user, given.get("token"))

    async def change(self, write: Write, current: Document | None, given: Json) -> Object:
        """Enrol a user, change her factor or take it from her, with the write; what becomes of her `authData`.

        `given` is `authData.mfa`: `{secret, token}`, with `old` where there is a factor already; `{old}` alone takes it away;
        `{mobile}` sends a code to a number, and `{mobile, token}` takes the number.
        """
        if given == _ENABLED or (given is None and (current is None or not _kept(current))):
            return {}
        if given is not None and not isinstance(given, dict):
            raise _refused("Invalid MFA data")
        kept, again = (_kept(current) if current else {}), current is not None and self.active(current)
        wanted = given or {}
        if wanted.get("mobile") and self._sms:
            return self._put(write, current, await self._mobile(wanted, kept, write, again=again))
        if current is not None and again and not write.caller.master:
            if "old" not in wanted:
                raise ParseError(Code.MFA_ERROR, "The second factor is changed, or taken away, with a code of it in authData.mfa.old.")
            await self._prove(current, wanted["old"])
            current = await self._again(current)
        if given is None or wanted.keys() == {"old"}:
            return self._put(write, current, None)
        if self._by_app:
            made, codes = self._enrolled(wanted)
            write.answer["authDataResponse"] = {"mfa": {"recovery": ", ".join(codes)}}
            return self._put(write, current, made)
        raise _refused("Invalid MFA data")

    def shown(self, body: Object) -> Object:
        """A user's body, which is the caller's to change, as anybody may see it."""
        linked = body.get("authData")
        if isinstance(linked, dict) and isinstance(known := linked.get("mfa"), dict):
            enabled = known == _ENABLED or any(known.get(name) for name in ("secret", "mobile"))
            body["authData"] = {**linked, "mfa": dict(_ENABLED) if enabled else {"status": "disabled"}}
        return body

    def others(self, linked: Json) -> Json:
        """`authData` without the second factor, which vouches for nobody by itself."""
        return {k: v for k, v in linked.items() if k != "mfa"} if self.offered and isinstance(linked, dict) else linked

    def _enrolled(self, given: Object) -> tuple[Object, list[str]]:
        """What is kept of a new secret, and the recovery codes, which are told this once."""
        text, token = given.get("secret"), given.get("token")
        if not isinstance(text, str) or not isinstance(token, str) or not token or not _SHORTEST_SECRET <= len(text) <= _LONGEST:
            raise _refused("Invalid MFA data")
        made = self._totp.enrolled(text, token, self._app.clock.now())
        if made is None:
            raise _refused("Invalid MFA token")
        codes = [self._app.ids.object_id(_RECOVERY_SIZE) for _ in range(_RECOVERY_CODES)]
        # Parse Server compares recovery codes as they are.
        recovery = codes if self._app.sharing.shared else [token_hash(code) for code in codes]
        return {**made, "recovery": list[Json](recovery)}, codes

    async def _mobile(self, given: Object, kept: Object, write: Write, *, again: bool) -> Object:
        """What is kept of a number: that it was sent a code, or that the code was right."""
        number, token = given["mobile"], given.get("token")
        if not isinstance(number, str) or len(number) > _LONGEST or not _NUMBER.fullmatch(number):
            raise _refused("Invalid mobile number.")
        if not token:
            if again:
                raise _refused("MFA is already set up on this account")
            if write.object_id is not None:
                await self._count("mfa-messages", write.object_id, _MESSAGES)
            if not write.caller.omnipotent:
                await self._count("mfa-messages-address", network_of(write.caller.ip), _FROM_ADDRESS)
            return {"pending": {"mobile": number, **await self._text(number)}}
        pending = kept.get("pending")
        if not isinstance(pending, dict) or pending.get("mobile") != number:
            raise _refused("This number is not pending")
        await self._count("mfa", _hashed(number), _TRIES)
        if not self._texted(pending, number, token):
            raise _refused("Invalid MFA token")
        return {"mobile": number}

    async def _prove(self, user: Document, token: Json) -> None:
        """Refuse a token that is not right now (141), and use it up. Tries are an account's, wherever they come from."""
        user_id: str = user.body["objectId"]
        await self._count("mfa", user_id, _TRIES)
        sent: Object | None = None
        for _ in range(_ATTEMPTS):
            kept = _kept(user)
            if self._sms and kept.get("mobile") and token == "request":  # noqa: S105
                # It is with her by now: whatever else is kept of her meanwhile, its code is to be good.
                sent = sent or await self._text(kept["mobile"], user_id)
                if await self._commit(user, {**kept, "sent": sent}):
                    raise _refused("Please enter the token")
            elif (left := self._used(kept, token)) is None:
                raise _refused("Invalid MFA token")
            elif await self._commit(user, left):
                await self._app.uses.forget("mfa", user_id)
                return
            user = await self._again(user)
        raise _refused("Invalid MFA token")

    def _used(self, kept: Object, token: Json) -> Object | None:
        """What is kept once a token is used up; None for one that is wrong."""
        if not isinstance(token, str) or not 0 < len(token) <= _LONGEST:
            return None
        if self._sms and kept.get("mobile"):
            sent = kept.get("sent")
            right = isinstance(sent, dict) and self._texted(sent, kept["mobile"], token)
            return {name: value for name, value in kept.items() if name != "sent"} if right else None
        return self._totp.used(kept, token, self._app.clock.now())

    async def _text(self, number: str, who: str | None = None) -> Object:
        """Send a code to a number; what is kept of it. 141 where no message can be sent."""
        texter: Texter | None = self._app.rooms.get(TEXTER)
        if texter is None:
            raise _refused("No text messages can be sent.")
        await self._count("mfa-messages", who or _hashed(number), _MESSAGES)
        code = str(int(self._app.ids.hex(16), 16))[-self._totp.digits :].zfill(self._totp.digits)
        until = self._app.clock.now() + max(self._totp.period_s, _SMS_SECONDS) * 1000
        try:
            await texter.send(number, f"{code} is your code for {self._app.options.app_name or self._app.options.app_id}.")
        except NotSent as error:
            get_logger(__name__).error("a text message was not taken", reason=str(error))
            raise _refused("No text messages can be sent.") from error
        return {"hash": self._hash(number, code), "until": until}

    def _texted(self, sent: Object, number: str, token: Json) -> bool:
        right = isinstance(token, str) and hmac.compare_digest(str(sent.get("hash")), self._hash(number, token))
        return right and sent["until"] > self._app.clock.now()

    def _hash(self, number: str, code: str) -> str:
        """A keyed hash: a copy of the database does not give a few digits away."""
        said = f"mfa {self._app.options.app_id} {number} {code}"
        return hmac.new(self._app.options.master_key.encode(), said.encode("utf-8", "replace"), "sha256").hexdigest()

    async def _count(self, limit: str, who: str, most: int) -> None:
        # There are too few codes for a limit that presets could take away.
        most *= max(1, self._app.options.rate_limit_factor)
        await self._app.uses.use(limit, who, most, _TRIES_MS, "Too many attempts at the second factor.", tell=True)

    async def _again(self, user: Document) -> Document:
        found = await self._app.store.documents.get(self._app.classes.known_or_blank("_User"), user.body["objectId"])
        if found is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, "Object not found.")
        return found

    async def _commit(self, user: Document, kept: Object) -> bool:
        """Keep this of a user; False if something else was kept meanwhile."""
        ops, hidden = self._stored(user, kept)
        try:
            step = Update(self._app.classes.known_or_blank("_User"), user.body["objectId"], ops, hidden, guard=_unchanged(user))
            await self._app.store.documents.commit([step])
        except ParseError as error:
            if error.code != Code.OBJECT_NOT_FOUND:
                raise
            return False
        return True

    def _put(self, write: Write, current: Document | None, kept: Object | None) -> Object:
        """Keep this with the write; what becomes of `authData.mfa`."""
        uses = _uses(_kept(current)) if current is not None else 0
        if current is not None:
            write.guard = ast.both(write.guard, _unchanged(current))
        write.hidden[KEPT] = None
        if kept is None:
            return {"mfa": None}
        kept = {**kept, "uses": uses + 1}
        if self._app.sharing.shared:
            return {"mfa": kept}
        write.hidden[KEPT] = kept
        return {"mfa": dict(_ENABLED) if "pending" not in kept else {"status": "disabled"}}

    def _stored(self, user: Document, kept: Object) -> tuple[Sequence[Op], Object]:
        """The operators and the hidden fields that keep this."""
        kept = {**kept, "uses": _uses(_kept(user)) + 1}
        if self._app.sharing.shared:
            # A hidden field that Parse Server does not know would keep it from reading the user.
            return [Set(("authData", "mfa"), kept)], {}
        return ([] if KEPT in user.hidden else [Set(("authData", "mfa"), dict(_ENABLED))]), {KEPT: kept}


def _unchanged(user: Document) -> ast.Node:
    """The condition that nothing else was kept of the user's factor meanwhile, wherever it is kept."""
    uses = _uses(_kept(user)) or None
    if KEPT in user.hidden:
        return ast.Equals((KEPT, "uses"), uses)
    return ast.both(ast.Equals((KEPT, "uses"), None), ast.Equals(("authData", "mfa", "uses"), uses))


def _kept(user: Document) -> Object:
    """What is known of a user's factor, whichever server has kept it."""
    linked, hidden = user.body.get("authData"), user.hidden.get(KEPT)
    shown = linked.get("mfa") if isinstance(linked, dict) else None
    found = {**(shown if isinstance(shown, dict) else {}), **(hidden if isinstance(hidden, dict) else {})}
    found.pop("status", None)
    return found


def _hashed(number: str) -> str:
    """What stands for a number, however it is written."""
    return token_hash("".join(filter(str.isdigit, number)))


def _uses(kept: Object) -> int:
    return int(kept.get("uses", 0))


def _refused(text: str) -> ParseError:
    """141 in the adapter's words."""
    return ParseError(Code.SCRIPT_FAILED, text)
