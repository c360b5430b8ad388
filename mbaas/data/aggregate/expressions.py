"""Aggregation expressions, compiled once per pipeline into functions of a document. Source: the MongoDB manual.

`now` is fixed for a pipeline. A wrong name or argument is a ParseError 102 when the pipeline is compiled where that can be
told, else when it meets the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from mbaas.data.aggregate.values import MISSING, bounded, group_key, instant, milliseconds, reach, same, sort_key
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, ParseError

Scope = dict[str, Any]
"""The variables: ROOT, NOW, and what `$map` and its like define."""
Expression = Callable[[Scope], Any]


def wrong(text: str) -> ParseError:
    """102 with what a pipeline has wrong."""
    return ParseError(Code.INVALID_QUERY, text)


def expression(given: Any) -> Expression:
    """Compile an expression."""
    if isinstance(given, str) and given.startswith("$"):
        return _variable(given)
    if isinstance(given, list):
        parts = [expression(part) for part in given]
        return lambda scope: [None if (v := part(scope)) is MISSING else v for part in parts]
    if isinstance(given, dict):
        operators = [key for key in given if key.startswith("$")]
        if operators:
            if len(given) != 1:
                raise wrong("an object representing an expression must have exactly one field")
            return _operator(operators[0], given[operators[0]])
        fields = {key: expression(value) for key, value in given.items()}
        return lambda scope: {k: v for k, part in fields.items() if (v := part(scope)) is not MISSING}
    return lambda scope: given


def _variable(given: str) -> Expression:
    if given.startswith("$$"):
        name, _, rest = given[2:].partition(".")
        path = rest.split(".") if rest else []
        if name in ("ROOT", "CURRENT"):
            name = "ROOT"
        return lambda scope: reach(_defined(scope, name), path)
    path = ["_id" if key == "objectId" and i == 0 else key for i, key in enumerate(given[1:].split("."))]
    return lambda scope: reach(scope["ROOT"], path)


def _defined(scope: Scope, name: str) -> Any:
    if name == "REMOVE":
        return MISSING
    if name not in scope:
        raise wrong(f"Use of undefined variable: {name}")
    return scope[name]


def _operator(name: str, given: Any) -> Expression:
    if name == "$literal":
        return lambda scope: given
    special = _SPECIAL.get(name)
    if special is not None:
        return special(given)
    plain = _PLAIN.get(name)
    if plain is None:
        raise wrong(f"Unrecognized expression '{name}'")
    parts = [expression(part) for part in (given if isinstance(given, list) else [given])]

    def run(scope: Scope) -> Any:
        values = [part(scope) for part in parts]
        try:
            return bounded(plain(*values))
        except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
            raise wrong(f"{name} cannot be computed for these values") from error

    return run


def _nullable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Null or missing among the arguments gives null, as for most operators."""
    return lambda *values: None if any(v is None or v is MISSING for v in values) else function(*values)


def _add(*values: Any) -> Any:
    moments = [v for v in values if isinstance(v, datetime)]
    if not moments:
        return sum(_number(v) for v in values)
    return moments[0] + timedelta(milliseconds=sum(_number(v) for v in values if not isinstance(v, datetime)))


def _subtract(left: Any, right: Any) -> Any:
    if isinstance(left, datetime):
        return milliseconds(left) - milliseconds(right) if isinstance(right, datetime) else left - timedelta(milliseconds=_number(right))
    return _number(left) - _number(right)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    return value


def _product(*values: Any) -> Any:
    return math.prod(_number(v) for v in values)


def _divide(left: Any, right: Any) -> Any:
    result = _number(left) / _number(right)
    return int(result) if result.is_integer() and abs(result) < 2**53 else result


def _power(base: Any, exponent: Any) -> Any:
    """Whole numbers stay whole as long as 64 bits hold them; the rest is floating, and its errors come before any work."""
    base, exponent = _number(base), _number(exponent)
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    if whole and (abs(base) < 2 or exponent * math.log2(abs(base)) < 63):
        return base**exponent
    return math.pow(base, exponent)


def _places(places: Any) -> Any:
    """How many decimal places to keep, in MongoDB's bounds."""
    if not -20 <= places <= 100:
        raise ValueError(places)
    return places


def _truncate(value: Any, places: Any = 0) -> Any:
    scale = 10 ** _places(places)
    return math.trunc(value * scale) / scale if places else math.trunc(value)


def _true(value: Any) -> bool:
    return (value is not MISSING and value is not None and value is not False and value != 0) or isinstance(value, (str, list, dict))


