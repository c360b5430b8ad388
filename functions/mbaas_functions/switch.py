"""From what shall run to what runs: every process follows the one row that says it, and never has less than a whole revision.

The next revision is loaded before the one that runs is let go, and that one ends when its last call has. What cannot be loaded changes
nothing, and is tried again; only at a start is there nothing else to run: then calls of it are refused, and so is what its triggers watch.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.tasks import end
from mbaas.observe.logs import get_logger
from mbaas_functions.deployments import Deployments, Wanted
from mbaas_functions.revision import Revision

_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 10.0
_PATIENCE_SECONDS = 5.0
"""How long a call that needs the newest code waits for it."""

Load = Callable[[int | None, Mapping[str, str] | None], Awaitable[Revision | None]]
"""Loads a deployment or the server's own folder, with the secrets that are stored or with those given; None where there is no such
folder. MbaasError says why it cannot be loaded."""


@dataclass(frozen=True, slots=True)
class New:
    """All secrets as they are to be, and what stores them so."""

    values: Mapping[str, str]
    keep: Callable[[], Awaitable[None]]


class Switch:
    """What runs of one app in this process. `changed` is called when that is something else."""

    def __init__(self, app: App, deployments: Deployments, load: Load, changed: Callable[[], Awaitable[None]]) -> None:
        self.active: Revision | None = None
        self.canary: Revision | None = None
        self._app, self._deployments, self._load, self._changed = app, deployments, load, changed
        self._state: Wanted | None = None
        """What runs; None where that is not what shall run."""
        self._refused: Wanted | None = None
        """What shall run and could not be loaded."""
        self._retry = 0.0
        self._percent = 0.0
        self._turn = asyncio.Lock()
        self._ending: dict[Revision, asyncio.Task[None]] = {}
        self._woken, self._looked = asyncio.Event(), asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[None] | None = None
        """Has what shall run loaded, where that is something else than what runs."""

    async def start(self) -> None:
        """Run what shall run, and follow it from now on. MbaasError if the server's own folder cannot be loaded."""
        wanted = await self._deployments.wanted()
        try:
            await self._become(wanted)
        except MbaasError as error:
            if wanted.active is None and wanted.canary is None:
                raise
            self._refuse(wanted, error)
            await self._make_do(wanted)
        self._following = asyncio.create_task(self._follow())

    async def _make_do(self, wanted: Wanted) -> None:
        """Run the active one without its canary, or have it that cannot be loaded said by each call."""
        try:
            await self._become(replace(wanted, canary=None))
        except MbaasError:
            if wanted.active is None:
                raise
            record = await self._deployments.get(wanted.active)
            self.active = Revision(wanted.active, record["manifest"], None)
            await self._changed()
        self._state = None

    async def change(self, change: Callable[[Wanted], Wanted], new: New | None = None) -> None:
        """Have something else run, here and then everywhere. MbaasError, and nothing is changed, if it cannot be loaded.

        With `new` secrets all of it is loaded anew with these; they are kept before others hear of them.
        """
        async with self._turn:
            wanted = change(await self._deployments.wanted())
            made = await self._prepare(wanted, None if new is None else new.values)
            try:
                if new is not None:
                    await new.keep()
                await self._deployments.want(change)
            except BaseException:
                await self._close_unused(made)
                raise
            # Whatever else was changed at the same time is seen at the next look.
            await self._install(wanted, *made)

    async def reload(self) -> None:
        """Load anew what runs from the server's own folder; what was being loaded is given up."""
        if self._loading is not None:
            self._loading.cancel()
        async with self._turn:
            if self._state is None or self._state.active is not None:
                return
            self._state = replace(self._state, secrets=-1)
            self._refused = None
        await self.catch_up()

    async def catch_up(self) -> bool:
        """Have here what shall run now, unless that takes long; whether it runs."""
        wanted = await self._deployments.wanted()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while wanted not in (self._state, self._refused):
                    self._looked.clear()
                    self._woken.set()
                    await self._looked.wait()
        return wanted == self._state

    def choose(self, caller: Caller) -> Revision | None:
        """The revision for a caller: what runs already asks itself, a canary has its share of the others."""
        for revision in (self.active, self.canary, *self._ending):
            if revision is not None and revision.runs(caller):
                return revision
        if self.canary is not None and self._share(caller) < self._percent:
            return self.canary
        return self.active

    def _share(self, caller: Caller) -> float:
        """Where a caller is between 0 and 100: a user, or an installation, always at the same place of a canary."""
        who = caller.user_id or caller.installation_id or self._app.ids.hex(8)
        assert self.canary is not None
        digest = hashlib.sha256(f"{self.canary.number} {who}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 * 100

    async def _follow(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._look()
            except Exception:
                get_logger(__name__).exception("it is not known which code shall run; it is tried again")
            self._looked.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._woken.wait()

    async def _look(self) -> None:
        async with self._turn:
            wanted = await self._deployments.wanted()
            if wanted == self._state:
                self._refused = None
            elif wanted != self._refused or time.monotonic() >= self._retry:
                self._loading = asyncio.create_task(self._become(wanted))
                await asyncio.wait([self._loading])
                loading, self._loading = self._loading, None
                if loading.cancelled():
                    return
                if (error := loading.exception()) is not None:
                    self._refuse(wanted, error)
                else:
                    get_logger("mbaas.functions").info("other code runs now", deployment=wanted.active, canary=wanted.canary)

    def _refuse(self, wanted: Wanted, error: BaseException) -> None:
        if wanted != self._refused:
            log = get_logger("mbaas.functions")
            trace = None if isinstance(error, MbaasError) else error
            log.error("the new code is not used", deployment=wanted.canary or wanted.active, reason=str(error), exc_info=trace)
        self._refused, self._retry = wanted, time.monotonic() + _RETRY_SECONDS

    async def _become(self, wanted: Wanted) -> None:
        await self._install(wanted, *await self._prepare(wanted))

    async def _prepare(self, wanted: Wanted, secrets: Mapping[str, str] | None = None) -> tuple[Revision | None, Revision | None]:
        """The revisions of what shall run: those that run already, and others loaded. MbaasError if one cannot be."""
        fresh = secrets is not None or self._state is None or self._state.secrets != wanted.secrets
        running = {} if fresh else {each.number: each for each in (self.active, self.canary) if each is not None}
        active = running.get(wanted.active) or await self._load(wanted.active, secrets)
        if wanted.canary is None:
            return active, None
        try:
            return active, running.get(wanted.canary) or await self._load(wanted.canary, secrets)
        except BaseException:
            await self._close_unused((active,))
            raise

    async def _close_unused(self, made: Iterable[Revision | None]) -> None:
        for revision in made:
            if revision is not None and revision not in (self.active, self.canary):
                await revision.close()

    async def _install(self, state: Wanted, active: Revision | None, canary: Revision | None) -> None:
        before = [each for each in (self.active, self.canary) if each is not None and each not in (active, canary)]
        self.active, self.canary, self._percent, self._state = active, canary, state.percent, None
        for revision in before:
            self._ending[revision] = task = asyncio.create_task(revision.drain())
            task.add_done_callback(partial(self._ended, revision))
        await self._changed()
        self._state, self._refused = state, None

    def _ended(self, revision: Revision, task: asyncio.Task[None]) -> None:
        self._ending.pop(revision, None)

    async def close(self) -> None:
        """End all that runs."""
        ending = [*self._ending]
        await end([self._following, self._loading, *self._ending.values()])
        for revision in (self.active, self.canary, *ending):
            if revision is not None:
                await revision.close()
