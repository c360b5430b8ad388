"""Telling partners of what happens to objects: at least once, in order for each object, with patience for one that is down.

A subscription names a class and a query. A partner is a principal, `partner:<name>`, in access lists and class permissions: it is told
what that principal could find, and of that the fields that the app's grant names. Both are asked when an event is sent, too, so
that what has been taken back goes nowhere, even if it waited. Source of messages and schedule: Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

import orjson

from mbaas.data.app import App
from mbaas.data.changes import ChangesView
from mbaas.data.sight import Sight
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.jobs.reader import FeedReader
from mbaas.kernel.caller import EVERYBODY, Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.outbound.calls import Reply
from mbaas.storage.ports import DropRow, Entry, PutRow, Row, Step
from mbaas_functions.partners.calls import Line
from mbaas_functions.partners.registry import Environment, Partner, Registry

SUBSCRIPTIONS, DELIVERIES, DEAD = "partner_subscriptions", "partner_deliveries", "partner_dead"
_FEED = "partner_feed"
_OPS = ("create", "update", "delete")
_SECONDS = 15.0
_PAUSES_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""How long after a failed attempt the next one is made; each up to a tenth longer, so that not all come at once."""
_MOST_PER_PARTNER = 8
_BUSY_MS, _BEHIND_MS = 1000, 1000
_LOOK_SECONDS = 10.0
_MOST_SUBSCRIPTIONS, _MOST_DEAD = 100, 1000
_KEPT_MS = 30 * 24 * 3600 * 1000
_ALWAYS = frozenset({"objectId", "createdAt", "updatedAt"})


def principal(partner: str) -> Caller:
    """A partner as the one who asks."""
    return Caller(principals=EVERYBODY | {f"partner:{partner}"})


