"""Several processes on one folder answer as one: what one of them has acknowledged, all of them know."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.live.client import Client

PROCESSES = 3
CLIENTS = 16
"""Connections of a test. The kernel shares them out: that all of them come to one process happens once in 10 million runs."""
MASTER = {"X-Parse-Master-Key": MASTER_KEY}


class Connection:
    """A connection that is kept, and so stays with one process."""

    def __init__(self, server: TestServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def __call__(self, method: str, path: str, body: Any = None, sent: dict[str, str] | None = None) -> tuple[int, Any]:
        headers = {"X-Parse-Application-Id": APP_ID, "Content-Type": "application/json", **(sent or {})}
        self._connection.request(method, f"/parse{path}", None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    settings = {"preset": "parse", "workers": PROCESSES}
    with TestServer(tmp_path_factory.mktemp("several"), settings=settings) as server:
        yield server


@pytest.fixture
def clients(server: TestServer) -> Iterator[list[Connection]]:
    made = [Connection(server) for _ in range(CLIENTS)]
    for client in made:
        assert client("GET", "/health")[0] == 200
    yield made
    for client in made:
        client.close()


def test_a_new_class_and_its_columns_are_known_to_all(clients: list[Connection]) -> None:
    for n, client in enumerate(clients):
        status, made = client("POST", "/classes/Grown", {f"column{n}": n, "all": "text"})
        assert status == 201
        for other in clients:
            assert other("GET", f"/classes/Grown/{made['objectId']}")[1][f"column{n}"] == n
            assert other("POST", "/classes/Grown", {"all": 1})[1]["code"] == 111
    fields = clients[0]("GET", "/schemas/Grown", sent=MASTER)[1]["fields"]
    assert {f"column{n}" for n in range(CLIENTS)} <= fields.keys()


def test_columns_that_are_added_at_once_are_all_kept(clients: list[Connection]) -> None:
    def add(n: int) -> list[int]:
        return [clients[n]("POST", "/classes/Raced", {f"c{n}_{k}": k})[0] for k in range(12)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert {status for statuses in pool.map(add, range(CLIENTS)) for status in statuses} == {201}
    fields = clients[0]("GET", "/schemas/Raced", sent=MASTER)[1]["fields"]
    assert {f"c{n}_{k}" for n in range(CLIENTS) for k in range(12)} <= fields.keys()


def test_permissions_hold_from_when_they_are_set(clients: list[Connection]) -> None:
    clients[0]("POST", "/classes/Locked", {"n": 1})
    for n, client in enumerate(clients):
        find = {} if n % 2 else {"*": True}
        assert client("PUT", "/schemas/Locked", {"classLevelPermissions": {"find": find}}, MASTER)[0] == 200
        for other in clients:
            assert ("results" in other("GET", "/classes/Locked")[1]) is (n % 2 == 0)


def test_an_index_that_one_makes_is_kept_by_all(clients: list[Connection]) -> None:
    """Places and texts stand in tables of their own, which whoever writes must know of."""
    point = {"__type": "GeoPoint", "latitude": 1.0, "longitude": 2.0}
    for client in clients:
        assert client("POST", "/classes/Placed", {"note": "zero"})[0] == 201
    assert clients[0]("POST", "/classes/Placed", {"at": point, "note": "first words"})[0] == 201
    assert clients[1]("PUT", "/schemas/Placed", {"indexes": {"words": {"note": "text"}}}, MASTER)[0] == 200
    for client in clients[2:]:
        assert client("POST", "/classes/Placed", {"at": point, "note": "more words"})[0] == 201
    near = (
        '/classes/Placed?where={"at":{"$nearSphere":{"__type":"GeoPoint","latitude":1,"longitude":2},"$maxDistanceInKilometers":1}}&count=1'
    )
    text = '/classes/Placed?where={"note":{"$text":{"$search":{"$term":"words"}}}}&count=1'
    for client in clients:
        assert client("GET", near.replace(" ", "%20"))[1]["count"] == CLIENTS - 1
        assert client("GET", text)[1]["count"] == CLIENTS - 1


def test_a_session_ends_everywhere_at_once(clients: list[Connection]) -> None:
    for n, client in enumerate(clients):
        token = client("POST", "/users", {"username": f"user{n}", "password": "secret"})[1]["sessionToken"]
        me = {"X-Parse-Session-Token": token}
        assert {other("GET", "/users/me", sent=me)[0] for other in clients} == {200}
        assert client("POST", "/logout", {}, me)[0] == 200
        assert {other("GET", "/users/me", sent=me)[1]["code"] for other in clients} == {209}


def test_a_role_is_given_and_taken_everywhere_at_once(clients: list[Connection]) -> None:
    user = clients[0]("POST", "/users", {"username": "member", "password": "secret"})[1]
    me = {"X-Parse-Session-Token": user["sessionToken"]}
    role = clients[0]("POST", "/roles", {"name": "Members", "ACL": {}}, MASTER)[1]["objectId"]
    secret = clients[0]("POST", "/classes/Secret", {"ACL": {"role:Members": {"read": True}}}, MASTER)[1]["objectId"]
    pointer = {"__type": "Pointer", "className": "_User", "objectId": user["objectId"]}
    for n, client in enumerate(clients):
        op = "RemoveRelation" if n % 2 else "AddRelation"
        assert client("PUT", f"/roles/{role}", {"users": {"__op": op, "objects": [pointer]}}, MASTER)[0] == 200
        wanted = 404 if n % 2 else 200
        assert {other("GET", f"/classes/Secret/{secret}", sent=me)[0] for other in clients} == {wanted}


def test_counts_that_all_add_to_at_once_add_up(clients: list[Connection]) -> None:
    counter = clients[0]("POST", "/classes/Counter", {"n": 0})[1]["objectId"]

    def add(client: Connection) -> None:
        for _ in range(25):
            assert client("PUT", f"/classes/Counter/{counter}", {"n": {"__op": "Increment", "amount": 1}})[0] == 200

    def set_and_add(n: int) -> None:
        for _ in range(5):
            params = {f"p{n}": n, "all": {"__op": "Increment", "amount": 1}}
            assert clients[n]("PUT", "/config", {"params": params}, MASTER)[0] == 200

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(add, clients))
        list(pool.map(set_and_add, range(CLIENTS)))
    assert clients[0]("GET", f"/classes/Counter/{counter}")[1]["n"] == 25 * CLIENTS
    assert clients[0]("GET", "/config")[1]["params"] == {"all": 5 * CLIENTS, **{f"p{n}": n for n in range(CLIENTS)}}


def test_limits_are_counted_together(tmp_path: Path) -> None:
    limits = [{"requestPath": "/classes/*path", "requestTimeWindow": 600_000, "requestCount": 20, "includeInternalRequests": True}]
    options = {"appId": APP_ID, "masterKey": MASTER_KEY, "rateLimit": limits}
    with TestServer.with_parse_options(tmp_path, options, workers=PROCESSES) as server:
        made = [Connection(server) for _ in range(CLIENTS)]
        statuses = [client("GET", "/classes/Any")[0] for client in made for _ in range(3)]
        assert statuses == [statuses[0]] * 20 + [429] * (3 * CLIENTS - 20)
        for client in made:
            client.close()


def test_whoever_is_asked_tells_what_all_have_counted(server: TestServer, clients: list[Connection]) -> None:
    def counted() -> dict[str, float]:
        text = server.get("/metrics")[1]
        lines = [line for line in text.splitlines() if line.startswith("mbaas_http_requests_total{") and 'route="GET /health"' in line]
        assert text.count("# TYPE mbaas_http_requests_total counter") == 1
        return {line.partition('process="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}

    before = counted()
    for client in clients:
        client("GET", "/health")
    after = counted()
    assert len(after) > 1
    assert sum(after.values()) - sum(before.values()) == CLIENTS


def test_live_queries_hear_what_any_process_writes(server: TestServer, clients: list[Connection]) -> None:
    with ExitStack() as stack:
        watchers = [stack.enter_context(Client(f"ws://127.0.0.1:{server.port}/parse")) for _ in range(CLIENTS)]
        for watcher in watchers:
            assert watcher.connect(applicationId=APP_ID)["op"] == "connected"
            assert watcher.subscribe("Watched", {"n": {"$gte": 0}})["op"] == "subscribed"
        for n, client in enumerate(clients):
            assert client("POST", "/classes/Watched", {"n": n})[0] == 201
        for watcher in watchers:
            assert [watcher.receive()["object"]["n"] for _ in clients] == list(range(CLIENTS))


def test_who_is_signed_out_through_one_process_hears_no_more_through_another(server: TestServer, clients: list[Connection]) -> None:
    token = clients[0]("POST", "/users", {"username": "listener", "password": "secret"})[1]["sessionToken"]
    user = clients[0]("GET", "/users/me", sent={"X-Parse-Session-Token": token})[1]["objectId"]
    private = {"ACL": {user: {"read": True}, "*": {"write": True}}}
    clients[0]("POST", "/classes/Mine", private, MASTER)
    with ExitStack() as stack:
        watchers = [stack.enter_context(Client(f"ws://127.0.0.1:{server.port}/parse")) for _ in range(CLIENTS)]
        for watcher in watchers:
            watcher.connect(applicationId=APP_ID, sessionToken=token)
            assert watcher.subscribe("Mine")["op"] == "subscribed"
        clients[1]("POST", "/classes/Mine", {**private, "n": 1})
        for watcher in watchers:
            assert watcher.receive()["object"]["n"] == 1
        assert clients[2]("POST", "/logout", {}, {"X-Parse-Session-Token": token})[0] == 200
        clients[3]("POST", "/classes/Mine", {**private, "n": 2})
        clients[3]("POST", "/classes/Mine", {"n": 3})
        for watcher in watchers:
            assert watcher.receive()["object"]["n"] == 3
