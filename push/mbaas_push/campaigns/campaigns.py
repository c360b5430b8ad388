"""What is done with campaigns: written, approved, scheduled, paused, resumed, cancelled.

    draft → approved → scheduled (materialising, sending) ⇄ paused → completed, cancelled, failed, expired

Whoever edits an approved or a scheduled campaign has a new version of it, which is a draft again. `materialising` and `sending` are said
of a scheduled campaign by the run that is under way.
"""

from __future__ import annotations

import asyncio

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, Conflict, ParseError
from mbaas.kernel.values import Object
from mbaas.storage.ports import DropRow, PutRow, Step
from mbaas_push.campaigns import definition
from mbaas_push.campaigns.launching import TICKS, Launching
from mbaas_push.campaigns.store import Kept, Store
from mbaas_push.runs import Runs
from mbaas_push.sending import CONTROL

_FROM: dict[str, tuple[str, ...]] = {
    "edit": ("draft", "approved", "scheduled"),
    "approve": ("draft",),
    "schedule": ("approved",),
    "pause": ("scheduled",),
    "resume": ("paused",),
    "cancel": ("draft", "approved", "scheduled", "paused"),
    "delete": ("draft", "approved", "completed", "cancelled", "failed", "expired"),
}
"""From which states something may be done."""
_TRIES = 5
ORDERS = ("approve", "schedule", "pause", "resume", "cancel")


class Campaigns:
    """The campaigns of one app."""

    def __init__(self, app: App, runs: Runs, owner: Owner) -> None:
        self.app, self.runs = app, runs
        self.store = Store(app)
        self.launching = Launching(app, self.store, runs, owner)

    async def create(self, given: Object, caller: Caller, once: str | None = None) -> Object:
        """A new draft, one for each Idempotency-Key, `once`."""
        return await self.told(await self.store.create(definition.check(self.app, given), caller, given, once))

    async def get(self, campaign_id: str) -> Object:
        """One campaign, and how it is."""
        return await self.told(await self.store.get(campaign_id))

    async def edit(self, campaign_id: str, given: Object, caller: Caller, updated_at: int | None) -> Object:
        """A new version, which is a draft. Conflict while a run is under way, or if it is no longer of that time."""
        campaign = await self.store.found(campaign_id, "edit", updated_at, _FROM)
        if await self.launching.active(campaign_id):
            raise ParseError(Code.OPERATION_FORBIDDEN, "The campaign is being sent: pause or cancel it, or make another one.", status=409)
        drop: list[Step] = [DropRow(TICKS, campaign_id)]
        kept = definition.check(self.app, given)
        return await self.told(await self.store.change(campaign, "edited", caller, drop, definition=kept, state="draft", approved=None))

    async def duplicate(self, campaign_id: str, caller: Caller) -> Object:
        """Another draft that is like it."""
        return await self.told(await self.store.copy(campaign_id, caller))

    async def delete(self, campaign_id: str, caller: Caller, updated_at: int | None) -> None:
        """Forget it."""
        await self.store.drop(await self.store.found(campaign_id, "delete", updated_at, _FROM), caller)

    async def order(self, campaign_id: str, order: str, caller: Caller, updated_at: int | None) -> Object:
        """`approve`, `schedule`, `pause`, `resume` or `cancel` it. 119 with HTTP 409 if it is not in a state for that."""
        todo = {"approve": self._approve, "schedule": self._schedule, "pause": self._pause, "resume": self._resume, "cancel": self._cancel}
        tries = 1 if updated_at is not None else _TRIES
        while True:
            tries -= 1
            try:
                return await self.told(await todo[order](await self.store.found(campaign_id, order, updated_at, _FROM), caller))
            except Conflict:
                # A run of it was launched, or has ended, at the same moment.
                if tries == 0:
                    raise

    async def _approve(self, campaign: Kept, caller: Caller) -> Kept:
        # What may be asked and shown may have changed since it was written.
        definition.check(self.app, campaign.definition)
        definition.check_sizes(campaign.definition)
        return await self.store.change(campaign, "approved", caller, state="approved", approved=campaign.value["version"])

    async def _schedule(self, campaign: Kept, caller: Caller) -> Kept:
        done = await self.store.change(campaign, "scheduled", caller, [self.launching.first(campaign)], state="scheduled")
        self.launching.wake()
        return done

    async def _pause(self, campaign: Kept, caller: Caller) -> Kept:
        return await self.store.change(campaign, "paused", caller, await self.launching.holding(campaign.id), state="paused")

    async def _resume(self, campaign: Kept, caller: Caller) -> Kept:
        active = await self.launching.active(campaign.id)
        freed: list[Step] = [DropRow(CONTROL, run) for run in active]
        done = await self.store.change(campaign, "resumed", caller, freed, state="scheduled")
        await asyncio.gather(*map(self.runs.go_on, active))
        await self.launching.again(campaign.id)
        return done

    async def _cancel(self, campaign: Kept, caller: Caller) -> Kept:
        active = await self.launching.active(campaign.id)
        stopped: list[Step] = [DropRow(TICKS, campaign.id), *(PutRow(CONTROL, run, "cancelled") for run in active)]
        done = await self.store.change(campaign, "cancelled", caller, stopped, state="cancelled")
        for run in active:
            await self._withdraw(run)
        return done

    async def _withdraw(self, run: str) -> None:
        """Cancel a run, unless it has ended meanwhile."""
        try:
            await self.runs.order(run, "cancel")
        except ParseError as error:
            if error.code != Code.OBJECT_NOT_FOUND:
                raise

    async def told(self, campaign: Kept) -> Object:
        """What is said of it: its definition, its state, when it is sent next, and which runs are under way."""
        told: Object = {**campaign.told(), "approvedVersion": campaign.value.get("approved"), "next": None, "active": []}
        if campaign.state in ("scheduled", "paused"):
            active = await self.launching.active(campaign.id)
            told |= {"next": await self.launching.next_time(campaign), "active": sorted(active)}
            if active and campaign.state == "scheduled":
                told["state"] = "sending" if "sending" in active.values() else "materialising"
        return told
