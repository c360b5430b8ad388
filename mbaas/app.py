"""The composition root: every room is made and tied to the others here, and nowhere else."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import mbaas_auth.room
import mbaas_functions.room
import mbaas_push.installations
import mbaas_push.room
from mbaas.admin.door import Console
from mbaas.data.app import App
from mbaas.data.upkeep import keep_up
from mbaas.kernel.addresses import client_address, forwarded_for, within
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.options import LOOPBACK, AppOptions, RateLimit, ServerOptions
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.observe.together import Together
from mbaas.outbound.calls import Outbound
from mbaas.outbound.reach import Reach
from mbaas.parse_rate_limit import rate_limits
from mbaas.realtime.hub import Hub
from mbaas.services import Services
from mbaas.storage.ports import Store
from mbaas.wire import docs
from mbaas.wire.asgi import Wire
from mbaas.wire.limits import Limits
from mbaas.wire.live.socket import Live
from mbaas.wire.rest.table import table
from mbaas.wire.v1 import dialect as v1
from mbaas.wire.v1.table import table as v1_table
from mbaas_auth.staff.people import PATH as CONSOLE
from mbaas_functions.hosted import Hosted
from mbaas_functions.isolation import missing, told
from mbaas_functions.room import functions_of
from mbaas_functions.zygote import Zygote

LOCAL = ("127.0.0.0/8", *LOOPBACK)
PING_SECONDS = 2


def build(server: ServerOptions, apps: Iterable[AppOptions], place: tuple[int, int] = (0, 1)) -> Server:
    """The whole server as one ASGI application. Nothing is opened before its lifespan starts. `place` as in `Services`."""
    outbound = Outbound(Reach(open=server.outbound_open, allowed=frozenset(server.outbound_allow)))
    return Server(Services(server, {app.app_id: app for app in apps}, outbound=outbound, place=place))


class Server:
    """Requests below the mount, or below `/api/v1`, go to their wire at once; everything else passes Starlette's router."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._wire: Wire | None = None
        self._v1: Wire | None = None
        self._live: Live | None = None
        self._console: Console | None = None
        self._together: Together | None = None
        self.apps: tuple[App, ...] = ()
        self._outside = _outside_the_mount(services, self)
        self._mount = next(iter(services.apps.values())).mount

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open every app for as long as the server runs. An MbaasError says why one cannot be opened."""
        server = self._services.server
        try:
            server.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            text = f"the data dir {server.data_dir} cannot be made: {error.strerror}; choose another by MBAAS_DATA_DIR"
            raise MbaasError(text) from error
        async with AsyncExitStack() as stack:
            if self._services.place[1] > 1:
                self._together = Together(self._services.metrics, server.data_dir, *self._services.place)
                stack.push_async_callback(self._together.close)
                await self._together.open()
            stack.push_async_callback(self._services.outbound.close)
            zygote = Zygote()
            stack.push_async_callback(zygote.close)
            apps = {}
            for options in self._services.apps.values():
                app = apps[options.app_id] = await open_app(options, self._services)
                stack.push_async_callback(app.close)
                await stack.enter_async_context(mbaas_auth.room.opened(app, self._services.outbound))
                pushes = mbaas_push.room.opened(app, server.push, self._services.outbound.reach, self._services.metrics)
                await stack.enter_async_context(pushes)
                functions = await stack.enter_async_context(mbaas_functions.room.opened(app, zygote, _read_limits))
                app.options = replace(options, rate_limits=(*options.rate_limits, *functions.hosted.limits))
                stack.push_async_callback(keep_up(app))
            self.apps = tuple(apps.values())
            if self._services.place[0] == 0:
                _tell_isolation([functions_of(app).hosted for app in self.apps])
            hubs = {app_id: Hub(app, app.rooms["sessions"]) for app_id, app in apps.items()}
            for app_id, hub in hubs.items():
                apps[app_id].unfed.append(hub.reconsider)
                stack.push_async_callback(hub.close)
            self._wire = wire = Wire(
                apps,
                mount=self._mount,
                trusted_proxies=server.trusted_proxies,
                metrics=self._services.metrics,
                routes=table(frozenset(app.options.pages.endpoint for app in apps.values())),
            )
            for app_id, app in apps.items():
                _limit_anew(app, self._services.apps[app_id].rate_limits, wire.keyring.doors[app_id].limits)
            self._v1 = Wire(
                apps,
                mount=v1.BASE,
                trusted_proxies=server.trusted_proxies,
                metrics=self._services.metrics,
                routes=v1_table(),
                keyring=wire.keyring,
                told=v1.told,
            )
            self._live = Live(wire.keyring, hubs, server.trusted_proxies, self._services.metrics, server.client_timeout_ms / 1000)
            self._console = Console(apps, {app_id: _sign_ins(app) for app_id, app in apps.items()}, server.trusted_proxies)
            yield
            self._wire, self._v1, self._live, self._console, self.apps = None, None, None, None, ()

    async def metrics(self) -> tuple[bytes, str]:
        """What this process, and the others of the server, have counted; its content type."""
        return self._services.metrics.render() if self._together is None else await self._together.render()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._v1 is not None and scope["type"] == "http" and self._asks(scope["path"], v1.BASE):
            await self._v1(scope, receive, send)
        elif self._console is not None and scope["type"] == "http" and self._asks(scope["path"], CONSOLE):
            await self._console(scope, receive, send)
        elif self._wire is not None and scope["type"] == "http" and _below(scope["path"], self._mount):
            await self._wire(scope, receive, send)
        elif self._live is not None and scope["type"] == "websocket" and (scope["path"] == "/" or _below(scope["path"], self._mount)):
            await self._live.serve(scope, receive, send)
        else:
            await self._outside(scope, receive, send)

    def _asks(self, path: str, base: str) -> bool:
        """True for a path below `/api/v1` or `/console`, unless the mount is there."""
        return path.startswith(base) and _below(path, base) and not _below(self._mount, base)


def _sign_ins(app: App) -> Limits:
    """What counts sign-ins to the console: also where the app's own users are not limited, since Parse Server does not."""
    return Limits(replace(app.options, rate_limit_factor=max(1, app.options.rate_limit_factor)), app.uses)


