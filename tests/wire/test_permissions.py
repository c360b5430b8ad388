"""Scenario tables of permissions: for each kind of rule and caller, what must appear in an answer and what must not, at every entrance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.wire.conftest import Running
from tests.wire.scenarios import APP, MASTER

ENTRANCES = ("find", "get", "batch find", "batch get", "include", "subquery", "select", "count", "sdk")
CALLERS = ("ann", "bob", "member", "anon")
PUBLIC: dict[str, Any] = {name: {"*": True} for name in ("find", "get", "count", "create", "update", "delete", "addField")}


@dataclass(frozen=True)
class World:
    """People of a server, and objects under every kind of rule: `ids` by the name of the rule."""

    http: httpx.Client
    base: str
    sent: dict[str, dict[str, str]]
    users: dict[str, str]
    ids: dict[str, str]

    def ask(self, method: str, path: str, body: Any = None, who: str = "master") -> Any:
        answer = self.http.request(method, self.base + path, json=body, headers=self.sent[who])
        assert answer.status_code < 500, answer.text
        return answer.json()

    def see(self, entrance: str, rule: str, who: str) -> str:
        """Everything that an entrance shows of the object under a rule."""
        name, object_id = f"Perm{rule}", self.ids[rule]
        where = json.dumps({"objectId": object_id, "kind": rule})
        mine = json.dumps({"target": {"$inQuery": {"className": name, "where": {"kind": rule}}}})
        chosen = json.dumps({"kind": {"$select": {"query": {"className": name, "where": {}}, "key": "kind"}}})
        part = {"find": f"/parse/classes/{name}?where={where}", "get": f"/parse/classes/{name}/{object_id}"}
        shown = {
            "find": lambda: self.ask("GET", f"/classes/{name}?where={where}", who=who),
            "get": lambda: self.ask("GET", f"/classes/{name}/{object_id}", who=who),
            "batch find": lambda: self.ask("POST", "/batch", {"requests": [{"method": "GET", "path": part["find"]}]}, who),
            "batch get": lambda: self.ask("POST", "/batch", {"requests": [{"method": "GET", "path": part["get"]}]}, who),
            "include": lambda: self.ask("GET", f"/classes/Hold{rule}?where={json.dumps({'of': rule})}&include=target", who=who),
            "subquery": lambda: self.ask("GET", f"/classes/Hold{rule}?where={mine}&keys=of", who=who),
            "select": lambda: self.ask("GET", f"/classes/PermKinds?where={chosen}", who=who),
            "count": lambda: self.ask("GET", f"/classes/{name}?count=1&limit=0", who=who),
            "sdk": lambda: self.ask("POST", f"/classes/{name}", {"_method": "GET", "where": {"kind": rule}}, who),
        }[entrance]()
        return json.dumps(shown)


@pytest.fixture(scope="module")
def world(http: httpx.Client, server: Running) -> World:
    """Ann owns everything; Bob is a stranger; a member has the role that a role inherits."""
    made = World(http, server.base, {"master": MASTER, "anon": APP}, {}, {})
    for name in ("ann", "bob", "member"):
        user = made.ask("POST", "/users", {"username": f"perm-{name}", "password": "x"}, "anon")
        made.users[name] = user["objectId"]
        made.sent[name] = {**APP, "X-Parse-Session-Token": user["sessionToken"]}
    inner = _role(made, "PermInner", users={"__op": "AddRelation", "objects": [_pointer("_User", made.users["member"])]})
    _role(made, "PermOuter", roles={"__op": "AddRelation", "objects": [_pointer("_Role", inner)]})
    ann = made.users["ann"]
    owner = {"owner": _pointer("_User", ann)}
    team = {"team": [_pointer("_User", ann)]}
    for rule, permissions, body in (
        ("AclOwner", PUBLIC, {"ACL": {ann: {"read": True, "write": True}}}),
        ("AclRole", PUBLIC, {"ACL": {ann: {"read": True}, "role:PermOuter": {"read": True}}}),
        ("AclNobody", PUBLIC, {"ACL": {}}),
        ("AclPublic", PUBLIC, {"ACL": {"*": {"read": True}}}),
        ("ClpUser", {**PUBLIC, **{op: {ann: True} for op in ("find", "get", "count")}}, {}),
        ("ClpRole", {**PUBLIC, **{op: {ann: True, "role:PermOuter": True} for op in ("find", "get", "count")}}, {}),
        ("ClpSignedIn", {**PUBLIC, **{op: {"requiresAuthentication": True} for op in ("find", "get", "count")}}, {}),
        ("ClpNobody", {**PUBLIC, **{op: {} for op in ("find", "get", "count")}}, {}),
        ("PointerOwner", {**PUBLIC, **{op: {"pointerFields": ["owner"]} for op in ("find", "get", "count")}}, owner),
        ("PointerTeam", {**PUBLIC, **{op: {"pointerFields": ["team"]} for op in ("find", "get", "count")}}, team),
        ("PointerReaders", {**PUBLIC, **{op: {} for op in ("find", "get", "count")}, "readUserFields": ["owner"]}, owner),
    ):
        name = f"Perm{rule}"
        made.ids[rule] = made.ask("POST", f"/classes/{name}", {"kind": rule, "secret": f"secret-{rule}", **body})["objectId"]
        made.ask("POST", f"/classes/Hold{rule}", {"of": rule, "target": _pointer(name, made.ids[rule])})
        made.ask("POST", "/classes/PermKinds", {"kind": rule})
        changed = made.ask("PUT", f"/schemas/{name}", {"classLevelPermissions": permissions})
        assert changed.get("className") == name, changed
    return made


def _role(world: World, name: str, **relations: Any) -> str:
    made = world.ask("POST", "/roles", {"name": name, "ACL": {"*": {"read": True}}, **relations})
    return str(made["objectId"])


def _pointer(class_name: str, object_id: str) -> dict[str, str]:
    return {"__type": "Pointer", "className": class_name, "objectId": object_id}


READERS = {
    "AclOwner": {"ann"},
    "AclRole": {"ann", "member"},
    "AclNobody": set[str](),
    "AclPublic": set(CALLERS),
    "ClpUser": {"ann"},
    "ClpRole": {"ann", "member"},
    "ClpSignedIn": {"ann", "bob", "member"},
    "ClpNobody": set[str](),
    "PointerOwner": {"ann"},
    "PointerTeam": {"ann"},
    "PointerReaders": {"ann"},
}
"""Who may read the object under each rule, besides the master key."""


@pytest.mark.parametrize("who", [*CALLERS, "master"])
@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("rule", READERS)
def test_an_object_appears_where_it_may_be_read_and_nowhere_else(world: World, rule: str, entrance: str, who: str) -> None:
    seen = world.see(entrance, rule, who)
    allowed = who == "master" or who in READERS[rule]
    shows = {"subquery": f'"of": "{rule}"', "select": f'"kind": "{rule}"', "count": '"count": 1'}.get(entrance, f"secret-{rule}")
    assert (shows in seen) is allowed, seen
    if not allowed:
        assert f"secret-{rule}" not in seen


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("way", ["plain", "batch", "transaction", "sdk"])
@pytest.mark.parametrize("rule", ["AclOwner", "AclRole", "AclNobody", "AclPublic"])
def test_an_object_is_changed_by_whom_its_list_lets_write(world: World, rule: str, way: str, who: str) -> None:
    """Reading is not writing; a refusal says no more than that there is no such object."""
    path, body = f"/classes/Perm{rule}/{world.ids[rule]}", {"note": f"{way} {who}"}
    if way == "plain":
        answer = world.ask("PUT", path, body, who)
    elif way == "sdk":
        answer = world.ask("POST", path, {**body, "_method": "PUT"}, who)
    else:
        part = {"method": "PUT", "path": f"/parse{path}", "body": body}
        answer = world.ask("POST", "/batch", {"requests": [part], "transaction": way == "transaction"}, who)
    kept = world.ask("GET", path).get("note")
    if rule == "AclOwner" and who == "ann":
        assert kept == body["note"]
    else:
        assert '"code": 101' in json.dumps(answer), answer
        assert kept != body["note"]


SHOWN = {
    "everybody": ({"*": ["secret"]}, {"ann": False, "bob": False, "member": False, "anon": False}),
    "the signed-in see it": ({"*": ["secret"], "authenticated": []}, {"ann": True, "bob": True, "member": True, "anon": False}),
    "a role sees it": ({"*": ["secret"], "role:PermOuter": []}, {"ann": False, "bob": False, "member": True, "anon": False}),
    "the owner sees it": ({"*": ["secret"], "userField:owner": []}, {"ann": True, "bob": False, "member": False, "anon": False}),
    "none is hidden": ({"*": []}, {"ann": True, "bob": True, "member": True, "anon": True}),
}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("entrance", ["find", "get", "batch find", "batch get", "include", "sdk"])
def test_a_protected_field_appears_to_whom_it_is_uncovered(world: World, entrance: str, name: str) -> None:
    groups, expected = SHOWN[name]
    rule = "Protected"
    if rule not in world.ids:
        body = {"kind": rule, "secret": "secret-Protected", "owner": _pointer("_User", world.users["ann"])}
        world.ids[rule] = world.ask("POST", "/classes/PermProtected", body)["objectId"]
        world.ask("POST", f"/classes/Hold{rule}", {"of": rule, "target": _pointer("PermProtected", world.ids[rule])})
    world.ask("PUT", "/schemas/PermProtected", {"classLevelPermissions": {**PUBLIC, "protectedFields": groups}})
    assert {who: "secret-Protected" in world.see(entrance, rule, who) for who in expected} == expected
    assert "secret-Protected" in world.see(entrance, rule, "master")


def test_aggregates_are_the_master_keys(world: World) -> None:
    for who in CALLERS:
        for rule in READERS:
            for query in ('pipeline=[{"$match":{}}]', "distinct=secret"):
                answer = world.ask("GET", f"/aggregate/Perm{rule}?{query}", who=who)
                assert answer == {"error": "unauthorized: master key is required"}


def test_people_see_themselves_and_their_sessions_alone(world: World) -> None:
    for who in ("ann", "bob", "member"):
        listed = json.dumps([world.ask("GET", "/users", who=who), world.ask("GET", "/sessions", who=who)])
        for other, user_id in world.users.items():
            assert (user_id in listed) is (other == who)
            read = json.dumps(world.ask("GET", f"/users/{user_id}", who=who))
            assert (f"perm-{other}" in read) is (other == who)
    assert world.ask("GET", "/users", who="anon") == {"results": []}
    assert world.ask("GET", "/sessions", who="anon")["code"] == 209


def test_losing_a_role_is_felt_at_once(world: World) -> None:
    """Also by a session that has just used it, through the role that inherits it."""
    assert "secret-AclRole" in world.see("find", "AclRole", "member")
    where = json.dumps({"name": "PermInner"})
    role = world.ask("GET", f"/roles?where={where}")["results"][0]["objectId"]
    member = [_pointer("_User", world.users["member"])]
    world.ask("PUT", f"/roles/{role}", {"users": {"__op": "RemoveRelation", "objects": member}})
    assert "secret-AclRole" not in world.see("find", "AclRole", "member")
    world.ask("PUT", f"/roles/{role}", {"users": {"__op": "AddRelation", "objects": member}})
    assert "secret-AclRole" in world.see("find", "AclRole", "member")
