"""Who did what to a partner, and when: what was granted and taken back, states, secrets, keys. Rows are added, and never changed.

What is done to a partner notes its event in the partner's own row, in the one write that does it; from there it is copied into rows of its
own, numbered, before the answer. What a dying process did not copy is copied by whoever comes next.
"""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.values import Object
from mbaas.storage.ports import Row

_TABLE = "partner_audit"


def by(caller: Caller | None) -> Object:
    """Who did it: the holder of the master key, and where she was."""
    return {} if caller is None else {"by": "master", "ip": caller.ip}


class Audit:
    """The audits of one app's partners."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def copy(self, partner: str, history: list[Object]) -> None:
        """Keep the events of a partner's row that are not kept yet."""
        last = await self._last(partner, history)
        rows = [Row(_key(partner, event["number"]), event) for event in history if event.get("number", 0) > last]
        if rows:
            await self._app.store.rows.put_many(_TABLE, rows)

    async def _last(self, partner: str, history: list[Object]) -> int:
        """The number of the last event that is kept, of those in the history."""
        for event in reversed(history):
            number = event.get("number", 0)
            if await self._app.store.rows.get(_TABLE, _key(partner, number)) is not None:
                return int(number)
        return 0

    async def page(self, partner: str, after: int, limit: int) -> tuple[list[Object], int | None]:
        """Events after the one of this number, the oldest first; the number to ask for more with."""
        rows = await self._app.store.rows.scan(_TABLE, _key(partner, after), limit + 1, prefix=f"{partner}|")
        found = [row.value for row in rows[:limit]]
        return found, int(found[-1]["number"]) if len(rows) > limit else None


def _key(partner: str, number: int) -> str:
    return f"{partner}|{number:010d}"
