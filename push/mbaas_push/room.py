"""The room's door: what an app has of it once it is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.options import PushOptions
from mbaas.kernel.push import NoMoments, NoPushes
from mbaas.kernel.tasks import end
from mbaas.observe.metrics import Metrics
from mbaas.outbound.reach import Reach

if TYPE_CHECKING:
    from mbaas_push.campaigns.campaigns import Campaigns
    from mbaas_push.checking import Checked
    from mbaas_push.moments.moments import Moments
    from mbaas_push.runs import Runs
    from mbaas_push.subscriptions import Subscriptions
    from mbaas_push.transports.port import Transport

_CAMPAIGNS, _PROVIDERS, _ASKING = "campaigns", "push providers", "push providers asked"


@asynccontextmanager
async def opened(app: App, options: PushOptions, reach: Reach, metrics: Metrics | None = None) -> AsyncIterator[None]:
    """The app with its pushes, if there is anything to send them with. MbaasError says what of the configuration is wrong."""
    transport = _transport(app, options, reach, metrics)
    app.rooms[_PROVIDERS] = (options, transport)
    if transport is None:
        yield
        return
    # What sends is loaded by a server that sends.
    from mbaas_push.campaigns.campaigns import Campaigns
    from mbaas_push.moments.moments import Moments
    from mbaas_push.runs import Runs

    owner = Owner(app.options.data_dir, app.ids.uuid())
    runs = Runs(app, transport, owner)
    campaigns, moments = Campaigns(app, runs, owner), Moments(app, runs, owner)
    runs.start()
    campaigns.launching.start()
    moments.start()
    app.pushes, app.rooms[_CAMPAIGNS], app.moments = runs, campaigns, moments
    try:
        yield
    finally:
        app.pushes, app.moments = NoPushes(), NoMoments()
        del app.rooms[_CAMPAIGNS]
        await moments.close()
        await campaigns.launching.close()
        await end([app.rooms.pop(_ASKING, None)])
        await runs.close()
        owner.close()


def runs_of(app: App) -> Runs:
    """The app's pushes. ParseError 115 if there is nothing to send them with."""
    from mbaas_push.runs import Runs

    if not isinstance(app.pushes, Runs):
        raise ParseError(Code.PUSH_MISCONFIGURED, "Missing push configuration")
    return app.pushes


def campaigns_of(app: App) -> Campaigns:
    """The app's campaigns. ParseError 115 if there is nothing to send them with."""
    from mbaas_push.campaigns.campaigns import Campaigns

    runs_of(app)
    campaigns = app.rooms[_CAMPAIGNS]
    assert isinstance(campaigns, Campaigns)
    return campaigns


def moments_of(app: App) -> Moments:
    """The app's business moments. ParseError 115 if there is nothing to send with."""
    from mbaas_push.moments.moments import Moments

    if not isinstance(app.moments, Moments):
        raise ParseError(Code.PUSH_MISCONFIGURED, "Missing push configuration")
    return app.moments


def subscriptions_of(app: App) -> Subscriptions:
    """The subscriptions to topics. ParseError 115 if there is no Firebase to have them."""
    runs_of(app)
    from mbaas_push.transports.providers import Providers

    _, transport = app.rooms[_PROVIDERS]
    if not isinstance(transport, Providers) or transport.topics is None:
        raise ParseError(Code.PUSH_MISCONFIGURED, "Topics are Firebase's: MBAAS_FCM_CREDENTIALS is not set.")
    from mbaas_push.subscriptions import Subscriptions

    return Subscriptions(app, transport.topics)


async def providers_checked(app: App) -> list[Checked]:
    """What each provider says of the credentials that are set for it. Who asks while they are being asked is told the same."""
    from mbaas_push.checking import check

    options, transport = app.rooms[_PROVIDERS]
    asking: asyncio.Task[list[Checked]] | None = app.rooms.get(_ASKING)
    if asking is None or asking.done():
        # However often it is asked, a provider that hangs holds one message.
        asking = app.rooms[_ASKING] = asyncio.create_task(check(app, options, transport))
    # Who goes away does not take it from the others.
    return await asyncio.shield(asking)


async def checked(app: App, options: PushOptions, reach: Reach) -> list[Checked]:
    """The same of an app that is not open to send. MbaasError says what of the configuration is wrong."""
    from mbaas_push.checking import check

    transport = _transport(app, options, reach)
    try:
        return await check(app, options, transport)
    finally:
        if transport is not None:
            await transport.close()


def _transport(app: App, options: PushOptions, reach: Reach, metrics: Metrics | None = None) -> Transport | None:
    adapter = (app.options.push or {}).get("adapter")
    if isinstance(adapter, dict):
        if adapter.get("module") != "accept":
            text = 'push.adapter: there is {"module": "accept"} only'
            raise MbaasError(f"{text}; real providers are set by MBAAS_FCM_…, MBAAS_APNS_… and MBAAS_WEBPUSH_…")
        from mbaas_push.transports.accept import Accept

        return Accept()
    if options.configured:
        from mbaas_push.transports.providers import Providers

        return Providers(app, options, reach, metrics)
    return None
