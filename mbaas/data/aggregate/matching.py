"""`$match`: MongoDB's own query language over the pipeline's documents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from mbaas.data.aggregate.expressions import expression, wrong
from mbaas.data.aggregate.values import MISSING, instant, reach, same, sort_key
from mbaas.kernel.clock import from_iso
from mbaas.kernel.values import date_ms, is_number
from mbaas.query.regex import compiled

Test = Callable[[Any], bool]


def matcher(given: Any) -> Test:
    """Compile a condition on documents."""
    if not isinstance(given, dict):
        raise wrong("the match filter must be an expression in an object")
    parts = [_part(key, value) for key, value in given.items()]
    return lambda document: all(part(document) for part in parts)


def _part(key: str, value: Any) -> Test:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(value, list) or not value:
            raise wrong(f"{key} must be a nonempty array")
        tests = [matcher(part) for part in value]
        if key == "$and":
            return lambda document: all(test(document) for test in tests)
        if key == "$or":
            return lambda document: any(test(document) for test in tests)
        return lambda document: not any(test(document) for test in tests)
    if key == "$expr":
        holds = expression(value)
        return lambda document: bool(holds({"ROOT": document}))
    if key.startswith("$"):
        raise wrong(f"unknown top level operator: {key}")
    path = key.split(".")
    if path[0] == "objectId":
        path[0] = "_id"
    test = _condition(value)
    return lambda document: test(reach(document, path))


def _condition(value: Any) -> Test:
    if isinstance(value, dict) and any(k.startswith("$") for k in value) and "$date" not in value:
        tests = [_operator(name, argument, value) for name, argument in value.items() if name != "$options"]
        return lambda found: all(test(found) for test in tests)
    return _equals(value)


def literal(value: Any) -> Any:
    """A value in a condition: wire dates and `{"$date": …}` are instants."""
    if isinstance(value, dict):
        ms = date_ms(value)
        if ms is None and isinstance(value.get("$date"), str):
            ms = from_iso(value["$date"])
        if ms is not None:
            return instant(ms)
        if value.get("__type") == "Pointer":
            return value.get("objectId")
    return value


def _alike(value: Any, found: Any) -> Any:
    """An ISO text compared with an instant is an instant, as Parse Server converts it on date columns."""
    if isinstance(value, str) and isinstance(found, datetime):
        ms = from_iso(value)
        return value if ms is None else instant(ms)
    return value


def _any(found: Any, holds: Test) -> bool:
    """True for the value itself, or for an element of a list."""
    return holds(found) or (isinstance(found, list) and any(map(holds, found)))


def _equals(value: Any) -> Test:
    wanted = literal(value)

    def test(found: Any) -> bool:
        if wanted is None:
            return _any(found, lambda v: v is None or v is MISSING)
        return _any(found, lambda v: v is not MISSING and same(_alike(wanted, v), v))

    return test


def _ordered(name: str, value: Any) -> Test:
    wanted = literal(value)
    holds: dict[str, Callable[[Any, Any], bool]] = {
        "$gt": lambda a, b: a > b,
        "$gte": lambda a, b: a >= b,
        "$lt": lambda a, b: a < b,
        "$lte": lambda a, b: a <= b,
    }

    def one(found: Any) -> bool:
        left, right = sort_key(found), sort_key(_alike(wanted, found))
        return left[0] == right[0] and holds[name](left, right)

    return lambda found: _any(found, one)


def _modulo(value: Any) -> Test:
    if not isinstance(value, list) or len(value) != 2 or not all(map(is_number, value)) or not value[0]:
        raise wrong("$mod needs a divisor, which is not 0, and a remainder")
    divisor, remainder = value
    return lambda found: _any(found, lambda v: is_number(v) and v % divisor == remainder)


def _operator(name: str, value: Any, beside: dict[str, Any]) -> Test:
    if name in ("$gt", "$gte", "$lt", "$lte"):
        return _ordered(name, value)
    if name in ("$in", "$nin", "$all"):
        if not isinstance(value, list):
            raise wrong(f"{name} needs an array")
        tests = [_equals(v) for v in value]
        if name == "$all":
            return lambda found: bool(tests) and all(test(found) for test in tests)
        wanted = name == "$in"
        return lambda found: any(test(found) for test in tests) is wanted
    if name in ("$eq", "$ne"):
        equal, negated = _equals(value), name == "$ne"
        return lambda found: equal(found) is not negated
    if name == "$exists":
        return lambda found: (found is not MISSING) is bool(value)
    if name == "$regex":
        if not isinstance(value, str):
            raise wrong("$regex has to be a string")
        search = compiled(value, str(beside.get("$options", ""))).found
        return lambda found: _any(found, lambda v: isinstance(v, str) and search(v))
    if name == "$not":
        inner = _condition(value)
        return lambda found: not inner(found)
    if name == "$size":
        return lambda found: isinstance(found, list) and len(found) == value
    if name == "$elemMatch":
        inner = _condition(value) if any(k.startswith("$") for k in value) else matcher(value)
        return lambda found: isinstance(found, list) and any(inner(v) for v in found)
    if name == "$mod":
        return _modulo(value)
    raise wrong(f"unknown operator: {name}")
