"""The arguments of a find or a get, read from what a request carries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, read_object
from mbaas.query.ast import Path

_ALWAYS = ("objectId", "createdAt", "updatedAt", "ACL")
_FIND = frozenset(
    "skip limit order count keys excludeKeys include includeAll redirectClassNameForKey where readPreference"
    " includeReadPreference subqueryReadPreference hint explain comment".split()
)
_READ_PREFERENCES = frozenset("PRIMARY PRIMARY_PREFERRED SECONDARY SECONDARY_PREFERRED NEAREST".split())
_MOST_ORDERED = 100
_MOST_NAMES, _MOST_STEPS = 10_000, 50_000
"""How many names one argument may have, and how many steps the paths of all of them, each counted from the object at the start."""
_REMEMBERED = 64
"""Searches kept for one set of options: one for each group of callers."""
_GET = frozenset("keys include excludeKeys readPreference includeReadPreference subqueryReadPreference".split())


@dataclass(frozen=True, slots=True)
class FindOptions:
    """What to search and how to show it. `keys` None shows every column; paths of `include` come shortest first.

    `limit` None is the app's default. Frozen, so that the wire may keep the options of a query string it has seen.
    """

    where: Json = field(default_factory=dict)
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    skip: int = 0
    keys: tuple[str, ...] | None = None
    exclude_keys: tuple[str, ...] = ()
    include: tuple[Path, ...] = ()
    include_all: bool = False
    count: bool = False
    redirect_key: str | None = None
    hint: str | None = None
    explain: Json = None
    asked: FindOptions | None = None
    """What the client asked for, where a trigger that may ask for protected fields has changed it."""
    memo: dict[object, object] = field(default_factory=dict, compare=False, repr=False)
    """Where a search keeps what it worked out for these options, by class definition."""

    def remember(self, key: object, value: object) -> None:
        """Keep something worked out for these options; what depends on a class that has changed since is not asked for again."""
        if len(self.memo) >= _REMEMBERED:
            self.memo.clear()
        self.memo[key] = value

    @property
    def shapes(self) -> bool:
        """True if answers differ from the objects as stored."""
        return self.keys is not None or bool(self.exclude_keys or self.include or self.include_all or self.redirect_key)

    def to_json(self) -> Object:
        """The arguments that `parse` reads these options from."""
        given: Object = {"where": self.where, "limit": self.limit, "skip": self.skip or None, "hint": self.hint, "explain": self.explain}
        given["order"] = ",".join(f"-{name}" if descending else name for name, descending in self.order)
        given["keys"] = None if self.keys is None else ",".join(self.keys)
        given["excludeKeys"] = ",".join(self.exclude_keys)
        given["include"] = "*" if self.include_all else ",".join(".".join(path) for path in self.include)
        return {name: value for name, value in given.items() if value is not None and value != ""}

    @staticmethod
    def parse(arguments: Mapping[str, Json]) -> FindOptions:
        """The options of a find. Raises 102 for an unknown argument, 107 for a `where` that is not an object."""
        for name in arguments:
            if name not in _FIND:
                raise ParseError(Code.INVALID_QUERY, f"Invalid parameter for query: {name}")
            if name == "readPreference" and str(arguments[name] or "PRIMARY").upper() not in _READ_PREFERENCES:
                raise ParseError(Code.INVALID_QUERY, "Not supported read preference.")
        shown = _shown(arguments)
        return replace(
            shown,
            where=_where(arguments),
            order=_order(arguments.get("order")),
            limit=_limit(arguments.get("limit")),
            skip=_whole(arguments.get("skip") or 0, "skip"),
            include_all=shown.include_all or bool(arguments.get("includeAll")),
            count=bool(arguments.get("count")),
            redirect_key=str(arguments["redirectClassNameForKey"]) if arguments.get("redirectClassNameForKey") else None,
            hint=arguments["hint"] if isinstance(arguments.get("hint"), str) else None,
            explain=arguments.get("explain") or None,
        )

    @staticmethod
    def parse_get(arguments: Mapping[str, Json]) -> FindOptions:
        """The options of a get. Raises 102 for any other argument."""
        for name in arguments:
            if name not in _GET:
                raise ParseError(Code.INVALID_QUERY, "Improper encode of parameter")
        return _shown(arguments) if arguments else EVERYTHING


def _shown(arguments: Mapping[str, Json]) -> FindOptions:
    keys, excluded = _names(arguments.get("keys")), _names(arguments.get("excludeKeys"))
    include = _names(arguments.get("include")) or ()
    deeper = [name.rpartition(".")[0] for name in (*(keys or ()), *(excluded or ())) if "." in name]
    followed = [name for name in dict.fromkeys((*include, *deeper)) if name != "*"]
    if sum((name.count(".") + 1) ** 2 for name in followed) > _MOST_STEPS:
        raise ParseError(Code.INVALID_QUERY, "The include, keys and excludeKeys name too many or too deep paths")
    paths = {tuple(name.split(".")[:n]) for name in followed for n in range(1, name.count(".") + 2)}
    return FindOptions(
        keys=None if keys is None else tuple(dict.fromkeys((*keys, *_ALWAYS))),
        exclude_keys=tuple(name for name in excluded or () if name not in _ALWAYS),
        include=tuple(sorted(paths, key=lambda path: (len(path), path))),
        include_all="*" in include,
    )


def _names(value: Json) -> tuple[str, ...] | None:
    """Names separated by commas, or a list of them; None if absent."""
    if value is None:
        return None
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if text.count(",") > _MOST_NAMES:
        raise ParseError(Code.INVALID_QUERY, f"A list of fields has no more than {_MOST_NAMES} names")
    return tuple(name for name in text.split(",") if name)


def _where(arguments: Mapping[str, Json]) -> Json:
    where = read_object(arguments.get("where", {}))
    if where is None:
        raise ParseError(Code.INVALID_JSON, "where parameter is not valid JSON")
    return where


def _order(value: Json) -> tuple[tuple[str, bool], ...]:
    """Names with True for descending; of a name given twice the last direction counts, at the first place."""
    found: dict[str, bool] = {}
    for part in _names(value) or ():
        name = part.strip()
        if name:
            found[name.removeprefix("-")] = name.startswith("-")
    if len(found) > _MOST_ORDERED:
        raise ParseError(Code.INVALID_QUERY, f"The order has more than {_MOST_ORDERED} fields")
    return tuple(found.items())


def _limit(value: Json) -> int | None:
    if value is None or value == "":
        return None
    return abs(_whole(value, "limit", negative=True))


def _whole(value: Json, name: str, negative: bool = False) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or abs(number) > 2**53 or (number < 0 and not negative):
        raise ParseError(Code.INVALID_QUERY, f"{name} should be a whole number")
    return int(number)


EVERYTHING = FindOptions()
