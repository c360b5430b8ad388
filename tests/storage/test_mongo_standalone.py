"""A MongoDB that is no replica set: refused, unless the operator does without what it cannot do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bson import ObjectId

from mbaas.kernel.errors import MbaasError
from mbaas.storage.mongo.probe import unreachable
from mbaas.storage.mongo.store import open_store
from mbaas.testing.clock import FakeClock
from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.live.client import Client
from tests.secantus import database, running

HEADERS = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}
LOST = "live queries, batches with `transaction: true` and several servers on one database will not work"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that says of itself what a `mongod` without `--replSet` says; never the one that MBAAS_TEST_MONGO_URL names."""
    with running(tmp_path_factory.mktemp("standalone"), "--standalone", own=True) as url:
        yield database(url, f"alone_{ObjectId()}")


@pytest.fixture
def server(address: str, tmp_path: Path) -> Iterator[TestServer]:
    settings = {"database_url": address, "mongo_standalone": "allow", "preset": "parse"}
    with TestServer(tmp_path, settings=settings) as started:
        yield started


async def test_it_is_refused_with_what_will_not_work_and_what_to_do(address: str) -> None:
    with pytest.raises(MbaasError) as refused:
        await open_store(address, FakeClock())
    assert LOST in refused.value.message
    assert "rs.initiate()" in refused.value.message
    assert "MBAAS_MONGO_STANDALONE=allow" in refused.value.message


def test_the_doctor_names_it(address: str) -> None:
    assert LOST in (unreachable(address) or "")
    assert unreachable(address, standalone=True) is None


def test_with_leave_it_serves_and_warns_once(server: TestServer) -> None:
    post = server.call("POST", "/parse/classes/Post", {"n": 1, "tags": ["a"]}, HEADERS)[1]["objectId"]
    change = {"n": {"__op": "Increment", "amount": 2}, "likes": {"__op": "AddRelation", "objects": [pointer(post)]}}
    assert server.call("PUT", f"/parse/classes/Post/{post}", change, HEADERS)[1]["n"] == 3
    assert [one["objectId"] for one in server.get("/parse/classes/Post", HEADERS)[1]["results"]] == [post]
    assert server.call("POST", "/parse/users", {"username": "ann", "password": "secret"}, HEADERS)[0] == 201
    assert server.call("PUT", "/parse/config", {"params": {"a": 1}}, HEADERS)[0] == 200
    assert server.call("DELETE", f"/parse/classes/Post/{post}", headers=HEADERS) == (200, {})
    warnings = [line for line in map(json.loads, server.log.read_text().splitlines()) if line["level"] == "warning"]
    assert len(warnings) == 1
    assert LOST in warnings[0]["event"]


def test_a_transaction_is_refused_before_anything_is_written(server: TestServer) -> None:
    requests = [{"method": "POST", "path": "/parse/classes/Part", "body": {"n": n}} for n in range(2)]
    status, answer = server.call("POST", "/parse/batch", {"requests": requests, "transaction": True}, HEADERS)
    assert (status, answer) == (400, {"code": 108, "error": "transactions need a MongoDB that is a replica set"})
    assert server.get("/parse/classes/Part", HEADERS)[1] == {"results": []}
    assert [part["success"]["objectId"] != "" for part in server.call("POST", "/parse/batch", {"requests": requests}, HEADERS)[1]]


def test_a_live_query_is_refused(server: TestServer) -> None:
    with Client(server.url.replace("http", "ws")) as client:
        assert client.connect(applicationId=APP_ID)["op"] == "connected"
        for _ in range(2):
            answer = client.subscribe("Post")
            assert (answer["op"], answer["code"], answer["error"]) == ("error", 108, "live queries need a MongoDB that is a replica set")
        client.send({"op": "unsubscribe", "requestId": 1})
        assert client.receive()["op"] in ("unsubscribed", "error")


def pointer(object_id: str) -> dict[str, str]:
    return {"__type": "Pointer", "className": "Post", "objectId": object_id}
