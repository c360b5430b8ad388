"""What is asked once more of a campaign's deliveries just before they are sent: opt-outs, quiet hours, caps. And what they then say.

A device may have opted out since its row was written, a campaign may have been paused into the night, and another one may have used up
what a person is sent of a category.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER
from mbaas.kernel.values import Object
from mbaas_push.campaigns import content
from mbaas_push.campaigns.caps import Caps
from mbaas_push.campaigns.quiet_hours import QuietHours
from mbaas_push.campaigns.recipients import clock_of, opted_out
from mbaas_push.campaigns.segments import CLASS
from mbaas_push.deliveries import Delivery


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that is not sent now: not at all, for a `reason`, or not before `until`."""

    reason: str
    until: int | None = None


class Gate:
    """That of one run."""

    _kind = "campaign"
    """What the id is called, in what a device is sent, of what it was sent for."""

    def __init__(self, app: App, run: str, campaign: Object) -> None:
        self._app, self._run, self._campaign = app, run, campaign
        self._said = content.Said(campaign["variants"])
        self._quiet = QuietHours.of(campaign.get("quietHours"))
        limits = tuple(campaign.get("caps", ()))
        self._caps = Caps(app, campaign["category"], limits) if limits else None
        self._test = bool(campaign.get("test"))

    async def look(self, deliveries: Sequence[Delivery]) -> dict[str, Held]:
        """Those that are held, by key. The others have taken their places of the caps."""
        if self._test or not deliveries:
            return {}
        now = self._app.clock.now()
        held = await self._silenced(deliveries)
        for delivery in deliveries:
            if self._quiet is None or delivery.key in held:
                continue
            awake = self._quiet.over(now, clock_of(delivery.value["zone"], self._campaign))
            if awake > now:
                held[delivery.key] = Held("quiet_hours", None if self._quiet.then == "skip" else awake)
        if self._caps is not None:
            wanted: dict[str, list[str]] = {}
            for delivery in deliveries:
                if delivery.key not in held:
                    wanted.setdefault(delivery.value["subject"], []).append(delivery.key)
            full = await self._caps.take(wanted, self._run, now)
            held |= {key: Held("capped") for subject in full for key in wanted[subject]}
        return held

    async def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Give back the places of what no device was, or will be, sent."""
        if self._caps is not None and not self._test:
            await asyncio.gather(*(self._caps.give_back(one.value["subject"], self._run, one.key) for one in deliveries))

    def data(self, delivery: Delivery) -> Object:
        """What the device is sent. `receipt` is by what it tells what became of it."""
        value = delivery.value
        data = self._said.data(value["variant"], value["locale"], value.get("values", {}))
        return {**data, "receipt": delivery.key, self._campaign.get("kind", self._kind): self._campaign["id"]}

    async def _silenced(self, deliveries: Sequence[Delivery]) -> dict[str, Held]:
        ids = [delivery.value["installation"] for delivery in deliveries]
        options = FindOptions(where={"objectId": {"$in": ids}}, limit=len(ids), keys=("optOuts",))
        found = {installation["objectId"]: installation for installation in await find_objects(self._app, MASTER, CLASS, options)}
        category = self._campaign["category"]
        silent = [one for one in deliveries if opted_out(found.get(one.value["installation"], {}), category)]
        gone = [one for one in deliveries if one.value["installation"] not in found]
        return {one.key: Held("opted_out") for one in silent} | {one.key: Held("unregistered") for one in gone}
