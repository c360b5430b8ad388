"""A fresh production server gives nobody anything: an anonymous client reads nothing, makes no class and lists no user."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.cli.claim import claim
from tests.security.attack import ANON, WAYS, Target, Way
from tests.security.conftest import started


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory, store: dict[str, str]) -> Iterator[Target]:
    """Nobody has used it before."""
    yield from started(tmp_path_factory.mktemp("fresh"), store)


@pytest.fixture(scope="module")
def kept(production: Target) -> str:
    """A class with an object, made by the app's owner as the defaults have it, and a user beside it."""
    name = production.name("Kept")
    production.make(name, {"n": 1})
    assert production.someone.id
    return name


@pytest.mark.parametrize("way", WAYS)
def test_it_reads_nothing(production: Target, kept: str, way: Way) -> None:
    for class_name in (kept, "_User", "_Role", "_Session", "_Installation", "_PushStatus", "_JobStatus", "_Audience", "NeverMade"):
        answer = production.ask("GET", f"/classes/{class_name}", way=way)
        assert answer.body == {"results": []} or answer.code in (101, 119, 209), (class_name, answer.text)
        counted = production.ask("GET", f"/classes/{class_name}", {"count": 1, "limit": 0}, way=way)
        assert counted.body == {"results": [], "count": 0} or counted.code in (101, 119, 209), (class_name, counted.text)


@pytest.mark.parametrize("way", WAYS)
def test_it_makes_no_class_and_adds_nothing(production: Target, kept: str, way: Way) -> None:
    assert production.ask("POST", f"/classes/{production.name('Mine')}", {"a": 1}, way=way).code == 119
    assert production.ask("POST", f"/classes/{kept}", {"n": 2}, way=way).code in (101, 119)
    assert production.ask("POST", f"/schemas/{production.name('Mine')}", {}, way=way).code in (119, -403)


@pytest.mark.parametrize("way", WAYS)
def test_it_lists_no_user(production: Target, way: Way) -> None:
    name = production.someone.name
    queries: list[dict[str, Any]] = [
        {},
        {"where": {"username": name}},
        {"where": {"username": {"$regex": "^user"}}, "keys": "username"},
        {"where": {"objectId": production.someone.id}},
        {"distinct": "username"},
    ]
    for query in queries:
        answer = production.ask("GET", "/users", query, ANON, way)
        assert answer.body == {"results": []} or answer.code in (102, 119), answer.text
    assert production.ask("GET", f"/users/{production.someone.id}", way=way).code in (101, 119)


ADMINISTRATION = (
    ("GET", "/schemas"),
    ("GET", "/config/x"),
    ("GET", "/hooks/functions"),
    ("GET", "/cloud_code/jobs"),
    ("GET", "/serverInfo"),
    ("GET", "/push_audiences"),
    ("POST", "/push"),
    ("POST", "/jobs/any"),
    ("POST", "/loginAs"),
    ("DELETE", "/purge/_User"),
    ("GET", "/aggregate/_User"),
)


@pytest.mark.parametrize(("method", "path"), ADMINISTRATION)
def test_it_administers_nothing(production: Target, method: str, path: str) -> None:
    answer = production.ask(method, path, {} if method == "POST" else None)
    assert answer.code in (119, -403, -404), answer.text


ANSWERS = (
    ("GET", "/parse/classes/Nothing"),
    ("GET", "/parse/nowhere"),
    ("POST", "/parse/login"),
    ("GET", "/parse/health"),
    ("GET", "/api/v1/captcha"),
    ("GET", "/api/v1/audit"),
)


@pytest.mark.parametrize(("method", "path"), ANSWERS)
def test_no_browser_makes_more_of_an_answer_than_data(production: Target, method: str, path: str) -> None:
    """It is neither sniffed, nor kept, nor shown as a page or in one, whether it is an answer or a refusal."""
    answer = production.http.request(method, f"{production.server.url}{path}", headers=ANON, json={} if method == "POST" else None)
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers.get_list("content-security-policy") == ["default-src 'none'; base-uri 'none'; frame-ancestors 'none'"]


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/parse/apps/nowhere.html"])
def test_nothing_outside_the_api_is_sniffed_either(production: Target, path: str) -> None:
    answer = production.http.get(f"{production.server.url}{path}")
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


def test_nobody_else_on_the_machine_looks_into_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "data"
    os.close(claim(folder))
    assert folder.stat().st_mode & 0o777 == 0o700
