"""The query tree evaluated in memory, on one document in wire form: for live queries, guards and audiences, and for
what a database cannot evaluate natively. The meaning is written at the top of `ast.py`."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from contextvars import ContextVar
from time import thread_time
from typing import Any

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object
from mbaas.query import ast, geo
from mbaas.query.compare import canonical, ordered
from mbaas.query.reach import ABSENT, leaves, reaches
from mbaas.query.regex import compiled

Predicate = Callable[[Object], bool]
_end: ContextVar[float] = ContextVar("end", default=math.inf)
"""When whoever asks has no more time: what this thread has computed by then, however busy the machine is."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def match(node: ast.Node, body: Object) -> bool:
    """Whether the document satisfies the query. Hidden fields are looked up in `body` too, if the caller put them there."""
    return matcher(node)(body)


class AtMost:
    """Gives what is asked in this block so much time: many conditions on long lists take minutes, in which nobody else is served.
    ParseError 124 afterwards."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._before = _end.set(thread_time() + self._seconds)

    def __exit__(self, *_: object) -> None:
        _end.reset(self._before)


_looks = itertools.count(1)


def _look_at_the_clock() -> bool:
    # The clock is a system call, and a condition is far less: every sixteenth look is one.
    if not next(_looks) & 15 and thread_time() > _end.get():
        raise ParseError(Code.TIMEOUT, "The query took too long.")
    return True


def matcher(node: ast.Node) -> Predicate:
    """The query as a predicate, for those who ask it of many documents."""
    return _BUILD[type(node)](node)


def _and(node: ast.And) -> Predicate:
    parts = [matcher(part) for part in node.parts]
    if len(parts) == 1:
        return parts[0]
    return lambda body: all(_look_at_the_clock() and part(body) for part in parts)


def _or(node: ast.Or) -> Predicate:
    parts = [matcher(part) for part in node.parts]
    return lambda body: any(_look_at_the_clock() and part(body) for part in parts)


def _nor(node: ast.Nor) -> Predicate:
    parts = [matcher(part) for part in node.parts]
    return lambda body: not any(_look_at_the_clock() and part(body) for part in parts)


def _negated(predicate: Predicate) -> Predicate:
    return lambda body: not predicate(body)


def _equals(node: ast.Equals | ast.NotEquals) -> Predicate:
    wanted = canonical(node.value)
    return reaches(node.path, lambda value: canonical(value) == wanted)


def _in(node: ast.In | ast.NotIn) -> Predicate:
    wanted = frozenset(map(canonical, node.values))
    return reaches(node.path, lambda value: canonical(value) in wanted)


def _compare(node: ast.Compare) -> Predicate:
    wanted = ordered(node.value)
    if wanted is None:
        return lambda body: False
    kind, bound = wanted
    holds = _COMPARE[node.op]

    def test(value: Any) -> bool:
        found = ordered(value)
        return found is not None and found[0] == kind and holds(found[1], bound)

    return reaches(node.path, test)


def _exists(node: ast.Exists) -> Predicate:
    path, present = node.path, node.present
    return lambda body: any(leaf is not ABSENT for leaf in leaves(body, path)) == present


def _all(node: ast.All) -> Predicate:
    if not node.values:
        return lambda body: False
    return _and(ast.And(tuple(ast.Equals(node.path, value) for value in node.values)))


def _all_prefixes(node: ast.AllPrefixes) -> Predicate:
    if not node.patterns:
        return lambda body: False
    return _and(ast.And(tuple(ast.Regex(node.path, pattern) for pattern in node.patterns)))


def _contained_by(node: ast.ContainedBy) -> Predicate:
    wanted, path = frozenset(map(canonical, node.values)), node.path
    return lambda body: not any(isinstance(leaf, list) and any(canonical(v) not in wanted for v in leaf) for leaf in leaves(body, path))


def _regex(node: ast.Regex) -> Predicate:
    found = compiled(node.pattern, node.flags).found
    return reaches(node.path, lambda value: isinstance(value, str) and found(value))


def _geo(path: ast.Path, holds: Callable[[ast.Point], bool]) -> Predicate:
    def test(value: Any) -> bool:
        point = geo.point_of(value)
        return point is not None and _look_at_the_clock() and holds(point)

    return reaches(path, test)


def _sphere(node: ast.Near | ast.WithinSphere) -> Predicate:
    near = isinstance(node, ast.Near)
    latitude, longitude = node.point if isinstance(node, ast.Near) else node.center
    radians = node.max_radians if isinstance(node, ast.Near) else node.radians
    if near and radians is None:
        return _geo(node.path, lambda point: True)
    limit = float(radians or 0)
    return _geo(node.path, lambda point: geo.distance(point[0], point[1], latitude, longitude) <= limit)


def _box(node: ast.WithinBox) -> Predicate:
    return _geo(node.path, lambda point: geo.in_box(point, node.southwest, node.northeast))


def _polygon(node: ast.WithinPolygon) -> Predicate:
    return _geo(node.path, lambda point: geo.in_polygon(point, node.points))


def _intersects(node: ast.Intersects) -> Predicate:
    def test(value: Any) -> bool:
        corners = geo.polygon_of(value)
        return corners is not None and _look_at_the_clock() and geo.in_polygon(node.point, corners)

    return reaches(node.path, test)


def _impossible(node: ast.Node) -> Predicate:
    raise ParseError(Code.INVALID_QUERY, f"{_NAMES[type(node)]} cannot be evaluated on a single object")


_NAMES: dict[type[Any], str] = {
    ast.Text: "$text",
    ast.Subquery: "a subquery",
    ast.RelatedTo: "$relatedTo",
    ast.Relates: "a query on a relation",
}

_BUILD: dict[type[Any], Callable[[Any], Predicate]] = {
    ast.And: _and,
    ast.Or: _or,
    ast.Nor: _nor,
    ast.Equals: _equals,
    ast.NotEquals: lambda node: _negated(_equals(node)),
    ast.Compare: _compare,
    ast.In: _in,
    ast.NotIn: lambda node: _negated(_in(node)),
    ast.Exists: _exists,
    ast.All: _all,
    ast.AllPrefixes: _all_prefixes,
    ast.ContainedBy: _contained_by,
    ast.Regex: _regex,
    ast.Near: _sphere,
    ast.WithinSphere: _sphere,
    ast.WithinBox: _box,
    ast.WithinPolygon: _polygon,
    ast.Intersects: _intersects,
    **dict.fromkeys(_NAMES, _impossible),
}
