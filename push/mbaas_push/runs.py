"""The pushes of an app: each is a run, a task of a durable queue that one process at a time has.

A run's value holds `push` (what was asked), `state` (`materialising`, then `sending`), `cursor` (the last installation that has its
delivery), `found` (how many deliveries there are so far), `started` and `settled` (keys of deliveries: up to the first all may have
been on the wire, up to the second all have their end) and `counts`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from functools import partial

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.once import Once
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Lost, Queue, Task
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object, date
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import PutRow, Row
from mbaas_push import status
from mbaas_push.audience import materialise
from mbaas_push.campaigns.gate import Gate
from mbaas_push.campaigns.segments import PAGE
from mbaas_push.deliveries import KEPT_MS, TABLE, Delivery
from mbaas_push.local_time import EARLIEST_MS
from mbaas_push.message import read
from mbaas_push.sending import CONTROL, LOOKS_MS, Sending, order_of
from mbaas_push.transports.port import Transport
from mbaas_push.turns import Lane, Turns, lane_of

PUSHES, RESULTS, ENDED = "pushes", "push results", "ended pushes"
"""The tables of runs: those that have not ended, the counts of those that have, and those of which something may be sent again."""
_BY = re.compile(r"\.(type|offset|reason)\.")
_FAILED = "failed.reason."
Ended = Callable[[str, Object, str], Awaitable[None]]
"""Told of a campaign's run that has ended: its id, the `campaign` of its push, and whether it `succeeded` or `failed`."""
Tripped = Callable[[str, str], Awaitable[None]]
"""Told of the id of a campaign of which too much fails, and why that is said: it is to be paused."""
_LATER_MS = 1000
"""When a campaign looks again for a place among those that are being sent."""
_LOOKS, _LOOKS_FOR_LAST_WORD, _LOOK_SECONDS = 60, 10, 0.05
_PAGE_BESIDE = 200
FAILURES = 8
"""How often in a row a run may fail for a reason that nobody foresaw, before it is given up."""
FIRST_REST_MS = 1000
_TOLD_MS = 1000
"""How often `_PushStatus` is told how far a run is."""


