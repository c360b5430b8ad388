"""All providers of an app behind one door: the parcel's address says which. Where one asks all to wait, or to send less, they do."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from mbaas.data.app import App
from mbaas.kernel.options import PushOptions
from mbaas.observe.logs import get_logger
from mbaas.observe.metrics import Metrics
from mbaas.outbound.reach import Reach
from mbaas_push.transports.apns import Apns
from mbaas_push.transports.lane import lane
from mbaas_push.transports.port import Outcome, Parcel, Provider, Transport
from mbaas_push.transports.rate import Rate
from mbaas_push.transports.web_push import WebPush

if TYPE_CHECKING:
    from mbaas_push.transports.fcm_topics import FcmTopics

_WAIT_MS = 5000
"""How long all wait where the provider does not say."""
_ABOUT = "Messages a second that a push provider is sent at most, 0: as many as there are"


class Providers:
    """Those that are configured."""

    def __init__(self, app: App, options: PushOptions, reach: Reach, metrics: Metrics | None = None) -> None:
        """MbaasError says what is wrong with the configuration of one."""
        self._app = app
        self._lane = lane(options)
        self._by_name: dict[Provider, Transport] = {}
        self.topics: FcmTopics | None = None
        """Those of Firebase, where that is configured."""
        if options.fcm_credentials is not None:
            # Google's libraries take half a second, and are loaded by who needs them.
            from mbaas_push.transports.fcm import Fcm

            self._by_name["fcm"] = fcm = Fcm(app, options, self._lane)
            self.topics = fcm.topics
        if options.apns_key is not None:
            self._by_name["apns"] = Apns(app, options, self._lane)
        if options.webpush_key is not None:
            self._by_name["webpush"] = WebPush(app, options, reach)
        self._rates = {name: Rate(asyncio.get_running_loop().time) for name in self._by_name}
        if metrics is not None:
            for name, rate in self._rates.items():
                metrics.gauge("push_rate", _ABOUT, partial(getattr, rate, "limit"), app=app.options.app_id, provider=name)

    async def send(self, parcel: Parcel) -> Outcome:
        name = parcel.address.provider
        transport = self._by_name.get(name)
        if transport is None:
            return Outcome("failed", f"{name} is not configured")
        rate = self._rates[name]
        await rate.turn(urgent=parcel.urgent)
        if parcel.expires is not None and parcel.expires <= self._app.clock.now():
            return Outcome("failed", "expired")
        outcome = await transport.send(parcel)
        if outcome.quota and rate.refuse(of_all=outcome.all_wait):
            told = get_logger(__name__)
            told.warning("a push provider is sent less", provider=name, reason=outcome.reason, a_second=round(rate.limit))
        if outcome.all_wait:
            seconds = (outcome.wait_ms or _WAIT_MS) / 1000
            get_logger(__name__).warning("a push provider wants all to wait", provider=name, reason=outcome.reason, seconds=seconds)
            rate.rest(seconds)
        return outcome

    async def close(self) -> None:
        for transport in self._by_name.values():
            await transport.close()
        await self._lane.close()
