"""Who is told what of an entry of the feed: its queries matched once each, rights asked once for each group of callers."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping

from mbaas.data.app import App
from mbaas.data.sight import Sight, watchable
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Object
from mbaas.query.ast import EVERYTHING
from mbaas.query.match import AtMost, matcher
from mbaas.realtime.events import Counters, View
from mbaas.realtime.subscriptions import Query, Subscription
from mbaas.realtime.triggered import Counts, Passage, Waiting
from mbaas.storage.ports import Entry

_SIGHTS = 20_000

_SECONDS = 0.25
"""How long a query may compute for one write."""

Groups = Mapping[Hashable, Iterable[Subscription]]


def _always(body: Object) -> bool:
    """The test of a query that can be asked no more: those who watch with it are told so."""
    return True


class Teller:
    """Sends the entries of one app's feed to subscriptions."""

    def __init__(self, app: App, counts: Counts) -> None:
        """`counts` tells how many connections and subscriptions there are."""
        self._app = app
        self._publishes = [re.compile(".*" if name == "*" else name) for name in app.options.live_classes]
        self._sights: dict[tuple[str, Hashable], Sight] = {}
        self.counters = Counters()
        self.passage = Passage(app, self.counters, counts)

    def publishes(self, class_name: str) -> bool:
        """True if the class has live queries at all."""
        return any(name.fullmatch(class_name) for name in self._publishes)

    def query(self, key: Hashable, subscription: Subscription) -> Query:
        """A subscription's query. Raises 102 for one that no single object can answer."""
        class_name, where = subscription.class_name, subscription.where
        node = watchable(self._app, subscription.audience.caller, class_name, where)
        return Query(key, class_name, where, self._app.classes.get(class_name), node, matcher(node))

    def kept_query(self, key: Hashable, subscription: Subscription) -> Query:
        """The same of a subscription that was taken: where its class has changed so that it cannot be asked any more, that is told
        with each write, until it can again."""
        try:
            return self.query(key, subscription)
        except ParseError as error:
            class_name, where = subscription.class_name, subscription.where
            return Query(key, class_name, where, self._app.classes.get(class_name), EVERYTHING, _always, error)

    def _renewed(self, query: Query, groups: Groups) -> None:
        """Read the query again where its class has changed: a column may have got another type."""
        schema = self._app.classes.get(query.class_name)
        if schema is query.schema:
            return
        query.schema = schema
        anyone = next(iter(next(iter(groups.values()))))
        try:
            fresh = self.query(query.key, anyone)
        except ParseError as error:
            query.refusal = error
        else:
            query.node, query.test, query.refusal = fresh.node, fresh.test, None

    def send(self, entry: Entry, query: Query, groups: Groups, views: dict[Hashable, View | ParseError]) -> None:
        """Send an entry to those of a query who may see it. `views` keeps what was worked out for the entry, by group."""
        self._renewed(query, groups)
        self.counters.matches += 1
        try:
            with AtMost(_SECONDS):
                before = entry.before is not None and query.test(entry.before.body)
                after = entry.after is not None and query.test(entry.after.body)
        except ParseError as error:
            # It is not asked again.
            query.test, query.refusal = _always, error
            before = after = True
        if not before and not after:
            return
        for key, subscriptions in groups.items():
            view = views.get(key)
            if view is None:
                view = views[key] = self._view(entry, key, next(iter(subscriptions)))
            try:
                if isinstance(view, ParseError):
                    raise view
                if query.refusal is not None:
                    raise query.refusal
                view.sight.refuse_hidden(query.node, ())
            except ParseError as error:
                for subscription in subscriptions:
                    subscription.sink.refuse(subscription.request_id, error)
                continue
            event = view.event(before, after)
            if event is not None:
                self._tell(Waiting(entry, event, before, after), view, subscriptions)

    def _view(self, entry: Entry, group: Hashable, anyone: Subscription) -> View | ParseError:
        """The entry as a group sees it, or why it may not find objects of the class."""
        self.counters.checks += 1
        rules = self._app.classes.rules(entry.class_name)
        place = entry.class_name, group
        sight = self._sights.get(place)
        if sight is None or sight.rules is not rules:
            if len(self._sights) >= _SIGHTS:
                self._sights.clear()
            try:
                sight = self._sights[place] = Sight(self._app, anyone.audience.caller, entry.class_name)
            except ParseError as error:
                return error
        return View(entry, sight)

    def _tell(self, waiting: Waiting, view: View, subscriptions: Iterable[Subscription]) -> None:
        entry, event = waiting.entry, waiting.event
        triggered = self.passage.asked(entry.class_name)
        keys: tuple[str, ...] | None = None
        origin: str | None = None
        members = ""
        for subscription in subscriptions:
            if subscription.watch and not self._watched(waiting, view, subscription):
                continue
            if triggered:
                self.passage.put(subscription, waiting)
                continue
            if subscription.keys != keys or subscription.origin != origin:
                # Most watch the same: these are looked for once.
                keys, origin = subscription.keys, subscription.origin
                members = view.members(event, keys, origin)
            self.counters.frames += 1
            subscription.sink.push(subscription.frame(event.op, members, entry.seq))

    def _watched(self, waiting: Waiting, view: View, subscription: Subscription) -> bool:
        """True if the event concerns what the subscription watches; refused if that may no longer be watched."""
        if waiting.event.op in ("create", "update") and not view.changed(subscription.watch):
            return False
        try:
            view.sight.refuse_hidden(EVERYTHING, subscription.watch)
        except ParseError as error:
            subscription.sink.refuse(subscription.request_id, error)
            return False
        return True
