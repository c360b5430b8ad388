"""`/api/v1/changes` over HTTP, on either store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import httpx
import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer
from tests.live.client import Client
from tests.secantus import database
from tests.wire.people import APP, READ, Object, Person, fresh
from tests.wire.scenarios import Case, play


@pytest.fixture
def bob(either: TestServer) -> Person:
    return Person.signed_up(either)


@pytest.fixture
def master(either: TestServer) -> Person:
    return Person.master(either)


def test_writes_are_told_in_order_with_what_they_left(public: Person) -> None:
    name = fresh()
    since = public.position(name)
    first, second = public.save(name, {"n": 1})["objectId"], public.save(name, {"n": 2})["objectId"]
    public.change(name, first, {"n": {"__op": "Increment", "amount": 5}})
    public.remove(name, second)
    page = public.changes(name, since)
    told = [(change["op"], change["objectId"], change.get("object", {}).get("n")) for change in page["results"]]
    assert told == [("create", first, 1), ("create", second, 2), ("update", first, 6), ("delete", second, None)]
    assert all(change["className"] == name for change in page["results"])
    assert "object" not in page["results"][3]
    assert page["results"][2]["object"] == public.find(name)[0]
    assert not page["more"]
    assert public.changes(name, page["next"]) == {"results": [], "next": page["next"], "more": False}


def test_pages_hold_each_change_once(public: Person) -> None:
    name, other = fresh(), fresh()
    since = public.position(name)
    made = []
    for n in range(5):
        made.append(public.save(name, {"n": n})["objectId"])
        public.save(other, {"n": n})
    pages: list[Object] = []
    while not pages or pages[-1]["more"]:
        pages.append(public.changes(name, pages[-1]["next"] if pages else since, limit=2))
    assert [[change["objectId"] for change in page["results"]] for page in pages] == [made[:2], made[2:4], made[4:]]
    assert public.told(name, since, limit=5) == public.told(name, since)
    assert public.changes(name, since, limit=5)["more"] is False
    third = pages[1]["results"][0]["seq"]
    assert [object_id for _, object_id in public.told(name, third)] == made[3:]


def test_what_may_no_longer_be_seen_is_deleted_and_what_may_be_is_created(ann: Person, bob: Person) -> None:
    name = fresh()
    mine = {ann.id: {"read": True, "write": True}}
    shared = ann.save(name, {"n": 1, "ACL": {**mine, "*": READ}})["objectId"]
    since = bob.position(name)
    hidden = ann.save(name, {"n": 2, "ACL": mine})["objectId"]
    ann.change(name, shared, {"ACL": mine, "n": 3})
    ann.change(name, hidden, {"n": 4})
    gone = bob.changes(name, since)
    assert [(change["op"], change["objectId"], "object" in change) for change in gone["results"]] == [("delete", shared, False)]
    assert hidden not in str(gone)
    ann.change(name, hidden, {"ACL": {**mine, bob.id: READ}})
    ann.remove(name, shared)
    came = bob.changes(name, gone["next"])
    assert [(change["op"], change["object"]["n"]) for change in came["results"]] == [("create", 4)]
    ann.remove(name, hidden)
    assert bob.told(name, came["next"]) == [("delete", hidden)]


def test_what_no_longer_matches_is_deleted(public: Person) -> None:
    name, where = fresh(), '{"n":{"$gt":5}}'
    since = public.position(name)
    object_id = public.save(name, {"n": 9})["objectId"]
    public.save(name, {"n": 1})
    for n in (8, 2, 3, 7):
        public.change(name, object_id, {"n": n})
    assert [op for op, _ in public.told(name, since, where=where)] == ["create", "update", "delete", "create"]


def test_class_permissions_and_protected_fields_are_those_of_a_find(ann: Person, bob: Person, public: Person, master: Person) -> None:
    name = fresh()
    owner = {"owner": {"type": "Pointer", "targetClass": "_User"}, "secret": {"type": "String"}}
    find = {"pointerFields": ["owner"]}
    permissions = {"find": find, "create": {"*": True}, "update": {"*": True}, "protectedFields": {"*": ["secret"]}}
    assert master.call("POST", f"/schemas/{name}", {"fields": owner, "classLevelPermissions": permissions})[0] == 200
    since = {person: person.position(name) for person in (ann, bob, master)}
    pointer = {"__type": "Pointer", "className": "_User", "objectId": ann.id}
    object_id = public.save(name, {"owner": pointer, "secret": "x"})["objectId"]
    shown = ann.changes(name, since[ann])["results"]
    assert [change["object"] for change in shown] == ann.find(name)
    assert "secret" not in shown[0]["object"]
    assert master.changes(name, since[master])["results"][0]["object"]["secret"] == "x"
    assert bob.told(name, since[bob]) == []
    status, refused = ann.ask(name, since[ann], where='{"secret":"x"}')
    assert (status, refused["code"]) == (403, 119)
    public.change(name, object_id, {"owner": {**pointer, "objectId": bob.id}})
    assert (ann.told(name, since[ann])[-1][0], bob.told(name, since[bob])) == ("delete", [("create", object_id)])


def test_a_change_of_rights_makes_a_client_start_again(ann: Person, bob: Person, master: Person) -> None:
    name, role = fresh(), fresh("Role")
    status, made = master.call("POST", "/roles", {"name": role, "ACL": {"*": READ}})
    assert status == 201
    master.save(name, {"n": 1, "ACL": {f"role:{role}": READ}})
    since = {person: person.position(name) for person in (ann, bob, master)}
    member = {"users": {"__op": "AddRelation", "objects": [{"__type": "Pointer", "className": "_User", "objectId": bob.id}]}}
    assert master.call("PUT", f"/roles/{made['objectId']}", member)[0] == 200
    status, gone = bob.ask(name, since[bob])
    assert (status, gone["code"]) == (410, 120)
    assert "anew" in gone["error"]
    assert [ann.told(name, since[ann]), master.told(name, since[master]), bob.told(name, bob.position(name))] == [[], [], []]
    closed = {"classLevelPermissions": {"find": {f"role:{role}": True}}}
    assert master.call("PUT", f"/schemas/{name}", closed)[0] == 200
    assert ann.ask(name, since[ann])[0] == 403
    assert master.ask(name, since[master])[0] == 410


def test_a_position_may_be_handed_on(ann: Person, master: Person) -> None:
    """Which is somebody else's says nothing of one's own rights; the position of no class serves all."""
    name = fresh()
    status, answer = master.server.get("/api/v1/changes", master.headers)
    assert status == 200
    since = master.position(name)
    object_id = ann.save(name, {"n": 1})["objectId"]
    assert ann.told(name, answer["next"]) == ann.told(name, since) == [("create", object_id)]
    assert ann.told(name, master.position(name)) == []


def test_a_replayed_write_is_listed_once(public: Person) -> None:
    name = fresh()
    since = public.position(name)
    replies = [public.call("POST", f"/classes/{name}", {"n": 1}, {"X-Parse-Request-Id": f"{name}-1"}) for _ in range(2)]
    assert [replies[0][0], replies[1][1]["code"]] == [201, 159]
    object_id = replies[0][1]["objectId"]
    add = {"n": {"__op": "Increment", "amount": 1}}
    codes = [public.call("PUT", f"/classes/{name}/{object_id}", add, {"X-Parse-Request-Id": f"{name}-2"})[0] for _ in range(3)]
    assert codes == [200, 400, 400]
    told = public.changes(name, since)["results"]
    assert [(change["op"], change["object"]["n"]) for change in told] == [("create", 1), ("update", 2)]


def test_a_class_that_is_made_later_is_followed_from_before(public: Person, master: Person) -> None:
    name = fresh()
    since = public.position(name)
    assert public.changes(name, since)["results"] == []
    assert master.call("POST", f"/schemas/{name}", {"classLevelPermissions": {"find": {"*": True}, "create": {"*": True}}})[0] == 200
    object_id = public.save(name, {})["objectId"]
    kept = public.changes(name, since)
    assert [change["objectId"] for change in kept["results"]] == [object_id]
    assert master.call("DELETE", f"/classes/{name}/{object_id}")[0] == 200
    assert master.call("DELETE", f"/schemas/{name}")[0] == 200
    assert public.ask(name, kept["next"])[0] == 410
    assert public.changes(name, since)["results"] == []


def test_a_live_query_goes_on_from_the_position(public: Person) -> None:
    name = fresh()
    since = public.position(name)
    object_id = public.save(name, {"n": 1})["objectId"]
    page = public.changes(name, since)
    public.change(name, object_id, {"n": 2})
    with Client(public.server.url.replace("http", "ws") + "/parse") as client:
        client.connect(applicationId=APP["X-Parse-Application-Id"])
        client.subscribe(name, since=page["next"])
        event = client.receive()
    assert (event["op"], event["object"]["n"]) == ("update", 2)
    assert public.told(name, event["seq"]) == []
    assert public.changes(name, page["next"])["results"][0]["seq"] == event["seq"]


def test_changes_are_whole_while_others_write(public: Person) -> None:
    """Pages that are read while objects are written hold each change once, and the last state of each object."""
    name = fresh()
    since = public.position(name)

    def write(seed: int) -> None:
        random = Random(seed)
        mine: list[str] = []
        for n in range(30):
            if not mine or random.random() < 0.4:
                mine.append(public.save(name, {"n": n})["objectId"])
            elif random.random() < 0.7:
                public.change(name, random.choice(mine), {"n": n})
            else:
                public.remove(name, mine.pop())

    kept: dict[str, Object] = {}
    seen: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, seed) for seed in range(4)]
        last = False
        while not last:
            last = all(writer.done() for writer in writers)
            more = True
            while more:
                page = public.changes(name, since, limit=7)
                for change in page["results"]:
                    seen.append(change["seq"])
                    if change["op"] == "delete":
                        del kept[change["objectId"]]
                    else:
                        assert (change["op"] == "create") == (change["objectId"] not in kept)
                        kept[change["objectId"]] = change["object"]
                since, more = page["next"], page["more"]
        assert [writer.result() for writer in writers] == [None] * 4
    assert len(seen) == len(set(seen)) == 120
    assert kept == {found["objectId"]: found for found in public.find(name)}


@pytest.mark.parametrize("store", ["embedded", "mongodb"])
def test_a_position_outlives_the_server(request: pytest.FixtureRequest, tmp_path: Path, store: str) -> None:
    """Rights are known again after a restart, whatever the class allows whom."""
    settings = {"preset": "parse"}
    if store == "mongodb":
        settings["database_url"] = database(request.getfixturevalue("mongo"), f"outlives_{ObjectId()}")
    name = fresh()
    with TestServer(tmp_path, settings=settings) as server:
        ann, master = Person.signed_up(server), Person.master(server)
        fields = {"owner": {"type": "Pointer", "targetClass": "_User"}, "secret": {"type": "String"}, "other": {"type": "String"}}
        find = {"requiresAuthentication": True, "role:Nobody": True, "pointerFields": ["owner"]}
        protected = {"*": ["secret", "other"], "authenticated": ["other"], "userField:owner": [], "role:Nobody": ["secret"]}
        rules = {"find": find, "create": {"*": True}, "readUserFields": ["owner"], "protectedFields": protected}
        assert master.call("POST", f"/schemas/{name}", {"fields": fields, "classLevelPermissions": rules})[0] == 200
        since = {person: person.position(name) for person in (ann, master)}
        owner = {"__type": "Pointer", "className": "_User", "objectId": ann.id}
        object_id = ann.save(name, {"owner": owner, "secret": "x", "ACL": {ann.id: READ}})["objectId"]
    with TestServer(tmp_path, settings=settings) as server:
        for person, position in since.items():
            person.server = server
            assert person.told(name, position) == [("create", object_id)]


def test_limits_name_the_route_by_its_whole_path(tmp_path: Path, http: httpx.Client) -> None:
    limit = {"requestPath": "/api/v1/changes", "requestTimeWindow": 60_000, "requestCount": 2, "includeInternalRequests": True}
    options = {"appId": "a", "masterKey": "m", "rateLimit": [limit], "routeAllowList": ["api/v1/changes"], "allowClientClassCreation": True}
    with TestServer.with_parse_options(tmp_path, options) as server:
        place, sent = f"{server.url}/api/v1/changes?className=A", {"X-Parse-Application-Id": "a"}
        answers = [http.get(place, headers=sent) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert set(answers[2].json()) == {"code", "error"}
        assert int(answers[2].headers["retry-after"]) > 0
        assert http.get(f"{server.url}/parse/classes/A", headers=sent).json()["code"] == 119


ASKED = "/api/v1/changes?className=Asked"
CASES = (
    Case("no class", "GET", "/api/v1/changes?since=x", 400, ('"code":103', "className is missing"), sent=APP),
    Case("no class but a query", "GET", "/api/v1/changes?where={}", 400, ('"code":103',), sent=APP),
    Case("two classes", "GET", f"{ASKED}&className=B", 400, ('"code":102', "className should be a text"), sent=APP),
    Case("an argument of a find", "GET", f"{ASKED}&order=n", 400, ('"code":102', "Invalid parameter for changes: order"), sent=APP),
    Case("an empty position", "GET", f"{ASKED}&since=", 400, ('"code":102', "since should be a text"), sent=APP),
    Case("a position of nowhere", "GET", f"{ASKED}&since=nowhere", 410, ('"code":120', "anew"), sent=APP),
    Case("a position that is none", "GET", f"{ASKED}&since=%00%22'", 410, ('"code":120',), sent=APP),
    *(
        Case(f"limit {limit}", "GET", f"{ASKED}&limit={limit}", 400, ('"code":102', "limit should be a whole number"), sent=APP)
        for limit in ("0", "-1", "1.5", "x", "1e2", "9" * 5000, "%C2%B2", "")
    ),
    Case("a great limit is the greatest", "GET", f"{ASKED}&limit=100000", 200, ('"next"',), sent=APP),
    Case("where is no JSON", "GET", f"{ASKED}&where={{", 400, ('"code":107', "where parameter is not valid JSON"), sent=APP),
    Case("where is no object", "GET", f"{ASKED}&where=[]", 400, ('"code":107',), sent=APP),
    Case("an unknown operator", "GET", f'{ASKED}&where={{"a":{{"$no":1}}}}', 400, ('"code":107',), sent=APP),
    Case(
        "a subquery",
        "GET",
        f'{ASKED}&where={{"a":{{"$inQuery":{{"className":"B","where":{{}}}}}}}}',
        400,
        ('"code":102', "single object"),
        sent=APP,
    ),
    Case("a slow pattern", "GET", f'{ASKED}&where={{"a":{{"$regex":"(?=x)"}}}}', 400, ('"code":102', "regular expressions"), sent=APP),
    Case(
        "what time alone changes",
        "GET",
        f'{ASKED}&where={{"createdAt":{{"$gt":{{"$relativeTime":"1 day ago"}}}}}}',
        400,
        ('"code":102', "as time goes by"),
        sent=APP,
    ),
    Case("the master key's class", "GET", "/api/v1/changes?className=_PushStatus", 403, ('"code":119',), sent=APP),
    Case("a join table", "GET", "/api/v1/changes?className=_Join:users:_Role", 403, ('"code":119',), sent=APP),
    Case("sessions of nobody", "GET", "/api/v1/changes?className=_Session", 401, ('"code":209',), sent=APP),
    Case(
        "no keys", "GET", ASKED, 403, ('"code":119', "unauthorized"), sent={}, headers={"content-type": "application/json; charset=utf-8"}
    ),
    Case("a session that is none", "GET", ASKED, 401, ('"code":209',), sent={**APP, "X-Parse-Session-Token": "r:none"}),
    Case("another method", "DELETE", "/api/v1/changes", 404, ('"code":101', "Cannot DELETE /api/v1/changes"), sent=APP),
    Case("another route", "GET", "/api/v1/nothing", 404, ('"code":101',), sent=APP),
    Case("a route of the mount", "GET", "/api/v1/health", 404, ('"code":101',), sent=APP),
    Case("not below the mount", "GET", "/parse/changes?className=A", 404, ('"error"',), lacks=('"next"',), sent=APP),
    Case("a preflight", "OPTIONS", "/api/v1/changes", 200, sent={}),
    Case("a body in place of the query", "POST", "/api/v1/changes", 200, ('"next"',), sent=APP, json={"_method": "GET", "className": "A"}),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_requests_are_answered_with_a_code_and_a_status_that_fits(either: TestServer, http: httpx.Client, case: Case) -> None:
    play(http, either.url, case)


def test_requests_are_counted_by_their_route(either: TestServer) -> None:
    assert either.get("/api/v1/changes?className=Counted", APP)[0] == 200
    assert 'route="GET /api/v1/changes",status="200"' in either.get("/metrics")[1]
