"""Rows 16 to 19, 41 to 43, 54 and A8: names of classes, fields, indexes and functions are data, and the server's own are out of reach."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from mbaas.data.classes import MASTER_ONLY, SYSTEM_COLUMNS
from tests.security.attack import ANON, MASTER, WAYS, Target, Way, pointer

VERBS = ("GET", "POST", "PUT", "DELETE")
OWN_RULES = {"_User", "_Role", "_Session", "_Installation", "_Product"}
UNKNOWN = {"_SCHEMA", "_Foo", "_Metadata"}
INTERNAL = sorted({*MASTER_ONLY, *SYSTEM_COLUMNS, "_Join:users:_Role", "_Join:roles:_Role", *UNKNOWN} - OWN_RULES)


def at(class_name: str, method: str) -> str:
    return f"/classes/{quote(class_name)}" + ("" if method in ("GET", "POST") else "/someid")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", VERBS)
@pytest.mark.parametrize("class_name", INTERNAL)
def test_row_17_and_18_internal_classes_are_the_master_keys(target: Target, class_name: str, method: str, way: Way) -> None:
    for sent in (ANON, target.someone.sent):
        for path in {at(class_name, method), at(class_name, method).replace("%3A", ":"), at(class_name, method).replace("_", "%5F")}:
            answer = target.ask(method, path, {"a": 1} if method != "GET" else None, sent, way)
            nothing = class_name in UNKNOWN and method == "GET" and answer.body == {"results": []}
            assert answer.code in ((119, 107, 101) if class_name in UNKNOWN else (119,)) or nothing, answer.text


@pytest.mark.parametrize("way", WAYS)
def test_row_17_nobody_joins_a_role_through_its_relation(target: Target, way: Way) -> None:
    user, name = target.user(), target.name("role")
    role = target.ask("POST", "/roles", {"name": name, "ACL": {"*": {"read": True}}}, MASTER).body["objectId"]
    mine = {"__op": "AddRelation", "objects": [user.pointer]}
    join = {"owningId": role, "relatedId": user.id}
    for path, method, body in (
        ("/classes/_Join:users:_Role", "POST", join),
        ("/classes/_Join%3Ausers%3A_Role", "POST", join),
        (f"/roles/{role}", "PUT", {"users": mine}),
        (f"/classes/_Role/{role}", "PUT", {"users": mine}),
        (f"/classes/_Role/{role}", "PUT", {"users": {"__op": "Batch", "ops": [mine]}}),
        (f"/roles/{role}", "DELETE", {}),
    ):
        assert target.ask(method, path, body, user.sent, way).code in (101, 119)
    where = {"$relatedTo": {"object": pointer("_Role", role), "key": "users"}}
    assert target.ask("GET", "/users", {"where": where}, MASTER).results == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("object_id", ["role:admin", "role:x", "*", "", {"$ne": 1}, ["x"], "x" * 300, "currentUser"])
def test_row_19_no_object_is_named_like_a_right(parse: Target, object_id: Any, way: Way) -> None:
    for path, body in (("/users", {"username": parse.name("u"), "password": "x"}), ("/classes/Thing", {})):
        answer = parse.ask("POST", path, {**body, "objectId": object_id}, way=way)
        if object_id != "":
            assert answer.code in (104, 105, 119), answer.text
        else:
            assert answer.body["objectId"] not in ("", "*")


ALSO_CALLED = (
    "__proto__",
    "constructor",
    "__class__",
    "__init__",
    "toString",
    "hasOwnProperty",
    "..",
    "a.b",
    "",
    " ",
    "x" * 10_000,
    "ü",
    "%00",
)


@pytest.mark.parametrize("way", ["plain", "override"])
@pytest.mark.parametrize("name", ALSO_CALLED, ids=lambda name: name[:20])
def test_row_41_functions_and_jobs_are_looked_up_by_name_alone(parse: Target, name: str, way: Way) -> None:
    for path in (f"/functions/{quote(name, safe='%')}", f"/jobs/{quote(name, safe='%')}"):
        answer = parse.ask("POST", path, {"a": 1}, MASTER, way)
        assert answer.code in (141, -403, -404), answer.text[:200]


RESERVED = (
    "_failed_login_count", "_account_lockout_expires_at", "_password_history", "_rperm", "_wperm", "_acl", "_id", "_created_at",
    "_updated_at",
    "_p_x", "_hashed_password", "_perishable_token", "_tombstone", "_session_token", "_auth_data_anonymous", "_email_verify_token",
    "_parent_session",
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", RESERVED)
def test_row_a8_reserved_names_are_not_written(parse: Target, name: str, way: Way) -> None:
    """On create, update and sign-up, set or by operator; nothing of it is kept."""
    user = parse.user()
    made = parse.make("Plain", {"a": 1, "ACL": {"*": {"read": True, "write": True}}})
    for value in (1, "x", None, {"__op": "Increment", "amount": 1}, {"__op": "Delete"}, ["*"]):
        assert parse.ask("POST", "/classes/Plain", {name: value}, user.sent, way).code == 105
        assert parse.ask("PUT", f"/classes/Plain/{made}", {name: value}, user.sent, way).code == 105
        assert parse.ask("PUT", f"/classes/Plain/{made}", {f"{name}.x": value}, user.sent, way).code == 105
        parse.ask("PUT", f"/users/{user.id}", {name: value}, user.sent, way)
        parse.ask("POST", "/users", {"username": parse.name(), "password": "x", name: value}, ANON, way)
    assert name not in parse.ask("GET", f"/users/{user.id}", None, MASTER).text
    assert name not in parse.ask("GET", "/schemas", None, MASTER).text
    assert parse.ask("POST", "/login", {"username": user.name, "password": "correct horse"}, MASTER).status == 200


KEYWORDS = ("__proto__", "constructor")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("keyword", KEYWORDS)
@pytest.mark.parametrize(
    "shape",
    [
        lambda k: {k: 1},
        lambda k: {"a": {k: 1}},
        lambda k: {"a": {k: {"polluted": True}}},
        lambda k: {"a": [1, [{"b": {k: 1}}]]},
        lambda k: {f"a.{k}": 1},
        lambda k: {f"a.{k}.b": 1},
        lambda k: {f"a.{k}": {"__op": "Increment", "amount": 1}},
        lambda k: {"a": {"__op": "Add", "objects": [{k: 1}]}},
        lambda k: {"a": {"__op": "AddUnique", "objects": [[{k: 1}]]}},
        lambda k: {"ACL": {k: {"read": True}}},
        lambda k: {"a": {"_bsontype": "Code"}},
        lambda k: {"a": [{"b": {"_bsontype": "Code", "x": 1}}]},
    ],
)
def test_row_42_keywords_are_refused_wherever_they_stand(parse: Target, keyword: str, shape: Any, way: Way) -> None:
    user = parse.user()
    name, body = parse.name("Clean"), shape(keyword)
    parse.schema(name)
    made = parse.make(name, {"ACL": {"*": {"read": True, "write": True}}})
    assert parse.ask("POST", f"/classes/{name}", body, user.sent, way).code == 105
    assert parse.ask("PUT", f"/classes/{name}/{made}", body, user.sent, way).code == 105
    assert parse.ask("PUT", f"/users/{user.id}", {"extra": body}, user.sent, way).code == 105
    assert parse.ask("PUT", "/config", {"params": {"p": body}}, MASTER, way).code == 105


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", ["$where", "$function", "a$b", "a.b", "$ne", "a\x00b"])
def test_row_42_operators_do_not_hide_in_values(parse: Target, key: str, way: Way) -> None:
    name, user = parse.name("Clean"), parse.someone
    parse.schema(name)
    bodies: tuple[Any, ...] = ({"a": {key: 1}}, {"a": {"b": {"c": {key: {}}}}}, {"b": [{"b": {key: "x"}}]})
    for body in bodies:
        answer = parse.ask("POST", f"/classes/{name}", body, user.sent, way)
        assert answer.code in ((121, 105) if key != "a\x00b" else (121, 105, 111, None)), answer.text


QUOTES = (
    "a'b", 'a"b', "a)b", "a--b", "a$$b", "a]b", "a\\b", "a;b", "a b", "a`b", "a/*b", "a,b", "a=b", "a'||'b", "a' OR 1=1 --",
    "a') UNION SELECT 1 --", 'a" FROM x', "a\nb", "a\x00b", "a%b", "a?b", "a:b", "a@b", "ü", "[0]", "$", "a.b'c", 'a.b"c', "a.$", "a.#",
    "a.[1]",
    "a.b]", "a..b", ".a", "a.", "1a",
)  # fmt: skip
TOP = tuple(name for name in QUOTES if not name.startswith("a."))


@pytest.fixture(scope="module")
def plain(parse: Target) -> Target:
    """A class that everybody may use."""
    everybody = {operation: {"*": True} for operation in ("find", "get", "count", "create", "update", "delete", "addField")}
    parse.schema("Quoted", fields={"a": {"type": "Object"}, "n": {"type": "Number"}}, classLevelPermissions=everybody)
    parse.make("Quoted", {"a": {"b": 1}, "n": 1})
    return parse


@pytest.mark.parametrize("way", ["batch", "override"])
@pytest.mark.parametrize("name", QUOTES)
def test_row_43_field_names_never_reach_the_database_as_code(plain: Target, name: str, way: Way) -> None:
    """Names are refused or mean a field of that name; the class answers as before."""
    find = "/classes/Quoted"
    shapes: tuple[Any, ...] = (1, {"$gt": 1}, {"$regex": "x"}, {"$exists": True}, {"$in": [1]})
    for where in (*({name: shape} for shape in shapes), {"$or": [{name: 1}]}):
        answer = plain.ask("GET", find, {"where": where}, way=way)
        assert answer.code in (102, 105, 107) or (name in QUOTES and name not in TOP and answer.results == []), answer.text
    for order in (name, f"-{name}"):
        assert plain.ask("GET", find, {"order": order}, way=way).code in (None, 105)
    for option in ("keys", "excludeKeys", "include", "hint", "redirectClassNameForKey"):
        assert plain.ask("GET", find, {option: name}, way=way).code in (None, 102, 105)
    select = {"n": {"$select": {"query": {"className": "Quoted", "where": {}}, "key": name}}}
    assert plain.ask("GET", find, {"where": select}, way=way).code in (None, 102, 105)
    inside = {"n": {"$inQuery": {"className": name, "where": {}}}}
    assert plain.ask("GET", find, {"where": inside}, way=way).code in (None, 103, 107, 119)
    assert plain.ask("GET", find, {"where": {"n": 1}}, way=way).results[0]["n"] == 1


@pytest.mark.parametrize("way", ["batch", "override"])
@pytest.mark.parametrize("name", QUOTES)
@pytest.mark.parametrize(
    "value",
    [
        1,
        {"__op": "Increment", "amount": 1},
        {"__op": "Delete"},
        {"__op": "Add", "objects": [1]},
        {"__op": "AddRelation", "objects": [pointer("Quoted", "x' OR '1'='1")]},
    ],
    ids=lambda value: value if isinstance(value, int) else value["__op"],
)
def test_row_43_names_in_writes(plain: Target, name: str, value: Any, way: Way) -> None:
    made = plain.make("Quoted", {"a": {"b": {}}, "ACL": {"*": {"read": True, "write": True}}})
    user = plain.someone
    for method, path in (("POST", "/classes/Quoted"), ("PUT", f"/classes/Quoted/{made}")):
        answer = plain.ask(method, path, {name: value}, user.sent, way)
        assert answer.code in (105, 107, 111, 121) or name not in TOP, answer.text
    kept = plain.ask("GET", "/schemas/Quoted", None, MASTER).body["fields"]
    assert all(column.replace("_", "").isalnum() for column in kept)
    assert plain.ask("GET", f"/classes/Quoted/{made}").status == 200


@pytest.mark.parametrize("way", ["batch", "override"])
@pytest.mark.parametrize("name", TOP)
def test_row_43_names_of_classes_columns_and_indexes(plain: Target, name: str, way: Way) -> None:
    part = quote(name, safe="")
    for method, path in (
        ("POST", f"/classes/{part}"),
        ("PUT", f"/classes/{part}/x"),
        ("GET", f"/classes/{part}/x"),
        ("DELETE", f"/classes/{part}/x"),
    ):
        answer = plain.ask(method, path, {"n": 1} if method in ("POST", "PUT") else None, plain.someone.sent, way)
        assert answer.code is not None, answer.text
    for method, path, body in (
        ("POST", "/schemas", {"className": name}),
        ("POST", f"/schemas/{plain.name()}", {"fields": {name: {"type": "String"}}}),
        ("PUT", "/schemas/Quoted", {"fields": {name: {"type": "String"}}}),
        ("PUT", "/schemas/Quoted", {"fields": {name: {"__op": "Delete"}}}),
        ("PUT", "/schemas/Quoted", {"indexes": {"i": {name: 1}}}),
        ("PUT", "/schemas/Quoted", {"indexes": {"i": {"n": name}}}),
        ("PUT", "/schemas/Quoted", {"classLevelPermissions": {"find": {f"{name}'": True}}}),
        ("PUT", "/schemas/Quoted", {"classLevelPermissions": {"protectedFields": {"*": [name]}}}),
        ("POST", f"/schemas/{plain.name()}", {"fields": {"p": {"type": "Pointer", "targetClass": name}}}),
    ):
        assert plain.ask(method, path, body, MASTER, way).code is not None, (method, path, body)
    assert plain.ask("GET", "/classes/Quoted").status == 200


@pytest.mark.parametrize("name", QUOTES)
def test_row_43_index_names_and_paths_of_indexes_are_data(plain: Target, name: str) -> None:
    """An index may be called as one likes, and lie on any path into an object: it is made, used, and dropped."""
    class_name = plain.name("Indexed")
    plain.schema(class_name, fields={"o": {"type": "Object"}, "n": {"type": "Number"}})
    for indexes in ({name: {"n": 1}}, {"path": {f"o.{name}": 1}}, {name: {"__op": "Delete"}}):
        answer = plain.ask("PUT", f"/schemas/{class_name}", {"indexes": indexes}, MASTER)
        assert answer.code in (None, 102, 105), answer.text
    plain.make(class_name, {"o": {"x": 1}, "n": 1})
    assert len(plain.ask("GET", f"/classes/{class_name}", {"where": {"n": 1}}, MASTER).results) == 1


@pytest.mark.parametrize("name", QUOTES)
def test_row_43_names_in_aggregates(plain: Target, name: str) -> None:
    for arguments in (
        {"distinct": name},
        {"distinct": f"a.{name}"},
        {"pipeline": [{"$group": {"_id": f"${name}"}}]},
        {"pipeline": [{"$group": {"_id": None, name: {"$sum": f"${name}"}}}]},
        {"pipeline": [{"$match": {name: 1}}]},
        {"pipeline": [{"$sort": {name: 1}}]},
        {"pipeline": [{"$project": {name: 1}}]},
        {"pipeline": [{"$unwind": f"${name}"}]},
        {"pipeline": [{"$lookup": {"from": name, "localField": name, "foreignField": name, "as": name}}]},
        {"hint": name, "pipeline": []},
    ):
        answer = plain.ask("GET", "/aggregate/Quoted", arguments, MASTER, "override")
        assert answer.status in (200, 400), answer.text
    assert plain.ask("GET", f"/aggregate/{quote(name, safe='')}", {"pipeline": [{"$match": {}}]}, MASTER, "override").status in (
        200,
        400,
        404,
    )


@pytest.mark.parametrize("way", WAYS)
def test_row_54_one_odd_write_does_not_spoil_the_next(target: Target, way: Way) -> None:
    """Every class of the server's own is posted to once; then an ordinary object is saved."""
    for class_name in sorted({*INTERNAL, *OWN_RULES}):
        for sent in (ANON, MASTER):
            target.ask("POST", f"/classes/{quote(class_name)}", {"name": "x"}, sent, way)
            target.ask("POST", "/push_audiences", {"name": "x", "query": "{}"}, sent, way)
    assert target.make("Plain", {"n": 1})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("key", "code"), [("o.$x", 121), ("o.c.$x", 121), ("o.a$b", 121), ("o.", 105), ("o..c", 105), (".o", 105), ("o" + ".d" * 31, 105)]
)
def test_a_dotted_key_reaches_nothing_that_an_object_may_not_hold(plain: Target, key: str, code: int, way: Way) -> None:
    class_name = plain.name("Dotted")
    plain.schema(class_name, fields={"o": {"type": "Object"}})
    made = plain.make(class_name, {"o": {"x": 1}})
    for value in (1, {"a": 1}, {"__op": "Increment", "amount": 1}, None):
        assert plain.ask("PUT", f"/classes/{class_name}/{made}", {key: value}, MASTER, way).code == code
        assert plain.ask("POST", f"/classes/{class_name}", {key: value}, MASTER, way).code == code
    assert [row["o"] for row in plain.ask("GET", f"/classes/{class_name}", None, MASTER).results] == [{"x": 1}]


def test_what_a_dotted_key_puts_deep_down_is_still_answered(plain: Target) -> None:
    class_name = plain.name("Deep")
    plain.schema(class_name, fields={"o": {"type": "Object"}})
    made = plain.make(class_name, {})
    deep: Any = 1
    for _ in range(195):
        deep = [deep]
    assert plain.ask("PUT", f"/classes/{class_name}/{made}", {"o" + ".d" * 30: deep}, MASTER).code is None
    assert len(plain.ask("GET", f"/classes/{class_name}", None, MASTER).results) == 1
