"""Development: what is saved runs, without a dropped call or socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, TestServer
from tests.live.client import Client

HEADERS = {"X-Parse-Application-Id": APP_ID}
CODE = """
import asyncio
from mbaas_functions import cloud
import names

@cloud.define("version")
async def version(request):
    return names.VERSION

@cloud.define("slow")
async def slow(request):
    await asyncio.sleep(1)
    return names.VERSION
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    functions = tmp_path / "functions"
    functions.mkdir()
    (functions / "main.py").write_text(CODE)
    (functions / "names.py").write_text("VERSION = 1\n")
    with TestServer(tmp_path, "dev") as running:
        yield running


def version(server: TestServer, name: str = "version") -> Any:
    return server.call("POST", f"/parse/functions/{name}", {}, HEADERS)[1].get("result")


def until(server: TestServer, expected: int) -> None:
    deadline = time.monotonic() + 20
    while version(server) != expected:
        assert time.monotonic() < deadline


def test_what_is_saved_runs_and_drops_nothing(server: TestServer) -> None:
    with Client(f"ws://127.0.0.1:{server.port}/parse") as socket, ThreadPoolExecutor(1) as pool:
        socket.send({"op": "connect", "applicationId": APP_ID})
        socket.send({"op": "subscribe", "requestId": 1, "query": {"className": "Note", "where": {}}})
        assert [frame["op"] for frame in (socket.receive(), socket.receive())] == ["connected", "subscribed"]
        assert version(server) == 1
        slow = pool.submit(version, server, "slow")
        (server.folder / "functions/names.py").write_text("VERSION = 22\n")
        until(server, 22)
        assert slow.result() in (1, 22)
        assert server.call("POST", "/parse/classes/Note", {"a": 1}, HEADERS)[0] == 201
        assert [frame["op"] for frame in socket.due()] == ["create"]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        pytest.param("VERSION = 1 +\n", "SyntaxError", id="cannot be read"),
        pytest.param("import time\nprint('it hangs', flush=True)\ntime.sleep(1000)\n", "it hangs", id="does not end"),
    ],
)
def test_broken_code_changes_nothing_and_is_told(server: TestServer, broken: str, told: str) -> None:
    """What is saved next is loaded at once, whether or not the broken one has ended."""
    names = server.folder / "functions/names.py"
    names.write_text(broken)
    deadline = time.monotonic() + 20
    while told not in server.log.read_text():
        assert time.monotonic() < deadline
    assert version(server) == 1
    names.write_text("VERSION = 333\n")
    until(server, 333)
