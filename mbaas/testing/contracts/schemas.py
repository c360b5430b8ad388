"""The contract of class definitions, and of what changes in the database with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mbaas.kernel.errors import Duplicate
from mbaas.kernel.schema import ClassSchema, Field, new_class
from mbaas.kernel.values import Object
from mbaas.query.ast import EVERYTHING, Equals, Near, RelatedTo
from mbaas.storage.ports import Document, Find, Relate, Store
from mbaas.testing.contracts.samples import ACCOUNT, POST, body, filled, ids, insert

DEFINITION = new_class(
    "Odd",
    {"who": Field("Pointer", "_User", required=True), "n": Field("Number", default=3)},
    permissions={"find": {"*": True}, "protectedFields": {"*": ["who"]}},
    indexes={"two": {"n": -1, "who": 1}},
    unique=frozenset({"two"}),
)


def shown(schema: ClassSchema) -> tuple[object, ...]:
    """A definition as plain values, which can be compared."""
    indexes = {name: list(keys.items()) for name, keys in schema.indexes.items()}
    return schema.name, {**schema.fields}, schema.permissions, indexes, schema.unique, schema.folded


async def test_a_definition_is_kept(store: Store) -> None:
    await store.schemas.put(DEFINITION)
    await store.schemas.put(ACCOUNT)
    loaded = await store.schemas.load()
    assert {name: shown(schema) for name, schema in loaded.items()} == {"Odd": shown(DEFINITION), "Account": shown(ACCOUNT)}
    more = {**DEFINITION.fields, "more": Field("Array")}
    changed = replace(DEFINITION, permissions=None, fields=more, indexes={}, unique=frozenset())
    await store.schemas.put(changed)
    assert shown((await store.schemas.load())["Odd"]) == shown(changed)


async def test_a_dropped_column_leaves_every_object(store: Store) -> None:
    wide = new_class("Wide", {"keep": Field("String"), "gone": Field("GeoPoint"), "odd name": Field("String")})
    spot = {"__type": "GeoPoint", "latitude": 1, "longitude": 2}
    columns: Object = {"keep": "k", "gone": spot, "odd name": "x"}
    await filled(store, [insert("a", wide, **columns), insert("b", wide)], wide)
    narrow = new_class("Wide", {"keep": Field("String")})
    await store.schemas.put(narrow, ("gone", "odd name"))
    assert [d.body for d in await store.documents.find(Find(narrow))] == [body("a", keep="k"), body("b")]


async def test_a_new_index_serves_old_objects(store: Store) -> None:
    plain = new_class("Late", {"n": Field("Number")})
    await filled(store, [insert("a", plain, n=1), insert("b", plain, n=2)], plain)
    spotted = new_class("Late", {"n": Field("Number"), "spot": Field("GeoPoint")}, indexes={"n_1": {"n": 1}})
    await store.schemas.put(spotted)
    await store.documents.commit([insert("c", spotted, n=2, spot={"__type": "GeoPoint", "latitude": 1, "longitude": 1})])
    assert await ids(store, Find(spotted, Equals(("n",), 2))) == ["b", "c"]
    assert await ids(store, Find(spotted, Near(("spot",), (0.0, 0.0)))) == ["c"]


async def test_a_unique_index_is_refused_where_values_repeat(store: Store) -> None:
    plain = new_class("Rep", {"n": Field("Number")})
    await filled(store, [insert("a", plain, n=1), insert("b", plain, n=1)], plain)
    unique = new_class("Rep", {"n": Field("Number")}, indexes={"n_1": {"n": 1}}, unique=frozenset({"n_1"}))
    with pytest.raises(Duplicate) as raised:
        await store.schemas.put(unique)
    assert raised.value.index == "n_1"
    assert (await store.schemas.load())["Rep"].indexes == {}
    await store.documents.commit([insert("c", plain, n=1)])


async def test_a_dropped_class_is_gone(store: Store) -> None:
    """Its objects are not fed; its name can be used again."""
    await filled(store, [insert("a", score=1)])
    await store.documents.commit([Relate(POST, "likes", "a", add=("x",))])
    before = await store.feed.latest()
    await store.schemas.drop(POST)
    assert await store.schemas.load() == {}
    assert await store.feed.after(before) == []
    assert await store.documents.find(Find(POST)) == []
    await filled(store, [insert("a")])
    assert await store.documents.related(POST, "likes", "a") == []
    assert await store.documents.get(POST, "a") == Document(body("a"), version=1)
    await store.schemas.drop(new_class("Never"))


async def test_a_purged_class_is_empty_and_fed(store: Store) -> None:
    spot = {"__type": "GeoPoint", "latitude": 1, "longitude": 2}
    await filled(store, [insert("a", score=1, spot=spot), insert("b")])
    await store.documents.commit([Relate(POST, "likes", "a", add=("x",))])
    before = await store.feed.latest()
    await store.schemas.purge(POST)
    assert await store.documents.count(Find(POST, EVERYTHING)) == 0
    assert await store.documents.owners(POST, "likes", ["x"]) == []
    entries = await store.feed.after(before)
    assert entries is not None
    assert [(e.op, e.object_id, e.after) for e in entries] == [("delete", "a", None), ("delete", "b", None)]
    assert "Post" in await store.schemas.load()
    await store.documents.commit([insert("a")])
    assert await ids(store, Find(POST, Near(("spot",), (0.0, 0.0)))) == []
    assert await ids(store, Find(POST, RelatedTo("Post", "a", "likes"))) == []


async def test_one_class_is_looked_up_as_it_is_now(store: Store) -> None:
    assert await store.schemas.lookup("Odd") is None
    for wanted in (DEFINITION, replace(DEFINITION, permissions=None)):
        await store.schemas.put(wanted)
        found = await store.schemas.lookup("Odd")
        assert found is not None
        assert shown(found) == shown(wanted)
    await store.schemas.drop(DEFINITION)
    assert await store.schemas.lookup("Odd") is None
