"""One way to ask whatever the entrance: plain REST, a part of a batch, a POST whose method the body names."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote

import httpx

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer

Way = Literal["plain", "batch", "override"]
WAYS: tuple[Way, ...] = ("plain", "batch", "override")
ANON = {"X-Parse-Application-Id": APP_ID}
MASTER = {**ANON, "X-Parse-Master-Key": MASTER_KEY}
READ_ONLY = {**ANON, "X-Parse-Master-Key": "read-only-key"}
PASSWORD = "correct horse"
LEAKS = re.compile(
    r"sqlite|\bapsw\b|syntax error|no such column|no such table|traceback|json_extract| from o_|where o\.|site-packages|\.py\b",
    re.IGNORECASE,
)
"""Texts that no answer may have: they are the database's or the interpreter's own. Any id may hold four letters, and any token `.py`: a
short one is a word."""


@dataclass(frozen=True)
class Answer:
    """What came back: of a batch, the part's own body."""

    status: int
    body: Any
    text: str

    @property
    def code(self) -> int | None:
        """The Parse code of a refusal; -403 for one without a code, None for what was done."""
        if not isinstance(self.body, dict) or "error" not in self.body:
            return None if self.status < 400 else -self.status
        return int(self.body.get("code", -403))

    @property
    def results(self) -> list[Any]:
        found: list[Any] = self.body["results"]
        return found


class Target:
    """A started server, and clients of it."""

    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.base = f"{server.url}/parse"
        self.http = httpx.Client(timeout=30)
        self._numbers = itertools.count()

    def ask(self, method: str, path: str, body: Any = None, sent: dict[str, str] = ANON, way: Way = "plain") -> Answer:
        """Send a request; no answer is ever a server error or the database's own words."""
        if way == "plain":
            raw = self._plain(method, path, body, sent)
        elif way == "override":
            raw = self.http.post(self.base + path, json={**(body or {}), "_method": method}, headers=sent)
        else:
            part = {"method": method, "path": f"/parse{path}", "body": body or {}}
            raw = self.http.post(f"{self.base}/batch", json={"requests": [part]}, headers=sent)
        return _checked(raw, unwrap=way == "batch")

    def raw(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, self.base + path, **more)

    def _plain(self, method: str, path: str, body: Any, sent: dict[str, str]) -> httpx.Response:
        if method == "GET" and body:
            pairs = "&".join(f"{name}={quote(v if isinstance(v, str) else json.dumps(v))}" for name, v in body.items())
            return self.http.get(f"{self.base}{path}?{pairs}", headers=sent)
        return self.http.request(method, self.base + path, json=body, headers=sent)

    def name(self, start: str = "C") -> str:
        """A name that no other test uses."""
        return f"{start}{next(self._numbers)}"

    def make(self, class_name: str, body: dict[str, Any] | None = None, sent: dict[str, str] = MASTER) -> str:
        """A new object's id."""
        answer = self.ask("POST", f"/classes/{class_name}", body or {}, sent)
        assert answer.status == 201, answer.text
        return str(answer.body["objectId"])

    def user(self, **more: Any) -> User:
        """A new user, signed in."""
        name = self.name("user")
        body = {"username": name, "password": PASSWORD, "email": f"{name}@example.org", **more}
        made = self.ask("POST", "/users", body, MASTER)
        assert made.status == 201, made.text
        session = self.ask("POST", "/loginAs", {"userId": made.body["objectId"]}, MASTER)
        token = session.body["sessionToken"]
        return User(made.body["objectId"], body["username"], token, {**ANON, "X-Parse-Session-Token": token})

    @cached_property
    def someone(self) -> User:
        """A user for tests that change nothing of her."""
        return self.user()

    def schema(self, class_name: str, **parts: Any) -> None:
        """Make or change a class's definition."""
        for method in ("POST", "PUT"):
            answer = self.ask(method, f"/schemas/{class_name}", parts, MASTER)
            if answer.status == 200:
                return
        raise AssertionError(answer.text)


@dataclass(frozen=True)
class User:
    """A signed-in user: her id, her name, her session, the headers she sends."""

    id: str
    name: str
    token: str
    sent: dict[str, str]

    @property
    def pointer(self) -> dict[str, str]:
        return pointer("_User", self.id)


def pointer(class_name: str, object_id: str) -> dict[str, str]:
    return {"__type": "Pointer", "className": class_name, "objectId": object_id}


def _checked(raw: httpx.Response, *, unwrap: bool) -> Answer:
    assert raw.status_code < 500, raw.text
    assert not LEAKS.search(raw.text), raw.text
    body = raw.json() if raw.text[:1] in ("{", "[") else raw.text
    if unwrap and isinstance(body, list):
        [part] = body
        if "success" in part:
            return Answer(200, part["success"], raw.text)
        assert part["error"].get("code") != 1, raw.text
        return Answer(400, part["error"], raw.text)
    return Answer(raw.status_code, body, raw.text)
