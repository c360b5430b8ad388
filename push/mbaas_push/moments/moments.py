"""The business moments of one app: its plays, what happens, and what is sent for it."""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.values import Object
from mbaas_push.campaigns.store import Store
from mbaas_push.moments.firing import Firing
from mbaas_push.moments.following import Following
from mbaas_push.moments.plays import Plays
from mbaas_push.moments.rules import Rules
from mbaas_push.moments.working import FIRES, TASKS, Working
from mbaas_push.runs import Runs

_AT_ONCE = 64
"""How many moments a process works on at the same time; further ones wait in the queue."""


class Moments:
    """`Moments` of the kernel, with all that belongs to them."""

    def __init__(self, app: App, runs: Runs, owner: Owner) -> None:
        self._app = app
        store = Store(app, "play")
        self.rules = Rules(app, store)
        # What a task waits for it knows itself, whatever the clock shows now.
        self.queue = Queue(app, TASKS, self._work, owner, most=_AT_ONCE, early=lambda value, now: True)
        self.firing = Firing(app, self.rules, self.queue.begin)
        self._working = Working(app, runs, self.rules, self.firing.settled, self.queue.wake)
        self._following = Following(app, self.rules, self.firing, owner, self.queue.wake)
        self.plays = Plays(app, store, self.rules, self._following.begin)

    async def _work(self, task: Task) -> int | None:
        return await self._working.work(task)

    def start(self) -> None:
        """Begin, with what another process left."""
        self.queue.start()
        self._following.start()

    async def close(self) -> None:
        """Stop; another process, or the next start, goes on."""
        await self._following.close()
        await self.queue.close()

    async def fire(self, key: str, body: Object) -> str:
        """See `Moments` of the kernel."""
        return await self.firing.fire(key, body)

    async def fires(self, play_id: str, after: str, limit: int) -> tuple[list[Object], str | None]:
        """A page of what set a play off, the oldest first, and where the next one begins."""
        rows = await self._app.store.rows.scan(FIRES, after, limit, f"{play_id}|")
        return [row.value for row in rows], rows[-1].key if len(rows) == limit else None
