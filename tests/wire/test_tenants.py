"""Several apps in one process: whatever is asked of one, the other neither shows nor changes anything."""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from mbaas.testing.process import TestServer

CALLS = int(os.environ.get("MBAAS_TEST_EXAMPLES", "60")) * 6
NAMES = ("red", "blue")
KINDS = ("save", "sign up", "role", "config", "file", "schema")


@dataclass
class App:
    """One app: its keys, and what was made in it."""

    name: str
    base: str
    http: httpx.Client
    sessions: list[str] = field(default_factory=list)
    made: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def anon(self) -> dict[str, str]:
        return {"X-Parse-Application-Id": self.name, "X-Parse-REST-API-Key": f"{self.name}-rest"}

    @property
    def master(self) -> dict[str, str]:
        return {"X-Parse-Application-Id": self.name, "X-Parse-Master-Key": f"{self.name}-master"}

    def ask(self, method: str, path: str, body: Any = None, sent: dict[str, str] | None = None) -> httpx.Response:
        answer = self.http.request(method, self.base + path, json=body, headers=self.master if sent is None else sent)
        assert answer.status_code < 500, answer.text
        return answer

    def everything(self) -> dict[str, str]:
        """All that the master key can see."""
        paths = ("/schemas", "/users", "/roles", "/sessions", "/config", *(f"/classes/{name}" for name in ("Thing", "Other")))
        return {path: self.ask("GET", path).text for path in paths}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, App]]:
    folder: Path = tmp_path_factory.mktemp("tenants")
    entries = [
        {"appId": name, "masterKey": f"{name}-master", "restAPIKey": f"{name}-rest", "allowClientClassCreation": True} for name in NAMES
    ]
    (folder / "apps.json").write_text(json.dumps(entries))
    with (
        TestServer(folder, "serve", settings={"apps_file": folder / "apps.json", "preset": "parse"}, bare=True) as server,
        httpx.Client(timeout=30) as http,
    ):
        red, blue = (App(name, f"{server.url}/parse", http) for name in NAMES)
        yield red, blue


def make(app: App, kind: str) -> None:
    """Make something of this kind, with names that the other app uses, too, and the app's own name inside."""
    number = next(app.numbers)
    if kind == "save":
        saved = app.ask("POST", f"/classes/{('Thing', 'Other')[number % 2]}", {"of": app.name, "n": number}, app.anon)
        app.made.append((("Thing", "Other")[number % 2], saved.json()["objectId"]))
    elif kind == "sign up":
        made = app.ask("POST", "/users", {"username": f"user{number}", "password": "same", "of": app.name}, app.anon).json()
        app.sessions.append(made["sessionToken"])
        app.users.append(made["objectId"])
    elif kind == "role":
        app.ask("POST", "/roles", {"name": f"role{number}", "ACL": {}, "of": app.name})
    elif kind == "config":
        app.ask("PUT", "/config", {"params": {f"param{number}": f"of {app.name}"}})
    elif kind == "file":
        sent = {**app.master, "Content-Type": "text/plain"}
        app.files.append(app.http.post(f"{app.base}/files/same.txt", content=f"of {app.name}", headers=sent).json()["name"])
    else:
        app.ask("POST", f"/schemas/{app.name.title()}{number}", {"fields": {"of": {"type": "String"}}})


def attack(own: App, other: App, chance: random.Random) -> None:
    """Something of one app, asked for with the keys, sessions and ids of another."""
    name, object_id = chance.choice(other.made)
    token, user = chance.choice(other.sessions), chance.choice(other.users)
    file = chance.choice(other.files)
    stolen = {**own.anon, "X-Parse-Session-Token": token}
    attacks: list[Callable[[], httpx.Response]] = [
        lambda: own.ask("GET", f"/classes/{name}/{object_id}"),
        lambda: own.ask("PUT", f"/classes/{name}/{object_id}", {"n": -1}),
        lambda: own.ask("DELETE", f"/classes/{name}/{object_id}"),
        lambda: own.ask("GET", "/users/me", sent=stolen),
        lambda: own.ask("POST", "/logout", {}, stolen),
        lambda: own.ask("GET", f"/users/{user}"),
        lambda: own.ask("POST", "/loginAs", {"userId": user}),
        lambda: own.ask("DELETE", f"/schemas/{other.name.title()}1", sent={**own.anon, "X-Parse-Master-Key": f"{other.name}-master"}),
        lambda: own.ask("GET", "/schemas", sent={**other.anon, "X-Parse-Master-Key": f"{own.name}-master"}),
        lambda: own.ask("GET", "/classes/Thing", sent={**own.anon, "X-Parse-REST-API-Key": f"{other.name}-rest"}),
        lambda: own.ask("DELETE", f"/files/{file}"),
        lambda: own.ask("GET", f"/files/{own.name}/{file}"),
        lambda: own.ask(
            "POST", "/batch", {"requests": [{"method": "PUT", "path": f"/parse/classes/{name}/{object_id}", "body": {"n": -1}}]}
        ),
        lambda: own.ask("POST", "/classes/Thing", {"_ApplicationId": other.name, "_MasterKey": f"{own.name}-master", "_method": "GET"}, {}),
        lambda: own.ask("GET", f'/classes/Thing?where={{"objectId":"{object_id}"}}'),
    ]
    answer = chance.choice(attacks)()
    assert f"of {other.name}" not in answer.text
    assert f'"of":"{other.name}"' not in answer.text
    assert token not in answer.text
    refused = answer.status_code >= 400 or '"results":[]' in answer.text or '"error"' in answer.text
    assert refused or answer.text == "{}", (answer.request.url, answer.text)


def test_two_apps_share_nothing(apps: tuple[App, App]) -> None:
    """A few hundred random calls: things are made in both, each is attacked from the other, and only the first changes anything."""
    chance = random.Random(7)  # the same calls in every run
    for kind, app in itertools.product(KINDS, apps):
        make(app, kind)
    for number in range(CALLS):
        own, other = chance.sample(apps, 2)
        before = other.everything() if number % 5 == 0 else None
        if chance.random() < 0.3:
            make(own, chance.choice(KINDS))
        else:
            attack(own, other, chance)
        assert before is None or other.everything() == before


def test_the_same_names_are_different_things(apps: tuple[App, App]) -> None:
    """One name, one password, one id: two people, two sessions, two columns."""
    red, blue = apps
    for app in apps:
        app.ask("POST", "/users", {"username": "twin", "password": f"{app.name} password"}, app.anon)
        app.ask("POST", "/classes/Twin", {"column": app.name if app is red else 1}, app.anon)
    for app, other in ((red, blue), (blue, red)):
        right = {"username": "twin", "password": f"{app.name} password"}
        assert app.ask("POST", "/login", right, app.anon).status_code == 200
        assert app.ask("POST", "/login", {**right, "password": f"{other.name} password"}, app.anon).status_code == 404
    kinds = [app.ask("GET", "/schemas/Twin").json()["fields"]["column"]["type"] for app in apps]
    assert kinds == ["String", "Number"]


def test_permissions_of_one_app_are_not_the_others(apps: tuple[App, App]) -> None:
    """Nor is anything remembered of one used for the other, with the same session, role and class names."""
    red, blue = apps
    for app in apps:
        app.ask("POST", "/classes/Shared", {"of": app.name})
        app.ask("PUT", "/schemas/Shared", {"classLevelPermissions": {"find": {"*": True} if app is red else {}}})
    for _ in range(3):
        assert red.ask("GET", "/classes/Shared", sent=red.anon).status_code == 200
        assert blue.ask("GET", "/classes/Shared", sent=blue.anon).json()["code"] == 119
