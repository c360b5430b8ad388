"""Mails and their pages, on Parse Server 9.10 and on this server: whatever a person does, both answer alike."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from mbaas.testing.process import TestServer, free_port
from tests.compat.differential.peers import parse_server_on
from tests.functions.web import Web, web
from tests.secantus import database, running

ADAPTER = Path(__file__).with_name("mail_adapter.cjs")
KEYS = {"X-Parse-Application-Id": "app", "X-Parse-REST-API-Key": "rest"}
COMMON: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master",
    "restAPIKey": "rest",
    "maintenanceKey": "maintenance",
    "appName": "The app",
    "verifyUserEmails": True,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"pages": {"enableLocalization": True}},
    "strict": {
        "preventLoginWithUnverifiedEmail": True,
        "emailVerifyTokenValidityDuration": 600,
        "emailVerifyTokenReuseIfValid": True,
        "emailVerifySuccessOnInvalidEmail": False,
        "passwordPolicy": {
            "resetTokenValidityDuration": 600,
            "resetTokenReuseIfValid": True,
            "resetPasswordSuccessOnInvalidEmail": False,
            "doNotAllowUsername": True,
            "maxPasswordHistory": 3,
        },
        "accountLockout": {"duration": 1, "threshold": 2, "unlockOnPasswordReset": True},
        "pages": {"customUrls": {"passwordResetLinkInvalid": "http://pages.example/invalid?a=b"}},
    },
    "hasty": {
        "preventLoginWithUnverifiedEmail": True,
        "preventSignupWithUnverifiedEmail": True,
        "emailVerifyTokenValidityDuration": 0.001,
        "passwordPolicy": {"resetTokenValidityDuration": 0.001},
        "pages": {"forceRedirect": True, "pagesEndpoint": "people", "encodePageParamHeaders": True},
        "customPages": {"parseFrameURL": "http://frame.example/x"},
        "sendUserEmailVerification": True,
    },
}


class Side:
    """One of the two servers, and what came of it."""

    def __init__(self, url: str, mails: Web, http: httpx.Client) -> None:
        self.url, self.mails = url, mails
        self.http = http
        self.seen = 0
        self.said: list[Any] = []

    def say(self, what: str, *parts: Any) -> None:
        """Note what came, without what differs by nature."""
        text = repr((what, *parts)).replace(self.url, "<mount>").replace(quote(self.url, safe=""), "<mount>")
        for pattern, name in (
            (r"(token=|'token': '|token': ')[A-Za-z0-9]{25,}", r"\1<token>"),
            (r"r:[0-9a-f]{32}", "<session>"),
            (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<date>"),
            (r"(objectId': '|/users/)[A-Za-z0-9]{10}", r"\1<id>"),
            (r"(username': ')[A-Za-z0-9]{25}", r"\1<name>"),
            (r"ACL': \{'[A-Za-z0-9]{10}'", "ACL': {'<id>'"),
        ):
            text = re.sub(pattern, name, text)
        self.said.append(text)

    def call(self, method: str, path: str, body: Any = None, **keys: str) -> Any:
        answer = self.http.request(method, self.url + path, json=body, headers={**KEYS, **keys})
        found = answer.json()
        self.say(f"{method} {path} {body}", answer.status_code, dict(sorted(found.items())) if isinstance(found, dict) else found)
        return found

    def mail(self, to: str) -> str:
        """The link of the next mail."""
        deadline = time.monotonic() + 10
        while len(self.mails.received) <= self.seen:
            assert time.monotonic() < deadline, f"no mail to {to}"
            time.sleep(0.01)
        mail = self.mails.received[self.seen].body
        self.seen += 1
        options = mail["options"]
        user = {name: options["user"].get(name) for name in ("className", "username", "email", "emailVerified")}
        self.say("mail", mail["method"], options["appName"], options["link"], user)
        assert user["email"] == to
        return str(options["link"])

    def page(self, method: str, address: str, **more: Any) -> httpx.Response:
        """A page, as a browser without cookies asks for it."""
        answer = self.http.request(method, address, **more)
        told = {name: value for name, value in sorted(answer.headers.items()) if name.startswith("x-parse-page-param")}
        where, _, query = answer.headers.get("location", "").partition("?")
        kind = answer.headers.get("content-type", "").partition(";")[0] if answer.status_code == 200 else ""
        text = answer.text if "<h1>" not in answer.text else re.findall("<h1>(.*?)</h1>", answer.text)[-1]
        # Our own pages are in the language that is asked for; those of Parse Server are in English in each folder.
        shown = text if answer.status_code != 303 and len(text) < 200 and "locale" not in f"{address}{more}" else ""
        self.say(f"{method} page", answer.status_code, told, kind, where, sorted(query.split("&")), shown)
        return answer


def plain(side: Side) -> None:
    """A person who proves her address, changes it, and forgets her password."""
    made = side.call("POST", "/users", {"username": "ann", "password": "pw", "email": "ann@example.org"})
    link = side.mail("ann@example.org")
    headers = {"X-Parse-Session-Token": made["sessionToken"]}
    side.call("GET", "/users/me", **headers)
    apps = f"{side.url}/apps/app"
    side.page("GET", f"{apps}/verify_email")
    side.page("GET", f"{apps}/verify_email?token=wrong&username=ann")
    side.page("GET", f"{apps}/verify_email?token[$regex]=.&username=ann")
    side.page("GET", f"{side.url}/apps/none/verify_email?token=x")
    side.page("GET", f"{link}&locale=de-AT")
    side.page("GET", link)
    side.call("GET", "/users/me", **headers)
    side.call("POST", "/verificationEmailRequest", {"email": "ann@example.org"})
    side.call("POST", "/verificationEmailRequest", {"email": "nobody@example.org"})
    side.call("POST", "/verificationEmailRequest", {})
    side.call("POST", "/verificationEmailRequest", {"email": 5})
    side.call("PUT", f"/users/{made['objectId']}", {"email": "ann2@example.org"}, **headers)
    side.mail("ann2@example.org")
    side.call("GET", "/users/me", **headers)
    side.call("POST", "/verificationEmailRequest", {"email": "ann2@example.org"})
    side.mail("ann2@example.org")
    for body in ({"username": "ann"}, {"username": "nobody"}, {}, {"token": "wrong"}):
        side.page("POST", f"{apps}/resend_verification_email", data={**body, "locale": "de-AT"})
    # Proved before the reset: here that would prove it, which is a named difference.
    side.page("GET", side.mail("ann2@example.org"))
    nobody: list[Any] = [{"email": "nobody@example.org"}, {"email": 5}, {"email": {"$ne": ""}}]
    for given in (*nobody, {}, {"token": {"$ne": ""}}, {"token": "wrong"}):
        side.call("POST", "/requestPasswordReset", given)
    side.call("POST", "/requestPasswordReset", {"email": "ann2@example.org"})
    link = side.mail("ann2@example.org")
    form = side.page("GET", link)
    token = form.headers["x-parse-page-param-token"]
    reset = f"{apps}/request_password_reset"
    side.page("GET", reset)
    side.page("GET", f"{reset}?token=wrong")
    side.page("GET", f"{reset}?token[$regex]=.")
    script = {"X-Requested-With": "XMLHttpRequest"}
    for data in ({}, {"token": token}, {"new_password": "x"}, {"token": "wrong", "new_password": "x"}):
        side.page("POST", reset, data=data)
        side.page("POST", reset, data=data, headers=script)
    side.page("POST", reset, json={"token": {"$regex": ""}, "new_password": "x"})
    side.page("POST", reset, data={"token": token, "new_password": "fresh", "locale": "de"})
    side.page("POST", reset, data={"token": token, "new_password": "again"})
    side.call("GET", "/users/me", **headers)
    side.call("POST", "/login", {"username": "ann", "password": "pw"})
    side.call("POST", "/login", {"username": "ann", "password": "fresh"})
    side.page("GET", f"{side.url}/apps/choose_password?appId=app&token=t&username=u")
    side.page("GET", f"{side.url}/apps/choose_password?appId=none")
    side.page("GET", f"{side.url}/apps/nothing.html?appId=app")
    side.page("GET", f"{side.url}/apps/password_reset_success.html?appId=app")


def strict(side: Side) -> None:
    """Everything that may be refused is, and every answer tells why."""
    made = side.call("POST", "/users", {"username": "ann", "password": "first", "email": "ann@example.org"})
    link = side.mail("ann@example.org")
    side.call("POST", "/login", {"username": "ann", "password": "first"})
    side.call("POST", "/verifyPassword", {"username": "ann", "password": "first"})
    master = {"X-Parse-Master-Key": "master"}
    side.call("POST", "/verifyPassword", {"username": "ann", "password": "first", "ignoreEmailVerification": True}, **master)
    side.call("POST", "/verificationEmailRequest", {"email": "nobody@example.org"})
    side.call("POST", "/verificationEmailRequest", {"email": "ann@example.org"})
    assert side.mail("ann@example.org") == link
    apps = f"{side.url}/apps/app"
    side.page("POST", f"{apps}/resend_verification_email", data={"username": "nobody"})
    kept = side.call("GET", f"/users/{made['objectId']}", **{"X-Parse-Maintenance-Key": "maintenance"})
    assert link.endswith(kept["_email_verify_token"])
    side.page("GET", link)
    side.call("POST", "/verificationEmailRequest", {"email": "ann@example.org"})
    side.page("POST", f"{apps}/resend_verification_email", data={"username": "ann"})
    side.call("POST", "/requestPasswordReset", {"email": "nobody@example.org"})
    for _ in range(3):
        side.call("POST", "/login", {"username": "ann", "password": "wrong"})
    side.call("POST", "/login", {"username": "ann", "password": "first"})
    side.call("POST", "/requestPasswordReset", {"email": "ann@example.org"})
    link = side.mail("ann@example.org")
    side.call("POST", "/requestPasswordReset", {"email": "ann@example.org"})
    assert side.mail("ann@example.org") == link
    token = link.partition("token=")[2]
    reset = f"{apps}/request_password_reset"
    for password in ("my ann", "first", "second"):
        side.page("POST", reset, data={"token": token, "new_password": password})
    side.page("GET", link)
    side.call("POST", "/login", {"username": "ann", "password": "second"})
    side.call("POST", "/users", {"username": "bob@example.org", "password": "pw"})
    side.call("POST", "/users", {"authData": {"anonymous": {"id": "device"}}})


def hasty(side: Side) -> None:
    """Links that are over at once, addresses in a frame, pages that are always led to."""
    side.call("POST", "/users", {"username": "ann", "password": "pw", "email": "ann@example.org"})
    token = side.mail("ann@example.org").partition("token=")[2]
    apps = f"{side.url}/people/app"
    side.page("GET", f"{apps}/verify_email?token={token}")
    side.call("POST", "/requestPasswordReset", {"email": "ann@example.org"})
    token = side.mail("ann@example.org").partition("token=")[2]
    side.page("GET", f"{apps}/request_password_reset?token={token}")
    side.page("POST", f"{apps}/request_password_reset", data={"token": token, "new_password": "x"})
    side.call("POST", "/requestPasswordReset", {"token": token})
    side.mail("ann@example.org")


@pytest.fixture(scope="module", params=[plain, strict, hasty], ids=lambda scenario: scenario.__name__)
def expected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[Any]]:
    """A scenario, and what Parse Server says to it."""
    scenario, folder, port = request.param, tmp_path_factory.mktemp("parse"), free_port()
    with web() as mails, httpx.Client(timeout=30) as http, running(folder, own=True) as uri:
        adapter = {"module": str(ADAPTER), "options": {"url": mails.url("/mail")}}
        options = {**COMMON, **OPTIONS[scenario.__name__], "emailAdapter": adapter, "publicServerURL": f"http://127.0.0.1:{port}/parse"}
        with parse_server_on(database(uri, "mails"), folder, options, port) as url:
            side = Side(url, mails, http)
            scenario(side)
    return scenario, side.said


@pytest.mark.parametrize("store", ["sqlite", "mongo"])
def test_both_answer_alike(tmp_path: Path, expected: tuple[Any, list[Any]], store: str) -> None:
    scenario, theirs = expected
    port = free_port()
    with web() as mails, ExitStack() as stack:
        adapter = {"module": "http", "options": {"url": mails.url("/mail")}}
        options = {**COMMON, **OPTIONS[scenario.__name__], "emailAdapter": adapter, "publicServerURL": f"http://127.0.0.1:{port}/parse"}
        settings = {} if store == "sqlite" else {"database_url": database(stack.enter_context(running(tmp_path)), scenario.__name__)}
        server = stack.enter_context(TestServer.with_parse_options(tmp_path / "ours", {**options, "port": port}, **settings))
        side = Side(f"{server.url}/parse", mails, stack.enter_context(httpx.Client(timeout=30)))
        scenario(side)
    assert side.said == theirs
