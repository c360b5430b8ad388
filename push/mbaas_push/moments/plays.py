"""What is done with plays: written, made live, paused, resumed, retired.

    draft → live ⇄ paused → retired

A play is edited as a draft or while it is paused; each edit is a new version. What a paused play had not sent yet waits, and is sent if the
play is resumed while it is worth something. A play that is retired sends nothing any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.values import Object
from mbaas.storage.ports import DropRow, PutRow, Step
from mbaas_push.campaigns.definition import check_sizes
from mbaas_push.campaigns.store import Store
from mbaas_push.moments import definition
from mbaas_push.moments.rules import Rules
from mbaas_push.sending import CONTROL

_FROM: dict[str, tuple[str, ...]] = {
    "edit": ("draft", "paused"),
    "start": ("draft",),
    "pause": ("live",),
    "resume": ("paused",),
    "retire": ("draft", "live", "paused"),
    "delete": ("draft", "retired"),
}
"""From which states something may be done."""
_DONE = {"start": ("started", "live"), "resume": ("resumed", "live"), "pause": ("paused", "paused"), "retire": ("retired", "retired")}
"""What is said of an order in the audit, and the state that it leads to."""
ORDERS = tuple(_DONE)


class Plays:
    """The plays of one app."""

    def __init__(self, app: App, store: Store, rules: Rules, begins: Callable[[Object], Awaitable[None]]) -> None:
        """`begins` is told of the definition of a play before that is live."""
        self._app, self.store, self._rules, self._begins = app, store, rules, begins

    async def create(self, given: Object, caller: Caller, once: str | None = None) -> Object:
        """A new draft, one for each Idempotency-Key, `once`."""
        return (await self.store.create(definition.check(self._app, given), caller, given, once)).told()

    async def get(self, play_id: str) -> Object:
        """One play."""
        return (await self.store.get(play_id)).told()

    async def edit(self, play_id: str, given: Object, caller: Caller, updated_at: int | None) -> Object:
        """A new version. Conflict if it is no longer of that time."""
        play = await self.store.found(play_id, "edit", updated_at, _FROM)
        return (await self.store.change(play, "edited", caller, definition=definition.check(self._app, given))).told()

    async def duplicate(self, play_id: str, caller: Caller) -> Object:
        """Another draft that is like it."""
        return (await self.store.copy(play_id, caller)).told()

    async def delete(self, play_id: str, caller: Caller, updated_at: int | None) -> None:
        """Forget it."""
        await self.store.drop(await self.store.found(play_id, "delete", updated_at, _FROM), caller)

    async def order(self, play_id: str, order: str, caller: Caller, updated_at: int | None) -> Object:
        """`start`, `pause`, `resume` or `retire` it. 119 with HTTP 409 if it is not in a state for that."""
        play = await self.store.found(play_id, order, updated_at, _FROM)
        if order in ("start", "resume"):
            # What may be asked and shown may have changed since it was written.
            definition.check(self._app, play.definition)
            check_sizes({"variants": definition.said(play.definition)})
            await self._begins(play.definition)
        told, state = _DONE[order]
        return (await self.store.change(play, told, caller, [self._held(play.id, state), self._rules.changed()], state=state)).told()

    def _held(self, play_id: str, state: str) -> Step:
        """What of a play has not left yet heeds its state, as it heeds orders about a push."""
        return DropRow(CONTROL, play_id) if state == "live" else PutRow(CONTROL, play_id, "paused" if state == "paused" else "cancelled")
