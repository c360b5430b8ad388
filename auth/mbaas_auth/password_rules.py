"""What a new password must be like (`passwordPolicy`): its form, the user's name, the passwords before it, its age.

Earlier hashes are kept in the hidden field `_password_history`, the time of the last change in `_password_changed_at`.
"""

from __future__ import annotations

import regex

from mbaas.data.app import App
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, date, date_ms
from mbaas.storage.ports import Document, Update
from mbaas_auth.breaches import ROOM, Breaches
from mbaas_auth.passwords import Passwords

CHANGED = "_password_changed_at"
_UNFIT = "Password does not meet the Password Policy requirements."
_BREACHED = "This password is among those that were stolen elsewhere. Please choose another one."
_SECONDS = 0.5
_DAY_MS = 24 * 3600 * 1000


class PasswordRules:
    """The app's policy for passwords."""

    def __init__(self, app: App, passwords: Passwords) -> None:
        self._app, self._passwords = app, passwords
        self._policy = app.options.password_policy
        self._pattern = regex.compile(self._policy.pattern) if self._policy.pattern else None

    async def check(self, password: str, username: Json, user: Document | None) -> None:
        """142 for a password that will not do; `user` is who has one already."""
        if self._pattern is not None and not await self._passwords.judge(self._fits, password):
            raise ParseError(Code.VALIDATION_ERROR, self._policy.error or _UNFIT)
        name = username or (user.body.get("username") if user else None)
        if self._policy.forbid_username and isinstance(name, str) and name in password:
            raise ParseError(Code.VALIDATION_ERROR, "Password cannot contain your username.")
        for old in self._earlier(user):
            right, _ = await self._passwords.verify(password, old)
            if right:
                text = f"New password should not be the same as last {self._policy.history} passwords."
                raise ParseError(Code.VALIDATION_ERROR, text)
        breaches: Breaches | None = self._app.rooms.get(ROOM)
        if breaches is not None and await breaches.knows(password):
            raise ParseError(Code.VALIDATION_ERROR, _BREACHED)

    def _fits(self, password: str) -> bool:
        assert self._pattern is not None
        try:
            return self._pattern.search(password, timeout=_SECONDS, concurrent=True) is not None
        except TimeoutError:
            return False

    def _earlier(self, user: Document | None) -> list[str]:
        """Hashes that may not come again: the present one, and those before it."""
        if user is None or not self._policy.history:
            return []
        kept = user.hidden.get("_password_history")
        past = kept[: self._policy.history - 1] if isinstance(kept, list) else []
        return [old for old in (*past, user.hidden.get("_hashed_password")) if isinstance(old, str)]

    def remembered(self, user: Document | None) -> dict[str, Json]:
        """Hidden fields to keep with a new password."""
        hidden: dict[str, Json] = {}
        if self._policy.max_age_days is not None:
            hidden[CHANGED] = date(self._app.clock.now())
        if user is not None and self._policy.history:
            hidden["_password_history"] = list[Json](self._earlier(user)[-max(1, self._policy.history - 1) :])
        return hidden

    async def refuse_expired(self, user: Document) -> None:
        """101 for a password that is too old; one of unknown age is as old as this sign-in."""
        if self._policy.max_age_days is None:
            return
        now = self._app.clock.now()
        changed = date_ms(user.hidden.get(CHANGED))
        if changed is None:
            schema = self._app.classes.known_or_blank("_User")
            await self._app.store.documents.commit([Update(schema, user.body["objectId"], hidden={CHANGED: date(now)})])
        elif changed + self._policy.max_age_days * _DAY_MS < now:
            raise ParseError(Code.OBJECT_NOT_FOUND, "Your password has expired. Please reset your password.")
