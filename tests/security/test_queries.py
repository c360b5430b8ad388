"""Rows 11 to 16, 44 and 53: what a query may cost, and what it may find out."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.security.attack import ANON, MASTER, WAYS, Target, User, Way, pointer

SOON = 2.0
"""Seconds: far more than a refusal needs on a busy machine, far less than the work that is refused."""


def nested(operator: str, depth: int) -> dict[str, Any]:
    where: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        where = {operator: [where]}
    return where


def subquery(where: Any) -> dict[str, Any]:
    return {"a": {"$inQuery": {"className": "Open", "where": where}}}


def in_subqueries(depth: int) -> dict[str, Any]:
    where: dict[str, Any] = {}
    for _ in range(depth):
        where = subquery(where)
    return where


TOO_MUCH = {
    "or 30": nested("$or", 30),
    "and 90": nested("$and", 90),
    "nor 90": nested("$nor", 90),
    "subqueries deep": in_subqueries(15),
    "subqueries wide": {"$or": [subquery({}) for _ in range(900)]},
    "subqueries both": {"$or": [subquery({"$or": [subquery({}) for _ in range(30)]}) for _ in range(30)]},
    "wide or": {"$or": [{"a": n} for n in range(5000)]},
    "many in": {"a": {"$in": list(range(60_000))}},
    "many all": {"a": {"$all": list(range(60_000))}},
}


@pytest.fixture(scope="module")
def opened(parse: Target) -> Target:
    """A class that everybody may use, with an object."""
    everybody = {operation: {"*": True} for operation in ("find", "get", "count", "create", "update", "delete", "addField")}
    parse.schema("Open", classLevelPermissions=everybody, fields={"a": {"type": "Number"}, "text": {"type": "String"}})
    parse.make("Open", {"a": 1, "text": "a" * 40, "place": {"__type": "GeoPoint", "latitude": 1, "longitude": 1}})
    return parse


@pytest.mark.parametrize("way", ["batch", "override"])
@pytest.mark.parametrize("where", TOO_MUCH.values(), ids=TOO_MUCH)
def test_row_11_a_query_that_costs_too_much_is_refused_soon(opened: Target, where: Any, way: Way) -> None:
    began = time.monotonic()
    answer = opened.ask("GET", "/classes/Open", {"where": where}, way=way)
    assert answer.code == 102, answer.text[:200]
    assert time.monotonic() - began < SOON
    assert opened.ask("GET", "/classes/Open").status == 200


@pytest.mark.parametrize("depth", [201, 600, 1000, 5000, 100_000])
@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("POST", "/classes/Open", '{{"_method":"GET","where":{}}}'),
        ("POST", "/classes/Open", '{{"deep":{}}}'),
        ("PUT", "/classes/Open/x", '{{"deep":{{"__op":"Add","objects":[{}]}}}}'),
        ("POST", "/batch", '{{"requests":[{{"method":"POST","path":"/parse/classes/Open","body":{{"deep":{}}}}}]}}'),
        ("POST", "/login", '{{"username":{},"password":"x"}}'),
        ("POST", "/functions/f", '{{"deep":{}}}'),
    ],
)
@pytest.mark.parametrize("bracket", ["$or", "list"])
def test_row_11_nesting_without_end_is_refused_before_anything_else(
    opened: Target, method: str, path: str, text: str, depth: int, bracket: str
) -> None:
    left, right = ('{"$or":[', "]}") if bracket == "$or" else ("[", "]")
    began = time.monotonic()
    answer = opened.raw(method, path, content=text.format(left * depth + "1" + right * depth), headers=ANON)
    assert answer.status_code == 400, answer.text[:200]
    assert "error" in answer.json()
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    "body", ["[" + "1," * 3_000_000 + "x]", '{"a":' + "[1," * 200_000, '{"a":"' + "x" * 5_000_000], ids=lambda body: body[:6]
)
def test_row_11_a_long_body_that_is_not_json_costs_nothing(opened: Target, body: str) -> None:
    """Where it goes wrong is not looked for: nobody has shown a key yet."""
    began = time.monotonic()
    answer = opened.raw("POST", "/classes/Open", content=body, headers=ANON)
    assert (answer.status_code, "not JSON" in answer.text or "no more than" in answer.text) == (400, True)
    assert time.monotonic() - began < SOON


def test_row_11_nesting_inside_a_query_string_is_refused(opened: Target) -> None:
    answer = opened.ask("GET", "/classes/Open", {"where": "[" * 3000 + "]" * 3000})
    assert answer.code == 107
    pipeline = '[{"$match":' + '{"$or":[' * 500 + "{}" + "]}" * 500 + "}]"
    assert opened.ask("GET", "/aggregate/Open", {"pipeline": pipeline}, MASTER).code == 102


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "options",
    [
        {"include": ".".join("p" * 50)},
        {"include": ",".join(f"p{n}" for n in range(500))},
        {"order": ",".join(f"f{n}" for n in range(500))},
        {"order": ",".join(f"object.f{n}" for n in range(500))},
        {"limit": 10**30},
        {"skip": 2**62},
        {"skip": -1},
        {"limit": "1e400"},
        {"nosuch": 1},
    ],
    ids=str,
)
def test_row_11_options_have_bounds(opened: Target, options: dict[str, Any], way: Way) -> None:
    assert opened.ask("GET", "/classes/Open", options, way=way).code == 102


HOSTILE = (
    "(a+)+$",
    "(a|a)*b",
    "^(a|aa)+$",
    r"(a+)+\1b",
    "(?=(a+)+b)",
    "((a{1,1000}){1,1000}){1,1000}b",
    "a" * 100_000,
    "(?:" * 500 + ")" * 500,
)


@pytest.mark.parametrize("pattern", HOSTILE, ids=lambda pattern: pattern[:30])
@pytest.mark.parametrize("shape", ["$regex", "$all", "aggregate"])
def test_row_11_no_regular_expression_holds_the_server_up(opened: Target, pattern: str, shape: str) -> None:
    began = time.monotonic()
    if shape == "aggregate":
        answer = opened.ask("GET", "/aggregate/Open", {"pipeline": [{"$match": {"text": {"$regex": pattern}}}]}, MASTER, way="override")
    else:
        condition = {"$regex": pattern} if shape == "$regex" else {"$all": [{"$regex": f"^{pattern.lstrip('^')}"}]}
        answer = opened.ask("GET", "/classes/Open", {"where": {"text": condition}}, way="override")
    assert answer.code in (None, 102, 107, 124), answer.text[:200]
    assert opened.ask("GET", "/health").status == 200
    assert time.monotonic() - began < 3 * SOON


@pytest.fixture(scope="module")
def guarded(opened: Target) -> tuple[Target, str, User]:
    """A class with a protected field, readable by all; and a user."""
    name = "Guarded"
    rules: dict[str, Any] = {operation: {"*": True} for operation in ("find", "get", "count")}
    fields = {"secret": {"type": "String"}, "deep": {"type": "Object"}, "friends": {"type": "Relation", "targetClass": "_User"}}
    hidden = {"protectedFields": {"*": ["secret", "deep", "friends"]}}
    opened.schema(name, fields={**fields, "shown": {"type": "String"}}, classLevelPermissions={**rules, **hidden})
    user = opened.user()
    friends = {"__op": "AddRelation", "objects": [user.pointer]}
    opened.make(name, {"secret": "hit", "deep": {"a": "hit"}, "shown": "x", "friends": friends})
    return opened, name, user


def conditions(value: str) -> dict[str, dict[str, Any]]:
    """A condition on a protected field in many shapes."""
    plain = {"secret": value}
    return {
        "plain": plain,
        "regex": {"secret": {"$regex": f"^{value}"}},
        "or": {"$or": [plain, {"shown": "y"}]},
        "and": {"$and": [{"shown": "x"}, plain]},
        "nor": {"$nor": [plain]},
        "deep": {"$and": [{"$or": [{"$nor": [{"$and": [plain]}]}]}]},
        "dotted": {"deep.a": value},
        "exists": {"secret": {"$exists": value == "hit"}},
        "compare": {"secret": {"$gt": value}},
        "negated": {"secret": {"$ne": value}},
        "relation": {"friends": pointer("_User", value)},
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", conditions("hit"))
def test_row_12_and_13_a_protected_field_cannot_be_asked(guarded: tuple[Target, str, User], shape: str, way: Way) -> None:
    target, name, user = guarded
    answers = [
        target.ask("GET", f"/classes/{name}", {"where": conditions(value)[shape], **more}, sent, way)
        for value in ("hit", "miss")
        for more in ({}, {"count": 1, "limit": 0})
        for sent in (ANON, user.sent)
    ]
    assert {answer.code for answer in answers} == {119}
    assert len({str(answer.body).replace("hit", "miss") for answer in answers}) <= 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", conditions("hit"))
def test_row_12_not_through_a_subquery_either(guarded: tuple[Target, str, User], shape: str, way: Way) -> None:
    target, name, _ = guarded
    for operator in ("$inQuery", "$notInQuery"):
        where = {"a": {operator: {"className": name, "where": conditions("hit")[shape]}}}
        assert target.ask("GET", "/classes/Open", {"where": where}, way=way).code == 119
    for operator in ("$select", "$dontSelect"):
        where = {"a": {operator: {"query": {"className": name, "where": conditions("hit")[shape]}, "key": "shown"}}}
        assert target.ask("GET", "/classes/Open", {"where": where}, way=way).code == 119


@pytest.mark.parametrize("way", WAYS)
def test_row_12_a_protected_field_cannot_be_selected(guarded: tuple[Target, str, User], way: Way) -> None:
    """`$select` by a hidden field finds what it would find if there were none."""
    target, name, _ = guarded
    target.make("Open", {"text": "hit", "ACL": {"*": {"read": True}}})
    for key, found in (("secret", 0), ("deep.a", 0), ("shown", 0)):
        where = {"text": {"$select": {"query": {"className": name, "where": {}}, "key": key}}}
        assert len(target.ask("GET", "/classes/Open", {"where": where}, way=way).results) == found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", ["secret", "-secret", "deep.a", "shown,-deep.a", "shown,secret"])
def test_row_13_a_protected_field_does_not_sort(guarded: tuple[Target, str, User], order: str, way: Way) -> None:
    target, name, user = guarded
    for sent in (ANON, user.sent):
        assert target.ask("GET", f"/classes/{name}", {"order": order}, sent, way).code == 119


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", [{}, {"keys": "secret,deep.a"}, {"include": "secret"}, {"includeAll": 1}, {"excludeKeys": "shown"}])
def test_row_13_a_protected_field_is_never_shown(guarded: tuple[Target, str, User], options: dict[str, Any], way: Way) -> None:
    target, name, user = guarded
    for sent in (ANON, user.sent):
        answer = target.ask("GET", f"/classes/{name}", options, sent, way)
        assert len(answer.results) == 1
        assert "hit" not in answer.text


INTERNAL = (
    "_hashed_password",
    "_email_verify_token",
    "_perishable_token",
    "_session_token",
    "_rperm",
    "_wperm",
    "_acl",
    "_password_history",
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("class_name", ["_User", "_Session", "Open"])
@pytest.mark.parametrize("name", INTERNAL)
def test_row_14_internal_fields_do_not_exist_for_queries(opened: Target, class_name: str, name: str, way: Way) -> None:
    user = opened.someone
    for condition in ({"$regex": "^."}, {"$exists": True}, {"$ne": None}, "x"):
        for where in ({name: condition}, {"$or": [{name: condition}]}, {"$and": [{"a": 1}, {"$nor": [{name: condition}]}]}):
            answer = opened.ask("GET", f"/classes/{class_name}", {"where": where}, user.sent, way)
            assert answer.code == 105, answer.text
    assert opened.ask("GET", f"/classes/{class_name}", {"order": name}, user.sent, way).code == 105
    by_key = opened.ask("GET", f"/classes/{class_name}", {"keys": name}, user.sent, way)
    assert by_key.code is None
    assert name not in by_key.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["password", "authData", "authData.anonymous.id", "authData.anonymous"])
def test_row_14_what_identifies_people_is_no_oracle(target: Target, path: str, way: Way) -> None:
    """Hit and miss are answered alike, also where the row is public."""
    person = target.user(authData={"anonymous": {"id": target.name("anon")}}, ACL={"*": {"read": True}})
    reader = target.user()
    for operator in ("$regex", "$gte", "$lte", "$ne"):
        for negated in (False, True):
            found = []
            for value in ("", "zzz"):
                condition: Any = {"$nor": [{path: {operator: value}}]} if negated else {path: {operator: value}}
                where = {"username": person.name, **condition}
                answer = target.ask("GET", "/users", {"where": where}, reader.sent, way)
                found.append((answer.code, len(answer.body.get("results", []))))
            assert found[0] == found[1], operator
    assert target.ask("GET", "/users", {"order": path}, reader.sent, way).code in ((105,) if path != "password" else (None,))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", ["authData.anonymous.id", "_hashed_password", "email", "sessionToken", "_session_token"])
def test_row_14_nothing_is_selected_from_people(opened: Target, key: str, way: Way) -> None:
    anonymous = opened.name("anon")
    person = opened.user(authData={"anonymous": {"id": anonymous}}, ACL={"*": {"read": True}})
    for value in (anonymous, f"{person.name}@example.org", person.token):
        opened.make("Open", {"text": value})
    for class_name in ("_User", "_Session"):
        where = {"text": {"$select": {"query": {"className": class_name, "where": {}}, "key": key}}}
        answer = opened.ask("GET", "/classes/Open", {"where": where}, opened.user().sent, way)
        assert not answer.body.get("results"), answer.text


@pytest.mark.parametrize("way", WAYS)
def test_row_15_a_relation_tells_nothing_of_an_object_that_is_closed(opened: Target, way: Way) -> None:
    """The same for an object that is not there, for a count, and for the wrong user."""
    owner, other = opened.user(), opened.user()
    name = opened.name("Club")
    opened.schema(name, fields={"members": {"type": "Relation", "targetClass": "Open"}})
    member = opened.make("Open", {"a": 7})
    add = {"__op": "AddRelation", "objects": [pointer("Open", member)]}
    club = opened.make(name, {"members": add, "ACL": {owner.id: {"read": True, "write": True}}})

    def asked(object_id: str, user: User, **more: Any) -> Any:
        where = {"$relatedTo": {"object": pointer(name, object_id), "key": "members"}}
        return opened.ask("GET", "/classes/Open", {"where": where, **more}, user.sent, way).body

    assert len(asked(club, owner)["results"]) == 1
    assert asked(club, other) == asked("nosuchid", other)
    assert asked(club, other, count=1, limit=0) == asked("nosuchid", other, count=1, limit=0) == {"results": [], "count": 0}


@pytest.mark.parametrize("way", WAYS)
def test_row_15_a_hidden_relation_cannot_be_followed(guarded: tuple[Target, str, User], way: Way) -> None:
    target, name, user = guarded
    there = target.ask("GET", f"/classes/{name}", sent=MASTER).results[0]["objectId"]
    for object_id in (there, "nosuchid"):
        where = {"$relatedTo": {"object": pointer(name, object_id), "key": "friends"}}
        assert target.ask("GET", "/users", {"where": where}, user.sent, way).code == 119


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("forged", ["_Session", "_User", "_Installation", "_JobStatus", "_GlobalConfig", "_Join:users:_Role", "_Hooks"])
def test_row_16_no_forged_pointer_reaches_an_internal_class(opened: Target, forged: str, way: Way) -> None:
    victim, thief = opened.user(), opened.user()
    session = opened.ask("GET", "/sessions/me", sent=victim.sent).body["objectId"]
    at = victim.id if forged == "_User" else session
    name = opened.name("Forged")
    opened.schema(name, fields={"any": {"type": "Object"}, "list": {"type": "Array"}})
    opened.make(name, {"any": {"p": pointer(forged, at)}, "list": [pointer(forged, at), pointer("_Session", session)]})
    for options in ({"include": "any.p"}, {"include": "list"}, {"includeAll": 1}, {"include": "list.user", "keys": "list.sessionToken"}):
        answer = opened.ask("GET", f"/classes/{name}", options, thief.sent, way)
        for secret in (victim.token, victim.name, "createdWith", "expiresAt"):
            assert secret not in answer.text
    for where in ({"any.p": {"$inQuery": {"className": forged, "where": {}}}}, {"list": {"$inQuery": {"className": forged, "where": {}}}}):
        answer = opened.ask("GET", f"/classes/{name}", {"where": where}, thief.sent, way)
        assert not answer.body.get("results"), answer.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inner", ["_Session", "_JobStatus", "_Installation"])
def test_row_16_redirects_do_not_lead_around_permissions(opened: Target, inner: str, way: Way) -> None:
    name = opened.name("Redirect")
    opened.schema(name, fields={"to": {"type": "Relation", "targetClass": inner}})
    opened.make(name, {"x": 1})
    for sent in (ANON, opened.someone.sent):
        redirected = opened.ask("GET", f"/classes/{name}", {"redirectClassNameForKey": "to"}, sent, way)
        direct = opened.ask("GET", f"/classes/{inner}", None, sent, way)
        assert redirected.code == direct.code
        assert "sessionToken" not in redirected.text or sent is not ANON


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "where",
    [
        {"text": {"$regex": "["}},
        {"text": {"$regex": "a", "$options": "q"}},
        {"text": {"$regex": {"a": 1}}},
        {"text": {"$regex": "a\x00b["}},
        {"place": {"$nearSphere": {"__type": "GeoPoint", "latitude": 1e308, "longitude": "x"}}},
        {"place": {"$nearSphere": {"__type": "GeoPoint", "latitude": 1, "longitude": 1}, "$maxDistance": "x"}},
        {"place": {"$within": {"$box": [1, 2]}}},
        {"place": {"$geoWithin": {"$polygon": [{"__type": "GeoPoint", "latitude": 1, "longitude": 1}]}}},
        {"place": {"$geoWithin": {"$centerSphere": [[1, 2], "x"]}}},
        {"place": {"$geoIntersects": {"$point": "x"}}},
        {"text": {"$text": {"$search": {"$term": ["x"]}}}},
        {"text": {"$text": {"$search": '" OR ( * NEAR'}}},
        {"a": {"$in": "x"}},
        {"a": {"$nosuch": 1}},
        {"$where": "1"},
        {"a": {"$select": {"query": {"className": "Open"}, "key": ["x"]}}},
        {"createdAt": {"$gt": {"__type": "Date", "iso": "not a date"}}},
        {"a": {"$gt": {"$relativeTime": "soon"}}},
    ],
    ids=str,
)
def test_row_44_what_the_database_says_stays_inside(opened: Target, where: Any, way: Way) -> None:
    """The answers are ours; `Target.ask` looks for the database's own words."""
    answer = opened.ask("GET", "/classes/Open", {"where": where}, way=way)
    assert answer.code in (102, 105, 107, 119), answer.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("term", ['" OR ( * NEAR', "a AND", "text:x", "^", '"', "-", "NEAR(", "x' --", "\x00", "(" * 1000, "a*" * 1000])
