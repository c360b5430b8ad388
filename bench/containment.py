"""`python -m bench containment`: 200 calls in flight while one function spins, one takes all memory, one ends its process, and one
blocks in C.

Told are how each of these ends, and when; how long the others take meanwhile and in quiet;
and what is left over after all these calls, 10,000 at least.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

import uvloop

from mbaas.testing.process import APP_ID, TestServer

CODE = Path(__file__).parents[1] / "tests/functions/apps/trouble"
CALLERS, QUIET_SECONDS, ROUNDS, PATIENCE_SECONDS = 200, 15.0, 10, 60.0
TROUBLE = ("spin", "eat", "leave", "block")
IDLE_SECONDS = 180.0
"""Workers that have had nothing to do for a minute are ended, within another one."""
_ASK = (
    f"POST /parse/functions/fine HTTP/1.1\r\nHost: localhost\r\nX-Parse-Application-Id: {APP_ID}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
)
_FINE = b'{"result":"fine"}'


class Caller(asyncio.Protocol):
    """A connection that calls again as soon as it is answered, until it is told to stop. Its first call, which waits until 200 connections
    are made, is not counted."""

    def __init__(self, took: list[float], wrong: Counter[bytes]) -> None:
        self._took, self._wrong = took, wrong
        self._since, self._stopping, self._settled, self._data = 0.0, False, False, b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._call()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._wrong[b"the connection was closed"] += 1
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0) if found else 1
        if len(body) < length:
            return
        self._data = b""
        if self._settled:
            self._took.append(time.perf_counter() - self._since)
        self._settled = True
        if body != _FINE:
            self._wrong[body] += 1
        if not self._stopping:
            self._call()
            return
        self.done.set_result(None)
        self._transport.close()

    def _call(self) -> None:
        self._since = time.perf_counter()
        self._transport.write(_ASK)

    def stop(self) -> None:
        """Call no more after the answer that is awaited."""
        self._stopping = True


class Callers:
    """All of them, for as long as the block runs. `took` are their times in seconds; `hung` how many were never answered."""

    def __init__(self, server: TestServer) -> None:
        self._server, self._callers = server, list[Caller]()
        self.took, self.wrong, self.hung = list[float](), Counter[bytes](), 0

    async def __aenter__(self) -> Callers:
        loop = asyncio.get_running_loop()
        for _ in range(CALLERS):
            _, caller = await loop.create_connection(lambda: Caller(self.took, self.wrong), "127.0.0.1", self._server.port)
            self._callers.append(caller)
        return self

    async def __aexit__(self, *error: object) -> None:
        for caller in self._callers:
            caller.stop()
        _, late = await asyncio.wait([caller.done for caller in self._callers], timeout=PATIENCE_SECONDS)
        self.hung = len(late)

    def p99(self) -> float:
        """Milliseconds that 99 of 100 calls took at most."""
        return sorted(self.took)[len(self.took) * 99 // 100] * 1000


async def trouble(server: TestServer, name: str) -> tuple[float, Any]:
    """Call a function that misbehaves: seconds, and the answer."""
    headers, begun = {"X-Parse-Application-Id": APP_ID}, time.perf_counter()
    answer = await asyncio.to_thread(server.call, "POST", f"/parse/functions/{name}", {}, headers)
    return time.perf_counter() - begun, answer


def settled(server: TestServer) -> tuple[int, int]:
    """Worker processes and open descriptors of the server, when it has nothing to do but to keep one worker."""
    assert server.process is not None
    deadline = time.monotonic() + IDLE_SECONDS
    while len(workers := server.function_workers()) > 1 and time.monotonic() < deadline:
        time.sleep(1)
    return len(workers), len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


async def measure(server: TestServer) -> None:
    async with Callers(server) as warm:
        await asyncio.sleep(2)
    before = await asyncio.to_thread(settled, server)
    async with Callers(server) as quiet:
        await asyncio.sleep(QUIET_SECONDS)
    ends: dict[str, list[tuple[float, Any]]] = {name: [] for name in TROUBLE}
    async with Callers(server) as disturbed:
        for _ in range(ROUNDS):
            for name, end in zip(TROUBLE, await asyncio.gather(*(trouble(server, name) for name in TROUBLE)), strict=True):
                ends[name].append(end)
    after = await asyncio.to_thread(settled, server)
    for name, ended in ends.items():
        (answer, times) = Counter(str(each) for _, each in ended).most_common(1)[0]
        seconds = sorted(took for took, _ in ended)
        print(f"{name:6s} {times} of {ROUNDS} times {answer}; {seconds[0]:.2f} to {seconds[-1]:.2f} s")
    for what, each in (("quiet", quiet), ("disturbed", disturbed)):
        half = sorted(each.took)[len(each.took) // 2] * 1000
        print(f"{what:9s} {len(each.took):7,} calls, {CALLERS} in flight: median {half:.1f} ms, p99 {each.p99():.1f} ms")
    print(f"p99 disturbed is {disturbed.p99() / quiet.p99():.2f} times that in quiet (at most 3)")
    every = [warm, quiet, disturbed]
    wrong = sum((each.wrong for each in every), Counter[bytes]())
    print(f"callers that were never answered: {sum(each.hung for each in every)}; other answers than the right one: {dict(wrong)}")
    count = sum(len(each.took) for each in every)
    print(f"workers and descriptors: {before[0]} and {before[1]} before, {after[0]} and {after[1]} after {count:,} calls")


def main() -> None:
    """Start a server and measure it."""
    settings = {"preset": "parse", "functions": CODE}
    with tempfile.TemporaryDirectory() as folder, TestServer(Path(folder), settings=settings) as server:
        uvloop.run(measure(server))


if __name__ == "__main__":
    main()