def _read_limits(declared: Mapping[str, Object]) -> tuple[RateLimit, ...]:
    """The limits that functions were declared with. MbaasError names one that makes no sense."""
    found: list[RateLimit] = []
    for name, given in declared.items():
        try:
            found += rate_limits({"requestPath": f"/functions/{name}", **given})
        except ValueError as error:
            raise MbaasError(f"the rate limit of the function {name} {error}") from error
    return tuple(found)


def _limit_anew(app: App, own: tuple[RateLimit, ...], limits: Limits) -> None:
    """Have the app's limits be its own and those of the functions that run, from now on."""
    hosted = functions_of(app).hosted

    def limit() -> None:
        app.options = replace(app.options, rate_limits=(*own, *hosted.limits))
        limits.renew(app.options)

    hosted.changed.append(limit)
    limit()


def _tell_isolation(hosted: Sequence[Hosted]) -> None:
    """Say in the log, once, which layers of isolation functions run in, as soon as there are some in one of the apps."""

    def tell() -> None:
        found = next((each.isolation for each in hosted if each.isolation is not None), None)
        if found is None:
            return
        for each in hosted:
            each.changed.remove(tell)
        lacking = [layer.name for layer in missing(found)]
        log = get_logger("mbaas.functions")
        if lacking:
            log.warning("functions run without a layer of isolation; see mbaas doctor", missing=lacking, isolation=told(found))
        else:
            log.info("functions run in isolation", isolation=told(found))

    for each in hosted:
        each.changed.append(tell)
    tell()


def _below(path: str, mount: str) -> bool:
    """True if the path is the mount or below it; a leading double slash is tolerated."""
    if path.startswith("//"):
        path = path[1:]
    return path.startswith(mount) and (len(path) == len(mount) or path[len(mount)] == "/" or mount == "/")


async def open_app(options: AppOptions, services: Services) -> App:
    """One app with its store and its rooms, ready to be asked."""
    store = await _open_store(options, services)
    app = App(options, store, services.clock, services.ids)
    mbaas_auth.room.join(app)
    mbaas_push.installations.join(app)
    mbaas_functions.room.join(app, services.outbound)
    await app.start()
    return app


async def _open_store(options: AppOptions, services: Services) -> Store:
    if options.database_url:
        from mbaas.storage.mongo.store import open_store as open_mongo

        return await open_mongo(
            options.database_url,
            services.clock,
            shared=options.database_shared,
            standalone=options.database_standalone,
            folder=options.data_dir,
            place=services.place,
        )
    from mbaas.storage.sqlite.store import open_store

    return await open_store(
        options.data_dir,
        services.clock,
        feed_retention_ms=options.feed_retention_ms,
        feed_retention_bytes=options.feed_retention_bytes,
        place=services.place,
    )


def _outside_the_mount(services: Services, server: Server) -> Starlette:
    """The routes that belong to the process and not to an app: health and metrics."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with server.opened():
            yield

    mount = next(iter(services.apps.values())).mount

    async def front(_: Request) -> Response:
        return JSONResponse({"parse": mount or "/", "docs": "/docs"}, headers=docs.NOSNIFF)

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=docs.NOSNIFF)

    async def readyz(_: Request) -> Response:
        ready = bool(server.apps) and all(await asyncio.gather(*(_answers(app) for app in server.apps)))
        return JSONResponse({"status": "ok" if ready else "unavailable"}, 200 if ready else 503, headers=docs.NOSNIFF)

    async def metrics(request: Request) -> Response:
        if not _may_see_metrics(request, services.server.trusted_proxies, list(services.apps.values())):
            return JSONResponse({"error": "unauthorized"}, 403, headers=docs.NOSNIFF)
        body, content_type = await server.metrics()
        return Response(body, headers={"content-type": content_type, **docs.NOSNIFF})

    own = [Route("/", front), Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=[*own, *docs.routes(mount)], lifespan=lifespan)


async def _answers(app: App) -> bool:
    """True if the app's database answers in time."""
    try:
        async with asyncio.timeout(PING_SECONDS):
            await app.store.ping()
    except Exception as error:
        get_logger(__name__).warning("the database does not answer", app=app.options.app_id, reason=repr(error))
        return False
    return True


def _may_see_metrics(request: Request, trusted: tuple[str, ...], apps: Sequence[AppOptions]) -> bool:
    """From this machine, or with an app's master key from where that key may be used.

    An address that only an undeclared proxy on this machine vouches for is not this machine.
    """
    peer = request.client.host if request.client else ""
    forwarded = forwarded_for(request.scope["headers"])
    address = client_address(peer, forwarded, trusted)
    if within(address, LOCAL) and not (forwarded and not within(peer, trusted)):
        return True
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    given = (request.headers.get("x-parse-master-key") or bearer).encode()
    return any(hmac.compare_digest(given, app.master_key.encode()) and within(address, app.master_key_ips) for app in apps)
