"""Somebody at the console, without a browser: cookies, CSRF tokens, and an address of her own."""

from __future__ import annotations

import itertools
from typing import Any

import httpx

from mbaas.testing.process import TestServer

PASSWORD = "three green bicycles"
_NUMBERS = itertools.count(1)
OPEN: list[httpx.Client] = []
_TOKEN = "starlette_admin_csrftoken"


class Visitor:
    """A client that keeps cookies. Each has an address of her own, so that none uses up another one's attempts."""

    def __init__(self, server: TestServer, address: str = "") -> None:
        self.server, self.number = server, next(_NUMBERS)
        self.email = f"person{self.number}@example.com"
        headers = {"X-Forwarded-For": address or f"198.51.100.{self.number}"}
        self.http = httpx.Client(base_url=server.url, headers=headers, timeout=30)
        OPEN.append(self.http)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.http.get(path, **more)

    def post(self, path: str, **form: str) -> httpx.Response:
        """A form, as a page sends it."""
        if _TOKEN not in self.http.cookies:
            self.get("/console/login")
        return self.http.post(path, data={**form, "csrftoken": self.http.cookies[_TOKEN]})

    def ask(self, path: str, body: Any) -> tuple[int, Any]:
        """JSON, as a script sends it."""
        answer = self.http.post(path, json=body, headers={"X-CSRFToken": self.http.cookies[_TOKEN]})
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status_code, answer.json() if is_json else answer.text

    def join(self, url: str, **form: str) -> httpx.Response:
        path = httpx.URL(url).raw_path.decode()
        self.get(path)
        return self.post(path, **{"email": self.email, "password": PASSWORD, "again": PASSWORD, **form})

    def sign_in(self, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return self.post("/console/login", email=email, password=password, **more)


def keys(app: str, master_key: str = "") -> dict[str, str]:
    return {"X-Parse-Application-Id": app, "X-Parse-Master-Key": master_key or f"{app}-master-key"}


def invited(server: TestServer, role: str, app: str, **more: str) -> str:
    """A new link."""
    status, made = server.call("POST", "/api/v1/console/invitations", {"role": role, **more}, keys(app))
    assert status == 201, made
    return str(made["url"])


def joined(server: TestServer, role: str, app: str = "first") -> Visitor:
    """Somebody new who is signed in."""
    visitor = Visitor(server)
    assert visitor.join(invited(server, role, app)).headers["location"] == "/console/"
    return visitor
