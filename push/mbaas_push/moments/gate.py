"""What is asked once more of a play's deliveries just before they are sent: what is asked of a campaign's, and whether it was taken back,
and whether the person has been sent the play not long ago."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mbaas.data.app import App
from mbaas.kernel.values import Object
from mbaas.storage.ports import PutRow, Row
from mbaas_push.campaigns.caps import Caps
from mbaas_push.campaigns.gate import Gate, Held
from mbaas_push.deliveries import Delivery

_CANCELS = "play cancels"
_HOUR_MS = 3_600_000


class PlayGate(Gate):
    """That of one run of a play."""

    _kind = "play"

    def __init__(self, app: App, run: str, push: Object, *, fresh: bool = False) -> None:
        """`fresh`: what devices have opted out of was read a moment ago."""
        self._fresh = fresh
        campaign = push["campaign"]
        super().__init__(app, run, campaign)
        self._occurred: int = push["occurred"]
        cooldown = campaign.get("cooldown")
        limits = ({"count": 1, "hours": cooldown / _HOUR_MS},) if cooldown is not None else ()
        self._cooldown = Caps(app, f"play {campaign['id']}", limits) if limits else None

    async def why_not(self, subject: str) -> str:
        """Why somebody would not be sent it, as far as can be told before anything is taken; empty if she would."""
        if await self._cancelled(subject):
            return "cancelled"
        now = self._app.clock.now()
        if self._cooldown is not None and await self._cooldown.full(subject, self._run, now):
            return "cooldown"
        if self._caps is not None and await self._caps.full(subject, self._run, now):
            return "capped"
        return ""

    async def look(self, deliveries: Sequence[Delivery]) -> dict[str, Held]:
        subjects = sorted({delivery.value["subject"] for delivery in deliveries})
        gone = {subject for subject in subjects if await self._cancelled(subject)}
        held = {delivery.key: Held("cancelled") for delivery in deliveries if delivery.value["subject"] in gone}
        left = [delivery for delivery in deliveries if delivery.key not in held]
        # Of two moments at once one takes the person's turn, before either takes a place of the caps.
        resting = await self._take_turns(left)
        held |= {delivery.key: Held("cooldown") for delivery in left if delivery.value["subject"] in resting}
        left = [delivery for delivery in left if delivery.key not in held]
        more = await super().look(left)
        await self._give_turns_back([delivery for delivery in left if delivery.key in more])
        return held | more

    async def give_back(self, deliveries: Sequence[Delivery]) -> None:
        await super().give_back(deliveries)
        await self._give_turns_back(deliveries)

    async def _silenced(self, deliveries: Sequence[Delivery]) -> dict[str, Held]:
        return {} if self._fresh else await super()._silenced(deliveries)

    async def _take_turns(self, deliveries: Sequence[Delivery]) -> set[str]:
        """Take the turns of persons; who has been sent the play not long ago."""
        if self._cooldown is None or not deliveries:
            return set()
        wanted: dict[str, list[str]] = {}
        for delivery in deliveries:
            wanted.setdefault(delivery.value["subject"], []).append(delivery.key)
        return await self._cooldown.take(wanted, self._run, self._app.clock.now())

    async def _give_turns_back(self, deliveries: Sequence[Delivery]) -> None:
        if self._cooldown is not None:
            await asyncio.gather(*(self._cooldown.give_back(one.value["subject"], self._run, one.key) for one in deliveries))

    async def _cancelled(self, subject: str) -> bool:
        row = await self._app.store.rows.get(_CANCELS, _place(self._campaign["id"], subject))
        return row is not None and row.value["at"] >= self._occurred


async def cancel(app: App, play_id: str, subject: str, at: int, lasts: int) -> list[PutRow]:
    """The step that takes back what a play has for somebody of what happened until then; none if that has been done.

    Also what comes to be known of only afterwards: what is older than `lasts` is not sent in any case.
    """
    place, expires = _place(play_id, subject), max(at, app.clock.now()) + lasts
    row: Row | None = await app.store.rows.get(_CANCELS, place)
    if row is not None and row.value["at"] >= at:
        return []
    return [PutRow(_CANCELS, place, {"at": at}, expires=expires)]


def _place(play_id: str, subject: str) -> str:
    return f"{play_id}|{subject}"
