"""Triggers of live queries: before somebody subscribes, and with each event before it is sent.

An event waits for its trigger in a line of its subscription, so that order is kept and nobody else waits. Whatever the trigger makes
of an object, what the client may not see of the stored one is not sent. Source: Parse Server 9.10.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mbaas.data.address import shown_to
from mbaas.data.app import App
from mbaas.data.files_in import with_urls
from mbaas.data.sight import Sight
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.tasks import end
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.realtime.events import Counters, Event, View
from mbaas.realtime.subscriptions import Subscription
from mbaas.storage.ports import Document, Entry

_AT_ONCE = 8
"""How many triggers run at the same time for events."""
_MOST_WAITING = 1000
"""Events of one subscription that may wait for their trigger."""

Counts = Callable[[], tuple[int, int]]
"""How many connections and subscriptions there are."""


async def before_subscribe(app: App, subscription: Subscription) -> None:
    """Let the class's trigger change or refuse a subscription, if there is one. What it asks for is checked as if the client had asked."""
    if not app.triggers.has("beforeSubscribe", subscription.class_name):
        return
    query: Object = {"where": subscription.where}
    if subscription.keys:
        query["keys"] = ",".join(subscription.keys)
    if subscription.watch:
        query["watch"] = ",".join(subscription.watch)
    outcome = await app.triggers.fire("beforeSubscribe", subscription.class_name, _caller(subscription), {"query": query})
    changed = outcome.query or {}
    where = changed.get("where")
    if not isinstance(where, dict):
        raise ParseError(Code.INVALID_QUERY, "the where of a subscription is an object")
    subscription.where = where
    subscription.keys, subscription.watch = _names(changed.get("keys")), _names(changed.get("watch"))


def _names(given: Json) -> tuple[str, ...]:
    return tuple(str(name) for name in (given.split(",") if isinstance(given, str) else given or ()))


def _caller(subscription: Subscription) -> Caller:
    return replace(subscription.audience.caller, installation_id=subscription.installation_id)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that waits. `before` and `after` say which states of the object its query matched."""

    entry: Entry
    event: Event
    before: bool
    after: bool


@dataclass(slots=True)
class Line:
    """The events of one subscription that wait for their trigger, and the task that serves them."""

    waiting: deque[Waiting] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Passage:
    """Where events of classes with a trigger pass. `counts` tells it how many connections and subscriptions there are."""

    def __init__(self, app: App, counters: Counters, counts: Counts) -> None:
        self._app, self._counters, self._counts = app, counters, counts
        self._lines: dict[Subscription, Line] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def asked(self, class_name: str) -> bool:
        """True if the class has a trigger for events."""
        return self._app.triggers.has("afterEvent", class_name)

    def put(self, subscription: Subscription, waiting: Waiting) -> None:
        """Send an event when its trigger has seen it, unless the trigger says no. Too many that wait are lost, which is told."""
        line = self._lines.setdefault(subscription, Line())
        if len(line.waiting) >= _MOST_WAITING:
            line.waiting.clear()
            subscription.sink.resync(subscription.request_id, subscription.numbered)
            return
        line.waiting.append(waiting)
        if line.task is None:
            line.task = asyncio.get_running_loop().create_task(self._serve(subscription, line))

    def forget(self, subscription: Subscription) -> None:
        """Send nothing more of what waits."""
        line = self._lines.pop(subscription, None)
        if line is not None and line.task is not None:
            line.task.cancel()

    async def passed(self, subscription: Subscription) -> None:
        """Wait until nothing of the subscription waits."""
        line = self._lines.get(subscription)
        if line is not None and line.task is not None:
            await asyncio.wait([line.task])

    async def close(self) -> None:
        """Stop."""
        await end([line.task for line in self._lines.values()])

    async def _serve(self, subscription: Subscription, line: Line) -> None:
        while line.waiting:
            async with self._turns:
                await self._pass(subscription, line.waiting.popleft())
        del self._lines[subscription]

    async def _pass(self, subscription: Subscription, waiting: Waiting) -> None:
        try:
            frame = await self._frame(subscription, waiting)
        except ParseError as error:
            subscription.sink.refuse(subscription.request_id, error)
        except Exception:
            get_logger(__name__).exception("an event could not be sent", class_name=waiting.entry.class_name)
            subscription.sink.resync(subscription.request_id, subscription.numbered)
        else:
            if frame is not None:
                self._counters.frames += 1
                subscription.sink.push(frame)

    async def _frame(self, subscription: Subscription, waiting: Waiting) -> str | None:
        """The frame of an event as the trigger leaves it; None if it is not to be sent, or is no longer hers to see."""
        entry, event, app = waiting.entry, waiting.event, self._app
        states = {"before": entry.before, "after": entry.after}
        clients, subscriptions = self._counts()
        given: Object = {"event": event.op, "clients": clients, "subscriptions": subscriptions}
        with shown_to(subscription.origin):
            given["object"] = self._body(states[event.now])
            if event.then is not None:
                given["original"] = self._body(states[event.then])
        outcome = await app.triggers.fire("afterEvent", entry.class_name, _caller(subscription), given)
        told = outcome.answer if isinstance(outcome.answer, dict) else {}
        if not told.get("sendEvent", True):
            return None
        # The trigger took its time: her rights may be others by now.
        view = View(entry, Sight(app, subscription.audience.caller, entry.class_name))
        if view.event(waiting.before, waiting.after) != event:
            return None
        members = view.changed_members(event, subscription.keys, subscription.origin, told.get("object"), told.get("original"))
        return subscription.frame(event.op, members, entry.seq)

    def _body(self, state: Document | None) -> Object:
        assert state is not None
        return with_urls(self._app, dict(state.body))
