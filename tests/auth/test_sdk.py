"""The stock JS SDK with a mail server, addresses and forgotten passwords; and with identity providers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mbaas.testing.process import TestServer, free_port
from tests.auth.issuer import KINDS, publish
from tests.auth.post import post
from tests.compat.sdk.test_sdk import HERE as SDK
from tests.compat.sdk.test_sdk import failures, run
from tests.functions.web import Web, respond, web

HERE = Path(__file__).parent


@pytest.mark.parametrize("sdk", ["parse/node", "parse5/node.js"])
def test_the_stock_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sdk: str) -> None:
    port, mails = free_port(), tmp_path / "mails"
    mails.mkdir()
    monkeypatch.setenv("MAILS", str(mails))
    own = {"verifyUserEmails": True, "appName": "The app", "publicServerURL": f"http://127.0.0.1:{port}/parse", "port": port}
    own["auth"] = {"mfa": {"options": ["TOTP"]}}
    options = json.loads((SDK / "server.json").read_text()) | own
    with (
        post(folder=mails) as office,
        TestServer.with_parse_options(tmp_path, options, functions=HERE / "cloud", smtp_url=office.url) as server,
    ):
        done = run(server, HERE / "sdk.test.mjs", sdk)
    assert (done.code, done.unfinished, done.passed) == (0, 0, 9), failures(done.text)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Web]:
    """Providers that sign whatever they are asked for, and exchange each code once."""
    spent: set[str] = set()

    def mint(to: BaseHTTPRequestHandler, _: Any) -> None:
        asked = parse_qs(urlsplit(to.path).query)
        kind = next(kind for kind in KINDS if kind.name == asked["provider"][0])
        respond(to, 200, json.dumps(kind.good(asked["sub"][0])).encode())

    def exchange(to: BaseHTTPRequestHandler, _: Any) -> None:
        code = parse_qs(running.received[-1].raw.decode())["code"][0]
        known = code in spent
        spent.add(code)
        respond(to, 200, json.dumps({"error": "bad_verification_code"} if known else {"access_token": code}).encode())

    with web() as running:
        publish(running)
        running.on |= {"/mint": mint, "/login/oauth/access_token": exchange}
        running.on["/api/v3/user"] = lambda to, _: respond(to, 200, json.dumps({"id": to.headers["Authorization"]}).encode())
        yield running


def test_the_stock_client_with_identity_providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: Web) -> None:
    monkeypatch.setenv("ISSUER", issuer.url(""))
    auth: dict[str, Any] = {kind.name: kind.configured(issuer) for kind in KINDS}
    auth["github"] = {"clientId": "c", "clientSecret": "s", "endpoint": issuer.url("")}
    auth["own"] = {"module": "own"}
    options = json.loads((SDK / "server.json").read_text()) | {"auth": auth}
    with TestServer.with_parse_options(tmp_path, options, functions=HERE / "cloud") as server:
        for sdk in ("parse/node", "parse5/node.js"):
            done = run(server, HERE / "providers.test.mjs", sdk)
            assert (done.code, done.unfinished, done.passed) == (0, 0, 8), f"{sdk}: {failures(done.text)}"
