"""Live queries over real sockets: what is resumed, who is cut off, and what is refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.live.client import Client, Frame, gone

ANON = {"X-Parse-Application-Id": APP_ID}
MASTER = {**ANON, "X-Parse-Master-Key": MASTER_KEY}


@contextmanager
def connected(server: TestServer, path: str = "/parse", *, narrow: bool = False, **members: Any) -> Iterator[Client]:
    """A client that has said who it is."""
    with Client(f"ws://127.0.0.1:{server.port}{path}", narrow=narrow) as client:
        assert client.connect(applicationId=APP_ID, **members)["op"] == "connected"
        yield client


def ask(server: TestServer, method: str, path: str, body: Any = None, sent: dict[str, str] = MASTER) -> Any:
    status, answer = server.call(method, f"/parse{path}", body, sent)
    assert status < 300, answer
    return answer


def made(server: TestServer, class_name: str, **fields: Any) -> str:
    object_id: str = ask(server, "POST", f"/classes/{class_name}", fields)["objectId"]
    return object_id


def fresh() -> str:
    return f"C{uuid4().hex}"


def person(server: TestServer) -> tuple[str, str]:
    """A new user's id and token."""
    answer = ask(server, "POST", "/users", {"username": uuid4().hex, "password": "secret"}, ANON)
    return answer["objectId"], answer["sessionToken"]


def numbers(frames: list[Frame]) -> list[int]:
    return [frame["object"]["n"] for frame in frames]


def test_sockets_are_accepted_at_the_root_and_at_the_mount(server: TestServer) -> None:
    name = fresh()
    with connected(server, "/") as one, connected(server, "/parse") as other:
        for client in (one, other):
            assert client.subscribe(name)["op"] == "subscribed"
        made(server, name, n=1)
        assert numbers(one.due()) == numbers(other.due()) == [1]


def test_whoever_comes_back_gets_what_she_missed_once_and_in_order(server: TestServer) -> None:
    name = fresh()
    with connected(server) as client:
        client.subscribe(name)
        made(server, name, n=0)
        [first] = client.due()
    for n in range(1, 101):
        made(server, name, n=n)
    with connected(server) as client:
        assert client.subscribe(name, since=first["seq"])["op"] == "subscribed"
        made(server, name, n=101)
        frames = client.due()
        assert numbers(frames) == list(range(1, 102))
        assert len({frame["seq"] for frame in frames}) == 101


def test_a_server_that_was_killed_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    name, seen = fresh(), []
    server = TestServer(tmp_path, settings={"preset": "parse"}).start()
    since = None
    for start in (0, 10, 20, 30):
        with connected(server) as client:
            client.subscribe(name, since=since)
            for n in range(start, start + 10):
                made(server, name, n=n)
            frames = client.due() if start % 20 else [client.receive() for _ in range(3)]
            seen += numbers(frames)
            since = frames[-1]["seq"]
            server.kill()
        server.start()
    with connected(server) as client:
        client.subscribe(name, since=since)
        seen += numbers(client.due())
    server.stop()
    assert seen == list(range(40))


@pytest.mark.parametrize("since", ["", "nonsense", "00000000000000000000000000000000-000000000001"])
def test_a_position_that_the_feed_does_not_have_asks_for_a_new_start(server: TestServer, since: str) -> None:
    name = fresh()
    with connected(server) as client:
        assert client.subscribe(name, since=since)["op"] == "subscribed"
        made(server, name, n=1)
        resync, event = client.due()
        assert (resync["op"], resync["requestId"]) == ("resync", 1)
        assert event["op"] == "create"


def test_a_long_absence_is_made_up_for_at_the_clients_pace(server: TestServer) -> None:
    """What was missed is many times what may wait for a client; nobody is disconnected for having been away."""
    name, text = fresh(), "x" * 200_000
    with connected(server) as client:
        client.subscribe(name, since=None)
        made(server, name, n=0)
        [first] = client.due()
    for n in range(1, 41):
        made(server, name, n=n, text=text)
    with connected(server) as client:
        client.subscribe(name, since=first["seq"])
        assert numbers([client.receive() for _ in range(40)]) == list(range(1, 41))


def test_files_are_where_each_client_finds_the_server(server: TestServer) -> None:
    """As a find shows them to her."""
    name = fresh()
    origins = [f"{host}:{server.port}" for host in ("127.0.0.1", "localhost")]
    with Client(f"ws://{origins[0]}/parse") as one, Client(f"ws://{origins[1]}/parse") as other:
        for client in (one, other):
            client.connect(applicationId=APP_ID)
            client.subscribe(name)
        made(server, name, file={"__type": "File", "name": "a.txt"})
        told = [client.receive()["object"]["file"]["url"] for client in (one, other)]
        assert told == [f"http://{origin}/parse/files/{APP_ID}/a.txt" for origin in origins]


