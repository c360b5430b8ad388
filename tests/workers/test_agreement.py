"""Several processes answer as one: what one of them has acknowledged, all of them know."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.live.client import Client
from tests.secantus import GIVEN
from tests.workers.asking import CLIENTS, MACHINES, MASTER, ONE_MACHINE, PROCESSES, Connection, Stores, soon

one_machine = pytest.mark.parametrize("servers", ONE_MACHINE, indirect=True)
"""Where rights are remembered until the others tell of a change, and they tell before it is acknowledged."""
machines = pytest.mark.parametrize("servers", [MACHINES], indirect=True)


def test_a_new_class_and_its_columns_are_known_to_all(clients: list[Connection]) -> None:
    for n, client in enumerate(clients):
        status, made = client("POST", "/classes/Grown", {f"column{n}": n, "all": "text"})
        assert status == 201
        for other in clients:
            assert other("GET", f"/classes/Grown/{made['objectId']}")[1][f"column{n}"] == n
            assert other("POST", "/classes/Grown", {"all": 1})[1]["code"] == 111
    fields = clients[0]("GET", "/schemas/Grown", sent=MASTER)[1]["fields"]
    assert {f"column{n}" for n in range(CLIENTS)} <= fields.keys()


POINTER = {"__type": "Pointer", "className": "Target", "objectId": "target"}
COLUMNS: dict[str, tuple[Any, str]] = {
    "pointer": (POINTER, '{"%s":{"__type":"Pointer","className":"Target","objectId":"target"}}'),
    "date": ({"__type": "Date", "iso": "2026-01-02T03:04:05.678Z"}, '{"%s":{"$lt":{"__type":"Date","iso":"2026-02-01T00:00:00.000Z"}}}'),
    "place": ({"__type": "GeoPoint", "latitude": 1, "longitude": 2}, '{"%s":{"__type":"GeoPoint","latitude":1,"longitude":2}}'),
    "file": ({"__type": "File", "name": "a.txt"}, '{"%s":{"__type":"File","name":"a.txt"}}'),
    "list": ([1, [2]], '{"%s":{"$all":[1]}}'),
    "number": (1, '{"%s":1}'),
}
"""Kind of column → a value, and a `where` that it meets."""


def test_columns_of_every_kind_are_asked_for_and_shown_as_what_they_are(clients: list[Connection]) -> None:
    """Right after the write that made them, by those who know the class without them."""
    maker, *others = clients[:6]
    for n, (name, (value, where)) in enumerate(COLUMNS.items()):
        for other in clients:
            assert other("POST", "/classes/Wide", {"base": 1})[0] == 201
        object_id = maker("POST", "/classes/Wide", {name: value})[1]["objectId"]
        shown = {**value, "url": None} if name == "file" else value
        for k, other in enumerate(others):
            path = f"/classes/Wide/{object_id}" if (n + k) % 2 else f"/classes/Wide?where={quote(where % name)}"
            status, answer = other("GET", path)
            assert status == 200, answer
            [found] = answer.get("results", [answer])
            got = {**found[name], "url": None} if name == "file" and "url" in found[name] else found[name]
            assert got == shown


def test_a_column_is_taken_away_and_followed_by_who_did_not_know_it(clients: list[Connection]) -> None:
    maker, *others = clients
    target = maker("POST", "/classes/Target", {"n": 1})[1]["objectId"]
    pointer = {**POINTER, "objectId": target}
    for n, other in enumerate(others):
        assert other("POST", "/classes/Led", {"base": 1})[0] == 201
        object_id = maker("POST", "/classes/Led", {f"to{n}": pointer})[1]["objectId"]
        include = "include=*" if n % 2 else f"include=to{n}"
        assert other("GET", f"/classes/Led/{object_id}?{include}")[1][f"to{n}"]["n"] == 1
        kept = maker("POST", "/classes/Led", {f"from{n}": pointer})[1]["objectId"]
        assert other("PUT", f"/classes/Led/{kept}", {f"from{n}": {"__op": "Delete"}})[0] == 200
        assert f"from{n}" not in maker("GET", f"/classes/Led/{kept}")[1]


def test_a_class_that_another_made_is_changed_emptied_and_dropped(clients: list[Connection]) -> None:
    """And made anew by one who knew it before it was dropped."""
    for n, client in enumerate(clients):
        other, third = clients[n - 1], clients[n - 2]
        object_id = client("POST", "/classes/Brief", {"n": n})[1]["objectId"]
        assert other("PUT", f"/classes/Brief/{object_id}", {"n": {"__op": "Increment", "amount": 1}})[1]["n"] == n + 1
        assert third("DELETE", f"/classes/Brief/{object_id}")[0] == 200
        assert client("GET", "/classes/Brief")[1]["results"] == []
        made = third("POST", "/classes/Brief", {"n": n})[1]["objectId"]
        assert other("DELETE", "/schemas/Brief", sent=MASTER)[1]["code"] == 255
        assert other("DELETE", f"/classes/Brief/{made}")[0] == 200
        assert other("DELETE", "/schemas/Brief", sent=MASTER)[0] == 200
        for known in clients:
            soon(_refused, known, "/schemas/Brief", MASTER)


def test_permissions_that_a_class_is_made_with_hold_for_all(clients: list[Connection]) -> None:
    for n, client in enumerate(clients):
        name = f"Closed{n}"
        assert clients[n - 1]("GET", f"/classes/{name}")[1] == {"results": []}
        assert client("POST", f"/schemas/{name}", {"classLevelPermissions": {"get": {"*": True}}}, MASTER)[0] == 200
        for other in clients:
            assert other("GET", f"/classes/{name}")[1]["code"] == 119
            assert other("POST", f"/classes/{name}", {"n": 1})[1]["code"] == 119


def test_columns_that_are_added_at_once_are_all_kept(clients: list[Connection]) -> None:
    def add(n: int) -> list[int]:
        return [clients[n]("POST", "/classes/Raced", {f"c{n}_{k}": k})[0] for k in range(12)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert {status for statuses in pool.map(add, range(CLIENTS)) for status in statuses} == {201}
    fields = clients[0]("GET", "/schemas/Raced", sent=MASTER)[1]["fields"]
    assert {f"c{n}_{k}" for n in range(CLIENTS) for k in range(12)} <= fields.keys()


@one_machine
def test_permissions_hold_from_when_they_are_set(clients: list[Connection]) -> None:
    clients[0]("POST", "/classes/Locked", {"n": 1})
    for n, client in enumerate(clients):
        find = {} if n % 2 else {"*": True}
        assert client("PUT", "/schemas/Locked", {"classLevelPermissions": {"find": find}}, MASTER)[0] == 200
        for other in clients:
            assert ("results" in other("GET", "/classes/Locked")[1]) is (n % 2 == 0)


def test_an_index_that_one_makes_is_kept_by_all(clients: list[Connection]) -> None:
    """Places stand in an index, or a table, of their own, which whoever writes must know of."""
    point = {"__type": "GeoPoint", "latitude": 1.0, "longitude": 2.0}
    for client in clients:
        assert client("POST", "/classes/Placed", {"note": "zero"})[0] == 201
    for client in clients[1:]:
        assert client("POST", "/classes/Placed", {"at": point})[0] == 201
    near = quote('{"at":{"$nearSphere":{"__type":"GeoPoint","latitude":1,"longitude":2},"$maxDistanceInKilometers":1}}')
    for client in clients:
        assert client("GET", f"/classes/Placed?where={near}&count=1")[1]["count"] == CLIENTS - 1


@pytest.mark.parametrize("servers", ["embedded", *(ONE_MACHINE[1:] if GIVEN is not None else ())], indirect=True)
def test_a_text_index_that_one_makes_is_kept_by_all(clients: list[Connection]) -> None:
    assert clients[0]("POST", "/classes/Told", {"note": "first words"})[0] == 201
    assert clients[1]("PUT", "/schemas/Told", {"indexes": {"words": {"note": "text"}}}, MASTER)[0] == 200
    for client in clients[1:]:
        assert client("POST", "/classes/Told", {"note": "more words"})[0] == 201
    text = quote('{"note":{"$text":{"$search":{"$term":"words"}}}}')
    for client in clients:
        assert client("GET", f"/classes/Told?where={text}&count=1")[1]["count"] == CLIENTS


@one_machine
def test_a_session_ends_everywhere_at_once(clients: list[Connection]) -> None:
    for n, client in enumerate(clients):
        token = client("POST", "/users", {"username": f"user{n}", "password": "secret"})[1]["sessionToken"]
        me = {"X-Parse-Session-Token": token}
        assert {other("GET", "/users/me", sent=me)[0] for other in clients} == {200}
        assert client("POST", "/logout", {}, me)[0] == 200
        assert {other("GET", "/users/me", sent=me)[1]["code"] for other in clients} == {209}


@one_machine
def test_a_token_that_was_rotated_is_good_nowhere(clients: list[Connection]) -> None:
    """Also where it was just used."""
    for n, client in enumerate(clients):
        old = client("POST", "/users", {"username": f"rotating{n}", "password": "secret"})[1]["sessionToken"]
        for _ in range(2):  # what the first one writes has the others forget what they remember
            assert {other("GET", "/users/me", sent={"X-Parse-Session-Token": old})[0] for other in clients} == {200}
        status, answer = client("POST", "/api/v1/sessions/rotate", {}, {"X-Parse-Session-Token": old})
        assert status == 200
        assert {other("GET", "/users/me", sent={"X-Parse-Session-Token": old})[1].get("code") for other in clients} == {209}
        assert {other("GET", "/users/me", sent={"X-Parse-Session-Token": answer["sessionToken"]})[0] for other in clients} == {200}


@one_machine
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


@pytest.mark.parametrize("kind", [*ONE_MACHINE, MACHINES])
def test_limits_are_counted_together(kind: str, stores: Stores, tmp_path: Path) -> None:
    limits = [{"requestPath": "/classes/*path", "requestTimeWindow": 600_000, "requestCount": 20, "includeInternalRequests": True}]
    options = {"appId": APP_ID, "masterKey": MASTER_KEY, "rateLimit": limits}
    count = PROCESSES if kind == MACHINES else 1
    settings = stores.settings(kind, workers=PROCESSES // count)
    del settings["preset"]
    with ExitStack() as stack:
        servers = [stack.enter_context(TestServer.with_parse_options(tmp_path / str(n), options, **settings)) for n in range(count)]
        made = [Connection(servers[n % count]) for n in range(CLIENTS)]
        statuses = [client("GET", "/classes/Any")[0] for client in made for _ in range(3)]
        assert statuses == [statuses[0]] * 20 + [429] * (3 * CLIENTS - 20)
        for client in made:
            client.close()


@one_machine
def test_whoever_is_asked_tells_what_all_have_counted(servers: list[TestServer], clients: list[Connection]) -> None:
    [server] = servers

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


def test_live_queries_hear_what_any_process_writes(servers: list[TestServer], clients: list[Connection]) -> None:
    with ExitStack() as stack:
        watchers = [stack.enter_context(Client(f"ws://127.0.0.1:{servers[n % len(servers)].port}/parse")) for n in range(CLIENTS)]
        for watcher in watchers:
            assert watcher.connect(applicationId=APP_ID)["op"] == "connected"
            assert watcher.subscribe("Watched", {"n": {"$gte": 0}})["op"] == "subscribed"
        for n, client in enumerate(clients):
            assert client("POST", "/classes/Watched", {"n": n})[0] == 201
        for watcher in watchers:
            assert [watcher.receive()["object"]["n"] for _ in clients] == list(range(CLIENTS))


def test_who_is_signed_out_through_one_process_hears_no_more_through_another(servers: list[TestServer], clients: list[Connection]) -> None:
    token = clients[0]("POST", "/users", {"username": "listener", "password": "secret"})[1]["sessionToken"]
    user = clients[0]("GET", "/users/me", sent={"X-Parse-Session-Token": token})[1]["objectId"]
    private = {"ACL": {user: {"read": True}, "*": {"write": True}}}
    clients[0]("POST", "/classes/Mine", private, MASTER)
    with ExitStack() as stack:
        watchers = [stack.enter_context(Client(f"ws://127.0.0.1:{servers[n % len(servers)].port}/parse")) for n in range(CLIENTS)]
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


def _refused(client: Connection, path: str, sent: dict[str, str]) -> bool:
    return client("GET", path, sent=sent)[0] != 200


@machines
def test_rights_that_are_taken_at_one_machine_end_at_the_others(clients: list[Connection]) -> None:
    """When the database has told of it."""
    for n, client in enumerate(clients[:6]):
        token = client("POST", "/users", {"username": f"elsewhere{n}", "password": "secret"})[1]["sessionToken"]
        me = {"X-Parse-Session-Token": token}
        name = f"Shut{n}"
        assert client("POST", f"/classes/{name}", {"n": 1})[0] == 201
        assert {other("GET", path, sent=me)[0] for path in ("/users/me", f"/classes/{name}") for other in clients} == {200}
        assert client("POST", "/logout", {}, me)[0] == 200
        assert client("PUT", f"/schemas/{name}", {"classLevelPermissions": {"find": {}}}, MASTER)[0] == 200
        for other in clients:
            soon(_refused, other, "/users/me", me)
            soon(_refused, other, f"/classes/{name}", {})


@one_machine
def test_a_webhook_is_known_to_all(clients: list[Connection]) -> None:
    """From its declaration on, with its present URL, until it is deleted."""
    for n, client in enumerate(clients[:6]):
        name, others = f"hook{n}", clients[:n] + clients[n + 1 :]
        assert client("POST", "/hooks/functions", {"functionName": name, "url": "https://10.0.0.1/"}, MASTER)[0] == 200
        for other in others:
            assert "may not be called" in other("POST", f"/functions/{name}", {})[1]["error"]
            assert other("POST", "/hooks/functions", {"functionName": name, "url": "https://10.0.0.1/"}, MASTER)[1]["code"] == 143
        assert others[0]("PUT", f"/hooks/functions/{name}", {"url": "https://10.0.0.2/"}, MASTER)[0] == 200
        for other in clients:
            assert other("GET", f"/hooks/functions/{name}", sent=MASTER)[1]["url"] == "https://10.0.0.2/"
        assert others[1]("PUT", f"/hooks/functions/{name}", {"__op": "Delete"}, MASTER) == (200, {})
        for other in clients:
            assert other("POST", f"/functions/{name}", {})[1]["error"] == f'Invalid function: "{name}"'


@machines
def test_a_webhook_is_heard_of_by_other_machines(clients: list[Connection]) -> None:
    first, *others = clients
    assert first("POST", "/hooks/functions", {"functionName": "far", "url": "https://10.0.0.1/"}, MASTER)[0] == 200
    for other in others:
        soon(lambda ask: "may not be called" in ask("POST", "/functions/far", {})[1]["error"], other)
