"""The class and the objects that the contracts work with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mbaas.kernel.clock import iso
from mbaas.kernel.schema import ClassSchema, Field, new_class
from mbaas.kernel.values import Object
from mbaas.storage.ports import Document, Find, Insert, Store
from mbaas.testing.clock import START

STAMP = iso(START)
POST: ClassSchema = new_class(
    "Post",
    {
        "title": Field("String"),
        "score": Field("Number"),
        "done": Field("Boolean"),
        "due": Field("Date"),
        "author": Field("Pointer", "Person"),
        "tags": Field("Array"),
        "extra": Field("Object"),
        "spot": Field("GeoPoint"),
        "area": Field("Polygon"),
        "likes": Field("Relation", "Person"),
    },
    indexes={"by_score": {"score": 1}, "by_title": {"title": 1}},
)
ACCOUNT: ClassSchema = new_class(
    "Account",
    {"name": Field("String"), "mail": Field("String"), "code": Field("Number")},
    indexes={"name_1": {"name": 1}, "mail_folded": {"mail": 1}, "_token_1": {"_token": 1}},
    unique=frozenset({"name_1", "mail_folded", "_token_1"}),
    folded=frozenset({"mail_folded"}),
)


def body(object_id: str, **columns: Any) -> Object:
    """An object's complete wire form."""
    return {"objectId": object_id, "createdAt": STAMP, "updatedAt": STAMP, **columns}


def insert(object_id: str, schema: ClassSchema = POST, hidden: Object | None = None, **columns: Any) -> Insert:
    """The step that puts a new object."""
    return Insert(schema, Document(body(object_id, **columns), hidden or {}))


async def filled(store: Store, objects: Iterable[Insert], schema: ClassSchema = POST) -> None:
    """Define the class and put the objects, in order."""
    await store.schemas.put(schema)
    for step in objects:
        await store.documents.commit([step])


async def ids(store: Store, find: Find) -> list[str]:
    """The ids of what is found, in order."""
    return [document.body["objectId"] for document in await store.documents.find(find)]


def readable_by(*principals: str) -> Object:
    """An access list that lets these read, and nobody write."""
    return {principal: {"read": True} for principal in principals}
