"""The stages of a pipeline: each turns a list of documents into another. Source: the MongoDB manual."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

from mbaas.data.aggregate.expressions import Expression, expression, wrong
from mbaas.data.aggregate.matching import literal, matcher
from mbaas.data.aggregate.values import MISSING, group_key, reach, sort_key
from mbaas.kernel.values import is_number
from mbaas.query.geo import distance, point_of

_EARTH_METRES = 6_378_100.0
Documents = list[dict[str, Any]]
Others = Mapping[str, Documents]
"""The documents of other classes that `$lookup` joins, read before the pipeline runs."""
Stage = Callable[[Documents], Documents]


def run(pipeline: list[dict[str, Any]], documents: Documents, now: Any, others: Others) -> Documents:
    """The documents after every stage, in order."""
    for stage in compile_stages(pipeline, now, others):
        documents = stage(documents)
    return documents


def compile_stages(pipeline: list[dict[str, Any]], now: Any, others: Others) -> list[Stage]:
    """Check a pipeline and make its stages. Raises 102 for a stage that is not known."""
    stages = []
    for given in pipeline:
        name, argument = _named(given)
        if name == "$lookup":
            stages.append(_lookup(argument, others))
        elif name == "$facet":
            stages.append(_facet(argument, now, others))
        elif name in _STAGES:
            stages.append(_STAGES[name](argument, now))
        else:
            raise wrong(f"Unrecognized pipeline stage name: '{name}'")
    return stages


def _named(given: Any) -> tuple[str, Any]:
    if not isinstance(given, dict) or len(given) != 1:
        raise wrong("a pipeline stage must be an object with exactly one field")
    return next(iter(given.items()))


def looked_up(pipeline: list[dict[str, Any]]) -> set[str]:
    """The classes that the pipeline's `$lookup` stages join."""
    found: set[str] = set()
    for name, argument in map(_named, pipeline):
        if name == "$lookup" and isinstance(argument, dict) and isinstance(argument.get("from"), str):
            found.add(argument["from"])
        elif name == "$facet" and isinstance(argument, dict):
            found = found.union(*(looked_up(inner) for inner in argument.values() if isinstance(inner, list)))
    return found


def _scope(document: dict[str, Any], now: Any) -> dict[str, Any]:
    return {"ROOT": document, "NOW": now}


def _match(given: Any, now: Any) -> Stage:
    test = matcher(given)
    return lambda documents: [d for d in documents if test(d)]


