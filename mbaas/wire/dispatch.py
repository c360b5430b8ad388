"""From a decoded request to a handler: the session, the master key, the read-only key, idempotency. Shared by HTTP and batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from mbaas.data import idempotency
from mbaas.data.commit import RequestUnit
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Duplicate, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.errors import master_needed, refuse_read_only
from mbaas.wire.limits import Kind
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route, Table
from mbaas_auth import captcha

if TYPE_CHECKING:
    from mbaas.data.app import App
    from mbaas.wire.keys import Door
    from mbaas_auth.sessions import Sessions


_ADMIN = ("users", "sessions", "roles")
_ADMIN_CLASSES = ("_User", "_Session", "_Role")
"""What is administration even where clients may do it, too; and what that is about by the path of any class."""


class Dispatcher:
    """Runs routes of one table."""

    def __init__(self, table: Table, doors: Mapping[str, Door], mount: str) -> None:
        self.table = table
        self.doors = doors
        self.apps = {app_id: door.app for app_id, door in doors.items()}
        self.mount = mount

    async def run(self, route: Route, request: Request) -> bytes | Answer | Json:
        """Check what the route asks of the caller, then hand over to its handler."""
        caller, params = request.caller, request.params
        if route.master and not caller.master:
            raise master_needed()
        if caller.read_only and route.read_only:
            refuse_read_only(caller, route.read_only)
        if route.limit and (route.limit != "sign-up" or request.params[:1] in ((), ("_User",))):
            result = await self._counted(route, route.limit, request)
        else:
            result = await self._handle(route, request)
        if caller.omnipotent and route.method != "GET":
            await _note(route, request, caller, params)
        return result

    async def _counted(self, route: Route, limit: Kind, request: Request) -> bytes | Answer | Json:
        """An attempt on accounts; one that succeeds in signing in is not held against its account."""
        attempt = await request.limits.attempt(limit, request.caller, request.texts())
        if limit != "sign-in" and not request.caller.omnipotent:
            await captcha.demand(request.app, request.header(captcha.HEADER), request.caller.ip)
        try:
            result = await self._handle(route, request)
        except ParseError:
            if attempt is not None:
                await attempt.failed()
            raise
        if attempt is not None and limit == "sign-in":
            await attempt.forgive()
        return result

    async def _handle(self, route: Route, request: Request) -> bytes | Answer | Json:
        if request.request_id and route.once and idempotency.guards(request.app.options, request.path):
            return await self._once(route, request, request.request_id)
        return await route.handler(request)

    async def _once(self, route: Route, request: Request, request_id: str) -> bytes | Answer | Json:
        """A request whose id makes it unrepeatable. One that is refused uses its id up, too, unless it may be made again as it is."""
        app = request.app
        if route.once == "call":
            await idempotency.record(app, request_id)
            return await route.handler(request)
        await idempotency.refuse_repeat(app, request_id)
        unit = RequestUnit(first=[idempotency.step(app, request_id)])
        request.caller = replace(request.caller, unit=unit)
        try:
            result = await route.handler(request)
        except ParseError as error:
            if isinstance(error, Duplicate) and error.index == idempotency.TABLE:
                raise idempotency.repeated() from None
            if error.status < 500 and error.status != 429:
                await idempotency.record(app, request_id, repeated_ok=True)
            raise
        if unit.first:
            await idempotency.record(app, request_id, repeated_ok=True)
        return result


async def _note(route: Route, request: Request, caller: Caller, params: tuple[str, ...]) -> None:
    """Have the audit know what was done with a key that passes permissions. What it was done with is not noted: it may be secret."""
    wanted = request.app.options.audit
    administration = route.master or route.tag in _ADMIN or (route.tag == "objects" and params[:1] and params[0] in _ADMIN_CLASSES)
    if wanted == "off" or (wanted == "admin" and not administration):
        return
    values = iter(params)
    path = "/".join(next(values, "") if part[:1] in (":", "*") else part for part in route.pattern.split("/"))
    await request.app.audit.note(caller, route.label, request.about, path=f"{route.base}{path}")


async def sign_in(request: Request, token: str) -> None:
    """Put the session's user in the caller's place. 209 for a token that is not valid."""
    sessions: Sessions | None = request.app.rooms.get("sessions")
    if sessions is not None:
        request.caller = await sessions.requester(token, request.caller)


async def sign_in_counted(request: Request, path: str, token: str | None) -> None:
    """Sign in where the app limits requests: some of its limits count before that, some need the session."""
    request.limits.admit(request.method, path, request.caller)
    methods = (request.method,)
    await request.limits.check(methods, path, request.caller, signed_in=False)
    try:
        if token:
            await sign_in(request, token)
    finally:
        await request.limits.check(methods, path, request.caller, signed_in=True)


async def enter(request: Request, app: App, path: str = "") -> None:
    """Let a request in whose path names the app, so that it needs no keys: as the caller that its keys say, or else by her session.

    With its `path` it counts for the app's limits, as one with keys has already.
    """
    if getattr(request, "app", None) is app and hasattr(request, "caller"):
        return
    door = request.dispatcher.doors[app.options.app_id]
    request.app, request.cors, request.limits, request.caller = app, door.cors, door.limits, Caller(ip=request.ip)
    if app.store.behind:
        await app.catch_up()
    token = request.header(b"x-parse-session-token")
    if path and door.limits.asks:
        await sign_in_counted(request, path, token)
    elif token:
        await sign_in(request, token)


def encode(result: bytes | Answer | Json) -> bytes:
    """The JSON of a handler's result."""
    if isinstance(result, bytes):
        return result
    if isinstance(result, Answer):
        return result.body
    return orjson.dumps(result)
