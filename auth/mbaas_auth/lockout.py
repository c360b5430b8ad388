"""`accountLockout`: an account is closed for a time after so many wrong passwords in a row, as Parse Server 9.10 has it.

A password is counted as wrong before it is looked at, and taken back when it was right: however many come at the same time, through
whichever process, no more are looked at than the app allows. Those of one process take turns, so that right ones that come together
are not in each other's way. What is counted is in Parse Server's own hidden fields.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from weakref import WeakValueDictionary

from mbaas.data.app import App
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, date, date_ms
from mbaas.query import ast
from mbaas.storage.ports import Document, Update

COUNT, EXPIRES = "_failed_login_count", "_account_lockout_expires_at"
UNLOCKED: Object = {COUNT: None, EXPIRES: None}
_PATIENCE_SECONDS, _LOOK_SECONDS = 3.0, 0.02
"""How long passwords are waited for that other processes look at, and how often it is looked whether they have."""

Verify = Callable[[], Awaitable[tuple[bool, bool]]]


class Lockout:
    """The closed accounts of one app."""

    def __init__(self, app: App) -> None:
        self._app, self._policy = app, app.options.account_lockout
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def verify(self, user: Document | None, verify: Verify) -> tuple[bool, bool]:
        """What `verify` says of a password for the user. 101 while her account is closed, whatever the password is."""
        if self._policy is None or user is None:
            return await verify()
        user_id: str = user.body["objectId"]
        turn = self._turns.get(user_id)
        if turn is None:
            turn = self._turns[user_id] = asyncio.Lock()
        async with turn:
            count = await self._begin(user_id)
            try:
                right, outdated = await verify()
            except BaseException:
                with suppress(ParseError):
                    await self._set(user_id, {COUNT: count - 1}, count)
                raise
            if right:
                await self._set(user_id, {COUNT: 0, EXPIRES: None})
            elif count >= self._policy.threshold:
                await self._set(user_id, {EXPIRES: date(self._app.clock.now() + round(self._policy.duration_min * 60_000))})
                if count > self._policy.threshold:
                    raise self._locked()
            return right, outdated

    async def _begin(self, user_id: str) -> int:
        """Count a password that is about to be looked at; how many there are with it."""
        assert self._policy is not None
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            user = await self._app.store.documents.get(self._app.classes.known_or_blank("_User"), user_id)
            if user is None:
                return 0
            known = user.hidden.get(COUNT)
            count = int(known) if isinstance(known, int | float) else 0
            expires = date_ms(user.hidden.get(EXPIRES))
            if count >= self._policy.threshold:
                if expires is not None and expires > self._app.clock.now():
                    raise self._locked()
                if expires is None and asyncio.get_running_loop().time() < deadline:
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
            try:
                await self._set(user_id, {COUNT: count + 1, EXPIRES: None}, known)
            except ParseError as error:
                if error.code != Code.OBJECT_NOT_FOUND:
                    raise
            else:
                return count + 1

    async def _set(self, user_id: str, hidden: Object, *known: Json) -> None:
        """Set what is counted; with `known`, 101 unless that is the count."""
        guard = ast.Equals((COUNT,), known[0]) if known else ast.EVERYTHING
        step = Update(self._app.classes.known_or_blank("_User"), user_id, hidden=hidden, guard=guard)
        await self._app.store.documents.commit([step])

    def _locked(self) -> ParseError:
        assert self._policy is not None
        minutes = f"{self._policy.duration_min:g}"
        text = f"Your account is locked due to multiple failed login attempts. Please try again after {minutes} minute(s)"
        return ParseError(Code.OBJECT_NOT_FOUND, text)
