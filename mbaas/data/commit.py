"""The one way from a use-case to the store: a request's writes, with what must commit with them.

A request may carry an idempotency record, which goes into its first commit, and may be part of a transaction: then its
steps wait until every part has given its own, and one unit holds them all (decision 8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, Conflict, Duplicate, ParseError
from mbaas.storage.ports import Step, Written

T = TypeVar("T")
_ATTEMPTS = 5


class Transaction:
    """Gathers the steps of a known number of parts and commits them in the parts' order, all or none."""

    def __init__(self, app: App, parts: int) -> None:
        if not app.sharing.atomic:
            raise ParseError(Code.COMMAND_UNAVAILABLE, "transactions need a MongoDB that is a replica set")
        self._app = app
        self._steps: list[list[Step]] = [[] for _ in range(parts)]
        self._waiting: dict[int, asyncio.Future[list[Written]]] = {}
        self._open = set(range(parts))
        self._failed: BaseException | None = None

    async def add(self, part: int, steps: Sequence[Step]) -> list[Written]:
        """Give a part's steps; returns what they did once all parts are in and the unit is on disk."""
        self._steps[part] = list(steps)
        future: asyncio.Future[list[Written]] = asyncio.get_running_loop().create_future()
        self._waiting[part] = future
        self._open.discard(part)
        await self._settle()
        return await future

    async def done(self, part: int, error: BaseException | None = None) -> None:
        """A part has ended: without a write, or with an error that ends the whole transaction."""
        self._open.discard(part)
        if error is not None and self._failed is None:
            self._failed = error
        await self._settle()

    async def _settle(self) -> None:
        if self._open or not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        written: list[Written] = []
        if self._failed is None:
            try:
                written = await self._app.store.documents.commit([step for steps in self._steps for step in steps])
            except Exception as error:
                self._failed = error
        at = 0
        for part in sorted(waiting):
            if self._failed is not None:
                waiting[part].set_exception(self._failed)
            else:
                waiting[part].set_result(written[at : at + len(self._steps[part])])
                at += len(self._steps[part])


@dataclass(slots=True)
class RequestUnit:
    """What one request brings to its commits: `first` goes, once, into the first of them."""

    first: list[Step] = field(default_factory=list)
    transaction: Transaction | None = None
    part: int = 0


def in_transaction(caller: Caller) -> bool:
    """True if what the request writes commits with other requests."""
    return isinstance(caller.unit, RequestUnit) and caller.unit.transaction is not None


Part = Callable[["RequestUnit"], Awaitable[T]]
"""Something that writes at most once, and gives what it writes to the unit."""


async def all_or_none(app: App, parts: Sequence[Part[T]]) -> list[T]:
    """Run parts whose writes commit as one, side by side, and all of them again if objects changed meanwhile.

    Raises the error of the first part that failed; then nothing is written.
    """
    for attempt in range(_ATTEMPTS):
        transaction = Transaction(app, len(parts))
        results = await asyncio.gather(*[_in(transaction, number, part) for number, part in enumerate(parts)])
        failures = [result for result in results if isinstance(result, _Failure)]
        if not failures:
            return [result for result in results if not isinstance(result, _Failure)]
        error = failures[0].error
        if attempt == _ATTEMPTS - 1 or getattr(error, "code", 0) != Code.INVALID_LINKED_SESSION:
            break
    raise error


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


async def _in(transaction: Transaction, number: int, part: Part[T]) -> T | _Failure:
    """Run one part of a transaction, which waits for the others where it writes."""
    try:
        result = await part(RequestUnit(transaction=transaction, part=number))
    except Exception as error:
        await transaction.done(number, error)
        return _Failure(error)
    await transaction.done(number)
    return result


async def commit(app: App, caller: Caller, steps: Sequence[Step]) -> list[Written]:
    """Write a use-case's steps durably, one result each."""
    unit = caller.unit
    if not isinstance(unit, RequestUnit):
        return await app.store.documents.commit(steps)
    first, unit.first = unit.first, []
    if unit.transaction is not None:
        transaction, unit.transaction = unit.transaction, None
        return (await transaction.add(unit.part, [*steps, *first]))[: len(steps)]
    if first:
        try:
            return (await app.store.documents.commit([*steps, *first]))[: len(steps)]
        except (Conflict, Duplicate):
            # It may be begun again.
            unit.first = first
            raise
    return await app.store.documents.commit(steps)
