"""Options of Parse Server that decide what a client may send: seen from outside, on servers started with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from mbaas.testing.process import TestServer

KEYS = {"X-Parse-Application-Id": "app", "X-Parse-REST-API-Key": "rest"}
OPTIONS: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master",
    "restAPIKey": "rest",
    "allowClientClassCreation": True,
    "requestKeywordDenylist": [{"value": "^evil$"}, {"key": "se.ret"}, {"key": "kind", "value": 7}],
    "fileUpload": {"enableForPublic": False, "enableForAnonymousUser": False, "enableForAuthenticatedUser": True},
}


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