class Runs:
    """Sends pushes. `Pushes` of the kernel for one app."""

    def __init__(self, app: App, transport: Transport, owner: Owner) -> None:
        self._app, self._transport = app, transport
        self._queue = Queue(app, PUSHES, self._work, owner, early=_begun_by)
        self._once, self.turns = Once(app), Turns()
        self.ended: Ended | None = None
        self.tripped: Tripped | None = None

    def start(self) -> None:
        """Begin to send, what another process left included."""
        self._queue.start()

    async def close(self) -> None:
        """Stop; what is on its way is sent by another process, or after the next start."""
        await self._queue.close()
        await self._transport.close()

    def wake(self) -> None:
        """Look now whether a push is due."""
        self._queue.wake()

    async def send(self, caller: Caller, body: Object, once: str | None = None) -> str:
        """See `Pushes`. It is on disk when this returns. `once` is the caller's Idempotency-Key: the push is sent once for it.

        ParseError 159 with HTTP 422 if the key was used for another push.
        """
        if once is not None and (known := await self._once.known("push", caller, once, body)) is not None:
            return str(known)
        now, run = self._app.clock.now(), self._app.ids.object_id()
        message = read(body, now)
        push: Object = {**asdict(message), "asked": now, "pushTime": message.push_time}
        value, due = begun(push), _due(push)
        record = [] if once is None else [self._once.record("push", caller, once, body, run)]
        if not await self._queue.put(run, value, due=max(due, now), beside=record) and once is not None:
            return str(await self._once.known("push", caller, once, body))
        await status.begin(self._app, run, status.fields(push))
        if isinstance(body.get("audience_id"), str):
            await self._note_use(body["audience_id"])
        return run

    def sending(self, task: Task, gate: Gate) -> Sending:
        """What sends the deliveries of a task of another queue, in turn with the pushes."""
        return Sending(task, self._transport.send, _nobody, self.turns, gate)

    def launch(self, run: str, push: Object) -> PutRow:
        """The step that has a campaign's push sent; who commits it wakes the queue."""
        return PutRow(PUSHES, run, begun(push), due=max(_due(push), push["asked"]), if_absent=True)

    async def active(self, run: str) -> Row | None:
        """The run's row, if it has not ended."""
        rows = self._app.store.rows
        return None if await rows.get(RESULTS, run) is not None else await rows.get(PUSHES, run)

    async def order(self, run: str, order: str) -> None:
        """`pause`, `resume` or `cancel` a run. ParseError 101 if there is none that has not ended."""
        if await self._app.store.rows.get(PUSHES, run) is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, f"No push with the id {run} waits or is being sent.")
        before = await self._app.store.rows.get(CONTROL, run)
        if before is not None and before.value == "cancelled" and order != "cancel":
            raise ParseError(Code.OBJECT_NOT_FOUND, f"The push {run} has been cancelled.")
        if order == "pause":
            await self._app.store.rows.put_many(CONTROL, [Row(run, "paused")])
            return
        if order == "cancel":
            await self._app.store.rows.put_many(CONTROL, [Row(run, "cancelled")])
            if not await self._let_go(run):
                return
            await self._queue.recall(run, _as_it_is)
            return
        if await self._app.store.rows.drop(CONTROL, run):
            await self.go_on(run)

    async def go_on(self, run: str) -> None:
        """Have a run whose order has been taken back go on now.

        Whoever has it goes on by itself, having never heeded the order or seeing that there is none any more; but it may just have seen
        that there is one, and be about to let the run go until it is looked at again. So it is waited for a little.
        """
        rows = self._app.store.rows
        for _ in range(_LOOKS_FOR_LAST_WORD):
            row = await rows.get(PUSHES, run)
            if row is None:
                return
            if row.owner is None and await rows.change(PUSHES, replace(row, due=self._app.clock.now()), row.fence):
                self.wake()
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _let_go(self, run: str) -> bool:
        """Wait until whoever sends a run has heeded its order, so that it is written what became of what had left; False if it has ended.

        For a while only: a provider may take its time to answer.
        """
        for _ in range(_LOOKS):
            row = await self._app.store.rows.get(PUSHES, run)
            if row is None:
                return False
            if row.owner is None:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    async def told(self, run: str) -> Object:
        """How far a push is: what `_PushStatus` says, what is ordered, how many deliveries were found, have which
        end, and have failed for which reason.

        ParseError 101 if there is none, or it has been forgotten.
        """
        row = await self._app.store.documents.get(self._app.classes.known_or_blank(status.STATUS), run)
        if row is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, f"No push has the id {run}.")
        rows = self._app.store.rows
        task, ended, order = await rows.get(PUSHES, run), await rows.get(RESULTS, run), await rows.get(CONTROL, run)
        counts: Object = ended.value if ended is not None else task.value["counts"] if task is not None else {}
        told: Object = {"id": run, "status": row.body["status"], "pushTime": row.body["pushTime"]}
        some = [(name, count) for name, count in sorted(counts.items()) if count]
        told["counts"] = {name: count for name, count in some if not _BY.search(name)}
        told["failures"] = {name.removeprefix(_FAILED): count for name, count in some if name.startswith(_FAILED)}
        if task is not None and ended is None:
            told["found"] = task.value.get("found", 0)
        if order is not None and task is not None:
            told["status"] = str(order.value)
        return told | ({"error": row.body["errorMessage"]} if "errorMessage" in row.body else {})

    async def deliveries(self, run: str, state: str | None, after: str, limit: int) -> tuple[list[Object], str | None]:
        """A page of what became of each address, and where the next one begins. `state` is one of those of deliveries.py, or any."""
        rows = await self._app.store.rows.scan(TABLE, after, limit, f"{run}:")
        page = [Delivery.of(row) for row in rows]
        found = [delivery.told() for delivery in page if state is None or delivery.state == state]
        return found, rows[-1].key if len(rows) == limit else None

    async def _note_use(self, audience: str) -> None:
        used: Object = {"lastUsed": date(self._app.clock.now()), "timesUsed": {"__op": "Increment", "amount": 1}}
        try:
            await objects.update(self._app, MASTER, "_Audience", audience, used)
        except ParseError as error:
            get_logger(__name__).warning("the audience of a push is not there", audience=audience, reason=error.message)

    async def _work(self, task: Task) -> int | None:
        app, push = self._app, task.value["push"]
        if await order_of(task) == "paused":
            return app.clock.now() + LOOKS_MS
        await status.begin(app, task.key, status.fields(push, source="campaign" if "campaign" in push else "rest"))
        if not _begun_by(task.value, app.clock.now()) and await order_of(task) is None:
            # It was paused and resumed before its time, at which it is to find its devices.
            return _due(push)
        lane = lane_of(push)
        if self.turns.full(lane):
            return app.clock.now() + _LATER_MS
        before = _reached(task)
        try:
            with self.turns.taking_part(lane):
                return await self._take_further(task)
        except Lost:
            raise
        except Exception as error:
            get_logger(__name__).exception("a push has failed", push=task.key)
            return await self._failed(task, error, moved=_reached(task) != before)

    async def _failed(self, task: Task, error: Exception, *, moved: bool) -> int | None:
        """Try a run again that a fault has stopped, later each time; give it up where it has not moved for long.

        Where the store is out nothing of that can be written, and the run is tried again when its lease is over.
        """
        failures = 1 if moved else int(task.value.get("failures", 0)) + 1
        if failures >= FAILURES:
            await status.fail(self._app, task.key, ParseError(Code.INTERNAL_SERVER_ERROR, type(error).__name__))
            await self._end(task, "failed")
            return None
        await task.keep({**task.value, "failures": failures})
        return self._app.clock.now() + (FIRST_REST_MS << failures)

    async def _take_further(self, task: Task) -> int | None:
        """Find the devices of a run and send what is due; when it is to go on, None when it has ended."""
        app = self._app
        try:
            if await order_of(task) is None:
                await materialise(task, partial(self._turn, lane_of(task.value["push"])))
        except ParseError as error:
            get_logger(__name__).warning("a push cannot be sent", push=task.key, reason=error.message)
            await status.fail(app, task.key, error)
            await self._end(task, "failed")
            return None
        told = _Told(app, task.key)
        sending = Sending(task, self._transport.send, told, self.turns)
        again = await sending.run()
        if sending.tripped and self.tripped is not None:
            await self.tripped(task.value["push"]["campaign"]["id"], sending.tripped)
        await told.end("running" if again is not None else "succeeded", task.value["counts"])
        if again is None:
            await self._end(task, "succeeded")
        return again

    async def _turn(self, lane: Lane) -> int:
        """Wait until a run may find more of its devices; how many, so that moments find little to do before them."""
        await self.turns.wait(lane)
        return _PAGE_BESIDE if self.turns.crowded(lane) else PAGE

    async def _end(self, task: Task, how: str) -> None:
        rows, campaign, expires = self._app.store.rows, task.value["push"].get("campaign"), self._app.clock.now() + KEPT_MS
        counts = task.value["counts"]
        await rows.put_many(RESULTS, [Row(task.key, counts, expires=expires)])
        some_left = how == "succeeded" and (counts.get("failed") or counts.get("unknown"))
        if some_left and await order_of(task) != "cancelled":
            await rows.put_many(ENDED, [Row(task.key, task.value, expires=expires)])
        else:
            await rows.drop(ENDED, task.key)
        await rows.drop(CONTROL, task.key)
        if campaign is not None and self.ended is not None:
            await self.ended(task.key, campaign, how)


