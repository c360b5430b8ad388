"""The stock JS SDK and a mail server: addresses, forgotten passwords, and the trigger before such a mail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer, free_port
from tests.auth.post import post
from tests.compat.sdk.test_sdk import HERE as SDK
from tests.compat.sdk.test_sdk import failures, run

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
