"""The functions of one app: hosted ones, webhooks and partners, as the wire calls them and the data room fires them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.functions import NoFunctions
from mbaas.kernel.triggers import Kind, NoTriggers, Outcome
from mbaas.kernel.values import Json, Object
from mbaas.outbound.calls import Outbound
from mbaas_functions.hooks import Hooks
from mbaas_functions.hosted import Hosted, ReadLimits
from mbaas_functions.kinds import FUNCTION
from mbaas_functions.partners.calls import Partners, Tell, nobody
from mbaas_functions.partners.events import Events
from mbaas_functions.partners.subjects import checked, enabled
from mbaas_functions.zygote import Zygote

_ROOM, _ELSEWHERE = "functions", "functions elsewhere"


class Functions:
    """The functions and triggers of one app, wherever they are. A webhook comes before a hosted one of its name."""

    def __init__(self, app: App, hooks: Hooks, partners: Partners, owner: Owner, zygote: Zygote, read_limits: ReadLimits) -> None:
        self.hooks, self.partners = hooks, partners
        self.events = Events(app, partners.registry, partners.line, owner)
        self.hosted = Hosted(app, owner, zygote, self.call, read_limits)

    async def open(self) -> None:
        """Learn which there are. Gone says why those of the server's own folder cannot be loaded."""
        await self.hooks.load()
        await self.events.open()
        await self.hosted.open()

    async def close(self) -> None:
        """End what runs."""
        await self.hosted.close()
        await self.events.close()
        await self.partners.close()

    def has(self, kind: Kind | str, name: str) -> bool:
        """True if it is declared."""
        return self.hooks.has(kind, name) or self.hosted.has(kind, name)

    async def call(self, name: str, caller: Caller, params: Object, headers: Object | None = None, tell: Tell = nobody) -> Object:
        """`{"result": …}` of a function, or `{}` if it returned nothing. ParseError 141 if there is none, or as it fails.

        `headers` are those of the request, `tell` adds to those of the answer.
        """
        if self.hooks.has(FUNCTION, name):
            return await self.hooks.call(name, caller, params, headers or {})
        if "." in name:
            return await self.partners.call(name, caller, params, (headers or {}).get("idempotency-key"), tell)
        return await self.hosted.call(name, caller, params, headers or {})

    async def linked(self, partner: str, external_id: Json) -> str | None:
        """The user behind an enabled partner's id, who has consented."""
        found = await self.partners.registry.get(partner)
        return await self.partners.subjects.user(partner, enabled(found), checked(external_id))

    async def fire(self, kind: Kind, class_name: str, caller: Caller, given: Object) -> Outcome:
        """Run a trigger."""
        place = self.hooks if self.hooks.has(kind, class_name) else self.hosted
        return await place.fire(kind, class_name, caller, given)


def join(app: App, outbound: Outbound) -> None:
    """Register the classes of this room with the app; before it starts."""
    partners = Partners(app, outbound)
    app.rooms[_ELSEWHERE] = Hooks(app, outbound), partners
    app.belongings.append(partners.subjects)


@asynccontextmanager
async def opened(app: App, zygote: Zygote, read_limits: ReadLimits) -> AsyncIterator[Functions]:
    """The app with its functions. Gone says why those of the server's own folder cannot be loaded."""
    hooks, partners = app.rooms[_ELSEWHERE]
    owner = Owner(app.options.data_dir, app.ids.uuid())
    functions = Functions(app, hooks, partners, owner, zygote, read_limits)
    try:
        await functions.open()
        app.rooms[_ROOM] = app.triggers = app.functions = functions
        yield functions
    finally:
        app.rooms.pop(_ROOM, None)
        app.triggers, app.functions = NoTriggers(), NoFunctions()
        await functions.close()
        owner.close()


def functions_of(app: App) -> Functions:
    """The app's functions. ParseError 108 while it has not been opened, or is being closed."""
    found: Functions | None = app.rooms.get(_ROOM)
    if found is None:
        raise ParseError(Code.COMMAND_UNAVAILABLE, "The functions of the app are not open.")
    return found