class _Told:
    """Tells `_PushStatus` of a run, now and then."""

    def __init__(self, app: App, run: str) -> None:
        self._app, self._run, self._last = app, run, 0

    async def __call__(self, counts: Mapping[str, int]) -> None:
        if abs(self._app.clock.now() - self._last) >= _TOLD_MS:
            await self.end("running", counts)

    async def end(self, state: str, counts: Mapping[str, int]) -> None:
        self._last = self._app.clock.now()
        await status.tell(self._app, self._run, state, counts)


async def _nobody(counts: Mapping[str, int]) -> None:
    """Told of what has no `_PushStatus`."""


def _reached(task: Task) -> list[object]:
    """How far a run is."""
    return [task.value[name] for name in ("state", "cursor", "started", "settled", "counts")]


def begun(push: Object) -> Object:
    """The value of a run of which nothing has been done."""
    return {"push": push, "state": "materialising", "cursor": "", "started": "", "settled": "", "counts": {}}


def _due(push: Object) -> int:
    """When a push is to find its devices: at its time, or when the first clocks show it."""
    at: int | None = push["at"]
    return push["asked"] if at is None else at - (EARLIEST_MS if push["local"] else 0)


def _begun_by(value: Object, now: int) -> bool:
    """True of a run whose time has come, whatever the clock shows now: what it waits for it knows itself."""
    return value["state"] == "sending" or value["push"]["at"] is None or _due(value["push"]) <= now


def _as_it_is(value: Object | None) -> Object:
    if value is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "The push has ended.")
    return value
