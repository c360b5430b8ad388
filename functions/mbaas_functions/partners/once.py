"""Calls under a caller's own `Idempotency-Key`: the same key is given the same answer for a day, and the partner is called once.

The partner gets a `webhook-id` made of the key. So where a process dies in the middle of a call, and nobody can tell what became of
it, the next one under the key is made under the same id, and the partner can tell.
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
from mbaas.storage.ports import Row

_TABLE = "partner_once"
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
        if not 0 < len(key) <= _LONGEST or not key.isprintable():
            raise ParseError(Code.INVALID_VALUE, f"Idempotency-Key is a text of 1 to {_LONGEST} characters.")
        place = token_hash(orjson.dumps([what, _who(caller), key]).decode())
        request = token_hash(orjson.dumps(params, option=orjson.OPT_SORT_KEYS).decode())
        if (known := await self._begin(place, request)) is not None:
            return _told(known), True
        try:
            result = await run(f"msg_{place[:32]}")
        except TooMany:
            await self._app.store.rows.drop(_TABLE, place)
            raise
        except ParseError as error:
            await self._end(place, request, {"error": [error.code, error.message, error.status]})
            raise
        await self._end(place, request, {"result": result})
        return result, False

    async def _begin(self, place: str, request: str) -> Object | None:
        """What was answered; None if nothing was, and this call is the one."""
        known: Object | None = None

        def begun(row: Row | None) -> Row:
            nonlocal known
            known = None if row is None else row.value
            return row or Row(place, {"request": request}, expires=self._app.clock.now() + _RUNNING_MS)

        await self._app.store.rows.alter(_TABLE, place, begun)
        if known is not None and known["request"] != request:
            raise ParseError(Code.DUPLICATE_REQUEST, "The Idempotency-Key was used for other params.", status=422)
        if known is not None and "answer" not in known:
            raise ParseError(Code.DUPLICATE_REQUEST, "The call under this Idempotency-Key is under way.", status=409)
        return known

    async def _end(self, place: str, request: str, answer: Object) -> None:
        kept = Row(place, {"request": request, "answer": answer}, expires=self._app.clock.now() + _KEPT_MS)
        await self._app.store.rows.put_many(_TABLE, [kept])


def _who(caller: Caller) -> list[Json]:
    """Whose key it is: nobody is told what somebody else was answered."""
    return [caller.omnipotent, caller.user_id, caller.installation_id if caller.user_id is None else None]


def _told(known: Object) -> Json:
    answer = known["answer"]
    if "error" in answer:
        code, message, status = answer["error"]
        raise ParseError(code, message, status=status)
    return answer["result"]
