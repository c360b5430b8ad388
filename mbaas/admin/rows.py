"""An audience as the rows of a form, and back: each row is a condition, and all of them hold.

    {"of": "installation" | "user", "field": "appVersion", "op": "is", "value": "2.0"}
    {"of": "event", "field": "Bought", "op": "atmost", "value": 0, "days": 30}
    {"of": "user", "any": [[row, row], [row]]}

The last is a group: any of several alternatives holds, all conditions of an alternative together; it is an `$or` of the query. What a
developer has written that no rows can say (a place, an `$or` in an `$or`) is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mbaas.kernel.errors import ParseError
from mbaas.kernel.schema import Field
from mbaas.kernel.values import Json, Object, is_number
from mbaas_push.campaigns.segments import shape

Fields = Mapping[str, Mapping[str, Field]]
"""The columns that may be asked for, of `installation` and of `user`."""
OPS: dict[str, tuple[str, ...]] = {
    "String": ("is", "isnot", "oneof", "starts", "set", "unset"),
    "Number": ("is", "isnot", "atleast", "atmost", "set", "unset"),
    "Boolean": ("yes", "no"),
    "Date": ("within", "longago", "set", "unset"),
    "Array": ("has", "hasnot"),
}
"""What may be asked of a column, by its type. Columns of other types have no rows."""
_QUOTED = re.compile(r"\^\\Q(.*)\\E", re.DOTALL)
_AGO = re.compile(r"(\d{1,4}) days? ago")
_MOST_DAYS, _MOST_ROWS, _MOST_TIMES, _LONGEST = 400, 30, 10_000, 500
_UNCHOSEN = "Choose what is asked."
_WHERE = {"installation": "where", "user": "users"}


class RowError(Exception):
    """A row that says nothing yet. `place` counts from 0: `2`, or in a group `2.0.1`, by alternative and condition."""

    def __init__(self, place: str, text: str) -> None:
        super().__init__(text)
        self.place, self.text = place, text


def audience_of(rows: Json, fields: Fields) -> Object:
    """The audience that rows say. RowError names the first one that is wrong."""
    if not isinstance(rows, list) or _count(rows) > _MOST_ROWS:
        raise RowError("0", f"An audience has up to {_MOST_ROWS} conditions.")
    conditions: dict[str, list[Object]] = {"where": [], "users": []}
    events: list[Json] = []
    for place, row in enumerate(rows):
        of = row.get("of") if isinstance(row, dict) else None
        if of == "event" and isinstance(row, dict):
            events.append(_read(str(place), partial(_event, row)))
        elif isinstance(of, str) and of in _WHERE and isinstance(row, dict):
            made = _group(str(place), row["any"], fields[of]) if "any" in row else _one(str(place), row, fields[of])
            conditions[_WHERE[of]].append(made)
        else:
            raise RowError(str(place), _UNCHOSEN)
    audience: Object = {name: _joined(parts) for name, parts in conditions.items() if parts}
    return {**audience, **({"events": events} if events else {})}


def rows_of(audience: Object, fields: Fields) -> list[Object] | None:
    """The rows that say an audience; None if none do, or it is none: other tools keep them, too."""
    try:
        shape(audience)
    except ParseError:
        return None
    rows: list[Object] = []
    for of, name in _WHERE.items():
        for field, condition in _parted(audience.get(name) or {}):
            asked = _alternatives(condition, of, fields) if field == "$or" else _rows(field, condition, of, fields)
            if asked is None:
                return None
            rows += asked
    for event in audience.get("events") or []:
        if set(event) not in ({"name", "days", "atLeast"}, {"name", "days", "atMost"}):
            return None
        op, name = ("atleast", "atLeast") if "atLeast" in event else ("atmost", "atMost")
        rows.append({"of": "event", "field": event["name"], "op": op, "value": event[name], "days": event["days"]})
    return rows if _same(rows, audience, fields) else None


def _rows(field: str, condition: Json, of: str, fields: Fields) -> list[Object] | None:
    """The rows that say what is asked of a column."""
    known = fields[of].get(field)
    asked = _said(condition, known.type) if known is not None and known.type in OPS else None
    return None if asked is None else [{"of": of, "field": field, **each} for each in asked]


def _alternatives(parts: Json, of: str, fields: Fields) -> list[Object] | None:
    """The group that says an `$or`, whose alternatives are plain conjunctions."""
    alternatives: list[Json] = []
    for part in parts if isinstance(parts, list) else [None]:
        found = [_rows(*each, of, fields) for each in _parted(part)] if isinstance(part, dict) and part else [None]
        if not all(found):
            return None
        alternatives.append([row for rows in found for row in rows or ()])
    return [{"of": of, "any": alternatives}]


def _same(rows: list[Object], audience: Object, fields: Fields) -> bool:
    """True if the rows, read again, are the same audience: nothing is lost by showing them."""
    try:
        made = audience_of(rows, fields)
    except RowError:
        return False
    queries = all(_split(made.get(name) or {}) == _split(audience.get(name) or {}) for name in _WHERE.values())
    return queries and made.get("events", []) == (audience.get("events") or [])


def _split(where: Object) -> list[str]:
    """The conditions of a query, one operator each, in an order that is none."""
    found: list[str] = []
    for field, condition in _parted(where):
        if field == "$or" and isinstance(condition, list):
            found.append(repr([_split(part) for part in condition]))
        elif isinstance(condition, dict) and len(condition) > 1 and "__type" not in condition:
            found += [repr((field, {name: value})) for name, value in condition.items()]
        else:
            found.append(repr((field, condition)))
    return sorted(found)


def _parted(where: Object) -> list[tuple[str, Json]]:
    """The conditions of a query that is a plain conjunction. One of nothing is no query, and finds nobody: it is not everybody."""
    parts = where["$and"] if set(where) == {"$and"} and isinstance(where["$and"], list) and where["$and"] else [where]
    return [(field, condition) for part in parts if isinstance(part, dict) for field, condition in part.items()]


def _joined(parts: list[Object]) -> Object:
    names = [name for part in parts for name in part]
    if len(set(names)) < len(names):
        return {"$and": parts}
    return {name: value for part in parts for name, value in part.items()}


def _count(rows: list[Json]) -> int:
    """How many conditions there are, those of groups among them."""
    groups = [row["any"] for row in rows if isinstance(row, dict) and isinstance(row.get("any"), list)]
    return len(rows) + sum(len(alternative) for group in groups for alternative in group if isinstance(alternative, list))


def _group(place: str, alternatives: Json, fields: Mapping[str, Field]) -> Object:
    """Any of these."""
    if not isinstance(alternatives, list) or not alternatives:
        raise RowError(place, "Add an alternative.")
    made: list[Object] = []
    for at, alternative in enumerate(alternatives):
        if not isinstance(alternative, list) or not alternative:
            raise RowError(f"{place}.{at}.0", _UNCHOSEN)
        made.append(_joined([_one(f"{place}.{at}.{each}", row, fields) for each, row in enumerate(alternative)]))
    return {"$or": made}


def _one(place: str, row: Json, fields: Mapping[str, Field]) -> Object:
    if not isinstance(row, dict):
        raise RowError(place, _UNCHOSEN)
    return _read(place, partial(_condition, row, fields))


def _read(place: str, made: Callable[[], Object]) -> Object:
    """What a row says. RowError for one that is wrong."""
    try:
        return made()
    except ValueError as error:
        raise RowError(place, str(error)) from None


def _event(row: Object) -> Object:
    name, op = row.get("field"), row.get("op")
    if not isinstance(name, str) or not name.strip():
        raise ValueError("Choose what they have done.")
    if op not in ("atleast", "atmost"):
        raise ValueError("Choose how often.")
    times, days = _whole(row.get("value"), _MOST_TIMES), _whole(row.get("days"), _MOST_DAYS)
    if days == 0:
        raise ValueError("In how many days? At least 1.")
    return {"name": name.strip(), "days": days, "atLeast" if op == "atleast" else "atMost": times}


def _condition(row: Object, fields: Mapping[str, Field]) -> Object:
    name, op, value = row.get("field"), row.get("op"), row.get("value")
    field = fields.get(name) if isinstance(name, str) else None
    if field is None or not isinstance(name, str):
        raise ValueError(_UNCHOSEN)
    if op not in OPS.get(field.type, ()):
        raise ValueError("Choose how it is compared.")
    return {name: _BUILD[str(op)](value, field.type)}


def _text(value: Json, kind: str) -> Any:
    if kind == "Number":
        return _number(value)
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise ValueError("Fill in a value.")
    return value.strip()


def _number(value: Json) -> int | float:
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not is_number(number) or not -1e15 < number < 1e15:
        raise ValueError("Fill in a number.")
    return int(number) if float(number).is_integer() else float(number)


def _whole(value: Json, most: int) -> int:
    number = _number(value)
    if not isinstance(number, int) or not 0 <= number <= most:
        raise ValueError(f"Fill in a whole number up to {most}.")
    return number


def _listed(value: Json, kind: str) -> Object:
    parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else []
    if not parts or len(parts) > 100:
        raise ValueError("Fill in values with commas between them.")
    return {"$in": parts}


def _ago(value: Json) -> Object:
    days = _whole(value, _MOST_DAYS)
    return {"$relativeTime": f"{days} {'day' if days == 1 else 'days'} ago"}


_BUILD: dict[str, Callable[[Json, str], Json]] = {
    "is": _text,
    "has": _text,
    "isnot": lambda value, kind: {"$ne": _text(value, kind)},
    "hasnot": lambda value, kind: {"$ne": _text(value, kind)},
    "oneof": _listed,
    "starts": lambda value, kind: {"$regex": f"^\\Q{str(_text(value, kind)).replace(chr(92) + 'E', '')}\\E"},
    "atleast": lambda value, _: {"$gte": _number(value)},
    "atmost": lambda value, _: {"$lte": _number(value)},
    "yes": lambda _value, _kind: True,
    "no": lambda _value, _kind: {"$ne": True},
    "within": lambda value, _: {"$gte": _ago(value)},
    "longago": lambda value, _: {"$lt": _ago(value)},
    "set": lambda _value, _kind: {"$exists": True},
    "unset": lambda _value, _kind: {"$exists": False},
}


def _said(condition: Json, kind: str) -> list[Object] | None:
    """What rows say of one column."""
    if not isinstance(condition, dict):
        return [{"op": "yes", "value": ""} if condition is True else {"op": "has" if kind == "Array" else "is", "value": condition}]
    asked = [_operator(name, value, kind) for name, value in condition.items()]
    return [each for each in asked if each is not None] if asked and all(asked) else None


def _operator(name: str, value: Json, kind: str) -> Object | None:
    match name, value:
        case "$ne", True:
            return {"op": "no", "value": ""}
        case "$ne", str() | int() | float():
            return {"op": "hasnot" if kind == "Array" else "isnot", "value": value}
        case "$in", list() if kind == "String" and all(isinstance(one, str) for one in value):
            return {"op": "oneof", "value": ", ".join(value)}
        case "$regex", str() if (quoted := _QUOTED.fullmatch(value)) is not None:
            return {"op": "starts", "value": quoted[1]}
        case (("$gte" | "$lt"), {"$relativeTime": str(text)}) if (ago := _AGO.fullmatch(text)) is not None:
            return {"op": "within" if name == "$gte" else "longago", "value": int(ago[1])}
        case (("$gte" | "$lte"), int() | float()):
            return {"op": "atleast" if name == "$gte" else "atmost", "value": value}
        case "$exists", bool():
            return {"op": "set" if value else "unset", "value": ""}
    return None