def test_rights_end_with_the_session(server: TestServer) -> None:
    """A logout takes effect before the next event, also for sockets that came with the token."""
    name = fresh()
    user, token = person(server)
    mine = {user: {"read": True}}
    with connected(server, sessionToken=token) as one, connected(server) as other:
        one.subscribe(name)
        other.subscribe(name, sessionToken=token)
        made(server, name, n=1, ACL=mine)
        assert numbers(one.due()) == numbers(other.due()) == [1]
        ask(server, "POST", "/logout", {}, {**ANON, "X-Parse-Session-Token": token})
        made(server, name, n=2, ACL=mine)
        made(server, name, n=3)
        assert numbers(one.due()) == numbers(other.due()) == [3]


def test_rights_end_with_the_session_for_who_is_still_told_what_she_missed(server: TestServer) -> None:
    """However slowly she reads, and so however long that takes."""
    name = fresh()
    user, token = person(server)
    with connected(server, sessionToken=token) as client:
        client.subscribe(name, since=None)
        made(server, name, n=0)
        [first] = client.due()
    for n in range(1, 61):
        made(server, name, n=n, text="x" * 300_000, ACL={user: {"read": True}})
    with connected(server, narrow=True, sessionToken=token) as client:
        client.subscribe(name, since=first["seq"])
        assert numbers([client.receive()]) == [1]
        ask(server, "POST", "/logout", {}, {**ANON, "X-Parse-Session-Token": token})
        made(server, name, n=61)
        told = numbers(client.due())
        assert told[-1] == 61
        assert 60 not in told


def test_a_token_that_is_rotated_is_nobodys(server: TestServer) -> None:
    name = fresh()
    user, token = person(server)
    with connected(server, sessionToken=token) as client:
        client.subscribe(name)
        assert server.call("POST", "/api/v1/sessions/rotate", {}, {**ANON, "X-Parse-Session-Token": token})[0] == 200
        made(server, name, n=1, ACL={user: {"read": True}})
        made(server, name, n=2)
        assert numbers(client.due()) == [2]


def test_rights_end_with_the_user(server: TestServer) -> None:
    name = fresh()
    user, token = person(server)
    with connected(server, sessionToken=token) as client:
        client.subscribe(name)
        ask(server, "DELETE", f"/users/{user}")
        made(server, name, n=1, ACL={user: {"read": True}})
        assert client.due() == []


def test_a_role_counts_from_the_moment_on_that_it_is_given(server: TestServer) -> None:
    name, role = fresh(), uuid4().hex
    user, token = person(server)
    role_id = ask(server, "POST", "/roles", {"name": role, "ACL": {}})["objectId"]
    object_id = made(server, name, n=0, ACL={f"role:{role}": {"read": True}})
    with connected(server, sessionToken=token) as client:
        client.subscribe(name)
        pointer = {"__type": "Pointer", "className": "_User", "objectId": user}
        for n, op in ((1, "AddRelation"), (2, "RemoveRelation")):
            ask(server, "PUT", f"/roles/{role_id}", {"users": {"__op": op, "objects": [pointer]}})
            ask(server, "PUT", f"/classes/{name}/{object_id}", {"n": n})
        assert numbers(client.due()) == [1]


def test_a_session_that_expires_is_none(tmp_path: Path) -> None:
    """Its end is looked at before each event, not when a timer happens to run."""
    options: Frame = {"appId": APP_ID, "masterKey": MASTER_KEY, "allowClientClassCreation": True, "sessionLength": 1}
    options["liveQuery"] = {"classNames": [".*"]}
    with TestServer.with_parse_options(tmp_path, options) as server:
        name = fresh()
        user, token = person(server)
        with connected(server, sessionToken=token) as client:
            client.subscribe(name, since="")
            for n in itertools.count():
                made(server, name, n=n, ACL={user: {"read": True}})
                if server.call("GET", "/parse/users/me", headers={**ANON, "X-Parse-Session-Token": token})[0] != 200:
                    break
            client.due()
            made(server, name, n=-1, ACL={user: {"read": True}})
            assert client.due() == []


