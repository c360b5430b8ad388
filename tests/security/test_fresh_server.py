"""A fresh production server gives nobody anything: an anonymous client reads nothing, makes no class and lists no user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.security.attack import ANON, WAYS, Target, Way
from tests.security.conftest import started


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Nobody has used it before."""
    yield from started(tmp_path_factory.mktemp("fresh"))


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