def _compare(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: test(sort_key(left), sort_key(right))


def _text(value: Any) -> Any:
    if value is None or value is MISSING:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return iso(milliseconds(value))
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _to_date(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    ms = from_iso(value) if isinstance(value, str) else int(_number(value))
    if ms is None:
        raise ValueError(value)
    return instant(ms)


def _element(items: list[Any], index: int) -> Any:
    return items[index] if -len(items) <= index < len(items) else MISSING


def _slice(items: list[Any], first: int, count: int | None = None) -> list[Any]:
    if count is None:
        return items[:first] if first >= 0 else items[first:]
    start = first if first >= 0 else max(0, len(items) + first)
    return items[start : start + count]


def _merge(*objects: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for value in objects:
        if value is not None and value is not MISSING:
            merged.update(_object(value))
    return merged


def _sum(*values: Any) -> Any:
    flat = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    return sum(v for v in flat if isinstance(v, (int, float)) and not isinstance(v, bool))


def _numbers(values: tuple[Any, ...]) -> list[Any]:
    flat = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    return [v for v in flat if v is not None and v is not MISSING]


def _type(value: Any) -> str:
    if value is MISSING:
        return "missing"
    names = {bool: "bool", int: "int", float: "double", dict: "object", list: "array", datetime: "date", type(None): "null"}
    return names.get(type(value), "string")


_PLAIN: dict[str, Callable[..., Any]] = {
    "$add": _nullable(_add),
    "$subtract": _nullable(_subtract),
    "$multiply": _nullable(_product),
    "$divide": _nullable(_divide),
    "$mod": _nullable(lambda a, b: math.fmod(a, b) if isinstance(a, float) or isinstance(b, float) else int(math.fmod(a, b))),
    "$abs": _nullable(abs),
    "$ceil": _nullable(math.ceil),
    "$floor": _nullable(math.floor),
    "$round": _nullable(lambda value, places=0: round(value, _places(places))),
    "$trunc": _nullable(_truncate),
    "$sqrt": _nullable(math.sqrt),
    "$pow": _nullable(_power),
    "$exp": _nullable(math.exp),
    "$ln": _nullable(math.log),
    "$log10": _nullable(math.log10),
    "$eq": lambda a, b: same(a, b),
    "$ne": lambda a, b: not same(a, b),
    "$gt": _compare(lambda a, b: a > b),
    "$gte": _compare(lambda a, b: a >= b),
    "$lt": _compare(lambda a, b: a < b),
    "$lte": _compare(lambda a, b: a <= b),
    "$cmp": lambda a, b: (sort_key(a) > sort_key(b)) - (sort_key(a) < sort_key(b)),
    "$and": lambda *values: all(map(_true, values)),
    "$or": lambda *values: any(map(_true, values)),
    "$not": lambda value: not _true(value),
    "$ifNull": lambda *values: next((v for v in values[:-1] if v is not None and v is not MISSING), values[-1]),
    "$concat": _nullable(lambda *parts: "".join(parts)),
    "$toLower": lambda value: (_text(value) or "").lower(),
    "$toUpper": lambda value: (_text(value) or "").upper(),
    "$toString": _text,
    "$toInt": _nullable(int),
    "$toLong": _nullable(int),
    "$toDouble": _nullable(float),
    "$toBool": _nullable(_true),
    "$toDate": _nullable(_to_date),
    "$strLenCP": lambda value: len(value),
    "$strLenBytes": lambda value: len(value.encode()),
    "$substr": lambda value, start, count: (_text(value) or "")[start:] if count < 0 else (_text(value) or "")[start : start + count],
    "$substrCP": lambda value, start, count: (_text(value) or "")[start : start + count],
    "$split": _nullable(lambda value, by: value.split(by)),
    "$indexOfCP": _nullable(lambda value, part: value.find(part)),
    "$size": lambda items: len(_array(items)),
    "$arrayElemAt": _nullable(_element),
    "$first": _nullable(lambda items: _element(items, 0)),
    "$last": _nullable(lambda items: _element(items, -1)),
    "$in": lambda value, items: any(same(value, item) for item in _array(items)),
    "$isArray": lambda value: isinstance(value, list),
    "$concatArrays": _nullable(lambda *lists: [item for items in lists for item in items]),
    "$reverseArray": _nullable(lambda items: items[::-1]),
    "$slice": _nullable(_slice),
    "$setUnion": _nullable(lambda *lists: list({group_key(v): v for items in lists for v in items}.values())),
    "$setIntersection": _nullable(lambda a, b: [v for v in a if any(same(v, w) for w in b)]),
    "$setIsSubset": lambda a, b: all(any(same(v, w) for w in b) for v in a),
    "$mergeObjects": _merge,
    "$objectToArray": _nullable(lambda value: [{"k": k, "v": v} for k, v in value.items()]),
    "$arrayToObject": _nullable(lambda items: {_key(item["k"]): item["v"] for item in items}),
    "$type": _type,
    "$sum": _sum,
    "$avg": lambda *values: (lambda found: sum(found) / len(found) if found else None)(_numbers(values)),
    "$min": lambda *values: min(_numbers(values), key=sort_key, default=None),
    "$max": lambda *values: max(_numbers(values), key=sort_key, default=None),
    "$year": _nullable(lambda moment: moment.year),
    "$month": _nullable(lambda moment: moment.month),
    "$dayOfMonth": _nullable(lambda moment: moment.day),
    "$dayOfYear": _nullable(lambda moment: moment.timetuple().tm_yday),
    "$dayOfWeek": _nullable(lambda moment: moment.isoweekday() % 7 + 1),
    "$isoWeek": _nullable(lambda moment: moment.isocalendar().week),
    "$hour": _nullable(lambda moment: moment.hour),
    "$minute": _nullable(lambda moment: moment.minute),
    "$second": _nullable(lambda moment: moment.second),
    "$millisecond": _nullable(lambda moment: moment.microsecond // 1000),
}  # fmt: skip


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _key(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _cond(given: Any) -> Expression:
    parts = [given.get("if"), given.get("then"), given.get("else")] if isinstance(given, dict) else given
    if not isinstance(parts, list) or len(parts) != 3:
        raise wrong("$cond needs if, then and else")
    test, then, other = map(expression, parts)
    return lambda scope: then(scope) if _true(test(scope)) else other(scope)


def _switch(given: Any) -> Expression:
    branches = [(expression(b["case"]), expression(b["then"])) for b in _fields(given, "$switch", "branches")["branches"]]
    default = expression(given["default"]) if "default" in given else None

    def run(scope: Scope) -> Any:
        for case, then in branches:
            if _true(case(scope)):
                return then(scope)
        if default is None:
            raise wrong("$switch could not find a matching branch for an input, and no default was specified.")
        return default(scope)

    return run


def _fields(given: Any, name: str, *needed: str) -> dict[str, Any]:
    if not isinstance(given, dict) or any(key not in given for key in needed):
        raise wrong(f"{name} needs {', '.join(needed)}")
    return given


def _each(given: Any, operator: str, part: str) -> Callable[[Scope], list[tuple[Any, Any]] | None]:
    """Each item of the input with what the part makes of it; None for an input that is no list."""
    given = _fields(given, operator, "input", part)
    source, body, name = expression(given["input"]), expression(given[part]), str(given.get("as", "this"))

    def run(scope: Scope) -> list[tuple[Any, Any]] | None:
        items = source(scope)
        return [(item, body({**scope, name: item})) for item in items] if isinstance(items, list) else None

    return run


def _map(given: Any) -> Expression:
    each = _each(given, "$map", "in")
    return lambda scope: None if (pairs := each(scope)) is None else [made for _, made in pairs]


def _filter(given: Any) -> Expression:
    each = _each(given, "$filter", "cond")
    return lambda scope: None if (pairs := each(scope)) is None else [item for item, kept in pairs if _true(kept)]


def _reduce(given: Any) -> Expression:
    given = _fields(given, "$reduce", "input", "initialValue", "in")
    source, first, body = expression(given["input"]), expression(given["initialValue"]), expression(given["in"])

    def run(scope: Scope) -> Any:
        items, value = source(scope), first(scope)
        if not isinstance(items, list):
            return None
        for item in items:
            value = body({**scope, "this": item, "value": value})
        return value

    return run


def _let(given: Any) -> Expression:
    given = _fields(given, "$let", "vars", "in")
    names = {name: expression(value) for name, value in given["vars"].items()}
    body = expression(given["in"])
    return lambda scope: body({**scope, **{name: value(scope) for name, value in names.items()}})


def _date_to_string(given: Any) -> Expression:
    given = _fields(given, "$dateToString", "date")
    source, form = expression(given["date"]), given.get("format", "%Y-%m-%dT%H:%M:%S.%LZ")
    if not isinstance(form, str):
        raise wrong("$dateToString needs a format")

    def run(scope: Scope) -> Any:
        moment = source(scope)
        if not isinstance(moment, datetime):
            return None
        return moment.strftime(form.replace("%L", f"{moment.microsecond // 1000:03d}"))

    return run


_SPECIAL: dict[str, Callable[[Any], Expression]] = {
    "$cond": _cond,
    "$switch": _switch,
    "$map": _map,
    "$filter": _filter,
    "$reduce": _reduce,
    "$let": _let,
    "$dateToString": _date_to_string,
}