def test_row_44_what_is_searched_for_is_text(opened: Target, term: str, way: Way) -> None:
    where = {"text": {"$text": {"$search": {"$term": term}}}}
    assert opened.ask("GET", "/classes/Open", {"where": where}, way=way).code in (None, 102)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [True, "executionStats", "';--", {"a": 1}, ["x"], 10**18, "queryPlanner"], ids=str)
def test_row_53_only_the_master_key_explains(opened: Target, value: Any, way: Way) -> None:
    for sent in (ANON, opened.someone.sent):
        assert opened.ask("GET", "/classes/Open", {"explain": value}, sent, way).code == 102
    assert opened.raw("POST", "/classes/Open", json={"_method": "GET", "explain": value}, headers=MASTER).status_code in (200, 400)


ASKED_TOO_MUCH: dict[str, tuple[str, dict[str, Any], int]] = {
    "a path of many steps": ("GET", {"include": "a." * 20_000 + "a"}, 102),
    "many paths": ("GET", {"keys": ",".join(f"a{n}.b.c.d.e.f.g.h" for n in range(9000))}, 102),
    "many names": ("GET", {"excludeKeys": ",".join(f"a{n}" for n in range(20_000))}, 102),
    "a long pattern": ("GET", {"where": {"text": {"$regex": "(?=x)" + "a?" * 50_000}}}, 102),
    "many patterns": ("GET", {"where": {"$or": [{"text": {"$regex": f"(?=a){n}"}} for n in range(900)]}}, 102),
    "approximate matching": ("GET", {"where": {"text": {"$regex": "(?:a{32}!){i<=10,d<=10,s<=10}(?=z)"}}}, 102),
    "many values": ("POST", {"n": [[]] * 300_000}, 116),
    "many numbers": ("POST", {"n": list(range(300_000))}, 116),
    "a polygon of many corners": (
        "GET",
        {"where": {"place": {"$geoWithin": {"$polygon": [{"__type": "GeoPoint", "latitude": 0, "longitude": 0}] * 20_000}}}},
        107,
    ),
    "a long access list": ("POST", {"ACL": {f"user{n}": {"read": True} for n in range(6000)}}, 123),
    "many words": ("GET", {"where": {"text": {"$text": {"$search": {"$term": " ".join(f"word{n}" for n in range(60))}}}}}, 102),
    "many columns": ("POST", {f"c{n}": 1 for n in range(2000)}, 140),
    "a number beyond all": ("POST", {"n": {"__op": "Increment", "amount": 10**400}}, 107),
}


