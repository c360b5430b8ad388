"""The live-query client of the stock JS SDK."""

from __future__ import annotations

import json
from pathlib import Path

from mbaas.testing.process import TestServer
from tests.compat.sdk.test_sdk import HERE as SDK
from tests.compat.sdk.test_sdk import failures, run

FILE = Path(__file__).parent / "sdk.test.mjs"


def test_the_stock_client(tmp_path: Path) -> None:
    """All events, keys and watch, permissions, errors, and a reconnect."""
    options = json.loads((SDK / "server.json").read_text()) | {"liveQuery": {"classNames": [".*"]}}
    with TestServer.with_parse_options(tmp_path, options) as server:
        done = run(server, FILE, "parse/node")
    assert (done.code, done.unfinished, done.passed) == (0, 0, 5), failures(done.text)
