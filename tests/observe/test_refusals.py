"""What a client is not told of a refusal, the log tells: once, and with the id of the request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.wire.people import APP

DENIED = "Permission denied"
MASTER_NEEDED = "unauthorized: master key is required"
CREATION = "This user is not allowed to access non-existent class: Nowhere"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("production")) as running:
        yield running


def refusals(server: TestServer) -> list[dict[str, Any]]:
    """The lines of the log that tell of refusals."""
    return [line for line in map(json.loads, server.log.read_text().splitlines()) if line["event"].startswith("refused: ")]


@pytest.mark.parametrize(
    ("method", "path", "body", "precise"),
    [
        ("POST", "/parse/classes/Nowhere", {"a": 1}, CREATION),
        ("GET", "/parse/schemas", None, MASTER_NEEDED),
        ("GET", "/api/v1/deployments", None, MASTER_NEEDED),
        ("POST", "/parse/batch", {"requests": [{"method": "POST", "path": "/parse/classes/Nowhere", "body": {"a": 1}}]}, CREATION),
    ],
)
def test_the_precise_text_is_in_the_log(production: TestServer, method: str, path: str, body: Any, precise: str) -> None:
    before = len(refusals(production))
    told = json.dumps(production.call(method, path, body, APP)[1])
    assert DENIED in told
    assert precise not in told
    (line,) = refusals(production)[before:]
    assert (line["event"], line["level"]) == (f"refused: {precise}", "info")
    assert line["request_id"]


def test_what_is_told_is_not_in_the_log_too(production: TestServer) -> None:
    before = len(refusals(production))
    assert production.call("POST", "/parse/login", {}, APP)[1]["code"] == 200
    assert len(refusals(production)) == before