@pytest.mark.parametrize(("method", "body", "code"), ASKED_TOO_MUCH.values(), ids=ASKED_TOO_MUCH)
def test_a_request_that_would_keep_everybody_waiting_is_refused(opened: Target, method: str, body: dict[str, Any], code: int) -> None:
    name = "Heavy" if method == "POST" else "Open"
    assert opened.ask(method, f"/classes/{name}", body, way="override").code == code


def test_lists_with_many_elements_are_worked_on_element_by_element(opened: Target) -> None:
    """Each value once, not each with each: this would take minutes."""
    made = opened.make("Lists", {"l": [{"n": n} for n in range(20_000)]})
    more = {"l": {"__op": "AddUnique", "objects": [{"n": n} for n in range(10_000, 30_000)]}}
    assert len(opened.ask("PUT", f"/classes/Lists/{made}", more, MASTER).body["l"]) == 30_000
    less = {"l": {"__op": "Remove", "objects": [{"n": n} for n in range(1, 30_000)]}}
    assert opened.ask("PUT", f"/classes/Lists/{made}", less, MASTER).body["l"] == [{"n": 0}]


def test_an_increment_never_loses_the_number(opened: Target) -> None:
    made = opened.make("Numbers", {"n": 1e308})
    assert opened.ask("PUT", f"/classes/Numbers/{made}", {"n": {"__op": "Increment", "amount": 1.7e308}}, MASTER).code == 111
    assert opened.ask("GET", f"/classes/Numbers/{made}", sent=MASTER).body["n"] == 1e308
