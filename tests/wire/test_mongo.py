"""A server on MongoDB: what it is asked over the wire is kept in Parse Server's own format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from bson import ObjectId
from pymongo import MongoClient

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.secantus import database

HEADERS = {"X-Parse-Application-Id": APP_ID}
MASTER = {**HEADERS, "X-Parse-Master-Key": MASTER_KEY}


@pytest.fixture
def address(mongo: str) -> str:
    return database(mongo, f"wire_{ObjectId()}")


@pytest.fixture
def server(address: str, tmp_path: Path) -> Iterator[TestServer]:
    with TestServer(tmp_path, settings={"database_url": address, "preset": "parse"}) as running:
        yield running


def one(address: str, collection: str) -> dict[str, Any]:
    """The only document of a collection."""
    with MongoClient[dict[str, Any]](address) as client:
        [found] = client.get_default_database()[collection].find().to_list()
    return found


def test_objects_are_saved_found_updated_and_deleted(server: TestServer, address: str) -> None:
    spot = {"__type": "GeoPoint", "latitude": 48.86, "longitude": 2.35}
    friend = {"__type": "Pointer", "className": "Person", "objectId": "p1"}
    due = {"__type": "Date", "iso": "2026-01-31T09:05:00.000Z"}
    sent = {"title": "one", "score": 1, "spot": spot, "friend": friend, "due": due, "ACL": {"*": {"read": True}}}
    status, made = server.call("POST", "/parse/classes/Post", sent, MASTER)
    assert status == 201
    place = f"/parse/classes/Post/{made['objectId']}"
    assert server.get(place, HEADERS)[1] == {**sent, **made, "updatedAt": made["createdAt"]}
    kept = one(address, "Post")
    assert (kept["_p_friend"], kept["spot"], kept["_rperm"], kept["_wperm"]) == ("Person$p1", [2.35, 48.86], ["*"], [])

    update = {"score": {"__op": "Increment", "amount": 2}, "tags": {"__op": "AddUnique", "objects": ["a"]}}
    assert server.call("PUT", place, update, HEADERS)[0] == 404
    status, changed = server.call("PUT", place, update, MASTER)
    assert (status, changed["score"]) == (200, 3)
    status, found = server.get('/parse/classes/Post?where={"score":{"$gt":2},"tags":"a"}&count=1', HEADERS)
    assert (found["count"], [post["title"] for post in found["results"]]) == (1, ["one"])
    assert server.call("DELETE", place, headers=MASTER) == (200, {})
    assert server.get(place, HEADERS)[0] == 404


def test_files_are_kept_where_parse_server_keeps_them(server: TestServer, address: str) -> None:
    """In GridFS, found by their public names; in parts, by ranges, and until they are deleted."""
    data = bytes(range(256)) * 5000
    place = f"{server.url}/parse/files"
    with httpx.Client(headers=MASTER, timeout=30) as http:
        sent = {"X-Parse-Upload-Mode": "stream", "X-Parse-File-Metadata": '{"a": 1}', "Content-Type": "application/x-odd"}
        made = http.post(f"{place}/some.odd", content=data, headers=sent).json()
        kept = one(address, "fs.files")
        assert (kept["filename"], kept["length"], kept["metadata"]) == (made["name"], len(data), {"a": 1})
        assert http.get(made["url"]).content == data
        assert http.get(made["url"]).headers["content-type"] == "application/x-odd"
        assert http.get(made["url"], headers={"Range": "bytes=300000-300009"}).content == data[300000:300010]
        assert http.get(f"{place}/{APP_ID}/metadata/{made['name']}").json() == {"metadata": {"a": 1}}
        assert http.get(f"{place}/{APP_ID}/mbaas:{kept['_id']}").status_code == 404
        assert http.delete(f"{place}/{made['name']}").status_code == 200
        assert http.get(made["url"]).status_code == 404
        assert http.delete(f"{place}/{made['name']}").json()["code"] == 153
    with MongoClient[dict[str, Any]](address) as client:
        assert client.get_default_database()["fs.chunks"].count_documents({}) == 0


def test_users_sign_up_and_log_in(server: TestServer, address: str) -> None:
    account = {"username": "Ann", "password": "correct horse", "email": "ann@example.org"}
    status, made = server.call("POST", "/parse/users", account, HEADERS)
    assert status == 201
    assert server.call("POST", "/parse/users", {**account, "username": "ann", "email": "b@example.org"}, HEADERS)[1]["code"] == 202
    assert server.call("POST", "/parse/users", {**account, "username": "bob"}, HEADERS)[1]["code"] == 203
    status, session = server.call("POST", "/parse/login", {"username": "Ann", "password": "correct horse"}, HEADERS)
    assert (status, session["objectId"]) == (200, made["objectId"])
    assert server.call("POST", "/parse/login", {"username": "Ann", "password": "wrong"}, HEADERS)[1]["code"] == 101
    signed = {**HEADERS, "X-Parse-Session-Token": session["sessionToken"]}
    assert server.get("/parse/users/me", signed)[1]["username"] == "Ann"
    assert server.call("POST", "/parse/logout", {}, signed) == (200, {})
    assert server.get("/parse/users/me", signed)[1]["code"] == 209
    kept = one(address, "_User")
    assert kept["_hashed_password"].startswith("$argon2id$")
    assert "password" not in kept
