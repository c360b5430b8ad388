"""Clients that hold the server up without asking for anything: byte by byte, standing still, in crowds, with frames without end.

They are left after their time, and whoever else asks meanwhile is answered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.fuzz.client import Line

PLACES, CROWD = 40, 300
ASKED = f"GET /parse/health HTTP/1.1\r\nHost: x\r\nX-Parse-Application-Id: {APP_ID}\r\n\r\n".encode()
POSTED = f"POST /parse/login HTTP/1.1\r\nHost: x\r\nX-Parse-Application-Id: {APP_ID}\r\nContent-Type: application/json\r\n".encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """With few places and little patience."""
    settings = {"connections": PLACES, "client_timeout": "1s", "live_connections": 50}
    with TestServer(tmp_path_factory.mktemp("slow"), settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """With few places and all patience."""
    settings = {"connections": PLACES, "client_timeout": "1h"}
    with TestServer(tmp_path_factory.mktemp("crowded"), settings=settings) as running:
        yield running


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def opened(server: TestServer, count: int = 1, said: bytes = b"") -> AsyncIterator[list[Ends]]:
    """Connections to the server, each of which has said this; some it may have closed."""
    ends = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]
    for _, writer in ends:
        writer.write(said)
    try:
        yield ends
    finally:
        for _, writer in ends:
            writer.close()


async def is_served(server: TestServer) -> None:
    """Somebody else asks, and is answered."""
    line = Line(server.port)
    reply = await line.ask(ASKED, "GET", seconds=10)
    await line.close()
    assert reply.status == 200


async def dripped(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send it byte by byte, until the server has had enough."""
    with suppress(ConnectionError):
        for at in range(len(data)):
            writer.write(data[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0.02)


SLOW = {
    "half a head": ASKED[:40],
    "a head without an end": ASKED[:-2] + b"X-A: b\r\n" * 200,
    "half a body": POSTED + b'Content-Length: 100\r\n\r\n{"username": "',
    "a body that drips": POSTED + b"Content-Length: 3000\r\n\r\n" + b" " * 2000,
    "chunks that drip": POSTED + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 400,
}


@pytest.mark.parametrize("what", SLOW)
async def test_who_takes_too_long_is_left(server: TestServer, what: str) -> None:
    async with opened(server) as [(reader, writer)], asyncio.timeout(30):
        dripping = asyncio.create_task(dripped(writer, SLOW[what]))
        with suppress(ConnectionError):
            told = await reader.read()
            assert told[:12] in (b"HTTP/1.1 408", b""), told
            assert b"\r\n\r\n" not in told or json.loads(told.partition(b"\r\n\r\n")[2])["code"] == 124
        await is_served(server)
        dripping.cancel()
    assert "Traceback" not in server.log.read_text()


async def test_who_says_nothing_at_all_is_left_without_a_word(server: TestServer) -> None:
    async with opened(server) as [(reader, _)], asyncio.timeout(30):
        assert await reader.read() == b""


async def test_who_does_not_take_an_answer_is_left(server: TestServer) -> None:
    """She asks on and on, and reads nothing."""
    async with opened(server) as [(_, writer)], asyncio.timeout(60):
        asked = ASKED.replace(b"/parse/health", b"/openapi.json")
        with suppress(ConnectionError):
            while True:  # until the test's time is over
                writer.write(asked)
                await writer.drain()
        await is_served(server)
    assert "Traceback" not in server.log.read_text()


async def test_who_is_slow_but_gets_on_is_served(server: TestServer) -> None:
    """For longer than anybody may stand still: with what she sends, and with what she takes."""
    content = b"x" * 6_000_000
    head = f"POST /parse/files/long.txt HTTP/1.1\r\nHost: x\r\nX-Parse-Application-Id: {APP_ID}\r\nX-Parse-Master-Key: {MASTER_KEY}\r\n"
    async with opened(server) as [(reader, writer)], asyncio.timeout(60):
        writer.write(f"{head}Content-Type: text/plain\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        for at in range(0, len(content), 200_000):
            writer.write(content[at : at + 200_000])
            await writer.drain()
            await asyncio.sleep(0.05)
        told = await reader.read()
        assert b" 201 " in told, told
        name = json.loads(told.partition(b"\r\n\r\n")[2])["name"]
    async with opened(server) as [(reader, writer)], asyncio.timeout(60):
        writer.write(f"GET /parse/files/{APP_ID}/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = 0
        while part := await reader.read(100_000):
            got += len(part)
            await asyncio.sleep(0.03)
        assert got > len(content)


@pytest.mark.parametrize("said", [b"", ASKED[:30]], ids=["nothing", "half a head"])
async def test_a_crowd_that_asks_for_nothing_keeps_nobody_out(crowded: TestServer, said: bytes) -> None:
    """Many more connections than there are places: each new one takes that of one that waits, long before its time is over."""
    async with opened(crowded, CROWD, said) as ends:
        for _ in range(10):
            await is_served(crowded)
        async with asyncio.timeout(60):
            for reader, _ in ends[: CROWD - PLACES]:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
        await asyncio.gather(*(is_served(crowded) for _ in range(PLACES)))


async def test_a_crowd_of_sockets_that_say_nothing_goes(server: TestServer) -> None:
    async with asyncio.timeout(60):
        async with connect(f"ws://127.0.0.1:{server.port}/parse") as somebody:
            await somebody.send(json.dumps({"op": "connect", "applicationId": APP_ID}))
            assert json.loads(await somebody.recv())["op"] == "connected"
            sockets = [await connect(f"ws://127.0.0.1:{server.port}/parse") for _ in range(60)]
            await is_served(server)
            for socket in sockets:
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
            assert {socket.close_code for socket in sockets} == {1008, 1013}, "too many are refused, the others left"
            await somebody.send(json.dumps({"op": "unsubscribe", "requestId": 1}))
            assert json.loads(await somebody.recv())["op"] == "error", "who has said who she is stays"


async def test_frames_that_are_too_long_end_their_socket_alone(server: TestServer) -> None:
    for frame in ("x" * (2 * 1024 * 1024), "[" * 500_000, '{"op":' * 100_000, b"\0" * 900_000):
        async with connect(f"ws://127.0.0.1:{server.port}/parse", max_size=None) as socket:
            with suppress(ConnectionClosed):
                await socket.send(json.dumps({"op": "connect", "applicationId": APP_ID}))
                await socket.send(frame)
                await socket.send(json.dumps({"op": "connect", "applicationId": APP_ID}))
                async with asyncio.timeout(20):
                    while json.loads(await socket.recv())["op"] != "connected":
                        pass
        await is_served(server)
    assert "Traceback" not in server.log.read_text()
