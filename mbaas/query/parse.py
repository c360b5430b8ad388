"""From a Parse `where` (JSON) to the tree of `ast`, once per request; every refusal has its Parse code here.

Follows Parse Server 9.10's answers: 102 for a malformed query, 105 for a key name, 107 for a constraint's argument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mbaas.kernel.clock import Clock, iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import Field
from mbaas.kernel.values import Json, Object, date_ms, is_number, js_text
from mbaas.query import ast
from mbaas.query.constraints import GEO, bad_json, text_search
from mbaas.query.regex import LONGEST, literal
from mbaas.query.relative import instant

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.]*\Z")
_OPTIONS = re.compile(r"[imxsu]+\Z")
_ATOMS = ("Date", "Pointer", "GeoPoint", "Polygon", "File", "Bytes")
"""No set: what stands for a type may be an object, of which no set says whether it has it."""
_COMPARE: dict[str, Any] = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_GROUPS: dict[str, type[ast.And | ast.Or | ast.Nor]] = {"$and": ast.And, "$or": ast.Or, "$nor": ast.Nor}
_DISTANCE = {"$maxDistance": 1.0, "$maxDistanceInRadians": 1.0, "$maxDistanceInMiles": 3959.0, "$maxDistanceInKilometers": 6371.0}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query is read against: the class's columns, now, and the limits that protect the server (None: no limit)."""

    fields: Mapping[str, Field]
    clock: Clock
    hidden: bool = False
    """True for the server's own queries: keys that start with `_` name hidden fields."""
    regex: bool = True
    """False where `$regex` is refused."""
    max_depth: int | None = 20
    max_nodes: int | None = 2000
    max_values: int | None = 50_000


def parse_where(where: Json, scope: Scope) -> ast.Node:
    """The tree for a `where`; conditions side by side are a conjunction."""
    if not isinstance(where, dict):
        raise ParseError(Code.INVALID_JSON, "where parameter is not valid JSON")
    return _Reader(scope).group(where, 0)


