"""One MongoDB for several: other processes of this server, and Parse Server, whose documents are served as they stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from bson import Decimal128, Int64, ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection

from mbaas.app import open_app
from mbaas.kernel.acl import allowed, permits
from mbaas.kernel.errors import Conflict, MbaasError
from mbaas.kernel.ops import Increment, Set
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.kernel.schema import Field
from mbaas.kernel.values import pointer
from mbaas.query.ast import Equals, RelatedTo
from mbaas.services import Services
from mbaas.storage.mongo.store import MongoStore, open_store
from mbaas.storage.ports import Find, Update
from mbaas.testing.clock import FakeClock
from mbaas.testing.contracts.samples import POST, ids, insert
from tests.secantus import database

WHEN = datetime(2026, 3, 4, 9, 5, 0, 123000, UTC)
GAME: dict[str, Any] = {
    "_id": "Game",
    "objectId": "string",
    "updatedAt": "string",
    "createdAt": "string",
    "name": "string",
    "owner": "*_User",
    "fans": "relation<_User>",
    "at": "geopoint",
    "cover": "file",
    "_metadata": {"class_permissions": {"find": {"*": True}}, "fields_options": {"name": {"required": True}}, "other": 1},
}
CHESS: dict[str, Any] = {
    "_id": "g1",
    "name": "chess",
    "_p_owner": "_User$u1",
    "at": [2.5, 48.0],
    "cover": "f_cover.png",
    "raw": b"ab",
    "played": WHEN,
    "total": Int64(7),
    "exact": Decimal128("1.10"),
    "_rperm": ["*"],
    "_wperm": ["u1"],
    "_acl": {"*": {"r": True}, "u1": {"w": True}},
    "_created_at": WHEN,
    "_updated_at": WHEN,
}


@pytest.fixture
def address(mongo: str) -> str:
    return database(mongo, f"shared_{ObjectId()}")


@pytest.fixture
async def stores(address: str) -> AsyncIterator[tuple[MongoStore, MongoStore]]:
    """Two processes, as far as the database can tell."""
    first, second = await open_store(address, FakeClock()), await open_store(address, FakeClock())
    yield first, second
    await first.close()
    await second.close()


def games(client: MongoClient[dict[str, Any]]) -> Collection[dict[str, Any]]:
    """The objects of a class that Parse Server made, with one in it."""
    kept = client.get_default_database()
    kept["_SCHEMA"].insert_one(GAME)
    kept["_Join:fans:Game"].insert_many([{"relatedId": "u2", "owningId": "g1"}, {"relatedId": "u2", "owningId": "g1"}])
    kept["Game"].insert_one(CHESS)
    return kept["Game"]


async def test_what_parse_server_made_is_served_as_it_stands(address: str, stores: tuple[MongoStore, MongoStore]) -> None:
    store, _ = stores
    with MongoClient[dict[str, Any]](address) as client:
        games(client)
        game = (await store.schemas.load())["Game"]
        assert {name: field.label for name, field in game.fields.items() if name in ("owner", "fans", "at")} == {
            "owner": "Pointer<_User>",
            "fans": "Relation<_User>",
            "at": "GeoPoint",
        }
        assert game.fields["name"].required
        assert game.permissions == {"find": {"*": True}}
        [found] = await store.documents.find(Find(game, Equals(("owner",), pointer("_User", "u1")), frozenset({"*"})))
        assert found.body == {
            "objectId": "g1",
            "name": "chess",
            "owner": pointer("_User", "u1"),
            "at": {"__type": "GeoPoint", "latitude": 48, "longitude": 2.5},
            "cover": {"__type": "File", "name": "f_cover.png"},
            "raw": {"__type": "Bytes", "base64": "YWI="},
            "played": {"__type": "Date", "iso": "2026-03-04T09:05:00.123Z"},
            "total": 7,
            "exact": 1.1,
            "ACL": {"*": {"read": True}, "u1": {"write": True}},
            "createdAt": "2026-03-04T09:05:00.123Z",
            "updatedAt": "2026-03-04T09:05:00.123Z",
        }
        assert await store.documents.related(game, "fans", "g1") == ["u2"]
        await store.schemas.put(game)
        assert client.get_default_database()["_SCHEMA"].find_one({"_id": "Game"}) == GAME


EVERYBODY = {"*": {"read": True}}
ODD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"_rperm": ["x"], "_wperm": None}, {"ACL": {"x": {"read": True}, "*": {"write": True}}}),
    ({"_wperm": ["x"]}, {"ACL": {**EVERYBODY, "x": {"write": True}}}),
    ({"_rperm": None, "_wperm": None}, {}),
    ({"_rperm": ["*", None, 5], "_wperm": []}, {"ACL": EVERYBODY}),
    ({"_rperm": ["*"], "_wperm": "x"}, {"ACL": EVERYBODY}),
    ({"_created_at": None, "_updated_at": None}, {}),
    ({"area": {"type": "Polygon"}}, {"area": {"type": "Polygon"}}),
    ({"area": {"type": "Polygon", "coordinates": []}}, {"area": {"type": "Polygon", "coordinates": []}}),
    ({"area": {"type": "Polygon", "coordinates": [[[1], 2]]}}, {"area": {"type": "Polygon", "coordinates": [[[1], 2]]}}),
    ({"exact": Decimal128("sNaN"), "n": Decimal128("-Infinity")}, {"exact": None, "n": None}),
]
"""What neither server writes, but others may have → what is shown of it."""


async def test_whatever_others_have_written_can_be_read_and_is_fed(address: str, stores: tuple[MongoStore, MongoStore]) -> None:
    """One document that could not be read would end the feed for everybody."""
    store, _ = stores
    with MongoClient[dict[str, Any]](address) as client:
        kept = client.get_default_database()
        kept["_SCHEMA"].insert_one({"_id": "Odd", "objectId": "string", "area": "polygon", "exact": "number", "n": "number"})
        odd = (await store.schemas.load())["Odd"]
        start = await store.feed.latest()
        kept["Odd"].insert_many([{"_id": str(n), **document} for n, (document, _) in enumerate(ODD)])
        shown = {str(n): {"objectId": str(n), **body} for n, (_, body) in enumerate(ODD)}
        found = await store.documents.find(Find(odd, readers=frozenset({"*"})))
        entries = await store.feed.after(start)
        assert entries is not None
        fed = {entry.object_id: entry.after.body for entry in entries if entry.after is not None}
        for bodies in ({document.body["objectId"]: document.body for document in found}, fed):
            told = {name: json.loads(orjson.dumps(body)) for name, body in bodies.items()}
            assert told == {name: shown[name] for name in told}
        assert fed.keys() == shown.keys()
        who = {name for name, body in shown.items() if permits(allowed(body.get("ACL"), "read"), frozenset({"*"}))}
        assert {document.body["objectId"] for document in found} == who


async def test_relations_that_are_half_there_are_none(address: str, stores: tuple[MongoStore, MongoStore]) -> None:
    store, _ = stores
    with MongoClient[dict[str, Any]](address) as client:
        games(client)
        client.get_default_database()["_Join:fans:Game"].insert_many(
            [{"relatedId": "u2"}, {"owningId": "g1"}, {"relatedId": 5, "owningId": "g1"}]
        )
        game = (await store.schemas.load())["Game"]
        assert await store.documents.related(game, "fans", "g1") == ["u2"]
        assert await store.documents.owners(game, "fans", ["u2"]) == ["g1"]


async def test_an_update_leaves_alone_what_it_does_not_touch(address: str, stores: tuple[MongoStore, MongoStore]) -> None:
    """Values keep even those types that the wire cannot tell apart."""
    store, _ = stores
    with MongoClient[dict[str, Any]](address, tz_aware=True) as client:
        kept = games(client)
        game = (await store.schemas.load())["Game"]
        await store.documents.commit([Update(game, "g1", [Set(("name",), "go")], {"_perishable_token": "t"})])
        after = kept.find_one({"_id": "g1"}) or {}
        notes = after.pop("_acl")
        assert after == {**{key: value for key, value in CHESS.items() if key != "_acl"}, "name": "go", "_perishable_token": "t"}
        assert isinstance(after["total"], Int64)
        assert notes.keys() == {"v", "at", "o", "u"}


async def test_a_write_of_parse_server_is_another_version(address: str, stores: tuple[MongoStore, MongoStore]) -> None:
    store, _ = stores
    await store.schemas.put(POST)
    await store.documents.commit([insert("a", score=1)])
    with MongoClient[dict[str, Any]](address) as client:
        client.get_default_database()["Post"].update_one({"_id": "a"}, {"$set": {"score": 2, "_updated_at": WHEN}})
    with pytest.raises(Conflict):
        await store.documents.commit([Update(POST, "a", [Set(("score",), 3)], expect=1)])
    found = await store.documents.get(POST, "a")
    assert found is not None
    [written] = await store.documents.commit([Update(POST, "a", [Increment(("score",), 1)], expect=found.version)])
    assert written.after is not None
    assert (written.after.body["score"], written.after.version) == (3, found.version + 1)


async def test_no_increment_of_two_processes_is_lost(stores: tuple[MongoStore, MongoStore]) -> None:
    await stores[0].schemas.put(POST)
    await stores[0].documents.commit([insert("a", score=0)])
    step = Update(POST, "a", [Increment(("score",), 1)])
    await asyncio.gather(*(store.documents.commit([step]) for store in stores for _ in range(25)))
    assert await ids(stores[1], Find(POST, Equals(("score",), 50))) == ["a"]


async def test_listeners_hear_what_another_process_commits(stores: tuple[MongoStore, MongoStore]) -> None:
    here, there = stores
    await here.schemas.put(POST)
    start = await here.feed.latest()
    woken = asyncio.Event()
    leave = here.feed.listen(woken.set)
    await there.documents.commit([insert("a", score=1)])
    entries: list[str] = []
    while not entries:
        await asyncio.wait_for(woken.wait(), 10)
        woken.clear()
        entries = [entry.object_id for entry in await here.feed.after(start) or []]
    assert entries == ["a"]
    leave()


async def test_reading_the_definitions_again_changes_only_what_others_changed(address: str, tmp_path: Path) -> None:
    """A definition that is another value makes everything be worked out anew that rests on it."""
    options = AppOptions("app", "master", data_dir=tmp_path, database_url=address, new_class_permissions="public")
    app = await open_app(options, Services(ServerOptions(), {"app": options}))
    try:
        await app.classes.grow("Post", {"title": Field("String"), "spot": Field("GeoPoint"), "owner": Field("Pointer", "_User")})
        await app.classes.grow("Other", {})
        known = {schema.name: schema for schema in app.classes.all()}
        await app.classes.reload()
        assert all(app.classes.get(name) is schema for name, schema in known.items())
        with MongoClient[dict[str, Any]](address) as client:
            client.get_default_database()["_SCHEMA"].update_one({"_id": "Post"}, {"$set": {"more": "number"}})
        await app.classes.reload()
        assert app.classes.get("Other") is known["Other"]
        post = app.classes.get("Post")
        assert post is not None
        assert post.fields.keys() - known["Post"].fields.keys() == {"more"}
    finally:
        await app.close()


@pytest.mark.parametrize("harm", ["x:Post", "likes:Post\0", "$x", ""])
async def test_no_relation_is_a_way_to_another_collection(stores: tuple[MongoStore, MongoStore], harm: str) -> None:
    await stores[0].schemas.put(POST)
    await stores[0].documents.commit([insert("a")])
    assert await ids(stores[0], Find(POST, RelatedTo(harm, "a", "likes"))) == []
    assert await ids(stores[0], Find(POST, RelatedTo("Post", "a", harm))) == []


async def test_a_database_that_does_not_answer_is_named_at_the_start(tmp_path: Path) -> None:
    """At a socket in the file system, since the driver leaves one of TCP open when it is told to stop while it connects."""
    nowhere = quote(str(tmp_path / "mongodb.sock"), safe="")
    with pytest.raises(MbaasError, match="MongoDB does not answer"):
        await open_store(f"mongodb://{nowhere}/x", FakeClock(), timeout_ms=50)
