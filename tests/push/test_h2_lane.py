"""The lane speaks HTTP/2 with a server of the `h2` package, and leaves nobody to wait for one that does not keep to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas_push.http2 import frames
from mbaas_push.mock import credentials
from mbaas_push.transports import h2_lane
from mbaas_push.transports.h2_lane import H2Lane
from mbaas_push.transports.lane import MOST_BYTES, Broken, Reply
from tests.waiting import until

LARGE = 50_000
"""More than a frame."""
Setting = h2.settings.SettingCodes


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peer")
    credentials.make(folder)
    return folder


class Peer(asyncio.Protocol):
    """Answers as the path says."""

    first: dict[Setting, int] = {}
    connections = 0

    def __init__(self) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.bodies: dict[int, int] = {}
        self.heads: dict[int, dict[str, str]] = {}
        self.most = 0
        """The most requests that were open at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).connections += 1
        self.transport = cast(asyncio.Transport, transport)
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=self.first)
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.heads[event.stream_id] = {str(name): str(value) for name, value in event.headers}
                self.bodies[event.stream_id] = 0
                self.most = max(self.most, len(self.heads))
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += len(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.answer(event.stream_id)
        self.flush()

    def forget(self, stream: int) -> None:
        """Never answer."""

    def answer(self, stream: int) -> None:
        head = self.heads.pop(stream)
        path, ended, told = head[":path"], self.h2.end_stream, [(":status", "200")]
        if path == "/reset":
            self.h2.reset_stream(stream, 2)
        elif path == "/refuse":
            self.h2.reset_stream(stream, frames.REFUSED_STREAM)
        elif path == "/farewell":
            # Nothing of it, nor of what came later, was processed.
            self.h2.close_connection(last_stream_id=stream - 2)
        elif path == "/never":
            self.forget(stream)
        elif path == "/cut":
            self.flush()
            self.transport.abort()
        elif path == "/early":
            self.h2.send_headers(stream, [(":status", "103"), ("link", "</a>")])
            self.h2.send_headers(stream, [*told, ("retry-after", "7")])
            self.h2.send_data(stream, b"late", pad_length=20)
            self.h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        elif path == "/long":
            self.h2.send_headers(stream, told)
            for _ in range(0, MOST_BYTES + 16_384, 16_384):
                self.h2.send_data(stream, b"x" * 16_384)
        elif path == "/large-head":
            self.h2.send_headers(stream, [*told, ("x-large", "y" * LARGE)], end_stream=True)
        elif path == "/narrow":
            self.h2.update_settings({Setting.INITIAL_WINDOW_SIZE: 10, Setting.MAX_CONCURRENT_STREAMS: 1})
            self.h2.send_headers(stream, told, end_stream=True)
        elif path == "/ping":
            self.h2.ping(b"12345678")
            self.h2.send_headers(stream, told, end_stream=True)
        else:
            said = f"{head[':method']} {head[':authority'].partition(':')[0]} {path} {head.get('x-large', '')[:3]} {self.bodies[stream]}"
            self.h2.send_headers(stream, [*told, ("x-again", "the same"), ("x-of-it", str(stream))])
            self.h2.send_data(stream, said.encode())
            ended(stream)


@asynccontextmanager
async def served(keys: Path, peer: Callable[[], asyncio.Protocol]) -> AsyncIterator[tuple[H2Lane, str]]:
    """A lane, and the origin of a server that speaks as `peer` does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "cert.pem", keys / "cert.key")
    context.set_alpn_protocols(["h2"])
    server = await asyncio.get_running_loop().create_server(peer, "127.0.0.1", 0, ssl=context)
    lane = H2Lane(keys / "cert.pem")
    try:
        yield lane, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await lane.close()
        server.close()


async def asked(lane: H2Lane, url: str, headers: tuple[str, ...] = (), body: bytes = b"") -> Reply | Broken:
    try:
        async with asyncio.timeout(20):
            return await lane.ask("POST", url, headers, body)
    except Broken as broken:
        return broken


async def test_what_is_asked_and_answered_is_what_the_package_means(keys: Path) -> None:
    async with served(keys, Peer) as (lane, origin):
        one, large = "POST 127.0.0.1 ", "X-Large: " + "abc" * (LARGE // 3)
        assert await asked(lane, f"{origin}/a?b=c#d", (), b"12") == Reply(200, f"{one}/a?b=c  2".encode(), 0)
        assert await asked(lane, origin) == Reply(200, f"{one}/  0".encode(), 0)
        assert await asked(lane, f"{origin}/with space/ü") == Reply(200, f"{one}/with%20space/%C3%BC  0".encode(), 0)
        # A head of several frames, and a body of more than all windows.
        assert await asked(lane, f"{origin}/l", (large,), b"x" * 300_000) == Reply(200, f"{one}/l abc 300000".encode(), 0)
        assert await asked(lane, f"{origin}/large-head") == Reply(200, b"", 0)
        assert await asked(lane, f"{origin}/early", (), b"1") == Reply(200, b"late", 7)
        assert await asked(lane, f"{origin}/long") == Reply(200, b"", 0)
        assert await asked(lane, f"{origin}/ping") == Reply(200, b"", 0)
        answers = await asyncio.gather(*(asked(lane, f"{origin}/{n}", (f"x-n: {n}",), b"x" * n) for n in range(500)))
        assert [cast(Reply, answer).body for answer in answers] == [f"{one}/{n}  {n}".encode() for n in range(500)]


async def test_limits_that_are_told_later_are_kept(keys: Path) -> None:
    peers: list[Peer] = []

    def peer() -> Peer:
        peers.append(Peer())
        return peers[-1]

    async with served(keys, peer) as (lane, origin):
        assert await asked(lane, f"{origin}/narrow") == Reply(200, b"", 0)
        peers[0].most = 0
        answers = await asyncio.gather(*(asked(lane, f"{origin}/{n}", (), b"x" * 100) for n in range(20)))
        assert [cast(Reply, answer).body for answer in answers] == [f"POST 127.0.0.1 /{n}  100".encode() for n in range(20)]
        assert peers[0].most == 1


@pytest.mark.parametrize(("path", "left"), [("/reset", True), ("/refuse", False), ("/farewell", False), ("/cut", True)])
async def test_what_may_have_been_taken_is_told(keys: Path, path: str, left: bool) -> None:
    async with served(keys, Peer) as (lane, origin):
        for _ in range(2):
            assert isinstance(await asked(lane, f"{origin}/a", (), b"1"), Reply)
            answer = await asked(lane, f"{origin}{path}", (), b"1")
            assert isinstance(answer, Broken)
            assert answer.left is left


async def test_who_gives_up_leaves_room_for_others(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "first", {Setting.MAX_CONCURRENT_STREAMS: 1})
    monkeypatch.setattr(h2_lane, "CONNECTIONS", 1)
    reached = asyncio.Event()
    monkeypatch.setattr(Peer, "forget", lambda self, stream: reached.set())
    async with served(keys, Peer) as (lane, origin):
        waits = [asyncio.create_task(lane.ask("POST", f"{origin}/never", (), b"1")) for _ in range(5)]
        last = asyncio.create_task(asked(lane, f"{origin}/a", (), b"1"))
        await reached.wait()
        for each in waits:
            each.cancel()
        assert isinstance(await last, Reply)


async def test_a_connection_that_nobody_needs_is_closed(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_lane, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(h2_lane, "_IDLE_SECONDS", 0.05)
    lost = asyncio.Event()
    monkeypatch.setattr(Peer, "connection_lost", lambda self, error: lost.set())
    async with served(keys, Peer) as (lane, origin), asyncio.timeout(20):
        assert isinstance(await asked(lane, f"{origin}/a"), Reply)
        await lost.wait()
        await until(lambda: not lane._hosts)
        assert isinstance(await asked(lane, f"{origin}/a"), Reply)


class Rude(asyncio.Protocol):
    """Says the same to everybody, whatever was asked, and goes on."""

    said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(frames.with_settings([]))

    def data_received(self, data: bytes) -> None:
        if b"hello" in data:
            self.transport.write(self.said)


def head(block: bytes, flags: int = frames.END_HEADERS | frames.END_STREAM) -> bytes:
    return frames.frame(frames.HEADERS, flags, 1, block)


RUDE: dict[str, bytes] = {
    "no HTTP/2": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "a frame that is too large": frames.frame(frames.DATA, 0, 1, bytes(frames.FRAME + 1)),
    "no block": head(b"\xff\xff\xff\xff\xff\xff"),
    "a field that nobody has kept": head(b"\xbe"),
    "a table that was refused": head(b"\x3f\xe1\x1f\x88"),
    "no status": head(b""),
    "a status that is none": head(b"\x08\x03abc"),
    "data before a head": frames.frame(frames.DATA, frames.END_STREAM, 1, b"x"),
    "a head that goes on elsewhere": head(b"\x88", 0) + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 3),
    "a head that goes on as data": head(b"\x88", 0) + frames.frame(frames.DATA, frames.END_STREAM, 1, b"x"),
    "a head without end": head(b"\x88", 0) + frames.frame(frames.CONTINUATION, 0, 1, bytes(16_000)) * 6,
    "what goes on with nothing": frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, b"\x88"),
    "a promise": frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, bytes(4) + b"\x82"),
    "half a setting": frames.frame(frames.SETTINGS, 0, 0, b"123"),
    "a window that is too large": frames.with_settings([(frames.INITIAL_WINDOW_SIZE, frames.LARGEST + 1)]),
    "more padding than there is": frames.frame(frames.DATA, frames.PADDED, 1, b"\x09x"),
}


@pytest.mark.parametrize("said", RUDE.values(), ids=RUDE.keys())
async def test_who_does_not_keep_to_http_2_is_left(keys: Path, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rude, "said", said)
    async with served(keys, Rude) as (lane, origin):
        answer = await asked(lane, f"{origin}/a", (), b"hello")
        assert isinstance(answer, Broken)
        assert answer.left


FRAMES = st.tuples(st.integers(0, 10), st.integers(0, 255), st.sampled_from([0, 1, 3]), st.binary(max_size=40))
GARBAGE = st.one_of(st.binary(max_size=200), st.lists(FRAMES, max_size=6).map(lambda some: b"".join(frames.frame(*each) for each in some)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GARBAGE)
async def test_whatever_comes_nothing_but_broken_is_raised(keys: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    # After the garbage comes an end.
    monkeypatch.setattr(Rude, "said", said + frames.frame(frames.GOAWAY, 0, 0, bytes(8)) + bytes(9) * 3 + b"\xff" * 20)
    async with served(keys, Rude) as (lane, origin):
        assert isinstance(await asked(lane, f"{origin}/a", (), b"hello"), Reply | Broken)
    assert errors == []