def test_who_does_not_read_is_disconnected_and_holds_up_nobody(server: TestServer) -> None:
    name, text = fresh(), "x" * 500_000
    with connected(server, narrow=True) as slow, connected(server) as quick:
        slow.subscribe(name)
        quick.subscribe(name, keys=["n"])
        for n in range(60):
            made(server, name, n=n, text=text)
        assert numbers(quick.due()) == list(range(60))
        with pytest.raises(ConnectionClosed) as closed:
            slow.until(lambda frame: False)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1013


WHERES: dict[str, tuple[Frame, int]] = {
    "a subquery": ({"p": {"$inQuery": {"className": "C", "where": {}}}}, 102),
    "a selection": ({"p": {"$select": {"query": {"className": "C", "where": {}}, "key": "k"}}}, 102),
    "a relation's owner": ({"$relatedTo": {"object": {"__type": "Pointer", "className": "C", "objectId": "x"}, "key": "k"}}, 102),
    "text": ({"t": {"$text": {"$search": {"$term": "x"}}}}, 102),
    "an unknown constraint": ({"a": {"$fly": 1}}, 107),
    "no pattern": ({"a": {"$regex": "("}}, 102),
    "a pattern that backtracks": ({"a": {"$regex": "(?=x)(a+)+$"}}, 102),
    "a back reference": ({"a": {"$regex": "(a)\\1"}}, 102),
}


@pytest.mark.parametrize(("where", "code"), WHERES.values(), ids=WHERES)
def test_a_query_that_could_never_fire_is_refused_with_its_reason(server: TestServer, where: Frame, code: int) -> None:
    with connected(server) as client:
        answer = client.subscribe(fresh(), where)
        assert (answer["op"], answer["code"], answer["requestId"]) == ("error", code, 1), answer
        assert client.subscribe(fresh())["op"] == "subscribed"


def test_a_query_that_its_class_no_longer_allows_costs_nobody_else_anything(server: TestServer) -> None:
    """Also where its subscriber's rights change afterwards."""
    name = fresh()
    user, token = person(server)
    pointer = {"__type": "Pointer", "className": "_User", "objectId": user}
    made(server, name, x=pointer)
    with connected(server, sessionToken=token) as client:
        client.subscribe(name, {"x": pointer}, 1)
        client.subscribe(name, {}, 2)
        ask(server, "PUT", f"/schemas/{name}", {"fields": {"x": {"__op": "Delete"}}})
        ask(server, "PUT", f"/schemas/{name}", {"fields": {"x": {"type": "Relation", "targetClass": "_User"}}})
        members = {"users": {"__op": "AddRelation", "objects": [pointer]}}
        ask(server, "POST", "/roles", {"name": uuid4().hex, "ACL": {}, **members})
        made(server, name, n=1)
        told = {frame["requestId"]: frame for frame in client.due()}
        assert told.keys() == {1, 2}
        assert (told[1]["op"], told[1]["code"]) == ("error", 102)
        assert (told[2]["op"], told[2]["object"]["n"]) == ("create", 1)


def test_a_query_that_takes_very_long_for_one_object_is_asked_no_more(server: TestServer) -> None:
    """Nor does it keep the others from being told, and served."""
    name = fresh()
    ring = [[50 * math.cos(k), 40 * math.sin(k)] for k in (n * math.tau / 9000 for n in range(9000))]
    where = {"at": {"$geoWithin": {"$polygon": {"__type": "Polygon", "coordinates": ring}}}}
    with connected(server) as client:
        assert client.subscribe(name, where, 1)["op"] == "subscribed"
        client.subscribe(name, {}, 2)
        for at in ([{"__type": "GeoPoint", "latitude": 89, "longitude": n / 100} for n in range(6000)], []):
            made(server, name, at=at)
            told = {frame["requestId"]: frame for frame in client.due()}
            assert (told[1]["op"], told[1]["code"]) == ("error", 124)
            assert told[2]["op"] == "create"


def test_a_message_of_many_names_holds_up_nobody(server: TestServer) -> None:
    """Nor is it any that does not say who it is of."""
    names = [f"k{n}" for n in range(100_000)]
    with Client(f"ws://127.0.0.1:{server.port}/parse") as client:
        for more, code in (([], 2), (["k99999"], 1)):
            query = {"className": fresh(), "where": {}, "keys": names + more}
            client.send({"op": "subscribe", "requestId": 1, "query": query})
            assert client.receive()["code"] == code


