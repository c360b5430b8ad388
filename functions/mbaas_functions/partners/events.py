"""Telling partners of what happens to objects: at least once, in order for each object, with patience for one that is down.

A subscription names a class and a query (`subscriptions`). What matches in the change feed becomes a delivery in a durable queue
(`matching`), which is sent until it is taken or given up (`deliveries`, `dead_letters`). A partner is a principal, `partner:<name>`, in
access lists and class permissions; what it may be told is asked again when an event is sent (`disclosure`), so that what has been
taken back goes nowhere, even if it waited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.reader import FeedReader
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.tasks import end
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Entry, Step
from mbaas_functions.partners.deliveries import Deliveries
from mbaas_functions.partners.line import Line
from mbaas_functions.partners.matching import Matching
from mbaas_functions.partners.registry import Registry
from mbaas_functions.partners.subscriptions import Subscriptions

_FEED = "partner_feed"
_LOOK_SECONDS = 10.0


class Events:
    """The subscriptions of an app's partners, and what is on its way to them."""

    def __init__(self, app: App, registry: Registry, line: Line, owner: Owner) -> None:
        self._subscriptions = Subscriptions(app, registry)
        self._matching = Matching(app, self._subscriptions)
        self._deliveries = Deliveries(app, registry, self._subscriptions, line, owner)
        self._reader = FeedReader(app, _FEED, self._take, owner)
        self._begun = False
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Go on with what there is; next to nothing is done while no partner subscribes."""
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Begin when there is a subscription, whichever process made it."""
        while not self._begun:
            try:
                if await self._subscriptions.any():
                    await self._begin()
            except Exception:
                get_logger(__name__).exception("it cannot be found out whether partners subscribe; it is tried again")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _begin(self) -> None:
        await self._reader.begin()
        if not self._begun:
            self._begun = True
            self._deliveries.queue.start()

    async def close(self) -> None:
        """Stop; another process, or the next start, goes on."""
        await end([self._looking])
        await self._reader.close()
        await self._deliveries.queue.close()

    def wake(self) -> None:
        """Look now whether something is due."""
        self._deliveries.queue.wake()

    @property
    def resting(self) -> bool:
        """True if nothing is being sent by this process, and nothing about to be."""
        return self._deliveries.queue.resting

    async def _take(self, entries: list[Entry], number: int) -> tuple[Sequence[Step], bool]:
        steps = await self._matching.steps(entries, number)
        if steps:
            self.wake()
        return steps, bool(steps)

    async def subscribe(self, partner: str, given: Object) -> Object:
        """Tell a partner of `{className, where?, events?, path?}` from now on. ParseError as a find by the partner would; 142."""
        made = await self._subscriptions.checked(partner, given)
        # Read from here on before it is there, so that nothing is missed.
        await self._begin()
        await self._subscriptions.put(partner, made)
        return made

    async def subscriptions(self, partner: str) -> list[Object]:
        """A partner's subscriptions."""
        return await self._subscriptions.of(partner)

    async def unsubscribe(self, partner: str, subscription: str) -> None:
        """Tell no more of it; what waits is not sent. ParseError 101 if there is none."""
        if not await self._subscriptions.drop(partner, subscription):
            raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such subscription.")

    async def dead(self, partner: str) -> list[Object]:
        """Events that were given up, without what they would have told."""
        return await self._deliveries.dead.of(partner)

    async def replay(self, partner: str, event: Json = None) -> int:
        """Send one event that was given up, or all, once more from the first attempt on; how many. ParseError 101 if there is none."""
        replayed = await self._deliveries.dead.replay(partner, event)
        self.wake()
        return replayed
