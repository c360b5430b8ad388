"""Options of Parse Server about people, seen from outside on a server started with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from mbaas.testing.process import TestServer

KEYS = {"X-Parse-Application-Id": "app", "X-Parse-REST-API-Key": "rest"}
MASTER = {**KEYS, "X-Parse-Master-Key": "master"}
PEOPLE: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master",
    "restAPIKey": "rest",
    "readOnlyMasterKey": "looker",
    "readOnlyMasterKeyIps": ["10.0.0.0/8"],
    "allowClientClassCreation": True,
    "enableAnonymousUsers": False,
    "objectIdSize": 12,
    "convertEmailToLowercase": True,
    "convertUsernameToLowercase": True,
    "protectedFields": {"Secretive": {"*": ["count"]}},
    "protectedFieldsSaveResponseExempt": False,
    "passwordPolicy": {"validatorPattern": "[0-9]", "validationError": "a digit!", "doNotAllowUsername": True, "maxPasswordHistory": 2},
    "expireInactiveSessions": False,
    "revokeSessionOnPasswordReset": False,
    "installation": {"duplicateDeviceTokenAction": "update", "duplicateDeviceTokenMergePriority": "installationId"},
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """One server with the options about people."""
    with TestServer.with_parse_options(tmp_path_factory.mktemp("people"), PEOPLE) as running:
        yield running


def _person() -> str:
    return f"p{uuid4().hex}"


def test_there_are_no_anonymous_users_where_they_are_switched_off(strict: TestServer) -> None:
    status, answer = strict.call("POST", "/parse/users", {"authData": {"anonymous": {"id": "x"}}}, KEYS)
    assert (status, answer["code"]) == (400, 252)


def test_ids_have_the_length_that_was_asked_for(strict: TestServer) -> None:
    assert len(strict.call("POST", "/parse/classes/Thing", {}, KEYS)[1]["objectId"]) == 12


def test_names_and_addresses_are_kept_in_lower_case(strict: TestServer) -> None:
    name = _person().upper()
    _, made = strict.call("POST", "/parse/users", {"username": name, "password": "1", "email": f"{name}@X.Y"}, KEYS)
    _, user = strict.get(f"/parse/users/{made['objectId']}", MASTER)
    assert (user["username"], user["email"]) == (name.lower(), f"{name}@X.Y".lower())


def test_a_password_meets_the_policy(strict: TestServer) -> None:
    """Form and name are asked at sign-up and at a change; an earlier password may not come again until another came between."""
    name = _person()

    def refusal(password: str, path: str = "/parse/users", method: str = "POST") -> Any:
        body = {"username": name, "password": password} if method == "POST" else {"password": password}
        _, answer = strict.call(method, path, body, MASTER)
        return (answer["code"], answer["error"]) if "code" in answer else answer

    assert refusal("no digits") == (142, "a digit!")
    assert refusal(f"1{name}1") == (142, "Password cannot contain your username.")
    path = f"/parse/users/{refusal('first 1')['objectId']}"
    again = (142, "New password should not be the same as last 2 passwords.")
    assert refusal("none", path, "PUT") == (142, "a digit!")
    assert refusal(f"1{name}", path, "PUT") == (142, "Password cannot contain your username.")
    assert refusal("first 1", path, "PUT") == again
    assert "updatedAt" in refusal("second 2", path, "PUT")
    assert refusal("first 1", path, "PUT") == again
    assert "updatedAt" in refusal("third 3", path, "PUT")
    assert "updatedAt" in refusal("first 1", path, "PUT")


def test_the_answer_to_a_save_keeps_protected_fields_back(strict: TestServer) -> None:
    _, made = strict.call("POST", "/parse/classes/Secretive", {"count": 1, "other": 1}, KEYS)
    change = {name: {"__op": "Increment", "amount": 1} for name in ("count", "other")}
    _, answer = strict.call("PUT", f"/parse/classes/Secretive/{made['objectId']}", change, KEYS)
    assert answer.keys() == {"other", "updatedAt"}
    assert strict.call("PUT", f"/parse/classes/Secretive/{made['objectId']}", change, MASTER)[1]["count"] == 3


def test_the_read_only_key_has_a_list_of_addresses_of_its_own(strict: TestServer) -> None:
    assert strict.get("/parse/classes/Thing", {**KEYS, "X-Parse-Master-Key": "looker"}) == (403, {"error": "unauthorized"})


def test_an_installation_loses_its_token_to_another_and_stays(strict: TestServer) -> None:
    """Both options are set: rows that collide are changed and not removed, and the row of the installationId is the one that is kept."""
    token, first, second = (uuid4().hex for _ in range(3))
    rows = [{"installationId": first}, {"deviceToken": token}, {"installationId": first, "deviceToken": token}]
    ids = [strict.call("POST", "/parse/installations", {"deviceType": "ios", **row}, KEYS)[1].get("objectId") for row in rows]
    assert strict.get(f"/parse/installations/{ids[0]}", MASTER)[1]["deviceToken"] == token
    assert "deviceToken" not in strict.get(f"/parse/installations/{ids[1]}", MASTER)[1]
    strict.call("POST", "/parse/installations", {"deviceType": "ios", "installationId": second, "deviceToken": token}, KEYS)
    assert "deviceToken" not in strict.get(f"/parse/installations/{ids[0]}", MASTER)[1]


def test_sessions_last_where_none_expires_and_outlive_a_change_of_password(strict: TestServer) -> None:
    """A session has no `expiresAt` then; a change of the password gives a new session and leaves the old one."""
    _, made = strict.call("POST", "/parse/users", {"username": _person(), "password": "1"}, KEYS)
    old = {**KEYS, "X-Parse-Session-Token": made["sessionToken"]}
    assert "expiresAt" not in strict.get("/parse/sessions/me", old)[1]
    _, answer = strict.call("PUT", f"/parse/users/{made['objectId']}", {"password": "2"}, old)
    for token in (made["sessionToken"], answer["sessionToken"]):
        assert strict.get("/parse/users/me", {**KEYS, "X-Parse-Session-Token": token})[0] == 200
