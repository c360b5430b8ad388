"""Rows A5 and A6: what triggers do with fields that the caller may not see is not told to her."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.security.attack import MASTER, WAYS, Target, Way
from tests.security.test_live import watching

CLOUD = Path(__file__).parent / "cloud"
CLASSES = ("Reverting", "Dotting", "Telling")


@pytest.fixture(scope="module")
def triggered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server whose triggers touch a protected field of three classes."""
    with TestServer(tmp_path_factory.mktemp("triggered"), settings={"preset": "parse", "functions": CLOUD}) as server:
        target = Target(server)
        with target.http:
            for name in CLASSES:
                permissions = {what: {"*": True} for what in ("find", "get", "count", "create", "update", "delete", "addField")}
                fields = {"secret": {"type": "Object" if name == "Dotting" else "String"}}
                body = {"className": name, "fields": fields, "classLevelPermissions": {**permissions, "protectedFields": {"*": ["secret"]}}}
                assert target.ask("POST", f"/schemas/{name}", body, MASTER).status == 200
            yield target


def saves(target: Target, name: str, way: Way, value: Any) -> tuple[Any, Any]:
    """What a stranger is answered when she creates an object, and when she changes one whose secret the master key has set."""
    made = target.ask("POST", f"/classes/{name}", {"secret": value, "open": 1}, way=way)
    assert made.code is None
    path = f"/classes/{name}/{made.body['objectId']}"
    assert target.ask("PUT", path, {"secret": {"kept": "stored"}} if name == "Dotting" else {"secret": "stored"}, MASTER).code is None
    return made.body, target.ask("PUT", path, {"secret": value, "open": 2}, way=way).body


@pytest.mark.parametrize("way", WAYS)
def test_row_a5_a_field_that_a_trigger_reverts_is_not_told(triggered: Target, way: Way) -> None:
    for answer in saves(triggered, "Reverting", way, "mine"):
        assert "secret" not in answer
        assert "stored" not in str(answer)


@pytest.mark.parametrize("way", WAYS)
def test_row_a6_a_field_that_a_trigger_writes_by_a_dotted_key_is_not_told(triggered: Target, way: Way) -> None:
    for answer in saves(triggered, "Dotting", way, {"b": 1}):
        assert not any(key.startswith("secret") for key in answer)
        assert "trigger" not in str(answer)


@pytest.mark.parametrize("way", WAYS)
def test_what_triggers_set_on_a_protected_field_is_not_told(triggered: Target, way: Way) -> None:
    for answer in saves(triggered, "Telling", way, "mine"):
        assert "secret" not in answer
        assert (answer["shown"], answer["hits"] >= 1) == (True, True)
    assert triggered.ask("POST", "/classes/Telling", {}, MASTER).body["secret"] == "set after"


@pytest.mark.parametrize("name", CLASSES)
def test_rows_a5_and_a6_hold_for_events(triggered: Target, name: str) -> None:
    with watching(triggered, name) as client:
        saves(triggered, name, "plain", {"b": 1} if name == "Dotting" else "mine")
        frames = client.due()
    assert [frame["op"] for frame in frames] == ["create", "update", "update"]
    assert not any("secret" in str(frame) or "stored" in str(frame) for frame in frames)
