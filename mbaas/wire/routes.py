"""The route table: what the dialect offers, as data. Matching, master-only routes, idempotency and the OpenAPI document all read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from mbaas.kernel.values import Json
from mbaas.wire.limits import Kind
from mbaas.wire.request import Answer, Request

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[[Request], Awaitable[bytes | Answer | Json]]
"""Bytes are JSON already; an Answer says everything itself; anything else is encoded and sent with 200."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. Variables of the pattern start with `:`; a last part `*` takes the rest of the path.

    `master`: only the master key opens it. `session`: an inbound session token is looked up ("revocable": if it is one; "never"
    for routes that take or ignore it themselves). `once`: honours X-Parse-Request-Id, recorded with the write ("write") or
    before the call ("call"). `read_only`: what the read-only master key is told it may not do. `keys`: False where no application
    keys are asked for. `limit`: which of the server's own limits an attempt uses up. `raw`: the body is not read as JSON when
    keys come in headers. `batch`: may be a part of a batch. `base`: the path that the pattern continues, where that is not the mount.
    """

    method: Method
    pattern: str
    handler: Handler
    summary: str
    tag: str
    master: bool = False
    session: Literal["lookup", "revocable", "never"] = "lookup"
    once: Literal["", "write", "call"] = ""
    read_only: str = ""
    keys: bool = True
    raw: bool = False
    batch: bool = True
    status: int = 200
    limit: Kind | Literal[""] = ""
    base: str = ""
    free: bool = field(init=False)
    """True if nothing is asked of the caller beyond being let in."""
    label: str = field(init=False)
    """What metrics and papers call the route."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.method} {self.base}{self.pattern}")
        object.__setattr__(self, "free", self.method == "GET" and not (self.master or self.read_only or self.limit))


Found = tuple[Route, tuple[str, ...]] | None
"""A route with the values of its variables."""


class Spot:
    """The routes of one pattern, by method, and where its variables are."""

    __slots__ = ("pattern", "plain", "rest", "routes", "variables")

    def __init__(self, pattern: str) -> None:
        parts = pattern.strip("/").split("/")
        self.pattern = pattern
        self.rest = len(parts) - 1 if parts[-1] == "*" else -1
        self.variables = [i for i, part in enumerate(parts) if part.startswith(":")]
        self.routes: dict[str, Route] = {}
        self.plain = len(self.variables) == len(parts) - 1 and self.rest < 0

    def params(self, parts: list[str]) -> tuple[str, ...]:
        """The values of the variables; the rest of the path comes last."""
        values = tuple([parts[i] for i in self.variables])
        return values if self.rest < 0 else (*values, "/".join(parts[self.rest :]))

    def fits(self, parts: list[str]) -> bool:
        """True if the constant parts of the pattern are there."""
        own = self.pattern.strip("/").split("/")
        return all(part.startswith(":") or part == "*" or part.lower() == parts[i].lower() for i, part in enumerate(own))


class Table:
    """Finds the spots of a path: by its first part and its length, constant patterns before variable ones."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._spots: dict[str, Spot] = {}
        for route in self.routes:
            spot = self._spots.setdefault(route.pattern, Spot(route.pattern))
            spot.routes[route.method] = route
        self._by_shape: dict[tuple[str, int], list[Spot]] = {}
        self._open_ended: dict[str, list[Spot]] = {}
        for spot in sorted(self._spots.values(), key=lambda s: len(s.variables)):
            parts = spot.pattern.strip("/").split("/")
            if spot.rest >= 0:
                self._open_ended.setdefault(parts[0].lower(), []).append(spot)
            else:
                self._by_shape.setdefault((parts[0], len(parts)), []).append(spot)

    def find(self, method: str, parts: list[str]) -> Found:
        """The route for a method and the parts of a path, none of which may be empty, with its parameters."""
        if not parts or "" in parts:
            return None
        for spot in self._by_shape.get((parts[0], len(parts)), ()):
            route = spot.routes.get(method)
            if route is not None:
                if spot.plain:
                    return route, tuple(parts[1:])
                if spot.fits(parts):
                    return route, spot.params(parts)
        for spot in self._slowly(parts):
            route = spot.routes.get(method)
            if route and spot.fits(parts):
                return route, spot.params(parts)
        return None

    def _slowly(self, parts: list[str]) -> list[Spot]:
        """Paths match whatever their case, and some take the rest of the path."""
        first, count = parts[0].lower(), len(parts)
        shaped = [spot for (name, size), spots in self._by_shape.items() if name.lower() == first and size == count for spot in spots]
        return shaped + [s for s in self._open_ended.get(first, ()) if count > s.rest]
