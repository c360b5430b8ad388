"""From the queue to the partner: one event after the other for each object, again and again until it is taken or given up.

Source of the schedule and of what an answer means: Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import asyncio
import math
import random

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.outbound.calls import Failed, Reply
from mbaas.storage.ports import Row
from mbaas_functions.partners import disclosure
from mbaas_functions.partners.dead_letters import DeadLetters
from mbaas_functions.partners.environments import Environment
from mbaas_functions.partners.line import Line
from mbaas_functions.partners.registry import Partner, Registry
from mbaas_functions.partners.subjects import Subjects
from mbaas_functions.partners.subscriptions import Subscriptions

DELIVERIES = "partner_deliveries"
_SECONDS = 15.0
_PAUSES_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""How long after a failed attempt the next one is made; each up to a tenth longer, so that not all come at once."""
_MOST_PER_PARTNER = 8
_BUSY_MS, _BEHIND_MS = 1000, 1000
_LOOKS, _LOOK_SECONDS = 20, 0.05


class Deliveries:
    """The events that are on their way to an app's partners."""

    def __init__(self, app: App, registry: Registry, subscriptions: Subscriptions, line: Line, owner: Owner) -> None:
        self._app, self._registry, self._subscriptions, self._line = app, registry, subscriptions, line
        self._subjects = Subjects(app)
        self.dead = DeadLetters(app, DELIVERIES)
        self.queue = Queue(app, DELIVERIES, self._deliver, owner, most=32)
        self._sending: dict[str, int] = {}

    async def _deliver(self, task: Task) -> int | None:
        now = self._app.clock.now()
        name, subscription_id, object_id, number = task.key.split("|")
        before = f"{name}|{subscription_id}|{object_id}|"
        first, *_ = [*await self._app.store.rows.scan(DELIVERIES, prefix=before, limit=1), task.row]
        if first.key != task.key:
            # Events of one object go one after the other.
            return max(first.due or 0, now) + _BEHIND_MS
        if self._sending.get(name, 0) >= _MOST_PER_PARTNER:
            return now + _BUSY_MS
        self._sending[name] = self._sending.get(name, 0) + 1
        try:
            again = await self._attempt(task, name, subscription_id, f"evt_{subscription_id}_{number}")
        finally:
            self._sending[name] -= 1
        if again is None:
            await task.end(None)
            await self._next(before)
        return again

    async def _next(self, prefix: str) -> None:
        """Have the event behind one that is done be sent at once."""
        for _ in range(_LOOKS):
            rows = await self._app.store.rows.scan(DELIVERIES, prefix=prefix, limit=1)
            if not rows:
                return
            [row] = rows
            if row.owner is None:
                soon = Row(row.key, row.value, due=self._app.clock.now(), fence=row.fence)
                await self._app.store.rows.change(DELIVERIES, soon, row.fence)
                break
            # Who holds it has seen that its turn has come, or saw the one before and lets go of it in a moment.
            await asyncio.sleep(_LOOK_SECONDS)
        self.queue.wake()

    async def _attempt(self, task: Task, name: str, subscription_id: str, message_id: str) -> int | None:
        """When it is to be tried again; None if it is done with."""
        partner, subscription = await self._known(name), await self._subscriptions.get(name, subscription_id)
        if partner is None or subscription is None:
            return None
        message = await disclosure.message(self._app, self._subjects, partner, task.value)
        if message is None:
            return None
        grant = partner.grant
        assert grant is not None
        environment: Environment = grant["environment"]
        base = partner.url(environment)
        if base is None:
            return None
        if (seconds := self._line.wait(partner, environment)) > 0:
            return self._app.clock.now() + math.ceil(seconds * 1000)
        url = base.rstrip("/") + subscription["path"]
        outcome = await self._line.send(partner, environment, "events", ("POST", url, message, {}), message_id, _SECONDS)
        if isinstance(outcome, Reply):
            if 200 <= outcome.status < 300:
                return None
            if outcome.status == 410:
                get_logger(__name__).warning("a partner wants no more events of a subscription", partner=name, subscription=subscription_id)
                await self._subscriptions.drop(name, subscription_id)
                return None
        return await self._failed(task, task.value, outcome)

    async def _failed(self, task: Task, value: Object, outcome: Reply | Failed) -> int | None:
        attempts, now = value["attempts"] + 1, self._app.clock.now()
        reason = f"status {outcome.status}" if isinstance(outcome, Reply) else outcome.told
        if attempts > len(_PAUSES_S):
            await task.end(None, [self.dead.step(task.key, {**value, "attempts": attempts, "reason": reason})])
            get_logger(__name__).error("an event could not be delivered", key=task.key, reason=reason)
            return None
        await task.keep({**value, "attempts": attempts, "reason": reason})
        pause = _PAUSES_S[attempts - 1] * random.uniform(1, 1.1)  # noqa: S311 -- not a secret
        return now + round(max(pause, _retry_after(outcome)) * 1000)

    async def _known(self, name: str) -> Partner | None:
        try:
            return await self._registry.get(name)
        except ParseError:
            return None


def _retry_after(outcome: Reply | Failed) -> float:
    """Seconds that the partner asks to be left alone for, up to a day."""
    text = outcome.headers.get("Retry-After", "") if isinstance(outcome, Reply) else ""
    return min(float(text), 86_400) if text.isdigit() else 0
