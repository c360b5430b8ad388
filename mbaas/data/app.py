"""One app as a value: its options, its store, its classes, its rooms' policies. Nothing here is reached through a global."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mbaas.data.audit import Audit
from mbaas.data.classes import Classes
from mbaas.data.keywords import Keywords
from mbaas.data.policies import PLAIN, Policy
from mbaas.data.uses import MemoryCounters, StoredCounters, Uses
from mbaas.kernel.clock import Clock
from mbaas.kernel.functions import Functions, NoFunctions
from mbaas.kernel.ids import Ids
from mbaas.kernel.options import AppOptions
from mbaas.kernel.push import Moments, NoMoments, NoPushes, Pushes
from mbaas.kernel.triggers import NoTriggers, Triggers
from mbaas.storage.ports import Store
from mbaas.storage.sharing import Joint, Sharing

if TYPE_CHECKING:
    from mbaas.data.belongings import Belongings


class App:
    """An app of the process. `rooms` holds what other rooms keep per app, by room name (sessions' cache, file store…)."""

    def __init__(self, options: AppOptions, store: Store, clock: Clock, ids: Ids) -> None:
        self.options = options
        self.store = store
        self.sharing = store.sharing if isinstance(store, Joint) else Sharing()
        self.clock = clock
        self.ids = ids
        self.uses = Uses(StoredCounters(store.rows) if store.several else MemoryCounters(), clock)
        self.audit = Audit(store.rows, clock, ids, options.audit_kept_ms)
        self.classes = Classes(store.schemas, options)
        self.keywords = Keywords(options.request_keyword_denylist)
        self.triggers: Triggers = NoTriggers()
        self.functions: Functions = NoFunctions()
        self.pushes: Pushes = NoPushes()
        self.moments: Moments = NoMoments()
        self.rooms: dict[str, Any] = {}
        self.unfed: list[Callable[[], None]] = []
        """Called after others changed what no entry of the feed tells: who is in a relation, such as a role's members."""
        self.belongings: list[Belongings] = []
        """What the rooms have of users."""
        self.missed: set[str] = set()
        """Names of classes that are not there, of which the log has been told."""
        self._policies: dict[str, Policy] = {}
        self._turn = asyncio.Lock()

    def register(self, class_name: str, policy: Policy) -> None:
        """Give a class its policy; before `start`."""
        self._policies[class_name] = policy
        if policy.schema:
            self.classes.unique[class_name] = policy.schema
        if policy.owned_by_itself:
            self.classes.owned_by_themselves.add(class_name)

    def policy(self, class_name: str) -> Policy:
        """The rules that a room registered for the class, or the plain ones."""
        return self._policies.get(class_name, PLAIN)

    async def start(self) -> None:
        """Read what the store holds, and follow what others write to it."""
        remembered = {name: policy.remembers_all for name, policy in self._policies.items() if policy.remembers}
        self.store.follow(remembered, self._changed)
        await self.classes.load()

    async def catch_up(self) -> None:
        """Remember nothing that no longer holds; called where `store.behind`, at the beginning of every request."""
        async with self._turn:
            await self.store.catch_up()

    async def _changed(self, class_name: str | None, object_id: str | None) -> None:
        if class_name is None:
            await self.classes.reload()
            return
        await self.policy(class_name).changed(object_id)
        if object_id is None:
            for reconsider in self.unfed:
                reconsider()

    async def close(self) -> None:
        """Finish and let the store go."""
        await self.store.close()
