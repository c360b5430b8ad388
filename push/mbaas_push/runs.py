"""The pushes of an app: each is a run, a task of a durable queue that one process at a time has.

A run's value holds `push` (what was asked), `state` (`materialising`, then `sending`), `cursor` (the last installation that has its
delivery), `started` and `settled` (keys of deliveries: up to the first all may have been on the wire, up to the second all have their
end) and `counts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.values import Object, date
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Row
from mbaas_push import status
from mbaas_push.audience import materialise
from mbaas_push.local_time import EARLIEST_MS
from mbaas_push.message import read
from mbaas_push.sending import CONTROL, Sending, order_of
from mbaas_push.transports.port import Transport

_TABLE = "pushes"
_TOLD_MS = 1000
"""How often `_PushStatus` is told how far a run is."""


class Runs:
    """Sends pushes. `Pushes` of the kernel for one app."""

    def __init__(self, app: App, transport: Transport, owner: Owner) -> None:
        self._app, self._transport = app, transport
        self._queue = Queue(app, _TABLE, self._work, owner)

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

    async def send(self, caller: Caller, body: Object) -> str:
        """See `Pushes`. It is on disk when this returns."""
        now, run = self._app.clock.now(), self._app.ids.object_id()
        message = read(body, now)
        push: Object = {**asdict(message), "asked": now, "pushTime": message.push_time}
        value: Object = {"push": push, "state": "materialising", "cursor": "", "started": "", "settled": "", "counts": {}}
        due = now if message.at is None else message.at - (EARLIEST_MS if message.local else 0)
        await self._queue.put(run, value, due=max(due, now))
        await status.begin(self._app, run, status.fields(push))
        if isinstance(body.get("audience_id"), str):
            await self._note_use(body["audience_id"])
        return run

    async def order(self, run: str, order: str) -> None:
        """`pause`, `resume` or `cancel` a run. ParseError 101 if there is none that has not ended."""
        if await self._app.store.rows.get(_TABLE, run) is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, f"No push with the id {run} waits or is being sent.")
        if order == "pause":
            await self._app.store.rows.put_many(CONTROL, [Row(run, "paused")])
            return
        if order == "cancel":
            await self._app.store.rows.put_many(CONTROL, [Row(run, "cancelled")])
        else:
            await self._app.store.rows.drop(CONTROL, run)
        await self._queue.recall(run, _as_it_is)

    async def _note_use(self, audience: str) -> None:
        used: Object = {"lastUsed": date(self._app.clock.now()), "timesUsed": {"__op": "Increment", "amount": 1}}
        try:
            await objects.update(self._app, MASTER, "_Audience", audience, used)
        except ParseError as error:
            get_logger(__name__).warning("the audience of a push is not there", audience=audience, reason=error.message)

    async def _work(self, task: Task) -> int | None:
        app, push = self._app, task.value["push"]
        await status.begin(app, task.key, status.fields(push))
        try:
            if await order_of(task) is None:
                await materialise(task)
        except ParseError as error:
            get_logger(__name__).warning("a push cannot be sent", push=task.key, reason=error.message)
            await status.fail(app, task.key, error)
            return None
        told = _Told(app, task.key)
        again = await Sending(task, self._transport.send, told).run()
        await told.end("running" if again is not None else "succeeded", task.value["counts"])
        if again is None:
            await app.store.rows.drop(CONTROL, task.key)
        return again


class _Told:
    """Tells `_PushStatus` of a run, now and then."""

    def __init__(self, app: App, run: str) -> None:
        self._app, self._run, self._last = app, run, 0

    async def __call__(self, counts: Mapping[str, int]) -> None:
        if self._app.clock.now() - self._last >= _TOLD_MS:
            await self.end("running", counts)

    async def end(self, state: str, counts: Mapping[str, int]) -> None:
        self._last = self._app.clock.now()
        await status.tell(self._app, self._run, state, counts)


def _as_it_is(value: Object | None) -> Object:
    if value is None:
        raise MbaasError("the push has ended")
    return value
