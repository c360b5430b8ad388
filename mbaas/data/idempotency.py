"""X-Parse-Request-Id: a repeated write is refused (159). The record of an id commits with the write itself.

The request's unit carries `step(…)` into its first commit; a store that finds the id taken refuses the whole unit.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.options import AppOptions
from mbaas.storage.ports import PutRow

if TYPE_CHECKING:
    from mbaas.data.app import App

TABLE = "idempotency"


def guards(options: AppOptions, path: str) -> bool:
    """True if the app's paths (regular expressions from the start of the path below the mount) cover this one."""
    return any(_compiled(pattern).match(path) for pattern in options.idempotency_paths)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def step(app: App, request_id: str) -> PutRow:
    """What a write's unit holds besides, so that the id is used up exactly if the write is done."""
    return PutRow(TABLE, request_id, {}, expires=app.clock.now() + app.options.idempotency_ttl_s * 1000, if_absent=True)


def repeated() -> ParseError:
    """The answer to a request whose id was used before."""
    return ParseError(Code.DUPLICATE_REQUEST, "Duplicate request")


async def refuse_repeat(app: App, request_id: str) -> None:
    """159 if the id is used up; before any trigger runs."""
    if await app.store.rows.get(TABLE, request_id):
        raise repeated()


async def record(app: App, request_id: str, *, repeated_ok: bool = False) -> None:
    """Use an id up outside a write: for calls, and for writes that were refused."""
    try:
        await app.store.documents.commit([step(app, request_id)])
    except Duplicate:
        if not repeated_ok:
            raise repeated() from None