class _Reader:
    """Walks one `where`, counting what it makes so that work before the first check is bounded."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.nodes = self.values = self.characters = 0

    def group(self, where: Object, depth: int) -> ast.Node:
        if self.scope.max_depth is not None and depth > self.scope.max_depth:
            raise ParseError(Code.INVALID_QUERY, f"Query condition nesting depth exceeds maximum allowed depth of {self.scope.max_depth}")
        node: ast.Node = ast.EVERYTHING
        for key, value in where.items():
            self.nodes += 1
            if self.scope.max_nodes is not None and self.nodes > self.scope.max_nodes:
                raise ParseError(Code.INVALID_QUERY, f"The query has more than {self.scope.max_nodes} conditions")
            node = ast.both(node, self.condition(key, value, depth))
        return node

    def condition(self, key: str, value: Json, depth: int) -> ast.Node:
        if key in _GROUPS:
            return self.logical(key, value, depth)
        if key == "$relatedTo":
            return _related_to(value)
        if key == "ACL" and (value or isinstance(value, (dict, list))):
            raise ParseError(Code.INVALID_QUERY, "Cannot query on ACL.")
        if not _KEY.match(key) and not (self.scope.hidden and key.startswith("_")):
            raise ParseError(Code.INVALID_KEY_NAME, f"Invalid key name: {key}")
        field = self.scope.fields.get(key)
        if field is not None and field.type == "Relation":
            return _relation(key, value)
        return self.field(tuple(key.split(".")), field, value)

    def logical(self, key: str, value: Json, depth: int) -> ast.Node:
        if not isinstance(value, list):
            raise ParseError(Code.INVALID_QUERY, f"{key} must be an array", sanitized="Permission denied")
        if not value:
            raise ParseError(Code.INVALID_QUERY, f"Bad {key} format - use an array of at least 1 value.")
        if not all(isinstance(part, dict) for part in value):
            raise ParseError(Code.INVALID_QUERY, f"Bad {key} format - every value must be an object.")
        return _GROUPS[key](tuple(self.group(part, depth + 1) for part in value))

    def field(self, path: ast.Path, field: Field | None, value: Json) -> ast.Node:
        if isinstance(value, list):
            if not value:
                return ast.NOTHING
            raise bad_json(f"You cannot use {js_text(value)} as a query parameter.")
        if not isinstance(value, dict):
            return ast.Equals(path, value)
        if value.get("__type") in _ATOMS and not any(k.startswith("$") for k in value):
            return ast.Equals(path, self.atom(value, field))
        operators = {k: v for k, v in value.items() if k.startswith("$")}
        if not operators:
            if len(path) > 1:
                return ast.Equals(path, value)
            raise bad_json("You cannot use [object Object] as a query parameter.")
        plain = {k: v for k, v in value.items() if not k.startswith("$")}
        if plain:
            operators["$eq"] = plain
        return self.operators(path, field, operators)

    def operators(self, path: ast.Path, field: Field | None, given: Object) -> ast.Node:
        node: ast.Node = ast.EVERYTHING
        for name in sorted(given, reverse=True):
            if name in _COMPARE or name in ("$eq", "$ne", "$exists"):
                part = self.comparison(path, field, name, given[name])
            elif name in ("$in", "$nin", "$all", "$containedBy"):
                part = self.sets(path, field, name, given[name])
            elif name in ("$inQuery", "$notInQuery", "$select", "$dontSelect"):
                part = _subquery(path, name, given[name])
            elif name == "$regex":
                if not self.scope.regex:
                    raise ParseError(Code.INVALID_QUERY, "$regex operator is not allowed")
                part = _regex(path, given)
                self.pattern(part.pattern, part.flags)
            elif name == "$options":
                if "$regex" not in given:
                    raise ParseError(Code.INVALID_QUERY, "$options needs a $regex")
                continue
            elif name == "$text":
                part = text_search(path, given[name])
            elif name in _DISTANCE:
                continue
            elif name in GEO:
                part = GEO[name](path, given[name], _radians(given))
            else:
                raise bad_json(f"bad constraint: {name}")
            node = ast.both(node, part)
        return node

    def comparison(self, path: ast.Path, field: Field | None, name: str, value: Json) -> ast.Node:
        if isinstance(value, dict) and value.get("$relativeTime"):
            value = self.relative(field, name, value["$relativeTime"])
        if name == "$exists":
            return ast.Exists(path, bool(value))
        value = self.atom(value, field)
        if name == "$eq":
            return ast.Equals(path, value)
        if name == "$ne":
            return ast.NotEquals(path, value)
        return ast.Compare(path, _COMPARE[name], value)

    def pattern(self, pattern: str, flags: str = "") -> None:
        """Count a regular expression; one that is plain text is none."""
        if flags or literal(pattern) is None:
            self.characters += len(pattern)
        if self.characters > LONGEST:
            raise ParseError(Code.INVALID_QUERY, f"The regular expressions of a query have no more than {LONGEST} characters")

    def relative(self, field: Field | None, name: str, text: Json) -> Object:
        if field is not None and field.type != "Date":
            raise bad_json("$relativeTime can only be used with Date field")
        if name not in _COMPARE:
            raise bad_json("$relativeTime can only be used with the $lt, $lte, $gt, and $gte operators")
        return {"__type": "Date", "iso": iso(instant(text, name, self.scope.clock.now()))}

    def sets(self, path: ast.Path, field: Field | None, name: str, given: Json) -> ast.Node:
        if not isinstance(given, list):
            raise bad_json("bad $containedBy: should be an array" if name == "$containedBy" else f"bad {name} value")
        self.values += len(given)
        if self.scope.max_values is not None and self.values > self.scope.max_values:
            raise ParseError(Code.INVALID_QUERY, f"The query compares with more than {self.scope.max_values} values")
        if name == "$all":
            for value in given:
                if isinstance(value, dict) and isinstance(value.get("$regex"), str):
                    self.pattern(value["$regex"])
            return _all(path, given)
        values: list[Json] = []
        for value in given:
            flat = value if isinstance(value, list) and name != "$containedBy" else [value]
            values.extend(self.atom(v, field) for v in flat)
        if name == "$in":
            return ast.In(path, tuple(values))
        if name == "$nin":
            return ast.NotIn(path, tuple(values))
        return ast.ContainedBy(path, tuple(values))

    def atom(self, value: Json, field: Field | None) -> Json:
        """A value that a column may be compared with; dates in the one form that is stored."""
        if isinstance(value, dict) and value.get("__type") in _ATOMS:
            return _normal(value)
        if isinstance(value, (dict, list)) and (field is None or field.type != "Array"):
            raise bad_json(f"bad atom: {_js_json(value)}")
        return value


def _normal(value: Object) -> Json:
    kind = value["__type"]
    if kind == "Date":
        ms = date_ms(value)
        if ms is None:
            raise bad_json(f"bad atom: {_js_json(value)}")
        return {"__type": "Date", "iso": iso(ms)}
    if kind == "Pointer":
        return {"__type": "Pointer", "className": value.get("className"), "objectId": value.get("objectId")}
    if kind == "File":
        return {"__type": "File", "name": value.get("name")}
    if kind == "Polygon" and isinstance(value.get("coordinates"), list) and value["coordinates"]:
        ring = value["coordinates"]
        return {"__type": "Polygon", "coordinates": ring if ring[0] == ring[-1] else [*ring, ring[0]]}
    return value


def _all(path: ast.Path, values: list[Json]) -> ast.Node:
    patterns = [v["$regex"] for v in values if isinstance(v, dict) and isinstance(v.get("$regex"), str)]
    if not patterns:
        return ast.All(path, tuple(_normal(v) if isinstance(v, dict) and v.get("__type") in _ATOMS else v for v in values))
    prefixes = [p for p in patterns if p.startswith("^")]
    if len(prefixes) != len(patterns) or any(isinstance(v, dict) and "$regex" not in v for v in values):
        shown = ",".join(f"/{v['$regex']}/" if isinstance(v, dict) and "$regex" in v else js_text([v]) for v in values)
        raise bad_json(f"All $all values must be of regex type or none: {shown}")
    plain = tuple(v for v in values if not isinstance(v, dict))
    node: ast.Node = ast.AllPrefixes(path, tuple(prefixes))
    return ast.both(node, ast.All(path, plain)) if plain else node


def _regex(path: ast.Path, given: Object) -> ast.Regex:
    pattern, options = given["$regex"], given.get("$options")
    if not isinstance(pattern, str):
        raise ParseError(Code.INVALID_QUERY, "$regex value must be a string")
    if options is not None and not isinstance(options, str):
        raise ParseError(Code.INVALID_QUERY, "$options value must be a string")
    if options is not None and not _OPTIONS.match(options):
        raise ParseError(Code.INVALID_QUERY, f"Bad $options value for query: {options}")
    return ast.Regex(path, pattern, "".join(sorted(set(options or "") - {"u"})))


def _subquery(path: ast.Path, name: str, given: Json) -> ast.Subquery:
    wrong = ParseError(Code.INVALID_QUERY, f"improper usage of {name}")
    if not isinstance(given, dict):
        raise wrong
    negated = name in ("$notInQuery", "$dontSelect")
    if name in ("$inQuery", "$notInQuery"):
        if not isinstance(given.get("className"), str) or not isinstance(given.get("where"), dict):
            raise wrong
        redirect = given.get("redirectClassNameForKey")
        return ast.Subquery(path, given["className"], given["where"], "objectId", negated, True, redirect)
    query, key = given.get("query"), given.get("key")
    if not isinstance(query, dict) or not isinstance(key, str) or not key or len(given) != 2 or not isinstance(query.get("className"), str):
        raise wrong
    where = query.get("where")
    if where is not None and not isinstance(where, dict):
        raise wrong
    return ast.Subquery(path, query["className"], where or {}, key, negated, False, query.get("redirectClassNameForKey"))


def _related_to(value: Json) -> ast.Node:
    owner = value.get("object") if isinstance(value, dict) else None
    key = value.get("key") if isinstance(value, dict) else None
    if not isinstance(owner, dict) or not isinstance(key, str):
        return ast.NOTHING
    class_name, object_id = owner.get("className"), owner.get("objectId")
    if not isinstance(class_name, str) or not isinstance(object_id, str):
        return ast.NOTHING
    return ast.RelatedTo(class_name, object_id, key)


def _relation(key: str, value: Json) -> ast.Node:
    """A condition on a relation column: the objects that are, or are not, in it."""

    def ids(pointers: Json) -> tuple[str, ...]:
        listed = pointers if isinstance(pointers, list) else [pointers]
        return tuple(p["objectId"] for p in listed if isinstance(p, dict) and isinstance(p.get("objectId"), str))

    node: ast.Node = ast.EVERYTHING
    found = False
    if isinstance(value, dict):
        if value.get("__type") == "Pointer":
            return ast.Relates(key, ids(value))
        for name, negated in (("$in", False), ("$eq", False), ("$nin", True), ("$ne", True)):
            if value.get(name):
                found = True
                node = ast.both(node, ast.Relates(key, ids(value[name]), negated))
        for name in ("$inQuery", "$notInQuery"):
            if name in value:
                found = True
                node = ast.both(node, replace(_subquery((key,), name, value[name]), relation=True))
    return node if found else ast.NOTHING


def _radians(given: Object) -> float | None:
    for name, per_radian in _DISTANCE.items():
        if name in given:
            distance = given[name]
            if not is_number(distance) or distance < 0:
                raise bad_json(f"bad {name} value")
            return float(distance) / per_radian
    return None


def _js_json(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
