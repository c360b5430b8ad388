"""The audit: who did what with the keys that pass permissions, in order, for ever, and to be taken away as a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.auth.inside import House, house
from tests.wire.scenarios import READ_ONLY


@pytest.fixture(params=["sqlite", "mongo"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    url = request.getfixturevalue("mongo") if request.param == "mongo" else None
    async with house(tmp_path, url) as made:
        yield made


async def events(home: House, query: str = "") -> list[Any]:
    results: list[Any] = (await home.master("GET", f"/api/v1/audit{query}")).json()["results"]
    return results


async def test_what_the_master_key_does_is_noted(home: House) -> None:
    """By which key, from where, when and on what; not what was sent, and nothing of what only reads."""
    person = await home.person()
    home.clock.advance(1000)
    await home.master("POST", "/schemas/Place", {"fields": {"secret": {"type": "String"}}})
    await home.master("PUT", f"/users/{person.id}", {"password": "a new one"})
    await home.master("PUT", "/config", {"params": {"a": "hidden words"}})
    await home.master("GET", "/users")
    await home.master("POST", "/classes/Place", {"secret": "x"})
    await home.ask("POST", "/classes/Place", {"secret": "x"})
    assert (await home.master("PUT", "/users/nobody", {"password": "x"})).status_code == 404
    found = await events(home)
    assert [(each["event"], each["path"]) for each in found] == [
        ("POST /schemas/:className", "/schemas/Place"),
        ("PUT /users/:objectId", f"/users/{person.id}"),
        ("PUT /config", "/config"),
    ]
    assert {(each["by"], each["ip"], each["at"]) for each in found} == {("master", "127.0.0.1", "2026-01-31T09:05:01.123Z")}
    assert "hidden words" not in str(found)
    assert "a new one" not in str(found)


async def test_people_sessions_and_roles_are_noted_by_the_path_of_any_class_too(home: House) -> None:
    person = await home.person()
    user = {"__type": "Pointer", "className": "_User", "objectId": person.id}
    await home.master("PUT", f"/classes/_User/{person.id}", {"password": "a new one"})
    await home.master("POST", "/classes/_Session", {"user": user, "sessionToken": "r:" + "0" * 32})
    part = {"method": "POST", "path": "/parse/classes/_Role", "body": {"name": "staff", "ACL": {}}}
    await home.master("POST", "/batch", {"requests": [part]})
    assert [each["path"] for each in await events(home)] == [f"/classes/_User/{person.id}", "/classes/_Session", "/classes/_Role"]


@pytest.mark.parametrize("entrance", ["plain", "batch", "override"])
async def test_impersonation_leaves_a_trace_at_every_entrance(home: House, entrance: str) -> None:
    person = await home.person()
    body = {"userId": person.id}
    if entrance == "batch":
        part = {"method": "POST", "path": "/parse/loginAs", "body": body}
        assert "success" in (await home.master("POST", "/batch", {"requests": [part]})).json()[0]
    elif entrance == "override":
        keys = {"_ApplicationId": "app", "_MasterKey": "master", "_method": "POST"}
        assert (await home.ask("POST", "/loginAs", {**keys, **body}, sent={}, ip="127.0.0.1")).status_code == 200
    else:
        assert (await home.master("POST", "/loginAs", body)).status_code == 200
    await home.master("POST", "/api/v1/tokens", body)
    await home.master("GET", f"/api/v1/users/{person.id}/data")
    about = await events(home, f"?about=user%20{person.id}")
    assert [each["event"] for each in about] == ["POST /loginAs", "POST /api/v1/tokens", "user exported"]
    assert await events(home, "?about=user%20other") == []


async def test_it_is_read_in_pages_and_taken_away_as_a_file(home: House) -> None:
    for number in range(5):
        await home.master("POST", f"/schemas/Place{number}", {})
        home.clock.advance(1)
    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await home.master("GET", f"/api/v1/audit?limit=2&cursor={cursor.replace('|', '%7C')}")).json()
        seen += page["results"]
        cursor = page["next"]
    assert [each["path"] for each in seen] == [f"/schemas/Place{number}" for number in range(5)]
    file = await home.master("GET", "/api/v1/audit?format=ndjson")
    assert file.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in file.text.splitlines()] == seen
    assert (await home.ask("GET", "/api/v1/audit", sent=READ_ONLY, ip="127.0.0.1")).json()["results"] == seen
    assert (await home.ask("GET", "/api/v1/audit")).status_code == 403
    assert (await home.master("GET", "/api/v1/audit?format=xml")).json()["code"] == 102


async def test_nothing_changes_it(home: House) -> None:
    await home.master("POST", "/schemas/Place", {})
    before = await events(home)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await home.master(method, "/api/v1/audit", {})).status_code == 404
        assert (await home.master(method, "/classes/audit", {})).status_code in (200, 201, 400, 404)
    assert await events(home) == before


@pytest.mark.parametrize(("wanted", "count"), [("all", 2), ("admin", 1), ("off", 0)])
async def test_an_app_says_how_much_is_noted(tmp_path: Path, wanted: str, count: int) -> None:
    async with house(tmp_path, audit=wanted) as home:
        await home.master("POST", "/schemas/Place", {})
        await home.master("POST", "/classes/Place", {})
        assert len(await events(home)) == count


async def test_what_is_older_than_is_kept_goes(tmp_path: Path) -> None:
    async with house(tmp_path, audit_kept_ms=1000) as home:
        await home.master("POST", "/schemas/Place", {})
        home.clock.advance(1001)
        assert await events(home) == []
