"""Changes of objects that set plays off, from the change feed: each is taken in once, with how far the feed has been read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import orjson

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.reader import FeedReader
from mbaas.kernel.ids import token_hash
from mbaas.kernel.tasks import end
from mbaas.kernel.values import Object, pointer
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Entry, PutRow, Step
from mbaas_push.moments import triggers
from mbaas_push.moments.firing import Firing
from mbaas_push.moments.push import Fire
from mbaas_push.moments.rules import Live, Rules
from mbaas_push.moments.working import TASKS

_FEED = "play feed"
_LOOK_SECONDS = 10.0


class Following:
    """Follows the classes that live plays of one app name."""

    def __init__(self, app: App, rules: Rules, firing: Firing, owner: Owner, wake: Callable[[], None]) -> None:
        self._app, self._rules, self._firing = app, rules, firing
        self._reader = FeedReader(app, _FEED, self._take, owner, noted=wake)
        self._begun = False
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on with what there is; next to nothing is done while no live play follows a class."""
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """Stop; another process, or the next start, goes on."""
        await end([self._looking])
        await self._reader.close()

    async def begin(self, definition: Object) -> None:
        """Read from here on, if a play that is to be live follows a class."""
        if "change" in definition["trigger"] and not self._begun:
            self._begun = True
            await self._reader.begin()

    async def _look(self) -> None:
        """Begin when there is such a play, whichever process made it live."""
        while not self._begun:
            try:
                for play in (await self._rules.live()).values():
                    await self.begin(play.definition)
            except Exception:
                get_logger(__name__).exception("it cannot be found out whether plays follow classes; it is tried again")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _take(self, entries: list[Entry], number: int) -> tuple[Sequence[Step], bool]:
        live = [play for play in (await self._rules.live()).values() if play.fits_object is not None]
        steps = [step for entry in entries for fire in self._fires(entry, live) for step in self._firing.steps(fire, self._task)]
        return steps, bool(steps)

    def _fires(self, entry: Entry, live: list[Live]) -> list[Fire]:
        """What a change is to whom: plays that are about the same person compete for her."""
        plays: dict[str, list[Live]] = {}
        for play in live:
            if play.fires_on(entry) and entry.after is not None and play.fits_props(entry.after.body):
                plays.setdefault(play.definition["trigger"]["change"]["subject"], []).append(play)
        return [fire for column, each in plays.items() if (fire := self._fire(entry, column, each)) is not None]

    def _fire(self, entry: Entry, column: str, plays: list[Live]) -> Fire | None:
        assert entry.after is not None
        found = entry.object_id if column == "objectId" else entry.after.body.get(column)
        about = found.get("objectId") if isinstance(found, dict) else found
        if not isinstance(about, str):
            return None
        of_user = triggers.target(self._app, entry.class_name, column) == "_User"
        where: Object = {"user": pointer("_User", about)} if of_user else {"objectId": about}
        fire_id = token_hash(orjson.dumps(["change", entry.class_name, column, entry.seq]).decode())[:20]
        props = {name: value for name, value in entry.after.body.items() if name != "ACL"}
        subject = f"user:{about}" if of_user else ""
        return Fire(fire_id, f"change:{entry.class_name}", entry.at, where, True, subject, [play.id for play in plays], props)

    def _task(self, fire: Fire) -> PutRow:
        now = self._app.clock.now()
        return PutRow(TASKS, fire.id, {"fire": fire.stored(), "asked": now}, due=now)
