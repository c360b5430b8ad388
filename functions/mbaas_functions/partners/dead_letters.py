"""Events that were given up: kept for a month, listed, and sent once more when somebody asks for it."""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import DropRow, PutRow

_TABLE = "partner_dead"
_MOST = 1000
_UNTOLD = ("state", "about")
_KEPT_MS = 30 * 24 * 3600 * 1000


class DeadLetters:
    """The dead letters of one app; `deliveries` is the table of the queue that they come from and go back to."""

    def __init__(self, app: App, deliveries: str) -> None:
        self._app, self._deliveries = app, deliveries

    def step(self, key: str, value: Object) -> PutRow:
        """Keep a delivery that leaves the queue."""
        now = self._app.clock.now()
        return PutRow(_TABLE, key, {**value, "diedAt": iso(now)}, expires=now + _KEPT_MS)

    async def of(self, partner: str) -> list[Object]:
        """Events that were given up, without what they would have told, and of whom."""
        rows = await self._app.store.rows.scan(_TABLE, prefix=f"{partner}|", limit=_MOST)
        return [{"id": row.key.partition("|")[2], **{k: v for k, v in row.value.items() if k not in _UNTOLD}} for row in rows]

    async def replay(self, partner: str, event: Json = None) -> int:
        """Send one event that was given up, or all, once more from the first attempt on; how many. ParseError 101 if there is none."""
        rows = await self._app.store.rows.scan(_TABLE, prefix=f"{partner}|", limit=_MOST)
        chosen = [row for row in rows if event is None or row.key == f"{partner}|{event}"]
        if event is not None and not chosen:
            raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such event.")
        for row in chosen:
            again = PutRow(self._deliveries, row.key, {**row.value, "attempts": 0}, due=self._app.clock.now())
            await self._app.store.documents.commit([DropRow(_TABLE, row.key), again])
        return len(chosen)
