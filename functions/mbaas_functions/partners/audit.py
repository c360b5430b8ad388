"""Who did what to a partner, and when: what was granted and taken back, states, secrets, keys.

What is done to a partner notes its event in the partner's own row, in the one write that does it; from there it is copied into the app's
audit, numbered, before the answer. What a dying process did not copy is copied by whoever comes next.
"""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.data.audit import Event
from mbaas.kernel.clock import from_iso
from mbaas.kernel.values import Object


class History:
    """The audits of one app's partners."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def copy(self, partner: str, history: list[Object]) -> None:
        """Keep the events of a partner's row that are not kept yet."""
        last = await self._last(partner, history)
        fresh = [event for event in history if event.get("number", 0) > last]
        await self._app.audit.add([Event(from_iso(each["at"]) or 0, each, _about(partner), each["number"]) for each in fresh])

    async def _last(self, partner: str, history: list[Object]) -> int:
        """The number of the last event that is kept, of those in the history."""
        for event in reversed(history):
            if await self._app.audit.has(_about(partner), event.get("number", 0)):
                return int(event["number"])
        return 0

    async def page(self, partner: str, after: int, limit: int) -> tuple[list[Object], int | None]:
        """Events after the one of this number, the oldest first; the number to ask for more with."""
        events, following = await self._app.audit.page(f"{after:010d}", limit, _about(partner))
        return events, int(following) if following is not None else None


def _about(partner: str) -> str:
    return f"partner {partner}"