def _put(document: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        below = document.get(key)
        document[key] = dict(below) if isinstance(below, dict) else {}
        document = document[key]
    if value is MISSING:
        document.pop(path[-1], None)
    else:
        document[path[-1]] = value


def _add_fields(given: Any, now: Any) -> Stage:
    if not isinstance(given, dict):
        raise wrong("$addFields specification must be an object")
    fields = [(key.split("."), expression(value)) for key, value in given.items()]

    def stage(documents: Documents) -> Documents:
        made = []
        for document in documents:
            after, scope = dict(document), _scope(document, now)
            for path, value in fields:
                _put(after, path, value(scope))
            made.append(after)
        return made

    return stage


_Tree = dict[str, Any]
"""Paths as nested objects, True where one ends."""


def _tree(paths: Iterable[str]) -> _Tree:
    root: _Tree = {}
    for path in paths:
        at, keys = root, path.split(".")
        for key in keys[:-1]:
            below = at.get(key)
            at[key] = below if isinstance(below, dict) else {}
            at = at[key]
        at[keys[-1]] = True
    return root


def _only(value: Any, tree: _Tree) -> Any:
    """What is left of a value by the paths that are shown, inside the elements of lists too."""
    if isinstance(value, list):
        return [_only(item, tree) for item in value if isinstance(item, (dict, list))]
    if not isinstance(value, dict):
        return MISSING
    left = {k: value[k] if sub is True else _only(value[k], sub) for k, sub in tree.items() if k in value}
    return {k: v for k, v in left.items() if v is not MISSING}


def _without(value: Any, tree: _Tree) -> Any:
    """What is left of a value without these paths."""
    if isinstance(value, list):
        return [_without(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: _without(v, tree[k]) if k in tree else v for k, v in value.items() if tree.get(k) is not True}


def _unset(given: Any, now: Any) -> Stage:
    tree = _tree(map(str, given if isinstance(given, list) else [given]))
    return lambda documents: [_without(d, tree) for d in documents]


def _project(given: Any, now: Any) -> Stage:
    if not isinstance(given, dict) or not given:
        raise wrong("$project specification must be a non-empty object")
    given = {("_id" if key == "objectId" else key): value for key, value in given.items()}
    dropped = [key for key, value in given.items() if value in (0, False) and not isinstance(value, (str, dict, list))]
    kept = {key: value for key, value in given.items() if key not in dropped}
    if not kept and dropped != ["_id"]:
        return _unset(dropped, now)
    shown = [key for key, value in kept.items() if value in (1, True) and not isinstance(value, (str, dict, list))]
    fields = [(key.split("."), expression(value)) for key, value in kept.items() if key not in shown]
    tree = _tree(shown if "_id" in given else ["_id", *shown])

    def stage(documents: Documents) -> Documents:
        made = []
        for document in documents:
            after, scope = _only(document, tree), _scope(document, now)
            for path, value in fields:
                _put(after, path, value(scope))
            made.append(after)
        return made

    return stage


_Fold = Callable[[list[Any]], Any]


def _present(values: list[Any]) -> list[Any]:
    return [v for v in values if v is not None and v is not MISSING]


def _numbers(values: list[Any]) -> list[Any]:
    return [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _deviation(values: list[Any], less: int) -> float | None:
    numbers = _numbers(values)
    if len(numbers) <= less:
        return None
    mean = sum(numbers) / len(numbers)
    return float((sum((n - mean) ** 2 for n in numbers) / (len(numbers) - less)) ** 0.5)


_ACCUMULATORS: dict[str, _Fold] = {
    "$sum": lambda values: sum(_numbers(values)),
    "$avg": lambda values: (lambda found: sum(found) / len(found) if found else None)(_numbers(values)),
    "$min": lambda values: min(_present(values), key=sort_key, default=None),
    "$max": lambda values: max(_present(values), key=sort_key, default=None),
    "$push": lambda values: [v for v in values if v is not MISSING],
    "$addToSet": lambda values: list({group_key(v): v for v in values if v is not MISSING}.values()),
    "$first": lambda values: values[0] if values and values[0] is not MISSING else None,
    "$last": lambda values: values[-1] if values and values[-1] is not MISSING else None,
    "$count": len,
    "$mergeObjects": lambda values: {k: v for value in _present(values) for k, v in value.items()},
    "$stdDevPop": lambda values: _deviation(values, 0),
    "$stdDevSamp": lambda values: _deviation(values, 1),
}


def _group(given: Any, now: Any) -> Stage:
    if not isinstance(given, dict) or "_id" not in given:
        raise wrong("a group specification must include an _id")
    key = expression(given["_id"])
    fields: list[tuple[str, _Fold, Expression]] = []
    for name, value in given.items():
        if name == "_id":
            continue
        if not isinstance(value, dict) or len(value) != 1:
            raise wrong(f"The field '{name}' must be an accumulator object")
        ((operator, argument),) = value.items()
        if operator not in _ACCUMULATORS:
            raise wrong(f"unknown group operator '{operator}'")
        fields.append((name, _ACCUMULATORS[operator], expression(argument)))

    def stage(documents: Documents) -> Documents:
        groups: dict[Any, tuple[Any, list[dict[str, Any]]]] = {}
        for document in documents:
            scope = _scope(document, now)
            value = key(scope)
            value = None if value is MISSING else value
            groups.setdefault(group_key(value), (value, []))[1].append(scope)
        return [
            {"_id": value, **{name: fold([argument(scope) for scope in scopes]) for name, fold, argument in fields}}
            for value, scopes in groups.values()
        ]

    return stage


def _bucket(given: Any, now: Any) -> Stage:
    bounds = given.get("boundaries") if isinstance(given, dict) else None
    if not isinstance(bounds, list) or len(bounds) < 2 or "groupBy" not in given:
        raise wrong("$bucket needs groupBy and at least two boundaries")
    key, edges = expression(given["groupBy"]), [sort_key(literal(bound)) for bound in bounds]
    if any(low >= high for low, high in pairwise(edges)):
        raise wrong("the boundaries of $bucket must be in ascending order")
    rest, output = given.get("default", MISSING), given.get("output", {"count": {"$sum": 1}})
    if not isinstance(output, dict):
        raise wrong("the output of $bucket must be an object")
    group = _group({**output, "_id": "$_id"}, now)

    def place(document: dict[str, Any]) -> Any:
        found = sort_key(key(_scope(document, now)))
        at = bisect_right(edges, found) - 1
        if 0 <= at < len(edges) - 1 and found[0] == edges[at][0]:
            return bounds[at]
        if rest is MISSING:
            raise wrong("$bucket met a value outside its boundaries, and has no default")
        return rest

    def stage(documents: Documents) -> Documents:
        return sorted(group([{**document, "_id": place(document)} for document in documents]), key=lambda d: sort_key(d["_id"]))

    return stage


def _geo_near(given: Any, now: Any) -> Stage:
    """Documents by their distance: in metres of a GeoJSON point, in radians of a pair."""
    if not isinstance(given, dict) or not isinstance(given.get("distanceField"), str):
        raise wrong("$geoNear needs a distanceField")
    near, into = given.get("near"), given["distanceField"].split(".")
    metric = isinstance(near, dict)
    pair = near.get("coordinates") if isinstance(near, dict) else near
    if not isinstance(pair, list) or len(pair) != 2 or not all(map(is_number, pair)):
        raise wrong("$geoNear needs a point to be near to")
    bounds = [given.get(name, usual) for name, usual in (("distanceMultiplier", 1), ("minDistance", 0), ("maxDistance", math.inf))]
    if not all(map(is_number, bounds)):
        raise wrong("$geoNear takes numbers as distances")
    factor, least, most = (_EARTH_METRES if metric else 1.0) * bounds[0], bounds[1], bounds[2]
    test, key = matcher(given.get("query") or {}), given.get("key")

    def stage(documents: Documents) -> Documents:
        made = []
        for document in documents:
            there = _point_in(document, key)
            if there is None or not test(document):
                continue
            radians = distance(pair[1], pair[0], *there)
            if least <= radians * (_EARTH_METRES if metric else 1.0) <= most:
                after = dict(document)
                _put(after, into, radians * factor)
                made.append((radians, after))
        return [after for _, after in sorted(made, key=lambda found: found[0])]

    return stage


def _point_in(document: dict[str, Any], key: str | None) -> tuple[float, float] | None:
    """Latitude and longitude of the column, or of the one column that holds a place."""
    held = [reach(document, key.split("."))] if isinstance(key, str) else list(document.values())
    for value in held:
        if (there := point_of(value)) is not None:
            return there
        if key is not None and isinstance(value, list) and len(value) == 2 and all(map(is_number, value)):
            return value[1], value[0]
    return None


def _sort(given: Any, now: Any) -> Stage:
    if not isinstance(given, dict) or not given:
        raise wrong("$sort stage must have at least one sort key")
    keys = [(("_id" if key == "objectId" else key).split("."), direction) for key, direction in given.items()]
    if any(direction not in (1, -1) for _, direction in keys):
        raise wrong("$sort key ordering must be 1 (for ascending) or -1 (for descending)")

    def stage(documents: Documents) -> Documents:
        ordered = list(documents)
        for path, direction in reversed(keys):
            ordered.sort(key=lambda d: _place(reach(d, path), direction), reverse=direction == -1)
        return ordered

    return stage


def _place(value: Any, direction: int) -> tuple[int, Any]:
    """A list sorts by its least element, descending by its greatest; a missing value as null."""
    if isinstance(value, list) and value:
        return (min if direction == 1 else max)(sort_key(v) for v in value)
    return sort_key(None if value is MISSING else value)


def _whole(given: Any, name: str) -> int:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given < 0 or given != int(given):
        raise wrong(f"invalid argument to {name} stage: Expected a non-negative number")
    return int(given)


def _limit(given: Any, now: Any) -> Stage:
    count = _whole(given, "$limit")
    if count == 0:
        raise wrong("the limit must be positive")
    return lambda documents: documents[:count]


def _skip(given: Any, now: Any) -> Stage:
    count = _whole(given, "$skip")
    return lambda documents: documents[count:]


def _count(given: Any, now: Any) -> Stage:
    if not isinstance(given, str) or not given or given.startswith("$") or "." in given:
        raise wrong("the count field must be a non-empty string")
    return lambda documents: [{given: len(documents)}] if documents else []


def _unwind(given: Any, now: Any) -> Stage:
    options = given if isinstance(given, dict) else {"path": given}
    name, keep, index = options.get("path"), bool(options.get("preserveNullAndEmptyArrays")), options.get("includeArrayIndex")
    if not isinstance(name, str) or not name.startswith("$"):
        raise wrong("path option to $unwind stage should be prefixed with a '$'")
    if index is not None and not isinstance(index, str):
        raise wrong("includeArrayIndex option to the $unwind stage must be a string")
    path = name[1:].split(".")

    def stage(documents: Documents) -> Documents:
        made = []
        for document in documents:
            value = reach(document, path)
            items = value if isinstance(value, list) else ([value] if value not in (None, MISSING) else [])
            if not items and keep:
                made.append(document)
            for i, item in enumerate(items):
                after = dict(document)
                _put(after, path, item)
                if index:
                    after[index] = i if isinstance(value, list) else None
                made.append(after)
        return made

    return stage


def _sort_by_count(given: Any, now: Any) -> Stage:
    group, sort = _group({"_id": given, "count": {"$sum": 1}}, now), _sort({"count": -1}, now)
    return lambda documents: sort(group(documents))


def _replace_root(given: Any, now: Any) -> Stage:
    root = expression(given["newRoot"] if isinstance(given, dict) and "newRoot" in given else given)

    def stage(documents: Documents) -> Documents:
        made = [root(_scope(document, now)) for document in documents]
        if not all(isinstance(document, dict) for document in made):
            raise wrong("'newRoot' expression must evaluate to an object")
        return made

    return stage


def _sample(given: Any, now: Any) -> Stage:
    size = _whole(given.get("size") if isinstance(given, dict) else None, "$sample")
    return lambda documents: random.sample(documents, min(size, len(documents)))


def _lookup(given: Any, others: Others) -> Stage:
    names = [given.get(k) for k in ("from", "localField", "foreignField", "as")] if isinstance(given, dict) else [None]
    if not all(isinstance(name, str) and name for name in names):
        raise wrong("$lookup needs from, localField, foreignField and as")
    source, local, foreign, into = map(str, names)

    def stage(documents: Documents) -> Documents:
        index: dict[Any, Documents] = {}
        for other in others.get(source, []):
            value = reach(other, foreign.split("."))
            for item in value if isinstance(value, list) else [value]:
                index.setdefault(group_key(item), []).append(other)
        made = []
        for document in documents:
            value = reach(document, local.split("."))
            found = [o for item in (value if isinstance(value, list) else [value]) for o in index.get(group_key(item), [])]
            made.append({**document, into: found})
        return made

    return stage


def _facet(given: Any, now: Any, others: Others) -> Stage:
    if not isinstance(given, dict) or not all(isinstance(inner, list) for inner in given.values()):
        raise wrong("the $facet specification must be an object of pipelines")
    facets = {name: compile_stages(inner, now, others) for name, inner in given.items()}

    def stage(documents: Documents) -> Documents:
        made: dict[str, Any] = {}
        for name, stages in facets.items():
            made[name] = documents
            for inner in stages:
                made[name] = inner(made[name])
        return [made]

    return stage


_STAGES: dict[str, Callable[[Any, Any], Stage]] = {
    "$match": _match,
    "$addFields": _add_fields,
    "$set": _add_fields,
    "$unset": _unset,
    "$project": _project,
    "$group": _group,
    "$sort": _sort,
    "$limit": _limit,
    "$skip": _skip,
    "$count": _count,
    "$unwind": _unwind,
    "$sortByCount": _sort_by_count,
    "$replaceRoot": _replace_root,
    "$replaceWith": _replace_root,
    "$sample": _sample,
    "$bucket": _bucket,
    "$geoNear": _geo_near,
}
