"""Rows 38, 60, 61, 65 and 74 to 76: what is closed at the front is closed at every other entrance, too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from mbaas.wire.openapi import routes
from tests.fuzz.client import Line
from tests.security.attack import ANON, MASTER, WAYS, Target, Way
from tests.security.test_live import EVERYBODY


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server that is to answer on two routes alone."""
    options = {"appId": APP_ID, "masterKey": MASTER_KEY, "allowClientClassCreation": True, "routeAllowList": ["classes/Open.*", "batch"]}
    with TestServer.with_parse_options(tmp_path_factory.mktemp("narrow"), options) as server:
        made = Target(server)
        with made.http:
            yield made


CLOSED = (
    "/classes/Closed",
    "/classes/Open/../Closed",
    "/classes//Closed",
    "/classes/%43losed",
    "/classes/Open%2f..%2fClosed",
    "/classes/Open/x/../../Closed",
    "/Classes/Closed",
    "/classes/Closed?x=/classes/Open",
    "/classes/Closed#/classes/Open",
    "/functions/classes/Open",
    "/users",
    "/batch/classes/Open",
)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", WAYS)
def test_row_38_no_way_leads_around_the_list_of_routes(narrow: Target, way: Way, method: str) -> None:
    assert narrow.ask("POST", "/classes/Open", {"a": 1}, way=way).code is None
    kept = narrow.make("Closed", {"kept": 1})
    for path in CLOSED:
        answer = narrow.ask(method, path, {"stray": 1} if method == "POST" else None, way=way)
        assert answer.status == 404 or answer.code is not None or answer.body == {"results": []}, (path, answer.text)
    assert "stray" not in narrow.ask("GET", "/schemas/Closed", None, MASTER).body["fields"]
    assert narrow.ask("DELETE", f"/classes/Closed/{kept}", None, MASTER).code is None


EVIL = ("..", "../serverInfo", "..%2f..%2fserverInfo", "%2e%2e", "%2e%2e%2fserverInfo", "..\\serverInfo", "x/../../serverInfo", "\0", "%00")


@pytest.mark.parametrize("sent", [ANON, MASTER], ids=["anonymous", "master"])
def test_row_60_no_parameter_of_a_path_is_another_path(production: Target, sent: dict[str, str]) -> None:
    """Whatever stands in the place of a name or an id, the answer is not that of another route."""
    patterns = sorted({f"{route.base or '/parse'}{route.pattern}" for route in routes() if ":" in route.pattern and route.method == "GET"})
    assert len(patterns) > 20
    for pattern in patterns:
        for evil in EVIL:
            parts = [evil if part.startswith(":") else part for part in pattern.split("/")]
            raw = "/".join(quote(part, safe="%/.\\") for part in parts)
            answer = asyncio.run(_raw(production.server.port, raw, sent))
            assert b"parseServerVersion" not in answer, (raw, answer)
            assert b"Traceback" not in answer, (raw, answer)
            assert not answer.startswith(b"5"), (raw, answer)


