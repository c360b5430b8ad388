"""Links, addresses and closed accounts on a database that Parse Server uses too: either server goes on with what the other began."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer, free_port
from tests.compat.differential.peers import parse_server_on
from tests.compat.test_mails import ADAPTER
from tests.functions.web import Web, web
from tests.secantus import database

KEYS = {"X-Parse-Application-Id": "app"}
OPTIONS: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master",
    "appName": "The app",
    "verifyUserEmails": True,
    "emailVerifyTokenValidityDuration": 600,
    "passwordPolicy": {"resetTokenValidityDuration": 600},
    "accountLockout": {"duration": 1, "threshold": 3, "unlockOnPasswordReset": True},
}


class Served:
    """One of the servers, asked over plain REST."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self.url, self._http = url, http

    def post(self, path: str, body: dict[str, str]) -> httpx.Response:
        return self._http.post(self.url + path, json=body, headers=KEYS)

    def signs_in(self, name: str, password: str) -> str:
        """Nothing, or why not."""
        answer = self.post("/login", {"username": name, "password": password})
        return "" if answer.is_success else str(answer.json()["error"])

    def page(self, path: str) -> str:
        return self._http.get(self.url + path).text

    def chosen(self, token: str, password: str) -> bool:
        form = {"token": token, "new_password": password}
        return "Success!" in self._http.post(f"{self.url}/apps/app/request_password_reset", data=form).text


@pytest.fixture(scope="module")
def mails() -> Iterator[Web]:
    with web() as running:
        yield running


@pytest.fixture(scope="module")
def both(mongo: str, mails: Web, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """Parse Server, which made the database, and this server."""
    uri, folder, port = database(mongo, f"mails_{ObjectId()}"), tmp_path_factory.mktemp("mails"), free_port()
    with ExitStack() as stack:
        adapter = {"options": {"url": mails.url("/mail")}}
        theirs = {**OPTIONS, "publicServerURL": "http://links", "emailAdapter": {**adapter, "module": str(ADAPTER)}}
        there = stack.enter_context(parse_server_on(uri, folder / "theirs", theirs, port))
        ours = {**OPTIONS, "publicServerURL": "http://links", "emailAdapter": {**adapter, "module": "http"}, "databaseURI": uri}
        here = stack.enter_context(TestServer.with_parse_options(folder / "ours", ours))
        http = stack.enter_context(httpx.Client(timeout=30))
        yield {"theirs": Served(there, http), "ours": Served(f"{here.url}/parse", http)}


def token_of(mails: Web, address: str, count: int) -> str:
    """The token in the mail of that number to an address."""
    deadline = time.monotonic() + 20
    while len(found := [each["options"] for each in mails.bodies("/mail") if each["options"]["user"].get("email") == address]) < count:
        assert time.monotonic() < deadline, f"{len(found)} mails to {address}"
        time.sleep(0.01)
    return str(found[count - 1]["link"]).partition("token=")[2]


WAYS = pytest.mark.parametrize(("first", "second"), [("theirs", "ours"), ("ours", "theirs")])


@WAYS
def test_what_one_sends_the_other_knows(both: dict[str, Served], mails: Web, first: str, second: str) -> None:
    """An address is proved, and a password chosen, at the server that did not send the link."""
    name, address = f"of-{first}", f"{first}@example.org"
    body = {"username": name, "password": "secret", "email": address}
    assert both[first].post("/users", body).status_code == 201
    proof = token_of(mails, address, 1)
    assert "Email verified!" in both[second].page(f"/apps/app/verify_email?token={proof}")
    assert "Invalid" in both[first].page(f"/apps/app/verify_email?token={proof}")
    assert both[first].post("/requestPasswordReset", {"email": address}).json() == {}
    token = token_of(mails, address, 2)
    assert "new_password" in both[second].page(f"/apps/app/request_password_reset?token={token}")
    assert both[second].chosen(token, "another")
    assert not both[first].chosen(token, "a third")
    assert [both[where].signs_in(name, "another") for where in (first, second)] == ["", ""]


@WAYS
def test_wrong_passwords_are_counted_together(both: dict[str, Served], mails: Web, first: str, second: str) -> None:
    """An account that one server closes is closed at the other, and a new password opens it at both."""
    name, address = f"closed-by-{first}", f"closed-{first}@example.org"
    body = {"username": name, "password": "secret", "email": address}
    assert both[first].post("/users", body).status_code == 201
    for where in (first, second, first):
        assert both[where].signs_in(name, "wrong") == "Invalid username/password."
    for where in (first, second):
        assert both[where].signs_in(name, "secret").startswith("Your account is locked")
    both[first].post("/requestPasswordReset", {"email": address})
    assert both[second].chosen(token_of(mails, address, 2), "another")
    assert [both[where].signs_in(name, "another") for where in (first, second)] == ["", ""]
