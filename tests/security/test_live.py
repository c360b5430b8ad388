"""Rows 1 to 11 and A4, over live queries: what a socket is sent is what a find would show, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY
from tests.live.client import Client, Frame
from tests.security.attack import ANON, MASTER, WAYS, Target, User, Way

EVERYBODY = {operation: {"*": True} for operation in ("find", "get", "count", "create", "update", "delete", "addField")}


@contextmanager
def watching(target: Target, class_name: str, who: User | None = None, where: Frame | None = None, **more: Any) -> Iterator[Client]:
    """A socket that is subscribed to a class."""
    with Client(target.base.replace("http", "ws")) as client:
        token = {"sessionToken": who.token} if who else {}
        assert client.connect(applicationId=APP_ID, **token)["op"] == "connected"
        assert client.subscribe(class_name, where, **more)["op"] == "subscribed"
        yield client


def refusal(target: Target, class_name: str, where: Frame, who: User | None = None, **more: Any) -> int | None:
    """The code with which a subscription is refused; None if it is not."""
    with Client(target.base.replace("http", "ws")) as client:
        client.connect(applicationId=APP_ID, **({"sessionToken": who.token} if who else {}))
        code: int | None = client.subscribe(class_name, where, **more).get("code")
        return code


def open_class(target: Target, **permissions: Any) -> str:
    name = target.name("Live")
    fields = {"a": {"type": "Number"}, "secret": {"type": "String"}, "owner": {"type": "Pointer", "targetClass": "_User"}}
    target.schema(name, classLevelPermissions={**EVERYBODY, **permissions}, fields=fields)
    return name


@pytest.mark.parametrize("find", [{}, {"requiresAuthentication": True}, {"role:nobody": True}], ids=["nobody", "members", "a role"])
def test_row_1_class_permissions_hold(target: Target, find: Any) -> None:
    name = open_class(target, find=find, get=find)
    assert refusal(target, name, {}) in (101, 119)


def test_row_1_permissions_that_are_taken_away_end_the_events(target: Target) -> None:
    name = open_class(target)
    with watching(target, name) as client:
        target.schema(name, classLevelPermissions={**EVERYBODY, "find": {}, "get": {}})
        target.make(name, {"a": 1})
        assert [frame["op"] for frame in client.due()] == ["error"]


@pytest.mark.parametrize("rule", [{"readUserFields": ["owner"], "find": {}, "get": {}}, {"find": {"pointerFields": ["owner"]}}])
def test_row_2_pointer_permissions_hold(target: Target, rule: Any) -> None:
    name, ann, bob = open_class(target, **rule), target.user(), target.user()
    with watching(target, name, ann) as hers, watching(target, name, bob) as his:
        target.make(name, {"a": 1, "owner": ann.pointer})
        assert [frame["object"]["a"] for frame in hers.due()] == [1]
        assert his.due() == []


def test_row_3_protected_fields_are_in_no_state_of_no_event(target: Target) -> None:
    name = open_class(target, protectedFields={"*": ["secret"]})
    with watching(target, name, where={"a": {"$gt": 0}}) as client:
        made = target.make(name, {"a": 1, "secret": "s1"})
        for body in ({"secret": "s2"}, {"a": 0, "secret": "s3"}, {"a": 2, "secret": "s4"}):
            assert target.ask("PUT", f"/classes/{name}/{made}", body, MASTER).status == 200
        assert target.ask("DELETE", f"/classes/{name}/{made}", sent=MASTER).status == 200
        frames = client.due()
    assert [frame["op"] for frame in frames] == ["create", "update", "leave", "enter", "delete"]
    assert not any("secret" in str(frame) or "s1" in str(frame) for frame in frames)


SHAPES: dict[str, Frame] = {
    "plain": {"secret": "s"},
    "operator": {"secret": {"$regex": "^s"}},
    "dotted": {"secret.x": 1},
    "or": {"$or": [{"a": 1}, {"secret": "s"}]},
    "and in nor": {"$nor": [{"$and": [{"secret": {"$exists": True}}]}]},
    "array-like": {"$or": {"0": {"secret": "s"}, "length": 1}},
}


@pytest.mark.parametrize("where", SHAPES.values(), ids=SHAPES)
def test_row_4_no_condition_on_a_protected_field(target: Target, where: Frame) -> None:
    name = open_class(target, protectedFields={"*": ["secret"]})
    assert refusal(target, name, where) in (102, 119)


def test_row_5_no_watching_of_a_protected_field(target: Target) -> None:
    name = open_class(target, protectedFields={"*": ["secret"]})
    assert refusal(target, name, {}, watch=["secret"]) == 119
    assert refusal(target, name, {}, watch=["a", "secret.x"]) == 119


def test_row_5_a_field_that_is_protected_later_is_not_watched_any_more(target: Target) -> None:
    name = open_class(target)
    made = target.make(name, {"a": 1, "secret": "s"})
    with watching(target, name, watch=["secret"]) as client:
        target.schema(name, classLevelPermissions={**EVERYBODY, "protectedFields": {"*": ["secret"]}})
        target.ask("PUT", f"/classes/{name}/{made}", {"secret": "t"}, MASTER)
        assert [frame["op"] for frame in client.due()] == ["error"]


def test_rows_6_and_8_each_subscriber_gets_her_own_view(target: Target) -> None:
    """Many of mixed rights, one save: what each is sent is what a find shows her."""
    hidden = {"*": ["secret"], "userField:owner": [], "role:none": []}
    name, ann, bob = open_class(target, protectedFields=hidden), target.user(), target.user()
    callers: list[User | None] = [ann, bob, None] * 6
    opened = [watching(target, name, who) for who in callers]
    clients = [context.__enter__() for context in opened]
    try:
        made = target.make(name, {"a": 1, "secret": "s", "owner": ann.pointer})
        for who, client in zip(callers, clients, strict=True):
            [frame] = client.due()
            [shown] = target.ask("GET", f"/classes/{name}", {"where": {"objectId": made}}, who.sent if who else ANON, "override").results
            assert frame["object"] == {**shown, "className": name}
            assert ("secret" in shown) is (who is ann)
    finally:
        for context in opened:
            context.__exit__(None, None, None)


def test_row_7_who_loses_the_right_to_read_is_told_nothing_new(target: Target) -> None:
    name, bob = open_class(target), target.user()
    mine: Frame = {bob.id: {"read": True}}
    made = target.make(name, {"a": 1, "secret": "old", "ACL": mine})
    with watching(target, name, bob) as client:
        target.ask("PUT", f"/classes/{name}/{made}", {"a": 2, "secret": "new", "ACL": {}}, MASTER)
        [frame] = client.due()
        assert frame["op"] == "leave"
        assert frame["object"]["a"] == frame["original"]["a"] == 1
        assert "new" not in str(frame)
        target.ask("PUT", f"/classes/{name}/{made}", {"secret": "later"}, MASTER)
        assert client.due() == []


def test_row_9_users_are_announced_without_tokens_and_providers(target: Target) -> None:
    person = target.user(ACL={"*": {"read": True}})
    with watching(target, "_User", where={"objectId": person.id}) as client, watching(target, "_User", person) as own:
        body = {"authData": {"anonymous": {"id": target.name("device")}}, "phone": "1"}
        assert target.ask("PUT", f"/users/{person.id}", body, {**MASTER}).status == 200
        frames = [*client.due(), *own.due()]
    assert {frame["op"] for frame in frames} == {"update"}
    for text in ("sessionToken", "authData", "_hashed_password", "_session_token", "device"):
        assert text not in str(frames)


@pytest.mark.parametrize("way", WAYS)
def test_row_9_a_session_that_ended_is_nobodys(target: Target, way: Way) -> None:
    name, ann = open_class(target), target.user()
    mine: Frame = {ann.id: {"read": True}}
    with watching(target, name, ann) as before:
        assert target.ask("POST", "/logout", {}, ann.sent, way).status == 200
        with watching(target, name, ann) as after:
            target.make(name, {"a": 1, "ACL": mine})
            assert before.due() == after.due() == []


def test_row_9_sessions_are_seen_by_their_users_only(target: Target) -> None:
    ann, bob = target.user(), target.user()
    assert refusal(target, "_Session", {}) in (101, 119, 209)
    with watching(target, "_Session", bob) as his:
        target.ask("POST", "/loginAs", {"userId": ann.id}, MASTER)
        assert his.due() == []


@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*a){20}", "["])
def test_row_10_patterns_hang_and_crash_nothing(target: Target, pattern: str) -> None:
    name = open_class(target)
    with Client(target.base.replace("http", "ws")) as client:
        client.connect(applicationId=APP_ID)
        client.subscribe(name, {"secret": {"$regex": pattern}})
        target.make(name, {"secret": "a" * 30_000 + "!"})
        client.due()
        assert target.ask("GET", "/health").status == 200


@pytest.mark.parametrize("depth", [30, 150, 5000])
def test_row_11_deep_queries_are_refused(target: Target, depth: int) -> None:
    where = '{"a":1}'
    for _ in range(depth):
        where = f'{{"$or":[{where}]}}'
    with Client(target.base.replace("http", "ws")) as client:
        client.connect(applicationId=APP_ID)
        client.send(f'{{"op":"subscribe","requestId":1,"query":{{"className":"C","where":{where}}}}}')
        assert all(frame["op"] == "error" for frame in client.due())


HALF: list[Frame] = [{"__type": kind} for kind in ("File", "Date", "Pointer", "GeoPoint", "Polygon", "Bytes")] + [
    {"__type": "File", "name": "x"}
]


@pytest.mark.parametrize("value", HALF, ids=str)
def test_row_a4_half_formed_values_end_nobodys_events(target: Target, value: Any) -> None:
    name = open_class(target)
    with watching(target, name) as client:
        target.ask("POST", f"/classes/{name}", {"f": value}, MASTER)
        target.ask("POST", f"/classes/{name}", {"o": {"f": [value]}}, MASTER)
        target.make(name, {"a": 1})
        assert client.due()[-1]["object"]["a"] == 1


def test_the_master_key_over_a_socket_sees_what_it_sees_over_rest(target: Target) -> None:
    name = open_class(target, find={}, get={}, protectedFields={"*": ["secret"]})
    with Client(target.base.replace("http", "ws")) as client:
        assert client.connect(applicationId=APP_ID, masterKey=MASTER_KEY)["op"] == "connected"
        assert client.subscribe(name)["op"] == "subscribed"
        target.make(name, {"a": 1, "secret": "s", "ACL": {}})
        assert [frame["object"]["secret"] for frame in client.due()] == ["s"]
