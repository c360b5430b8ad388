"""The query tree as a MongoDB filter.

Every operand stands behind an operator (`$eq`, `$in`, …) and no key begins with `$`, so nothing that a client sends is taken
for an operator. Relations are looked up before (`relations.py`); a filter speaks of one collection alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json
from mbaas.query import ast
from mbaas.query.compare import ordered
from mbaas.query.regex import compiled, unquoted
from mbaas.storage.mongo.format import Bson, key_of
from mbaas.storage.mongo.values import operand, stored

NOTHING: Bson = {"_id": {"$in": []}}
EARTH_METRES = 6_378_100.0
"""MongoDB's radius, by which it turns metres into radians."""
_COMPARE = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_SLACK = 1e-6
_HALF_TURN = 3.141592653589793


def compile_where(schema: ClassSchema, node: ast.Node, readers: frozenset[str] | None = None) -> Bson:
    """The filter for the query and the caller's right to read."""
    where = _filter(schema, node)
    if readers is None:
        return where
    return _joined([where, {"_rperm": {"$in": [None, *sorted(readers)]}}])


def nearest(node: ast.Node) -> tuple[ast.Near, ast.Node] | None:
    """The condition by whose distance results come, and the rest of the query."""
    parts = node.parts if isinstance(node, ast.And) else (node,)
    for part in parts:
        if isinstance(part, ast.Near):
            return part, ast.And(tuple(p for p in parts if p is not part))
    return None


def text_of(node: ast.Node) -> ast.Text | None:
    """The text condition of a query, if it has one."""
    parts = node.parts if isinstance(node, ast.And) else (node,)
    return next((part for part in parts if isinstance(part, ast.Text)), None)


def _filter(schema: ClassSchema, node: ast.Node) -> Bson:
    return _COMPILE[type(node)](schema, node)


def _joined(filters: Sequence[Bson]) -> Bson:
    """All hold."""
    kept = [one for one in filters if one]
    if len(kept) < 2:
        return kept[0] if kept else {}
    return {"$and": kept}


def _and(schema: ClassSchema, node: ast.And) -> Bson:
    return _joined([_filter(schema, part) for part in node.parts])


def _or(schema: ClassSchema, node: ast.Or) -> Bson:
    filters = [_filter(schema, part) for part in node.parts]
    if not filters:
        return NOTHING
    return {} if {} in filters else {"$or": filters}


def _nor(schema: ClassSchema, node: ast.Nor) -> Bson:
    filters = [_filter(schema, part) for part in node.parts]
    if not filters:
        return {}
    return NOTHING if {} in filters else {"$nor": filters}


def _value(schema: ClassSchema, path: ast.Path, value: Json) -> Any:
    """The operand for the path: of a column's own type, or plain where the path leads into it."""
    return operand(schema, path[0], value) if len(path) == 1 else stored(value)


def _values(schema: ClassSchema, path: ast.Path, values: Sequence[Json]) -> list[Any]:
    return [_value(schema, path, value) for value in values]


def _one(operator: str) -> Callable[[ClassSchema, Any], Bson]:
    """Equals, NotEquals."""
    return lambda schema, node: {key_of(schema, node.path): {operator: _value(schema, node.path, node.value)}}


def _many(operator: str) -> Callable[[ClassSchema, Any], Bson]:
    """In, NotIn."""
    return lambda schema, node: {key_of(schema, node.path): {operator: _values(schema, node.path, node.values)}}


def _compare(schema: ClassSchema, node: ast.Compare) -> Bson:
    if ordered(node.value) is None:
        return NOTHING
    return {key_of(schema, node.path): {_COMPARE[node.op]: _value(schema, node.path, node.value)}}


def _exists(schema: ClassSchema, node: ast.Exists) -> Bson:
    return {key_of(schema, node.path): {"$exists": node.present}}


def _all(schema: ClassSchema, node: ast.All) -> Bson:
    parts = tuple(ast.Equals(node.path, value) for value in node.values)
    return _and(schema, ast.And(parts)) if parts else NOTHING


def _all_prefixes(schema: ClassSchema, node: ast.AllPrefixes) -> Bson:
    parts = tuple(ast.Regex(node.path, pattern) for pattern in node.patterns)
    return _and(schema, ast.And(parts)) if parts else NOTHING


