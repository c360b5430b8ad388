"""Who watches what: subscriptions, grouped by query and, within a query, by what their callers may see.

A write is matched once for each distinct query and checked once for each distinct group of callers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from mbaas.kernel.caller import ANONYMOUS, MASTER, Caller
from mbaas.kernel.errors import ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Object
from mbaas.query.ast import Node
from mbaas.query.match import Predicate
from mbaas.realtime.ports import Sink


@dataclass(slots=True, eq=False)
class Audience:
    """Those who come with one session token: its user for as long as the session lasts, the public afterwards."""

    token: str | None
    master: bool
    caller: Caller
    subscriptions: set[Subscription] = field(default_factory=set)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it is found out who they are: what was read first is not believed last."""

    @property
    def base(self) -> Caller:
        """Who they are without the token."""
        return MASTER if self.master else ANONYMOUS


@dataclass(slots=True, eq=False)
class Subscription:
    """One `subscribe` of one connection. `keys` and `watch` are names of columns; empty means all."""

    sink: Sink
    request_id: int | float
    head: str
    """The members of a frame that name the client and the request, as JSON text."""
    class_name: str
    where: Object
    keys: tuple[str, ...]
    watch: tuple[str, ...]
    audience: Audience
    numbered: bool
    """True if events carry `seq`."""
    installation_id: str | None = None
    origin: str | None = None
    """The scheme and host that its client used: files are shown there, unless the operator says where."""
    query: Query | None = None
    group: Hashable = None

    def frame(self, op: str, members: str, seq: str) -> str:
        """An event's frame. `members` are its `object` and `original` as JSON text."""
        end = f',"seq":"{seq}"}}' if self.numbered else "}"
        return f'{{"op":"{op}",{self.head},{members}{end}'


@dataclass(slots=True, eq=False)
class Query:
    """One distinct query on a class, and its subscriptions by group of callers."""

    key: Hashable
    class_name: str
    where: Object
    schema: ClassSchema | None
    """The class as it was when the query was read."""
    node: Node
    test: Predicate
    refusal: ParseError | None = None
    """Why it can no longer be evaluated, after the class has changed."""
    groups: dict[Hashable, dict[Subscription, None]] = field(default_factory=dict)


class Index:
    """The queries of one app, by class."""

    def __init__(self, key_of: Callable[[Subscription], Hashable], group_of: Callable[[Subscription], Hashable]) -> None:
        self._key_of, self._group_of = key_of, group_of
        self._queries: dict[str, dict[Hashable, Query]] = {}
        self.size = 0

    def of_class(self, class_name: str) -> Iterable[Query]:
        """The distinct queries on the class."""
        found = self._queries.get(class_name)
        return tuple(found.values()) if found else ()

    def add(self, subscription: Subscription, make: Callable[[Hashable], Query]) -> None:
        """Put a subscription to its query; `make` builds the query of a key that is new."""
        key = self._key_of(subscription)
        queries = self._queries.setdefault(subscription.class_name, {})
        query = queries.get(key)
        if query is None:
            query = queries[key] = make(key)
        subscription.query, subscription.group = query, self._group_of(subscription)
        query.groups.setdefault(subscription.group, {})[subscription] = None
        self.size += 1

    def remove(self, subscription: Subscription) -> None:
        """Take it out; a query that nobody watches is forgotten."""
        query, subscription.query = subscription.query, None
        if query is None:
            return
        self.size -= 1
        group = query.groups[subscription.group]
        del group[subscription]
        if not group:
            del query.groups[subscription.group]
        if not query.groups:
            queries = self._queries[query.class_name]
            del queries[query.key]
            if not queries:
                del self._queries[query.class_name]
