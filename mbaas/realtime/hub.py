"""The hub of one app's live queries: reads the feed in order, and sends each event to those who may see it.

Whoever subscribes sees every write that commits afterwards, once and in order; with a position of the feed, also what she
missed since. Rights are those of the moment at which an event is sent: sessions that end and roles that change are
entries of the same feed, and take effect before the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from time import perf_counter

import orjson

from mbaas.data.app import App
from mbaas.data.policies import PLAIN
from mbaas.data.search import columns_in
from mbaas.data.sight import Sight
from mbaas.kernel.caller import ANONYMOUS, MASTER, Caller
from mbaas.kernel.errors import ParseError
from mbaas.kernel.tasks import end
from mbaas.kernel.triggers import CONNECT
from mbaas.observe.logs import get_logger
from mbaas.realtime.events import View
from mbaas.realtime.ports import Identities, Touched
from mbaas.realtime.subscriptions import Audience, Index, Query, Subscription
from mbaas.realtime.telling import Teller
from mbaas.realtime.triggered import before_subscribe
from mbaas.storage.ports import Entries, Entry

_PAGE = 500
_AGAIN_SECONDS = 1.0
_BREATH_SECONDS = 0.05
"""How long the queries of one entry may keep everybody else waiting."""


class Hub:
    """One app's subscriptions and the task that serves them."""

    def __init__(self, app: App, identities: Identities) -> None:
        self._app, self._identities = app, identities
        self.options = app.options
        self._index = Index(self._key_of, self._group_of)
        self._audiences: dict[tuple[str | None, bool], Audience] = {}
        self._soonest: int | None = None
        """When the first of the sessions ends that are watched with, in ms."""
        self._position: str | None = None
        """Up to where the feed has been sent; None while nobody watches."""
        self._unsure = False
        """True if it must be found out anew who those are that watch."""
        self._turn = asyncio.Lock()
        self._woken = asyncio.Event()
        self._drains = 0
        self._task: asyncio.Task[None] | None = None
        self._leave: Callable[[], None] | None = None
        """Stops listening to the feed; None while nobody watches."""
        self._teller = Teller(app, self.counts)
        self.counters = self._teller.counters
        self.sockets = 0
        """Connections that have said that they are of this app."""

    @property
    def size(self) -> int:
        """How many subscriptions there are."""
        return self._index.size

    def counts(self) -> tuple[int, int]:
        """How many connections and subscriptions there are."""
        return self.sockets, self.size

    async def close(self) -> None:
        """Stop sending."""
        self._rest()
        await self._teller.passage.close()
        await end([self._task])

    async def audience(self, token: str | None, *, master: bool) -> Audience:
        """Those who come with this token. One that is nobody's counts as none: they are the public."""
        found = self._audiences.get((token, master))
        if found is None:
            found = Audience(token, master, MASTER if master else ANONYMOUS)
            await self._identify(found)
        return found

    async def admit(self, token: str | None, client: Caller, client_id: str) -> None:
        """Let a client in, unless the trigger for that refuses her. `client` is who she is by her keys."""
        if self._app.triggers.has("beforeConnect", CONNECT):
            audience = await self.audience(token, master=client.master)
            caller = replace(audience.caller, installation_id=client.installation_id, ip=client.ip)
            given = {"clientId": client_id, "clients": self.sockets, "subscriptions": self.size}
            await self._app.triggers.fire("beforeConnect", CONNECT, caller, given)

    async def check(self, subscription: Subscription) -> Query:
        """The subscription's query, as the class's trigger leaves it.

        Raises what a find by the same caller would, and 102 for what no single object can answer.
        """
        await before_subscribe(self._app, subscription)
        await self._app.classes.sought(subscription.class_name, columns_in(subscription.where))
        sight = Sight(self._app, subscription.audience.caller, subscription.class_name)
        query = self._teller.query(None, subscription)
        sight.refuse_hidden(query.node, subscription.watch)
        return query

    async def join(self, query: Query, subscription: Subscription, since: str | None = None) -> bool:
        """Begin to send what a checked subscription matches, from the moment at which this returns.

        With `since`, what came after that position is sent first. False if the feed no longer reaches back so far: then only
        what comes now is sent, and the client has to ask for the rest anew.
        """
        whole = True
        if since is not None:
            # The long part beside the others, the rest with them standing still: nothing is missed and nothing comes twice.
            since, whole = await self._replay(query, subscription, since)
        # What has been acknowledged, or what she has read by herself, may not have been heard of yet.
        unheard = self._app.store.several or since is not None
        asked = self._drains if unheard else None
        async with self._turn:
            await self._open(asked)
            await self._seat(subscription)
            if since is not None and whole:
                read: set[str] = set()
                since, whole = await self._replay(query, subscription, since, read)
                await self._pass(read)
            self._add(subscription)
        return whole

    def reconsider(self) -> None:
        """Rights were changed by what is no entry of the feed: have everybody who watches identified anew."""
        self._unsure = True
        self._woken.set()

    async def caught_up(self) -> None:
        """Wait until what has been committed has been sent."""
        async with self._turn:
            if self._position is not None:
                await self._drain()

    def unsubscribe(self, subscription: Subscription) -> None:
        """Send nothing more for it."""
        audience = subscription.audience
        self._index.remove(subscription)
        self._teller.passage.forget(subscription)
        audience.subscriptions.discard(subscription)
        if not audience.subscriptions and self._audiences.get((audience.token, audience.master)) is audience:
            del self._audiences[audience.token, audience.master]

    async def _seat(self, subscription: Subscription) -> None:
        """Put a subscription to all others of its audience, who are then told together when their rights change."""
        audience = subscription.audience
        known = self._audiences.setdefault((audience.token, audience.master), audience)
        if known is audience and not audience.subscriptions:
            # Asked again: the session may have ended since, before anybody watched for it.
            await self._identify(audience)
        subscription.audience = known
        known.subscriptions.add(subscription)

    async def _open(self, asked: int | None) -> None:
        """Be at the end of the feed, so that whoever joins now gets what comes now.

        `asked`: how many drains had begun when she came, if one must have been begun since.
        """
        if self._position is not None and (self._woken.is_set() or self._drains == asked):
            await self._drain()
        if self._position is None:
            self._leave = self._app.store.feed.listen(self._woken.set)
            self._position = await self._app.store.feed.latest()
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            await self._woken.wait()
            try:
                async with self._turn:
                    await self._drain()
            except Exception as error:
                # Whatever it was: nobody would be told anything any more.
                get_logger(__name__).warning("the feed cannot be read", app=self._app.options.app_id, reason=repr(error))
                self._woken.set()
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _drain(self) -> None:
        """Send everything up to the end of the feed."""
        self._woken.clear()
        self._drains += 1
        if self._unsure:
            self._unsure = False
            await self._identify_all(lambda caller: caller.user_id is not None)
        if not self._index.size:
            self._rest()
        while self._position is not None:
            entries = await self._after(self._position)
            if entries is None:
                get_logger(__name__).warning("the feed was trimmed before it was sent", app=self._app.options.app_id)
                self._resync()
                self._position = await self._app.store.feed.latest()
                return
            for entry in entries:
                await self._take_safely(entry)
            if not entries.more:
                return
            await asyncio.sleep(0)

    async def _after(self, position: str) -> Entries | None:
        """Entries, when everything is known that holds for them since it came before: definitions, rights."""
        entries = await self._app.store.feed.after(position, _PAGE)
        if self._app.store.behind:
            await self._app.catch_up()
        return entries

    def _rest(self) -> None:
        """Nobody watches: what is written meanwhile need not be read."""
        self._position = None
        if self._leave is not None:
            self._leave()
            self._leave = None

    async def _take_safely(self, entry: Entry) -> None:
        try:
            await self._take(entry)
        except Exception:
            # One entry that nobody foresaw must not end everybody's events; that some are missing is told.
            get_logger(__name__).exception("an entry of the feed could not be sent", class_name=entry.class_name)
            self._resync()
        self._position = entry.seq

    async def _take(self, entry: Entry) -> None:
        self.counters.entries += 1
        touched = self._identities.touched(entry)
        if touched is not None:
            await self._identify_all(touched)
        now = self._app.clock.now()
        if self._soonest is not None and now >= self._soonest:
            self._soonest = None
            await self._identify_all(lambda caller: caller.user_id is not None)
        queries = self._index.of_class(entry.class_name)
        if queries and self._teller.publishes(entry.class_name):
            views: dict[Hashable, View | ParseError] = {}
            began = perf_counter()
            for query in filter(attrgetter("groups"), queries):
                self._teller.send(entry, query, query.groups, views)
                if perf_counter() - began > _BREATH_SECONDS:
                    await asyncio.sleep(0)
                    began = perf_counter()

    async def _pass(self, read: set[str]) -> None:
        """Send the others what was read beyond where they are: whoever joins them now has been sent it already."""
        while read and self._position is not None:
            entries = await self._after(self._position) or Entries()
            for entry in entries:
                if entry.seq not in read:
                    return
                await self._take_safely(entry)
            if not entries.more:
                return

    async def _replay(self, query: Query, subscription: Subscription, since: str, read: set[str] | None = None) -> tuple[str, bool]:
        """Send one subscription what came after a position; returns where that ended, and False if it cannot be known.

        Without `read`, which receives every `seq`, no faster than the client takes it, however long that is.
        """
        while True:
            entries = await self._after(since)
            if entries is None:
                return since, False
            for entry in entries:
                if entry.class_name == subscription.class_name and self._teller.publishes(entry.class_name):
                    # Who she is may have changed while she let us wait, and nobody tells it of those who do not watch yet.
                    if self._app.store.behind:
                        await self._app.catch_up()
                    await self._identify(subscription.audience)
                    self._teller.send(entry, query, {self._group_of(subscription): (subscription,)}, {})
                    if read is None:
                        await self._teller.passage.passed(subscription)
                        await subscription.sink.drained()
                since = entry.seq
                if read is not None:
                    read.add(since)
            if not entries.more:
                return since, True

    async def _identify_all(self, touched: Touched) -> None:
        for audience in [a for a in self._audiences.values() if touched(a.caller)]:
            await self._identify(audience)

    async def _identify(self, audience: Audience) -> None:
        """Find out who they are now, and put their subscriptions with those of their like."""
        if audience.token is None:
            return
        async with audience.turn:
            caller = audience.base
            with suppress(ParseError):  # nobody's token any more: the public
                caller = await self._identities.caller(audience.token, caller)
            if caller.session_expires is not None:
                self._soonest = min(self._soonest or caller.session_expires, caller.session_expires)
            if caller == audience.caller:
                return
            moved = [s for s in audience.subscriptions if s.query is not None]
            for subscription in moved:
                self._index.remove(subscription)
            audience.caller = caller
            for subscription in moved:
                self._add(subscription)

    def _add(self, subscription: Subscription) -> None:
        self._index.add(subscription, lambda key: self._teller.kept_query(key, subscription))

    def _key_of(self, subscription: Subscription) -> Hashable:
        """What makes two subscriptions ask the same: the `where`, and who asks, if the class's own room reads it by that."""
        where = orjson.dumps(subscription.where, option=orjson.OPT_SORT_KEYS)
        plain = self._app.policy(subscription.class_name) is PLAIN
        return where if plain else (where, self._group_of(subscription))

    def _group_of(self, subscription: Subscription) -> Hashable:
        """What makes two callers see the same of a class."""
        caller = subscription.audience.caller
        plain = self._app.policy(subscription.class_name) is PLAIN
        return caller.readers, caller.user_id, None if plain else caller.session_id

    def _resync(self) -> None:
        """The feed no longer reaches back to what was sent last: whoever watches has to ask anew."""
        for audience in self._audiences.values():
            for subscription in audience.subscriptions:
                subscription.sink.resync(subscription.request_id, subscription.numbered)
