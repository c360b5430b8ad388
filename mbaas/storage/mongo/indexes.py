"""Which indexes a class has in MongoDB.

A unique index holds only objects that have the values: its partial filter is a comparison with the least value of the
column's type, since that is what the planner knows how to use for an equality. One that ignores case has a collation, which
an exact search cannot use; a plain index stands beside it.
"""

from __future__ import annotations

from typing import Any

from bson.datetime_ms import DatetimeMS
from pymongo.collation import Collation
from pymongo.errors import OperationFailure

from mbaas.kernel.schema import ClassSchema
from mbaas.observe.logs import get_logger
from mbaas.storage.mongo.definitions import ORDER_INDEX, exact_name, index_keys
from mbaas.storage.mongo.failures import NO_PLACE
from mbaas.storage.mongo.format import INSERTION, Bson
from mbaas.storage.mongo.names import Collection

FOLDED = Collation(locale="en", strength=2)
_LEAST: dict[str, Any] = {
    "Number": float("-inf"),
    "Boolean": False,
    "Date": DatetimeMS(-(1 << 63)),
    "String": "",
    "Pointer": "",
    "File": "",
}
_NAME_TAKEN = 86
Wanted = dict[str, tuple[list[tuple[str, Any]], dict[str, Any]]]
"""Name → keys and options."""


def wanted(schema: ClassSchema) -> Wanted:
    """Every index that the definition asks for."""
    out: Wanted = {ORDER_INDEX: (list(INSERTION), {})}
    for name, field in schema.fields.items():
        # MongoDB has no two indexes on the same.
        if field.type in ("GeoPoint", "Polygon") and {name: "2dsphere"} not in schema.indexes.values():
            out[f"{name}_2dsphere"] = ([(name, "2dsphere")], {})
    for name in schema.indexes:
        if name == "_id_":
            continue
        keys = list(index_keys(schema, name).items())
        options: dict[str, Any] = {}
        if name in schema.unique:
            options |= {"unique": True, "partialFilterExpression": _present(schema, name)}
        if name in schema.folded:
            options["collation"] = FOLDED
            out[exact_name(name)] = (keys, {})
        out[name] = (keys, options)
    return out


def _present(schema: ClassSchema, name: str) -> Bson:
    """Holds for objects that have every value of the index, and none of them null."""
    out: Bson = {}
    for path, key in zip(schema.indexes[name], index_keys(schema, name), strict=True):
        field = schema.fields.get(path)
        # Hidden fields and what lies inside an object hold strings, if an index keeps them unique.
        out[key] = {"$gte": _LEAST.get(field.type, "") if field is not None else ""}
    return out


async def build(collection: Collection, schema: ClassSchema, before: ClassSchema | None) -> None:
    """Drop what `before` asked for and this definition does not, and make what is missing."""
    named = wanted(schema)
    earlier = wanted(before) if before is not None else {}
    for name in earlier:
        if earlier[name] != named.get(name):
            await _drop(collection, name)
    there = await collection.index_information()
    for name, (keys, options) in named.items():
        if name not in there:
            await _create(collection, name, keys, options)


async def _create(collection: Collection, name: str, keys: list[tuple[str, Any]], options: dict[str, Any]) -> None:
    """Make an index. One of places is left out where objects have places that are none, which Parse Server lets be."""
    try:
        await collection.create_index(keys, name=name, **options)
    except OperationFailure as error:
        if error.code == _NAME_TAKEN:
            return  # another process was faster
        if error.code not in NO_PLACE:
            raise
        get_logger(__name__).warning("objects lie outside the globe: no index of places", class_name=collection.name, index=name)


async def _drop(collection: Collection, name: str) -> None:
    if name in await collection.index_information():
        await collection.drop_index(name)
