"""`python -m bench live`: 5,000 sockets with a live query each, over 50 distinct queries, while 200 objects a second are written.

Every write matches one query, so 100 sockets hear of it. Told are the time from before a write was sent to when its event was
read, events that did not come or came twice, matches per write, and the server's processor time while nothing is written.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import cast

import orjson
import uvloop
from rich.progress import Progress

from mbaas.testing.process import APP_ID, TestServer

SOCKETS, QUERIES, WRITES_PER_SECOND, SECONDS, IDLE_SECONDS = 5_000, 50, 200, 60, 20
_HANDSHAKE = (
    b"GET /parse HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_POST = f"POST /parse/classes/Tick HTTP/1.1\r\nHost: localhost\r\nX-Parse-Application-Id: {APP_ID}\r\nContent-Length: "
_PING, _PONG = 0x9, 0xA


def frame(payload: bytes, opcode: int = 0x1) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


class Watcher(asyncio.Protocol):
    """A socket with one subscription; it knows no more of WebSockets than it needs."""

    def __init__(self, topic: int, heard: list[tuple[int, float]]) -> None:
        self._topic, self._heard = topic, heard
        self._held = b""
        self._open = False
        self.subscribed = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(_HANDSHAKE)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.subscribed.done():
            self.subscribed.set_exception(error or ConnectionResetError("the server closed the socket"))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        data = self._held + data
        if not self._open:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._held = data
                return
            self._open, data = True, data[end + 4 :]
            self.transport.write(frame(orjson.dumps({"op": "connect", "applicationId": APP_ID})))
        at = 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            if len(data) < start + size:
                break
            self._take(data[at] & 0xF, data[start : start + size], now)
            at = start + size
        self._held = data[at:]

    def _take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == _PING:
            self.transport.write(frame(payload, _PONG))
        elif payload.startswith(b'{"op":"create"'):
            self._heard.append((orjson.loads(payload)["object"]["n"], now))
        elif payload.startswith(b'{"op":"connected"'):
            query = {"className": "Tick", "where": {"topic": self._topic}}
            self.transport.write(frame(orjson.dumps({"op": "subscribe", "requestId": 1, "query": query})))
        elif payload.startswith(b'{"op":"subscribed"'):
            self.subscribed.set_result(None)


class Writer(asyncio.Protocol):
    """A connection that objects are written over."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._answers = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._answers += data.count(b"HTTP/1.1 201")
        if self._answers == WRITES_PER_SECOND * SECONDS:
            self.done.set_result(None)

    def write(self, number: int) -> None:
        """Create object `number`."""
        body = orjson.dumps({"n": number, "topic": number % QUERIES})
        self.transport.write(f"{_POST}{len(body)}\r\n\r\n".encode() + body)


def spent(pid: int) -> float:
    """A process's processor time so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def matched(server: TestServer) -> int:
    """How many distinct queries were asked of an entry, all together."""
    text: str = server.get("/metrics")[1]
    return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("mbaas_live_matches_total "))


async def measure(server: TestServer) -> None:
    loop = asyncio.get_running_loop()
    assert server.process is not None
    pid = server.process.pid
    heard: list[list[tuple[int, float]]] = [[] for _ in range(SOCKETS)]
    with Progress(transient=True) as progress:
        task = progress.add_task("connecting", total=SOCKETS)
        watchers = []
        for first in range(0, SOCKETS, 100):
            made = [
                await loop.create_connection(lambda n=n: Watcher(n % QUERIES, heard[n]), "127.0.0.1", server.port)  # type: ignore[misc]
                for n in range(first, first + 100)
            ]
            await asyncio.gather(*(watcher.subscribed for _, watcher in made))
            watchers += made
            progress.advance(task, 100)
    await asyncio.sleep(2)
    before, begun = spent(pid), time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    print(f"idle: {(spent(pid) - before) / (time.perf_counter() - begun) * 100:.1f} % of a processor over {IDLE_SECONDS} s")

    _, writer = await loop.create_connection(Writer, "127.0.0.1", server.port)
    count = WRITES_PER_SECOND * SECONDS
    asked, sent = matched(server), []
    before, begun = spent(pid), time.perf_counter()
    with Progress(transient=True) as progress:
        task = progress.add_task("writing", total=count)
        for number in range(count):
            await asyncio.sleep(begun + number / WRITES_PER_SECOND - time.perf_counter())
            sent.append(time.perf_counter())
            writer.write(number)
            progress.advance(task)
        await writer.done
    await asyncio.sleep(2)
    took = time.perf_counter() - begun
    report(sent, heard)
    print(f"matches: {(matched(server) - asked) / count:.1f} for each write, over {QUERIES} distinct queries")
    print(f"server: {(spent(pid) - before) / took * 100:.0f} % of a processor")
    for transport, _ in watchers:
        transport.close()


def report(sent: list[float], heard: list[list[tuple[int, float]]]) -> None:
    late = sorted((now - sent[number]) * 1000 for of_one in heard for number, now in of_one)
    wanted = [[n for n in range(len(sent)) if n % QUERIES == socket % QUERIES] for socket in range(SOCKETS)]
    wrong = sum([number for number, _ in of_one] != due for of_one, due in zip(heard, wanted, strict=True))
    print(f"events: {len(late):,} of {len(sent) * SOCKETS // QUERIES:,}; sockets with one lost, twice or out of order: {wrong}")
    print(f"from write to event, ms: median {statistics.median(late):.1f}, p95 {late[len(late) * 95 // 100]:.1f}, most {late[-1]:.1f}")


def main() -> None:
    """Start a server and measure it."""
    with tempfile.TemporaryDirectory() as folder, TestServer(Path(folder), settings={"preset": "parse"}) as server:
        uvloop.run(measure(server))


if __name__ == "__main__":
    main()
