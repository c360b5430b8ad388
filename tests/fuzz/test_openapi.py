"""Whatever fits, or nearly fits, the published description of the API is answered, and never with a server error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.conftest import EXAMPLES
from tests.security.attack import LEAKS

API = schemathesis.openapi.from_path(Path(__file__).parents[2] / "sdk-schema" / "openapi.yaml")
KEYS = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """With all that an answer may need: a mail server that nobody is, so that mails wait, and a provider that takes every push."""
    options = {
        "appId": APP_ID,
        "appName": "The app",
        "masterKey": MASTER_KEY,
        "allowClientClassCreation": True,
        "publicServerURL": "https://app.example.com/parse",
        "push": {"adapter": {"module": "accept"}},
        "auth": {"webauthn": {"rpId": "app.example.com"}},
    }
    with TestServer.with_parse_options(tmp_path_factory.mktemp("openapi"), options, smtp_url="smtp://127.0.0.1:9") as running:
        yield running


@API.parametrize()
@settings(max_examples=max(3, EXAMPLES // 10), deadline=None, suppress_health_check=list(HealthCheck))
def test_no_operation_ends_in_a_server_error(server: TestServer, case: schemathesis.Case[Any]) -> None:
    mount = "" if case.path.startswith("/api/v1") else "/parse"
    answer = case.call(base_url=f"{server.url}{mount}", headers=KEYS)
    assert answer.status_code < 500, answer.text
    assert "queryPlanner" in answer.text or not LEAKS.search(answer.text), answer.text