def _contained_by(schema: ClassSchema, node: ast.ContainedBy) -> Bson:
    return {"$nor": [{key_of(schema, node.path): {"$elemMatch": {"$nin": _values(schema, node.path, node.values)}}}]}


def _regex(schema: ClassSchema, node: ast.Regex) -> Bson:
    compiled(node.pattern, node.flags)
    found = {"$regex": unquoted(node.pattern)}
    return {key_of(schema, node.path): {**found, "$options": "".join(sorted(set(node.flags)))} if node.flags else found}


def _lnglat(point: ast.Point) -> list[float]:
    return [point[1], point[0]]


def _sphere(schema: ClassSchema, node: ast.Near | ast.WithinSphere) -> Bson:
    center, radians = (node.point, node.max_radians) if isinstance(node, ast.Near) else (node.center, node.radians)
    key = key_of(schema, node.path)
    if radians is None or radians >= _HALF_TURN:
        return {f"{key}.1": {"$exists": True}}
    return {key: {"$geoWithin": {"$centerSphere": [_lnglat(center), radians]}}}


def near_stage(schema: ClassSchema, near: ast.Near, where: Bson, field: str) -> Bson:
    """The pipeline stage that gives what is nearest first; `field` receives the metres."""
    stage: Bson = {
        "near": {"type": "Point", "coordinates": _lnglat(near.point)},
        "key": key_of(schema, near.path),
        "spherical": True,
        "distanceField": field,
        "query": where,
    }
    if near.max_radians is not None and near.max_radians < _HALF_TURN:
        stage["maxDistance"] = near.max_radians * EARTH_METRES
    return {"$geoNear": stage}


def _box(schema: ClassSchema, node: ast.WithinBox) -> Bson:
    """By the two numbers, so that the border is inside; `$box`, a little wider, is for an index that can use it."""
    (south, west), (north, east) = node.southwest, node.northeast
    if west > east:
        halves = ((west, 180.0), (-180.0, east))
        return {"$or": [_box(schema, ast.WithinBox(node.path, (south, left), (north, right))) for left, right in halves]}
    key = key_of(schema, node.path)
    around = [[west - _SLACK, south - _SLACK], [east + _SLACK, north + _SLACK]]
    return {
        key: {"$geoWithin": {"$box": around}},
        f"{key}.0": {"$gte": west, "$lte": east},
        f"{key}.1": {"$gte": south, "$lte": north},
    }


def _polygon(schema: ClassSchema, node: ast.WithinPolygon) -> Bson:
    return {key_of(schema, node.path): {"$geoWithin": {"$polygon": [_lnglat(point) for point in node.points]}}}


def _intersects(schema: ClassSchema, node: ast.Intersects) -> Bson:
    point = {"type": "Point", "coordinates": _lnglat(node.point)}
    return {key_of(schema, node.path): {"$geoIntersects": {"$geometry": point}}}


def _text(schema: ClassSchema, node: ast.Text) -> Bson:
    column = ".".join(node.path)
    if not any(keys.get(column) == "text" for keys in schema.indexes.values()):
        raise ParseError(Code.INVALID_QUERY, "text index required for $text query")
    search: Bson = {"$search": node.term}
    if node.language is not None:
        search["$language"] = node.language
    if node.case_sensitive:
        search["$caseSensitive"] = True
    if node.diacritic_sensitive:
        search["$diacriticSensitive"] = True
    return {"$text": search}


def _unresolved(schema: ClassSchema, node: ast.Node) -> Bson:
    raise ParseError(Code.INVALID_QUERY, "a condition on other objects cannot stand here")


_COMPILE: dict[type[Any], Callable[[ClassSchema, Any], Bson]] = {
    ast.And: _and,
    ast.Or: _or,
    ast.Nor: _nor,
    ast.Equals: _one("$eq"),
    ast.NotEquals: _one("$ne"),
    ast.In: _many("$in"),
    ast.NotIn: _many("$nin"),
    ast.Compare: _compare,
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
    ast.Text: _text,
    ast.Subquery: _unresolved,
    ast.RelatedTo: _unresolved,
    ast.Relates: _unresolved,
}