def test_patterns_that_would_hang_others_cost_nothing(server: TestServer) -> None:
    """RE2 runs in time proportional to the text: row 10 of the advisories."""
    name = fresh()
    with connected(server) as client:
        assert client.subscribe(name, {"a": {"$regex": "(a+)+$"}})["op"] == "subscribed"
        made(server, name, a="a" * 50_000 + "b", n=1)
        made(server, name, a="aaaa", n=2)
        assert numbers(client.due()) == [2]


def test_a_write_is_matched_once_for_each_distinct_query(alone: TestServer) -> None:
    server, name = alone, fresh()

    def counted(what: str) -> int:
        text = server.get("/metrics")[1]
        return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith(f"mbaas_live_{what}_total "))

    with connected(server) as one, connected(server) as other:
        for n, client in enumerate((one, other)):
            for request_id in range(10):
                client.subscribe(name, {"n": {"$gt": request_id % 2}}, request_id=request_id + 10 * n)
        before = {what: counted(what) for what in ("matches", "checks", "frames")}
        made(server, name, n=5)
        assert len(one.due()) == len(other.due()) == 10
        after = {what: counted(what) for what in before}
        assert {what: after[what] - before[what] for what in before} == {"matches": 2, "checks": 1, "frames": 20}


def test_who_comes_after_everybody_has_left_is_served(server: TestServer) -> None:
    """The feed is not read while nobody watches, whatever is written meanwhile."""
    name = fresh()
    for n in range(3):
        with connected(server) as client:
            client.subscribe(name)
            made(server, name, n=n)
            assert numbers(client.due()) == [n]
            client.send({"op": "unsubscribe", "requestId": 1})
            client.receive()
            made(server, name, n=-1)
            client.subscribe(name)
            made(server, name, n=10 + n)
            assert numbers(client.due()) == [10 + n]
        made(server, name, n=-2)


def test_a_connection_has_a_limit_of_subscriptions(server: TestServer) -> None:
    name = fresh()
    with connected(server) as client:
        answers = [client.subscribe(name, {"n": n}, request_id=n) for n in range(201)]
        assert [answer["op"] for answer in answers] == ["subscribed"] * 200 + ["error"]
        assert answers[-1]["code"] == 155


def test_an_app_has_a_limit_of_connections(tmp_path: Path) -> None:
    """Who comes when they are all taken is sent away; who leaves makes room, and to connect twice takes no more of it."""
    with TestServer(tmp_path, settings={"preset": "parse", "live_connections": 2, "workers": 1}) as server:
        url = f"ws://127.0.0.1:{server.port}/parse"
        with Client(url) as first:
            for _ in range(3):
                assert first.connect(applicationId=APP_ID)["op"] == "connected"
            with Client(url) as second, Client(url) as third:
                assert second.connect(applicationId=APP_ID)["op"] == "connected"
                with pytest.raises(ConnectionClosed) as closed:
                    third.connect(applicationId=APP_ID)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1013
            assert first.subscribe(fresh())["op"] == "subscribed"
        gone(server)
        with connected(server), connected(server):
            pass


def test_an_unknown_app_and_a_wrong_key_are_told_alike(tmp_path: Path) -> None:
    with TestServer(tmp_path, settings={"preset": "parse", "javascript_key": "js"}) as server:
        url = f"ws://127.0.0.1:{server.port}/parse"
        for members in ({"applicationId": "other"}, {"applicationId": APP_ID}, {"applicationId": APP_ID, "javascriptKey": "no"}):
            with Client(url) as client:
                answer = client.connect(**members)
                assert (answer["op"], answer["code"]) == ("error", 4)
        with Client(url) as client:
            assert client.connect(applicationId=APP_ID, javascriptKey="js")["op"] == "connected"


def test_the_master_key_counts_from_where_it_may_be_used(tmp_path: Path) -> None:
    settings = {"preset": "parse", "master_key_ips": "10.0.0.0/8", "javascript_key": "js"}
    with TestServer(tmp_path, settings=settings) as server, Client(f"ws://127.0.0.1:{server.port}/parse") as client:
        assert client.connect(applicationId=APP_ID, masterKey=MASTER_KEY)["code"] == 4


DEEP = '{"op":"subscribe","requestId":7,"query":{"className":"A","where":' + '{"$or":[' * 300 + "{}" + "]}" * 300 + "}}"


@pytest.mark.parametrize("text", ["[" * 200_000 + "]" * 200_000, DEEP], ids=["brackets", "conditions"])
def test_what_nests_too_deeply_is_answered(server: TestServer, text: str) -> None:
    with connected(server) as client:
        client.send(text)
        refused = client.receive()
    assert (refused["op"], refused["code"]) == ("error", 1)
    assert "nests deeper" in refused["error"]
