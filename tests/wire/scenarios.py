"""Scenario tables: a request, what must appear in the answer, and what must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

APP = {"X-Parse-Application-Id": "app", "X-Parse-REST-API-Key": "rest"}
MASTER = {"X-Parse-Application-Id": "app", "X-Parse-Master-Key": "master"}
READ_ONLY = {"X-Parse-Application-Id": "app", "X-Parse-Master-Key": "ro"}
STRICT = {"X-Parse-Application-Id": "strict", "X-Parse-REST-API-Key": "rest"}
SDK = {
    "_ApplicationId": "app",
    "_JavaScriptKey": "js",
    "_ClientVersion": "js8.6.0",
    "_InstallationId": "11111111-1111-1111-1111-111111111111",
}
TEXT = {"Content-Type": "text/plain"}


@dataclass(frozen=True)
class Case:
    """One request. `has` and `lacks` are texts of the body; `headers` of the answer, None for one that must be absent."""

    name: str
    method: str
    path: str
    status: int
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    sent: Mapping[str, str] = field(default_factory=lambda: APP)
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)


def play(http: httpx.Client, base: str, case: Case) -> httpx.Response:
    """Send the request and check the answer."""
    answer = http.request(case.method, base + case.path, headers=dict(case.sent), json=case.json, content=case.content)
    shown = f"{case.name}: {answer.status_code} {answer.text[:300]}"
    assert answer.status_code == case.status, shown
    for text in case.has:
        assert text in answer.text, f"{shown}\nlacks {text}"
    for text in (*case.lacks, "Traceback"):
        assert text not in answer.text, f"{shown}\nhas {text}"
    for name, value in case.headers.items():
        assert answer.headers.get(name) == value, f"{shown}\n{name}: {answer.headers.get(name)}"
    assert "access-control-allow-origin" in answer.headers, shown
    return answer


def options(**changed: Any) -> dict[str, Any]:
    """Keys and rules as in the golden transcripts, as arguments of AppOptions."""
    return {
        "app_id": "app",
        "master_key": "master",
        "read_only_master_key": "ro",
        "maintenance_key": "maint",
        "rest_api_key": "rest",
        "javascript_key": "js",
        "client_key": "client",
        "allow_client_class_creation": True,
        "sanitized_errors": False,
        "preset": "parse",
        "new_class_permissions": "public",
        "rate_limit_factor": 0,
        **changed,
    }
