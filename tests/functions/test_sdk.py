"""What the stock JS SDK sees of triggers of files and live queries, and of an app's own provider."""

from __future__ import annotations

import json
from pathlib import Path

from mbaas.testing.process import TestServer
from tests.compat.sdk.test_sdk import HERE as SDK
from tests.compat.sdk.test_sdk import failures, run
from tests.functions.conftest import APPS

FILE = Path(__file__).parent / "sdk.test.mjs"


def test_the_stock_client(tmp_path: Path) -> None:
    options = json.loads((SDK / "server.json").read_text()) | {"liveQuery": {"classNames": [".*"]}}
    with TestServer.with_parse_options(tmp_path, options, functions=APPS / "seams") as server:
        done = run(server, FILE, "parse/node")
    assert (done.code, done.unfinished, done.passed) == (0, 0, 7), failures(done.text)