async def _raw(port: int, target: str, sent: dict[str, str]) -> bytes:
    """Status and body of a GET whose target is sent as it is."""
    line = Line(port)
    head = [f"GET {target} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in sent.items())]
    reply = await line.ask(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"), "GET")
    await line.close()
    return b"%d " % reply.status + bytes(reply.body)


@pytest.mark.parametrize("way", WAYS)
def test_row_61_a_session_that_has_ended_opens_nothing(target: Target, way: Way) -> None:
    user = target.user()
    assert target.ask("GET", "/users/me", None, user.sent, way).code is None
    assert target.ask("POST", "/logout", {}, user.sent).status == 200
    for method, path in (("GET", "/users/me"), ("PUT", f"/users/{user.id}"), ("GET", "/sessions"), ("DELETE", f"/users/{user.id}")):
        assert target.ask(method, path, {"a": 1} if method == "PUT" else None, user.sent, way).code == 209
    for place in ("sessions", "passkeys", "users/me/data", "changes?className=_User"):
        answer = target.http.get(f"{target.server.url}/api/v1/{place}", headers=user.sent)
        assert (answer.status_code, answer.json()["code"]) == (401, 209), place


WRONG: dict[str, dict[str, str]] = {
    "master key": {**ANON, "X-Parse-Master-Key": "wrong"},
    "maintenance key": {**ANON, "X-Parse-Maintenance-Key": "wrong"},
    "session": {**ANON, "X-Parse-Session-Token": "r:0123456789abcdef0123456789abcdef"},
    "app": {"X-Parse-Application-Id": "another"},
    "nothing": {},
}


@pytest.mark.parametrize("what", WRONG)
def test_row_65_a_wrong_key_is_nobodys(parse: Target, what: str) -> None:
    """A session or an app that is none is not even a guest. A wrong master key is no key, as with Parse Server: whoever sends it sees
    what she would see without it."""
    name, closed = parse.name("Public"), parse.name("Closed")
    parse.schema(name, classLevelPermissions=EVERYBODY)
    parse.schema(closed, classLevelPermissions={})
    for each in (name, closed):
        parse.make(each, {"a": 1})
    for way in WAYS:
        told = parse.ask("GET", f"/classes/{name}", None, WRONG[what], way)
        assert told.code in (-403, 209, 119) or (what.endswith("key") and len(told.results) == 1), (way, told.text)
        for method, path in (("GET", f"/classes/{closed}"), ("GET", f"/schemas/{closed}"), ("DELETE", f"/purge/{name}")):
            assert parse.ask(method, path, None, WRONG[what], way).code in (-403, 119, 209), (way, path)
    for place in ("audit", "limits", "campaigns"):
        answer = parse.http.get(f"{parse.server.url}/api/v1/{place}", headers=WRONG[what])
        assert answer.status_code in (401, 403), (place, answer.text)


@pytest.mark.parametrize("key", ["pk_live_wrong", "pk_test_wrong", "mk_live_wrong", "pk_", "Basic eA=="])
def test_row_65_a_bearer_of_a_wrong_key_is_a_bearer_of_none(parse: Target, key: str) -> None:
    for place in ("partner", "partner/usage", "changes?className=_User", "campaigns", "audit", "limits"):
        answer = parse.http.get(f"{parse.server.url}/api/v1/{place}", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code in (401, 403, 404), (place, answer.text)


@pytest.mark.parametrize("way", WAYS)
def test_row_74_whatever_helps_to_write_asks_as_a_save_does(parse: Target, way: Way) -> None:
    """What is one person's is changed, moved, counted, emptied or read by no other, through whichever helper."""
    ann, bob, name = parse.user(), parse.user(), parse.name("Own")
    parse.schema(name, classLevelPermissions=EVERYBODY)
    made = parse.ask("POST", f"/classes/{name}", {"n": 1, "ACL": {ann.id: {"read": True, "write": True}}}, ann.sent).body["objectId"]
    path = f"/classes/{name}/{made}"
    operators: list[dict[str, Any]] = [
        {"n": 2},
        {"n": {"__op": "Increment", "amount": 1}},
        {"n": {"__op": "Delete"}},
        {"ACL": {"*": {"write": True}}},
        {"friends": {"__op": "AddRelation", "objects": [bob.pointer]}},
    ]
    for body in operators:
        assert parse.ask("PUT", path, body, bob.sent, way).code == 101
    assert parse.ask("DELETE", path, None, bob.sent, way).code == 101
    part = {"method": "PUT", "path": f"/parse{path}", "body": {"n": 3}}
    assert '"code":101' in parse.raw("POST", "/batch", json={"requests": [part], "transaction": True}, headers=bob.sent).text
    for method, helper in (("DELETE", f"/purge/{name}"), ("GET", f"/aggregate/{name}"), ("PUT", f"/schemas/{name}"), ("POST", "/push")):
        assert parse.ask(method, helper, {} if method in ("PUT", "POST") else None, bob.sent, way).code in (119, -403), helper
    related = {"$relatedTo": {"object": {"__type": "Pointer", "className": name, "objectId": made}, "key": "friends"}}
    assert parse.ask("GET", "/users", {"where": related}, bob.sent, way).code in (101, 102, 119) or not parse.ask(
        "GET", "/users", {"where": related}, bob.sent, way
    ).body.get("results")
    assert parse.ask("GET", f"/classes/{name}", {"count": 1, "limit": 0}, bob.sent, way).body["count"] == 0
    data = parse.http.get(f"{parse.server.url}/api/v1/users/{ann.id}/data", headers=bob.sent)
    assert data.status_code == 403
    assert parse.ask("GET", path, None, ann.sent, way).body["n"] == 1


PRETEXTS = (
    "/parse/schemas?x=/health",
    "/parse/schemas?/livez",
    "/parse/schemas#/health",
    "/parse/schemas/%2e%2e/health/../schemas",
    "/parse/health/../schemas",
    "/parse/health%2f..%2fschemas",
    "/livez/../parse/schemas",
    "/livez/parse/schemas",
    "//parse/schemas?/parse/apps/",
    "/parse/apps/x/../../schemas",
    "/parse/files/../schemas",
    "/api/v1/http/../audit",
    f"/api/v1/http/{APP_ID}/../../audit",
    "/api/v1/audit?path=/captcha",
    "/api/v1/captcha/../audit",
    "/metrics/../parse/schemas",
)


@pytest.mark.parametrize("path", PRETEXTS)
def test_row_75_an_open_route_in_an_address_opens_no_other(production: Target, path: str) -> None:
    """Without any key, and with the app's alone."""
    production.make(production.name("Kept"), {"secret": 1})
    for sent in ({}, ANON):
        answer = asyncio.run(_raw(production.server.port, path, sent))
        assert answer[:3] in (b"400", b"401", b"403", b"404") or answer == b'200 {"status":"ok"}', (path, answer)


BAD: dict[str, dict[str, Any]] = {
    "a type": {"n": "text"},
    "another type": {"at": 5},
    "a key": {"a b": 1},
    "a reserved key": {"_rperm": ["*"]},
    "an operator as a key": {"o": {"$set": 1}},
    "half a date": {"at": {"__type": "Date"}},
    "a pointer elsewhere": {"to": {"__type": "Pointer", "className": "_Role", "objectId": "x"}},
    "half a point": {"spot": {"__type": "GeoPoint", "latitude": 9}},
    "a date that is none": {"at": {"__type": "Date", "iso": "yesterday"}},
}
_SHAPED = {
    "n": {"type": "Number"},
    "at": {"type": "Date"},
    "to": {"type": "Pointer", "targetClass": "_User"},
    "where": {"type": "GeoPoint"},
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("way", WAYS)
def test_row_76_what_a_new_object_may_not_be_an_old_one_may_not_become(parse: Target, way: Way, what: str) -> None:
    name, body = parse.name("Shaped"), BAD[what]
    parse.schema(name, classLevelPermissions=EVERYBODY, fields={**_SHAPED, "o": {"type": "Object"}})
    made = parse.make(name, {"n": 1})
    path = f"/classes/{name}/{made}"
    created, updated = parse.ask("POST", f"/classes/{name}", body, way=way).code, parse.ask("PUT", path, body, way=way).code
    assert created is not None
    assert updated == created
    part = {"method": "PUT", "path": f"/parse{path}", "body": body}
    for transaction in (False, True):
        told = parse.raw("POST", "/batch", json={"requests": [part], "transaction": transaction}, headers=ANON).text
        assert '"code"' in told
        assert '"success"' not in told
    kept = parse.ask("GET", path).body
    assert set(kept) <= {"objectId", "createdAt", "updatedAt", "n", "ACL"}
    assert kept["n"] == 1
