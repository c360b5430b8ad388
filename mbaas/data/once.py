"""What is done under a caller's own `Idempotency-Key`: the same key is given the same answer for a day, and it is done once.

What is one commit has its record in that commit (`known`, `record`). What is a call to somebody else (`answer`) gets a message id made
of the key. So where a process dies in the middle of a call, and nobody can tell what became of it, the next one under the key is made
under the same id, and who is called can tell.
Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError, TooMany
from mbaas.kernel.ids import token_hash
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import PutRow, Row

TABLE = "once"
_LONGEST = 255
_KEPT_MS = 24 * 3600 * 1000
_RUNNING_MS = 60_000
"""How long a call is thought to be under way: twice as long as one may take."""

Run = Callable[[str], Awaitable[Json]]
"""Makes the call under a message id."""


class Once:
    """What was answered under the keys of one app's callers."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def answer(self, what: str, caller: Caller, key: str, params: Object, run: Run) -> tuple[Json, bool]:
        """What `run` answers, or answered before under this key of the same caller for the same, `what`, with True.

        ParseError as it was raised then; 159 with HTTP 422 if the params are others now, with HTTP 409 while the first call is under way.
        TooMany ends nothing: the key is free again.
        """
        place, request = _place(what, caller, key), _request(params)
        if (known := await self._begin(place, request)) is not None:
            return _told(known), True
        try:
            result = await run(f"msg_{place[:32]}")
        except TooMany:
            await self._app.store.rows.drop(TABLE, place)
            raise
        except ParseError as error:
            await self._end(place, request, {"error": [error.code, error.message, error.status]})
            raise
        await self._end(place, request, {"result": result})
        return result, False

    async def known(self, what: str, caller: Caller, key: str, params: Object) -> Json | None:
        """What was answered under the key; None if nothing was. ParseError 159 with HTTP 422 if the params are others now."""
        row = await self._app.store.rows.get(TABLE, _place(what, caller, key))
        if row is None:
            return None
        _check(row.value, _request(params))
        return _told(row.value)

    def record(self, what: str, caller: Caller, key: str, params: Object, answer: Json) -> PutRow:
        """The step that keeps an answer, in the commit that does what it is the answer to; Duplicate if there is one already."""
        value = {"request": _request(params), "answer": {"result": answer}}
        return PutRow(TABLE, _place(what, caller, key), value, expires=self._app.clock.now() + _KEPT_MS, if_absent=True)

    async def _begin(self, place: str, request: str) -> Object | None:
        """What was answered; None if nothing was, and this call is the one."""
        known: Object | None = None

        def begun(row: Row | None) -> Row:
            nonlocal known
            known = None if row is None else row.value
            return row or Row(place, {"request": request}, expires=self._app.clock.now() + _RUNNING_MS)

        await self._app.store.rows.alter(TABLE, place, begun)
        if known is not None:
            _check(known, request)
        return known

    async def _end(self, place: str, request: str, answer: Object) -> None:
        kept = Row(place, {"request": request, "answer": answer}, expires=self._app.clock.now() + _KEPT_MS)
        await self._app.store.rows.put_many(TABLE, [kept])


def _place(what: str, caller: Caller, key: str) -> str:
    if not 0 < len(key) <= _LONGEST or not key.isprintable():
        raise ParseError(Code.INVALID_VALUE, f"Idempotency-Key is a text of 1 to {_LONGEST} characters.")
    return token_hash(orjson.dumps([what, _who(caller), key]).decode())


def _request(params: Object) -> str:
    return token_hash(orjson.dumps(params, option=orjson.OPT_SORT_KEYS).decode())


def _check(known: Object, request: str) -> None:
    if known["request"] != request:
        raise ParseError(Code.DUPLICATE_REQUEST, "The Idempotency-Key was used for other params.", status=422)
    if "answer" not in known:
        raise ParseError(Code.DUPLICATE_REQUEST, "The call under this Idempotency-Key is under way.", status=409)


def _who(caller: Caller) -> list[Json]:
    """Whose key it is: nobody is told what somebody else was answered."""
    return [caller.omnipotent, caller.user_id, caller.installation_id if caller.user_id is None else None]


def _told(known: Object) -> Json:
    answer = known["answer"]
    if "error" in answer:
        code, message, status = answer["error"]
        raise ParseError(code, message, status=status)
    return answer["result"]