class Events:
    """The subscriptions of an app's partners, and what is on its way to them."""

    def __init__(self, app: App, registry: Registry, line: Line, owner: Owner) -> None:
        self._app, self._registry, self._line = app, registry, line
        self._queue = Queue(app, DELIVERIES, self._deliver, owner, most=32)
        self._reader = FeedReader(app, _FEED, self._take, owner)
        self._sending: dict[str, int] = {}
        self._begun = False
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Go on with what there is; next to nothing is done while no partner subscribes."""
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Begin when there is a subscription, whichever process made it."""
        while not self._begun:
            try:
                if await self._app.store.rows.scan(SUBSCRIPTIONS, limit=1):
                    await self._begin()
            except Exception:
                get_logger(__name__).exception("it cannot be found out whether partners subscribe; it is tried again")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _begin(self) -> None:
        await self._reader.begin()
        if not self._begun:
            self._begun = True
            self._queue.start()

    async def close(self) -> None:
        """Stop; another process, or the next start, goes on."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._reader.close()
        await self._queue.close()

    def wake(self) -> None:
        """Look now whether something is due."""
        self._queue.wake()

    @property
    def resting(self) -> bool:
        """True if nothing is being sent by this process, and nothing about to be."""
        return self._queue.resting

    # Subscriptions

    async def subscribe(self, partner: str, given: Object) -> Object:
        """Tell a partner of `{className, where?, events?, path?}` from now on. ParseError as a find by the partner would; 142."""
        class_name, where, path = given.get("className"), given.get("where", {}), given.get("path", "/events")
        events = given.get("events", list(_OPS))
        if not isinstance(class_name, str) or not isinstance(where, dict):
            raise ParseError(Code.VALIDATION_ERROR, "className must be a text and where an object.")
        if not isinstance(events, list) or not events or not set(map(str, events)) <= set(_OPS):
            raise ParseError(Code.VALIDATION_ERROR, f"events must be some of {', '.join(_OPS)}.")
        if not isinstance(path, str) or not path.startswith("/") or set(path) & set("?#%\\ ") or ".." in path:
            raise ParseError(Code.VALIDATION_ERROR, "path must be a path below the partner's URL that begins with /.")
        if not self._app.sharing.atomic:
            raise ParseError(Code.COMMAND_UNAVAILABLE, "Events to partners need a MongoDB that is a replica set.")
        await self._registry.get(partner)
        await self._app.classes.sought(class_name)
        ChangesView(self._app, principal(partner), class_name, where)
        if len(await self.subscriptions(partner)) >= _MOST_SUBSCRIPTIONS:
            raise ParseError(Code.VALIDATION_ERROR, f"A partner has at most {_MOST_SUBSCRIPTIONS} subscriptions.")
        made: Object = {"id": self._app.ids.object_id(), "className": class_name, "where": where, "events": events, "path": path}
        # Read from here on before it is there, so that nothing is missed.
        await self._begin()
        await self._app.store.rows.put_many(SUBSCRIPTIONS, [Row(f"{partner}|{made['id']}", made)])
        return made

    async def subscriptions(self, partner: str) -> list[Object]:
        """A partner's subscriptions."""
        return [row.value for row in await self._app.store.rows.scan(SUBSCRIPTIONS, prefix=f"{partner}|")]

    async def unsubscribe(self, partner: str, subscription: str) -> None:
        """Tell no more of it; what waits is not sent. ParseError 101 if there is none."""
        if not await self._app.store.rows.drop(SUBSCRIPTIONS, f"{partner}|{subscription}"):
            raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such subscription.")

    # From the feed into the queue

    async def _take(self, entries: list[Entry], number: int) -> tuple[Sequence[Step], bool]:
        views: dict[str, list[tuple[str, Object, ChangesView]]] = {}
        classes = {entry.class_name for entry in entries}
        async for row in self._every_subscription():
            subscription, (partner, _, _) = row.value, row.key.partition("|")
            if subscription["className"] in classes and (view := self._view(partner, subscription)) is not None:
                views.setdefault(subscription["className"], []).append((partner, subscription, view))
        steps: list[Step] = []
        for at, entry in enumerate(entries):
            for partner, subscription, view in views.get(entry.class_name, ()):
                if (step := self._step(partner, subscription, view, entry, number + at)) is not None:
                    steps.append(step)
        if steps:
            self.wake()
        return steps, bool(steps)

    async def _every_subscription(self) -> AsyncIterator[Row]:
        after = ""
        while rows := await self._app.store.rows.scan(SUBSCRIPTIONS, after):
            for row in rows:
                yield row
            after = rows[-1].key

    def _view(self, partner: str, subscription: Object) -> ChangesView | None:
        try:
            return ChangesView(self._app, principal(partner), subscription["className"], subscription["where"])
        except MbaasError as error:
            # The class's permissions are others by now.
            get_logger(__name__).warning("a partner may not be told", partner=partner, reason=error.message, **_about(subscription))
            return None

    def _step(self, partner: str, subscription: Object, view: ChangesView, entry: Entry, number: int) -> Step | None:
        try:
            change = view.change(entry)
        except ParseError as error:
            get_logger(__name__).warning("an event cannot be judged", partner=partner, reason=error.message, **_about(subscription))
            return None
        if change is None or change["op"] not in subscription["events"]:
            return None
        key = f"{partner}|{subscription['id']}|{quote(entry.object_id, safe='')}|{number:016d}"
        value: Object = {
            "subscription": subscription["id"],
            "className": entry.class_name,
            "objectId": entry.object_id,
            "op": change["op"],
            "at": entry.at,
            "attempts": 0,
            # As it was then, with all that it held: what of it may be told is found out when it is sent.
            "state": entry.after.body if entry.after is not None else None,
        }
        return PutRow(DELIVERIES, key, value, due=self._app.clock.now())

    # From the queue to the partner

    async def _deliver(self, task: Task) -> int | None:
        value, now = task.value, self._app.clock.now()
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
            again = await self._attempt(task, name, subscription_id, f"evt_{subscription_id}_{number}", value)
        finally:
            self._sending[name] -= 1
        if again is None:
            await task.end(None)
            await self._next(before)
        return again

    async def _next(self, prefix: str) -> None:
        """Have the event behind one that is done be sent at once."""
        for row in await self._app.store.rows.scan(DELIVERIES, prefix=prefix, limit=1):
            if row.owner is None:
                soon = Row(row.key, row.value, due=self._app.clock.now(), fence=row.fence)
                await self._app.store.rows.change(DELIVERIES, soon, row.fence)
        self.wake()

    async def _attempt(self, task: Task, name: str, subscription_id: str, message_id: str, value: Object) -> int | None:
        """When it is to be tried again; None if it is done with."""
        partner, row = await self._known(name), await self._app.store.rows.get(SUBSCRIPTIONS, f"{name}|{subscription_id}")
        if partner is None or row is None or (message := self._message(partner, value)) is None:
            return None
        grant = partner.grant
        assert grant is not None
        environment: Environment = grant["environment"]
        base = partner.url(environment)
        if base is None:
            return None
        if (seconds := self._line.wait(partner, environment)) > 0:
            return self._app.clock.now() + math.ceil(seconds * 1000)
        url = base.rstrip("/") + row.value["path"]
        outcome = await self._line.send(partner, environment, "events", ("POST", url, message, {}), message_id, _SECONDS)
        if isinstance(outcome, Reply):
            if 200 <= outcome.status < 300:
                return None
            if outcome.status == 410:
                get_logger(__name__).warning("a partner wants no more events of a subscription", partner=name, subscription=subscription_id)
                await self._app.store.rows.drop(SUBSCRIPTIONS, row.key)
                return None
        return await self._failed(task, value, outcome)

    async def _failed(self, task: Task, value: Object, outcome: object) -> int | None:
        attempts, now = value["attempts"] + 1, self._app.clock.now()
        reason = f"status {outcome.status}" if isinstance(outcome, Reply) else str(outcome)
        if attempts > len(_PAUSES_S):
            dead = PutRow(DEAD, task.key, {**value, "attempts": attempts, "reason": reason, "diedAt": iso(now)}, expires=now + _KEPT_MS)
            await self._app.store.documents.commit([dead])
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

    def _message(self, partner: Partner, value: Object) -> bytes | None:
        """What the partner may be told of an event now; None: nothing."""
        grant, class_name, state = partner.grant, value["className"], value["state"]
        if grant is None or not partner.serves(grant["environment"]) or class_name not in grant["classes"]:
            return None
        data: Object = {"className": class_name, "objectId": value["objectId"]}
        try:
            sight = Sight(self._app, principal(partner.name), class_name)
        except MbaasError:
            return None
        if value["op"] != "delete":
            if state is None or not sight.sees(state):
                return None
            fields = grant["classes"][class_name]
            shown = sight.show(state)
            data["object"] = {key: one for key, one in shown.items() if key in _ALWAYS or "*" in fields or key in fields}
            if "ACL" not in fields:
                # Who else may see an object is nobody's business.
                data["object"].pop("ACL", None)
        return orjson.dumps({"type": f"{class_name}.{value['op']}d", "timestamp": iso(value["at"]), "data": data})

    # What could not be delivered

    async def dead(self, partner: str) -> list[Object]:
        """Events that were given up, without what they would have told."""
        rows = await self._app.store.rows.scan(DEAD, prefix=f"{partner}|", limit=_MOST_DEAD)
        return [{"id": row.key.partition("|")[2], **{k: v for k, v in row.value.items() if k != "state"}} for row in rows]

    async def replay(self, partner: str, event: Json = None) -> int:
        """Send one event that was given up, or all, once more from the first attempt on; how many. ParseError 101 if there is none."""
        rows = await self._app.store.rows.scan(DEAD, prefix=f"{partner}|", limit=_MOST_DEAD)
        chosen = [row for row in rows if event is None or row.key == f"{partner}|{event}"]
        if event is not None and not chosen:
            raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such event.")
        for row in chosen:
            again = PutRow(DELIVERIES, row.key, {**row.value, "attempts": 0}, due=self._app.clock.now())
            await self._app.store.documents.commit([DropRow(DEAD, row.key), again])
        self.wake()
        return len(chosen)


def _retry_after(outcome: object) -> float:
    """Seconds that the partner asks to be left alone for, up to a day."""
    text = outcome.headers.get("Retry-After", "") if isinstance(outcome, Reply) else ""
    return min(float(text), 86_400) if text.isdigit() else 0


def _about(subscription: Object) -> dict[str, str]:
    return {"subscription": subscription["id"], "class_name": subscription["className"]}
