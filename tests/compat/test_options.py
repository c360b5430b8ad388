"""Options of Parse Server that decide what a client may send: seen from outside, on servers started with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from mbaas.testing.process import TestServer

MASTER = {"X-Parse-Application-Id": "app", "X-Parse-Master-Key": "master"}
KEYS = {"X-Parse-Application-Id": "app", "X-Parse-REST-API-Key": "rest"}
OPTIONS: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master",
    "restAPIKey": "rest",
    "allowClientClassCreation": True,
    "requestKeywordDenylist": [{"value": "^evil$"}, {"key": "se.ret"}, {"key": "kind", "value": 7}],
    "fileUpload": {"enableForPublic": False, "enableForAnonymousUser": False, "enableForAuthenticatedUser": True},
}
CHANGED: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master",
    "restAPIKey": "rest",
    "collectionPrefix": "test_",
    "fileKey": "old",
    "allowClientClassCreation": True,
    "allowCustomObjectId": True,
    "objectIdSize": 20,
    "preserveFileName": True,
    "fileUpload": {"enableForPublic": True},
    "fileDownload": {"enableForPublic": False, "enableForAnonymousUser": False},
    "requestComplexity": {"allowRegex": False, "subqueryLimit": 2, "includeDepth": 1},
}


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """One server with options that are not the usual ones."""
    with TestServer.with_parse_options(tmp_path_factory.mktemp("changed"), CHANGED) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """One server with the options of this file."""
    with TestServer.with_parse_options(tmp_path_factory.mktemp("options"), OPTIONS) as running:
        yield running


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"a": "evil"}, 105),
        ({"a": {"b": ["evil"]}}, 105),
        ({"a": "evil twin"}, None),
        ({"secret": 1}, 105),
        ({"a": {"mysezrets": 1}}, 105),
        ({"kind": 7}, 105),
        ({"kind": 8}, None),
        ({"other": 7}, None),
    ],
)
def test_a_denylist_names_keys_values_or_both(server: TestServer, body: dict[str, Any], code: int | None) -> None:
    """Text in a rule is a regular expression, anything else is compared; a rule may name a key, a value, or a key with its value."""
    status, answer = server.call("POST", f"/parse/classes/Thing{uuid4().hex}", body, KEYS)
    assert (status, answer.get("code")) == ((400, code) if code else (201, None))


def _signed_up(server: TestServer, body: dict[str, Any]) -> dict[str, str]:
    status, answer = server.call("POST", "/parse/users", body, KEYS)
    assert status == 201
    return {**KEYS, "X-Parse-Session-Token": answer["sessionToken"]}


def test_an_anonymous_user_uploads_only_where_anonymous_users_may(server: TestServer) -> None:
    """Who has an anonymous id is under the rule for anonymous users; a user with a name and password is not."""
    upload = {"base64": "AA==", "_ContentType": "text/plain", "_ApplicationId": "app"}
    anonymous = _signed_up(server, {"authData": {"anonymous": {"id": "nobody-in-particular"}}})
    member = _signed_up(server, {"username": "member", "password": "secret"})
    assert server.call("POST", "/parse/files/a.txt", upload, anonymous)[1]["code"] == 130
    assert server.call("POST", "/parse/files/a.txt", upload, member)[0] == 201


def _find(server: TestServer, sent: dict[str, str], **arguments: Any) -> tuple[int, Any]:
    return server.call("GET", "/parse/classes/Found?" + urlencode({k: json.dumps(v) for k, v in arguments.items()}), headers=sent)


def test_ids_are_as_long_as_asked_for(changed: TestServer) -> None:
    assert len(changed.call("POST", "/parse/classes/Long", {}, KEYS)[1]["objectId"]) == 20


def test_no_user_is_called_like_a_role(changed: TestServer) -> None:
    """An access list could not tell them apart."""
    user = {"objectId": "role:admin", "username": "mallory", "password": "secret"}
    assert changed.call("POST", "/parse/users", user, KEYS) == (400, {"code": 119, "error": "Permission denied"})


def test_limits_on_queries_bind_everybody_but_the_master_key(changed: TestServer) -> None:
    for n in range(4):
        assert changed.call("POST", "/parse/classes/Found", {"n": n, "s": f"s{n}"}, KEYS)[0] == 201
    regex = {"s": {"$regex": "s"}}
    known = {"n": {"$select": {"query": {"className": "Found", "where": {}}, "key": "n"}}}
    assert _find(changed, KEYS, where=regex) == (400, {"code": 102, "error": "$regex operator is not allowed"})
    assert len(_find(changed, MASTER, where=regex)[1]["results"]) == 4
    assert len(_find(changed, KEYS, where=known)[1]["results"]) == 2
    assert len(_find(changed, MASTER, where=known)[1]["results"]) == 4
    assert changed.call("GET", "/parse/classes/Found/none?include=a.b", headers=KEYS)[1]["code"] == 102


def _stored(server: TestServer, name: str, base64: str) -> Any:
    body = {"base64": base64, "_ContentType": "text/plain", "_ApplicationId": "app", "_MasterKey": "master"}
    return server.call("POST", f"/parse/files/{name}", body)[1]["name"]


def test_files_are_handed_to_those_they_are_for(changed: TestServer) -> None:
    assert _stored(changed, "mine.txt", "aGVsbG8=") == "mine.txt"
    path = "/parse/files/app/mine.txt"
    public = {"code": 119, "error": "File download by public is disabled."}
    assert changed.call("GET", path) == changed.call("GET", path, headers=KEYS) == (400, public)
    assert changed.call("GET", "/parse/files/app/metadata/mine.txt") == (403, public)
    member = _signed_up(changed, {"username": "member", "password": "secret"})
    token = {"X-Parse-Session-Token": member["X-Parse-Session-Token"]}
    for sent in (token, member, MASTER):
        assert changed.call("GET", path, headers=sent) == (200, "hello")
    anonymous = _signed_up(changed, {"authData": {"anonymous": {"id": "nobody"}}})
    assert changed.call("GET", path, headers=anonymous)[1]["error"] == "File download by anonymous user is disabled."


def test_a_name_that_is_kept_is_overwritten(changed: TestServer) -> None:
    for text in ("b25l", "dHdv"):
        assert _stored(changed, "twice.txt", text) == "twice.txt"
    assert changed.call("GET", "/parse/files/app/twice.txt", headers=MASTER) == (200, "two")


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("tfss-1 a.txt", "http://files.parsetfss.com/old/tfss-1%20a.txt"),
        ("d6e80979-a128-4c57-a167-302f874700dc-a.txt", "http://files.parse.com/old/d6e80979-a128-4c57-a167-302f874700dc-a.txt"),
    ],
)
def test_files_that_never_moved_from_parse_com_keep_their_address(changed: TestServer, name: str, url: str) -> None:
    made = changed.call("POST", "/parse/classes/Old", {"f": {"__type": "File", "name": name}}, KEYS)[1]["objectId"]
    assert changed.call("GET", f"/parse/classes/Old/{made}", headers=KEYS)[1]["f"]["url"] == url


def test_sessions_and_installations_are_classes_from_the_first_object_on(changed: TestServer) -> None:
    names = {schema["className"] for schema in changed.call("GET", "/parse/schemas", headers=MASTER)[1]["results"]}
    assert "_Installation" not in names
    missing = (400, {"code": 103, "error": "Class _Installation does not exist."})
    assert changed.call("GET", "/parse/schemas/_Installation", headers=MASTER) == missing
    fields = changed.call("POST", "/parse/schemas/_Installation", {"fields": {"foo": {"type": "Number"}}}, MASTER)[1]["fields"]
    assert {"foo", "deviceToken"} <= set(fields)
    assert changed.call("GET", "/parse/schemas/_Installation", headers=MASTER)[0] == 200


def test_the_first_indexes_of_a_class_stand_beside_the_one_by_id(changed: TestServer) -> None:
    made = {"fields": {"a": {"type": "String"}, "p": {"type": "Pointer", "targetClass": "_User"}}}
    assert "indexes" not in changed.call("POST", "/parse/schemas/Indexed", made, MASTER)[1]
    shown = changed.call("PUT", "/parse/schemas/Indexed", {"indexes": {"one": {"a": 1}, "two": {"_p_p": 1}}}, MASTER)[1]["indexes"]
    assert shown == {"_id_": {"_id": 1}, "one": {"a": 1}, "two": {"_p_p": 1}}
    gone = {"one": {"__op": "Delete"}, "two": {"__op": "Delete"}}
    assert changed.call("PUT", "/parse/schemas/Indexed", {"indexes": gone}, MASTER)[1]["indexes"] == {"_id_": {"_id": 1}}


def test_an_operation_granted_to_an_empty_list_is_closed(changed: TestServer) -> None:
    body: dict[str, Any] = {"classLevelPermissions": {"find": []}}
    assert changed.call("POST", "/parse/schemas/Closed", body, MASTER)[0] == 200
    assert changed.call("GET", "/parse/classes/Closed", headers=KEYS)[1]["code"] == 119


def test_a_group_of_conditions_that_is_no_list_is_refused_without_details(changed: TestServer) -> None:
    assert _find(changed, KEYS, where={"$or": {}}) == (400, {"code": 102, "error": "Permission denied"})


def test_a_pipeline_may_be_answered_as_the_database_holds_it(changed: TestServer) -> None:
    to = {"__type": "Pointer", "className": "_User", "objectId": "ann"}
    day = {"__type": "Date", "iso": "2014-01-03T00:00:00.000Z"}
    made = changed.call("POST", "/parse/classes/Raw", {"objectId": "one", "to": to, "day": day}, KEYS)[1]["createdAt"]

    def ask(**arguments: Any) -> Any:
        sent = urlencode({k: json.dumps(v) for k, v in arguments.items()})
        return changed.call("GET", f"/parse/aggregate/Raw?{sent}", headers=MASTER)[1]["results"]

    held = {"_p_to": "_User$ann", "_created_at": {"$date": made}, "_updated_at": {"$date": made}, "day": {"$date": "2014-01-03T00:00:00Z"}}
    pipeline = [{"$match": {"day": {"$lte": {"$date": "2014-01-03T00:00:00Z"}}}}]
    assert ask(pipeline=pipeline, rawValues=True, rawFieldNames=True) == [{"_id": "one", **held}]
    assert ask(pipeline=pipeline, rawValues=True) == [{"objectId": "one", **held}]
    assert ask(pipeline=[{"$project": {"_p_to": 1, "day": 1}}], rawFieldNames=True) == [
        {"_id": "one", "_p_to": "_User$ann", "day": "2014-01-03T00:00:00.000Z"}
    ]
    lookup = {"from": "test_Raw", "localField": "_id", "foreignField": "_id", "as": "same"}
    assert ask(pipeline=[{"$lookup": lookup}, {"$project": {"same.day": 1}}])[0]["same"] == [{"day": day}]


def test_locked_schemas_change_by_use_alone(tmp_path: Path) -> None:
    keys = {"appId": "app", "masterKey": "master", "restAPIKey": "rest", "allowClientClassCreation": True}
    with TestServer.with_parse_options(tmp_path, {**keys, "schema": {"lockSchemas": True}}) as locked:
        assert locked.call("POST", "/parse/classes/Used", {"a": 1}, KEYS)[0] == 201
        for method, name in (("POST", "Made"), ("PUT", "Used")):
            assert locked.call(method, f"/parse/schemas/{name}", {}, MASTER)[1]["code"] == 119
