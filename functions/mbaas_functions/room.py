"""The functions of one app: those of its code, its webhooks and its partners, as the wire calls them and the data room fires them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code as ErrorCode
from mbaas.kernel.errors import ParseError, not_found
from mbaas.kernel.triggers import Kind, NoTriggers, Outcome
from mbaas.kernel.values import Json, Object
from mbaas.outbound.calls import Outbound
from mbaas_auth import providers
from mbaas_functions.hosted import FUNCTION, JOB, Code
from mbaas_functions.hooks import Hooks
from mbaas_functions.partners.calls import Partners
from mbaas_functions.partners.events import Events

_ROOM = "functions"


class Functions:
    """The functions, triggers and jobs of one app. A webhook comes before the code's own of the same name."""

    def __init__(self, app: App, outbound: Outbound) -> None:
        self.hooks = Hooks(app, outbound)
        self.partners = Partners(app, outbound)
        self._app = app
        self._owner: Owner | None = None
        self._events: Events | None = None
        self._code: Code | None = None

    async def open(self) -> None:
        """Learn which there are. Gone says why the code cannot be loaded."""
        await self.hooks.load()
        self._owner = Owner(self._app.options.data_dir, self._app.ids.uuid())
        self._events = Events(self._app, self.partners.registry, self.partners.line, self._owner)
        await self._events.open()
        if self._app.options.functions is None:
            await providers.declare(self._app, ())
        else:
            self._code = Code(self._app, self._app.options.functions.absolute(), self._owner, self.call)
            await self._code.open()

    async def close(self) -> None:
        """End what runs."""
        if self._code is not None:
            await self._code.close()
        if self._events is not None:
            await self._events.close()
        if self._owner is not None:
            self._owner.close()

    def names(self, kind: str) -> list[str]:
        """The names of what the code declares of a kind, in the order of their declaration."""
        return [] if self._code is None else self._code.names(kind)

    def rate_limits(self) -> dict[str, Object]:
        """How often functions may be called, by their names, where that was declared: Parse Server's `rateLimit` without its path."""
        return {} if self._code is None else self._code.rate_limits()

    def has(self, kind: Kind | str, name: str) -> bool:
        """True if it is declared."""
        return self.hooks.has(kind, name) or (self._code is not None and self._code.has(kind, name))

    async def call(self, name: str, caller: Caller, params: Object, headers: Object | None = None) -> Object:
        """`{"result": …}` of a function, or `{}` if it returned nothing. ParseError 141 if there is none, or as it fails."""
        if self.hooks.has(FUNCTION, name):
            return await self.hooks.call(name, caller, params, headers or {})
        if "." in name:
            return await self.partners.call(name, caller, params)
        if self._code is None or not self._code.has(FUNCTION, name):
            raise ParseError(ErrorCode.SCRIPT_FAILED, f'Invalid function: "{name}"')
        return await self._code.call(name, caller, params, headers or {})

    async def fire(self, kind: Kind, class_name: str, caller: Caller, given: Object) -> Outcome:
        """Run a trigger."""
        if self.hooks.has(kind, class_name):
            return await self.hooks.fire(kind, class_name, caller, given)
        if self._code is None:
            raise LookupError(f"the app has no {kind} trigger of {class_name}")
        return await self._code.fire(kind, class_name, caller, given)

    async def endpoint(self, name: str, caller: Caller, given: Object) -> Object:
        """`{status, headers, base64}` of what an endpoint answers; its name, one of those declared, is its method and pattern."""
        assert self._code is not None
        return await self._code.endpoint(name, caller, given)

    async def start_job(self, name: Json, params: Object) -> str:
        """Have a job run in the background; the id of its `_JobStatus`. ParseError 141 if there is none of that name."""
        if self._code is None or not isinstance(name, str) or not self._code.has(JOB, name):
            raise ParseError(ErrorCode.SCRIPT_FAILED, "Invalid job.")
        return await self._code.start_job(name, params)

    @property
    def events(self) -> Events:
        """What partners are told; there while the room is open."""
        assert self._events is not None
        return self._events

    async def cancel_job(self, job_id: str) -> Object:
        """End a job that waits or runs: what its `_JobStatus` says of its end. ParseError 101 if there is no such job."""
        if self._code is None:
            raise not_found()
        return await self._code.cancel_job(job_id)


def join(app: App, outbound: Outbound) -> None:
    """Give the app its functions, and register their classes; before it starts."""
    app.rooms[_ROOM] = Functions(app, outbound)


@asynccontextmanager
async def opened(app: App) -> AsyncIterator[Functions]:
    """The app with its functions. Gone says why they cannot be loaded."""
    functions = functions_of(app)
    try:
        await functions.open()
        app.triggers = functions
        yield functions
    finally:
        app.triggers = NoTriggers()
        await functions.close()


def functions_of(app: App) -> Functions:
    """The app's functions."""
    found: Functions = app.rooms[_ROOM]
    return found
