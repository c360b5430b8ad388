"""Queries: the JS SDK's `Parse.Query` in snake case."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Self

from mbaas.kernel.values import Json
from mbaas.kernel.values import Object as Body
from mbaas_functions.cloud.calls import ask
from mbaas_functions.cloud.errors import Error
from mbaas_functions.cloud.objects import Object, from_json
from mbaas_functions.cloud.values import GeoPoint, Polygon, encode

_EARTH_KM, _EARTH_MILES = 6371.0, 3958.8
_PAGE = 1000


class Query:
    """What to look for in a class. Conditions return the query, so that they can follow one another."""

    def __init__(self, class_name: str | type[Object]) -> None:
        name = class_name if isinstance(class_name, str) else class_name.fixed_class
        if not name:
            raise Error("a query needs the name of a class", code=103)
        self.class_name = name
        self._where: Body = {}
        self._options: Body = {}

    # Conditions

    def _also(self, field: str, operator: str, value: Any) -> Self:
        at = self._where.get(field)
        if not isinstance(at, dict) or "__type" in at:
            at = self._where[field] = {}
        at[operator] = encode(value)
        return self

    def equal_to(self, field: str, value: Any) -> Self:
        if value is None:
            return self.does_not_exist(field)
        self._where[field] = encode(value)
        return self

    def not_equal_to(self, field: str, value: Any) -> Self:
        return self._also(field, "$ne", value)

    def less_than(self, field: str, value: Any) -> Self:
        return self._also(field, "$lt", value)

    def less_than_or_equal_to(self, field: str, value: Any) -> Self:
        return self._also(field, "$lte", value)

    def greater_than(self, field: str, value: Any) -> Self:
        return self._also(field, "$gt", value)

    def greater_than_or_equal_to(self, field: str, value: Any) -> Self:
        return self._also(field, "$gte", value)

    def contained_in(self, field: str, values: Iterable[Any]) -> Self:
        return self._also(field, "$in", list(values))

    def not_contained_in(self, field: str, values: Iterable[Any]) -> Self:
        return self._also(field, "$nin", list(values))

    def contained_by(self, field: str, values: Iterable[Any]) -> Self:
        return self._also(field, "$containedBy", list(values))

    def contains_all(self, field: str, values: Iterable[Any]) -> Self:
        return self._also(field, "$all", list(values))

    def contains_all_starting_with(self, field: str, prefixes: Iterable[str]) -> Self:
        return self._also(field, "$all", [{"$regex": f"^{_quote(prefix)}"} for prefix in prefixes])

    def exists(self, field: str) -> Self:
        return self._also(field, "$exists", True)

    def does_not_exist(self, field: str) -> Self:
        return self._also(field, "$exists", False)

    def matches(self, field: str, pattern: str | re.Pattern[str], modifiers: str = "") -> Self:
        """By a regular expression; `modifiers` are `i`, `m`, `x`, `s`."""
        if isinstance(pattern, re.Pattern):
            modifiers = modifiers or "".join(
                letter for letter, flag in (("i", re.IGNORECASE), ("m", re.MULTILINE), ("s", re.DOTALL)) if pattern.flags & flag
            )
            pattern = pattern.pattern
        self._also(field, "$regex", pattern)
        return self._also(field, "$options", modifiers) if modifiers else self

    def contains(self, field: str, text: str) -> Self:
        return self._also(field, "$regex", _quote(text))

    def starts_with(self, field: str, text: str, modifiers: str = "") -> Self:
        return self.matches(field, f"^{_quote(text)}", modifiers)

    def ends_with(self, field: str, text: str, modifiers: str = "") -> Self:
        return self.matches(field, f"{_quote(text)}$", modifiers)

    def full_text(self, field: str, text: str, **options: Any) -> Self:
        """By a text index; `language`, `caseSensitive`, `diacriticSensitive`."""
        return self._also(field, "$text", {"$search": {"$term": text, **{f"${name}": value for name, value in options.items()}}})

    def matches_query(self, field: str, query: Query) -> Self:
        return self._also(field, "$inQuery", query._inner())

    def does_not_match_query(self, field: str, query: Query) -> Self:
        return self._also(field, "$notInQuery", query._inner())

    def matches_key_in_query(self, field: str, key: str, query: Query) -> Self:
        return self._also(field, "$select", {"key": key, "query": query._inner()})

    def does_not_match_key_in_query(self, field: str, key: str, query: Query) -> Self:
        return self._also(field, "$dontSelect", {"key": key, "query": query._inner()})

    def related_to(self, owner: Object, field: str) -> Self:
        """The objects that belong to the relation `field` of the owner."""
        self._where["$relatedTo"] = {"object": owner.to_pointer(), "key": field}
        return self

    def near(self, field: str, point: GeoPoint) -> Self:
        return self._also(field, "$nearSphere", point)

    def within_radians(self, field: str, point: GeoPoint, most: float) -> Self:
        return self.near(field, point)._also(field, "$maxDistance", most)

    def within_kilometers(self, field: str, point: GeoPoint, most: float) -> Self:
        return self.within_radians(field, point, most / _EARTH_KM)

    def within_miles(self, field: str, point: GeoPoint, most: float) -> Self:
        return self.within_radians(field, point, most / _EARTH_MILES)

    def within_geo_box(self, field: str, southwest: GeoPoint, northeast: GeoPoint) -> Self:
        return self._also(field, "$within", {"$box": [southwest, northeast]})

    def within_polygon(self, field: str, points: Sequence[GeoPoint] | Polygon) -> Self:
        return self._also(field, "$geoWithin", {"$polygon": points})

    def polygon_contains(self, field: str, point: GeoPoint) -> Self:
        return self._also(field, "$geoIntersects", {"$point": point})

    @classmethod
    def or_(cls, *queries: Query) -> Query:
        return cls._of("$or", queries)

    @classmethod
    def and_(cls, *queries: Query) -> Query:
        return cls._of("$and", queries)

    @classmethod
    def nor(cls, *queries: Query) -> Query:
        return cls._of("$nor", queries)

    @classmethod
    def _of(cls, operator: str, queries: Sequence[Query]) -> Query:
        names = {query.class_name for query in queries}
        if len(names) != 1:
            raise Error("the queries must be of one class", code=102)
        made = cls(names.pop())
        made._where[operator] = [query._where for query in queries]
        return made

    # Order, pages, columns

    def ascending(self, *fields: str) -> Self:
        return self._order([], fields, "")

    def descending(self, *fields: str) -> Self:
        return self._order([], fields, "-")

    def add_ascending(self, *fields: str) -> Self:
        return self._order(self._options.get("order", "").split(","), fields, "")

    def add_descending(self, *fields: str) -> Self:
        return self._order(self._options.get("order", "").split(","), fields, "-")

    def _order(self, before: list[str], fields: Iterable[str], sign: str) -> Self:
        names = [name for field in fields for name in field.replace(" ", "").split(",")]
        self._options["order"] = ",".join([*filter(None, before), *(f"{sign}{name}" for name in names)])
        return self

    def limit(self, most: int) -> Self:
        self._options["limit"] = most
        return self

    def skip(self, count: int) -> Self:
        self._options["skip"] = count
        return self

    def select(self, *fields: str) -> Self:
        """Only these columns."""
        return self._names("keys", fields)

    def exclude(self, *fields: str) -> Self:
        """All columns but these."""
        return self._names("excludeKeys", fields)

    def watch(self, *fields: str) -> Self:
        """Of a subscription: only updates that change one of these columns."""
        return self._names("watch", fields)

    def include(self, *fields: str) -> Self:
        """The objects that these pointers name, too."""
        return self._names("include", fields)

    def include_all(self) -> Self:
        return self._names("include", ["*"])

    def _names(self, option: str, fields: Iterable[str]) -> Self:
        there = [name for name in self._options.get(option, "").split(",") if name]
        self._options[option] = ",".join(dict.fromkeys([*there, *fields]))
        return self

    def hint(self, index: str) -> Self:
        """Use that index."""
        self._options["hint"] = index
        return self

    # The wire

    def to_json(self) -> Body:
        """The query as a find carries it."""
        return {"where": self._where, **self._options}

    def with_json(self, body: Body) -> Self:
        """Be the query that a find carried."""
        self._where = dict(body.get("where") or {})
        self._options = {name: value for name, value in body.items() if name != "where" and value is not None}
        return self

    def _inner(self) -> Body:
        return {"className": self.class_name, **self.to_json()}

    # Asking

    async def find(self, *, use_master_key: bool = False) -> list[Object]:
        """The objects that match: up to 100 unless `limit` says otherwise."""
        found = await ask("find", className=self.class_name, query=self.to_json(), use_master_key=use_master_key)
        return [from_json(body, body.get("className") or self.class_name) for body in found]

    async def first(self, *, use_master_key: bool = False) -> Object | None:
        """The first one, or None."""
        found = await _copy(self).limit(1).find(use_master_key=use_master_key)
        return found[0] if found else None

    async def get(self, object_id: str, *, use_master_key: bool = False) -> Object:
        """The one with that id. Error 101 if there is none."""
        found = await _copy(self).equal_to("objectId", object_id).first(use_master_key=use_master_key)
        if found is None:
            raise Error("Object not found.", code=101)
        return found

    async def count(self, *, use_master_key: bool = False) -> int:
        """How many match."""
        counted: int = await ask("count", className=self.class_name, query=self.to_json(), use_master_key=use_master_key)
        return counted

    async def distinct(self, field: str) -> list[Json]:
        """The different values of a field; needs the master key, and uses it."""
        found: list[Json] = await ask("distinct", className=self.class_name, query=self.to_json(), field=field, use_master_key=True)
        return found

    async def aggregate(self, pipeline: Sequence[Body]) -> list[Json]:
        """What an aggregation pipeline gives; needs the master key, and uses it."""
        found: list[Json] = await ask("aggregate", className=self.class_name, pipeline=encode(pipeline), use_master_key=True)
        return found

    async def each(self, *, use_master_key: bool = False) -> AsyncIterator[Object]:
        """All that match, in the order of their ids, page by page: objects made or deleted meanwhile upset nothing."""
        last: str | None = None
        while True:
            page = _copy(self).ascending("objectId").limit(_PAGE)
            if last is not None:
                page = Query.and_(page, Query(self.class_name).greater_than("objectId", last)).ascending("objectId").limit(_PAGE)
            found = await page.find(use_master_key=use_master_key)
            for one in found:
                yield one
            if len(found) < _PAGE:
                return
            last = found[-1].id


def _copy(query: Query) -> Query:
    made = Query(query.class_name)
    made._where = dict(query._where)
    made._options = dict(query._options)
    return made


def _quote(text: str) -> str:
    """Text that a regular expression takes literally, as the SDKs quote it."""
    return "\\Q" + text.replace("\\E", "\\E\\\\E\\Q") + "\\E"
