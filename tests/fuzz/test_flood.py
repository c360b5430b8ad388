"""Whatever comes in is answered with a code: no server error, no traceback, no words of the database, and memory stays as it was."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from mbaas.testing.process import APP_ID, TestServer
from tests.auth.post import post
from tests.fuzz.client import Line
from tests.fuzz.grammar import Grammar, Sent
from tests.security.attack import LEAKS

REQUESTS = int(os.environ.get("MBAAS_TEST_REQUESTS", "50000"))
SECONDS = float(os.environ.get("MBAAS_TEST_FUZZ_SECONDS", "300"))
"""The most that it may take; what was not asked by then is not asked."""
SEED = int(os.environ.get("MBAAS_TEST_SEED", "20261122"))
WARM = min(REQUESTS // 2, 100_000)
"""After how many of them the server has loaded and remembered what it will, and its memory is to stay as it is."""
LINES = 8
GROWTH = 1.10
CLOUD = """
from mbaas_functions import cloud

@cloud.define("hello")
async def hello(request):
    return request.params
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """With Parse Server's open defaults, so that much gets past the door, and a mail server: without one some answers are 500, as
    Parse Server's are."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "functions").mkdir()
    (folder / "functions/main.py").write_text(CLOUD)
    settings = {"preset": "parse", "functions": folder / "functions", "public_url": "http://localhost/parse", "app_name": "Fuzz"}
    with post() as office, TestServer(folder, settings={**settings, "smtp_url": office.url}) as running:
        yield running


def resident(server: TestServer) -> tuple[int, int]:
    """KiB of memory that the server's process holds, and of its database's file that it has mapped: that grows with what is stored, and
    the system takes it back when it needs it (smaps, proc(5))."""
    assert server.process is not None
    held = mapped = 0
    of_database = False
    for line in Path(f"/proc/{server.process.pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            of_database = str(server.folder) in rest
        elif name == "Rss:":
            count = int(rest.split()[0])
            held, mapped = held + count * (not of_database), mapped + count * of_database
    return held, mapped


def wrong_with(sent: Sent, status: int, body: bytes) -> str:
    """What must not be in an answer; empty for a good one."""
    text = body.decode("utf-8", "replace")
    shown = f"{sent.method} {sent.target[:300]} {sent.body[:600]!r} → {status} {text[:300]}"
    if status == 0 or status >= 500:
        return f"no answer of its own: {shown}"
    if LEAKS.search(text) and "queryPlanner" not in text:
        return f"words of the inside: {shown}"
    if body[:1] == b"{" and status >= 400 and json.loads(body).get("code") == 1:
        return f"an internal error: {shown}"
    return ""


async def flood(server: TestServer, grammar: Grammar, count: int) -> Counter[int]:
    """Ask so many, over several lines at a time; how often each status came."""
    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    end = time.monotonic() + SECONDS

    async def client(share: int) -> None:
        line = Line(server.port)
        for _ in range(share):
            if wrong or time.monotonic() > end:
                break
            sent = grammar.request()
            reply = await line.ask(sent.raw, sent.method)
            statuses[reply.status] += 1
            if found := wrong_with(sent, reply.status, bytes(reply.body)):
                wrong.append(found)
            elif reply.body[:1] == b"{":
                grammar.learn(json.loads(reply.body))
        await line.close()

    await asyncio.gather(*(client(count // LINES) for _ in range(LINES)))
    assert not wrong, "\n".join([*wrong, server.log.read_text()[-3000:]])
    return statuses


async def test_no_request_is_answered_with_a_server_error_and_memory_stays(server: TestServer) -> None:
    grammar = Grammar(random.Random(SEED))
    # Hashing a password takes memory that is kept for the next one; when the first one comes is chance.
    server.call("POST", "/parse/login", {"username": "nobody", "password": "x"}, {"X-Parse-Application-Id": APP_ID})
    statuses = await flood(server, grammar, WARM)
    before, mapped_before = resident(server)
    statuses += await flood(server, grammar, REQUESTS - WARM)
    after, mapped = resident(server)
    print(f"{statuses.total()} requests of seed {SEED}: {dict(sorted(statuses.items()))}")
    print(f"{before / 1024:.1f} → {after / 1024:.1f} MiB; of the database mapped {mapped_before / 1024:.1f} → {mapped / 1024:.1f}")
    assert after < before * GROWTH
    assert min(statuses[200], statuses[201], statuses[400], statuses[404]) > statuses.total() / 200, "the requests do not get past the door"
    log = server.log.read_text()
    assert "Traceback" not in log
    assert '"level":"error"' not in log


async def _read(line: ClientConnection) -> None:
    """Take in what comes, until the end: who does not read is not told of the end either."""
    with suppress(ConnectionClosed):
        async for frame in line:
            assert isinstance(json.loads(frame), dict)


async def test_no_frame_of_a_live_query_client_ends_in_a_server_error(server: TestServer) -> None:
    grammar = Grammar(random.Random(SEED))
    hello = json.dumps({"op": "connect", "applicationId": APP_ID})
    for _ in range(max(1, REQUESTS // 1000)):
        async with connect(f"ws://127.0.0.1:{server.port}/parse") as line:
            reading = asyncio.create_task(_read(line))
            with suppress(ConnectionClosed):
                await line.send(hello)
                for _ in range(100):
                    await line.send(grammar.frame())
                await line.close()
            await reading
            assert line.close_code in (1000, 1001, 1003, 1007, 1008, 1009), line.close_reason
            assert "internal" not in (line.close_reason or "").lower()
    assert "Traceback" not in server.log.read_text()
    assert server.get("/readyz")[0] == 200
