"""`python -m bench serving [DEVICES]`: a push to so many devices while clients call the server.

The clients get, list and create objects, each after a short pause; told is what they waited before the push and while it is sent, the
server's memory, and how often each address was sent the push. Server, mock and clients share the machine.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import quantiles

import uvloop

from bench.audience import running_app, seed
from bench.live import spent
from bench.moments import asked
from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.fuzz.client import Line
from tests.mock_provider import mock_provider, received

DEVICES, CLIENTS, PAUSE_SECONDS, QUIET_SECONDS, LOOK_SECONDS = 20_000, 16, 0.05, 5, 0.25


@dataclass(slots=True)
class Seen:
    """What clients waited, in ms, and the most memory of the server in MB: all that is resident, and that which no file is behind."""

    waits: list[float] = field(default_factory=list)
    resident: int = 0
    anonymous: int = 0

    def look(self, pid: int) -> None:
        """Note the server's memory."""
        pairs = (line.split()[:2] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(("VmRSS", "RssAnon")))
        found = {name: int(size) // 1024 for name, size in pairs}
        self.resident, self.anonymous = max(self.resident, found["VmRSS:"]), max(self.anonymous, found["RssAnon:"])

    def tell(self, what: str) -> None:
        """Print it."""
        p50, p99 = (quantiles(self.waits, n=100)[percent - 1] for percent in (50, 99))
        waits = f"{len(self.waits):6,} requests, p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {max(self.waits):.0f} ms"
        print(f"{what}: {waits}; memory {self.resident} MB, {self.anonymous} MB without mapped files", flush=True)


async def _client(port: int, seen: Seen, number: int) -> None:
    """Call until cancelled."""
    line = Line(port)
    made = (await asked(line, "POST", "/parse/classes/Note", {"text": "x"}))["objectId"]
    calls: list[tuple[str, str, object]] = [
        ("GET", f"/parse/classes/Note/{made}", None),
        ("GET", "/parse/classes/Note?limit=20", None),
        ("POST", "/parse/classes/Note", {"text": "y", "by": number}),
    ]
    for turn in count():
        await asyncio.sleep(PAUSE_SECONDS)
        begun = time.perf_counter()
        await asked(line, *calls[turn % 3])
        seen.waits.append((time.perf_counter() - begun) * 1000)


async def _measure(server: TestServer, mock: dict[str, str], devices: int) -> None:
    assert server.process is not None
    pid, quiet, busy, line = server.process.pid, Seen(), Seen(), Line(server.port)
    for seen in (quiet, busy):
        clients = [asyncio.create_task(_client(server.port, seen, number)) for number in range(CLIENTS)]
        begun, used = time.perf_counter(), spent(pid)
        if seen is quiet:
            await asyncio.sleep(QUIET_SECONDS)
            seen.look(pid)
        else:
            await _push(line, seen, pid)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        if seen is busy:
            seconds = time.perf_counter() - begun
            each = (spent(pid) - used) / devices * 1e6
            print(f"{devices:,} devices in {seconds:.1f} s, {devices / seconds:,.0f}/s, {each:.0f} µs of the server each")
    quiet.tell("before it")
    busy.tell("while it is sent")
    await line.close()
    sent = Counter(receipt["token"] for receipt in received(mock) if receipt["status"] == 200)
    times = Counter(sent.values())
    print(f"addresses that were sent it once: {times.pop(1):,}; more often: {sum(times.values())}; never: {devices - len(sent)}")


async def _push(line: Line, seen: Seen, pid: int) -> None:
    """Send to all, and look at the server until that has ended."""
    reply = await asked(line, "POST", "/parse/push", {"where": {}, "data": {"title": "News", "alert": "Something has happened"}})
    assert reply == {"result": True}
    [run] = (await asked(line, "GET", "/parse/classes/_PushStatus?order=-createdAt&limit=1"))["results"]
    while (await asked(line, "GET", f"/api/v1/push/{run['objectId']}"))["status"] != "succeeded":
        seen.look(pid)
        await asyncio.sleep(LOOK_SECONDS)


async def _seed(folder: Path, devices: int) -> None:
    async with running_app(folder, APP_ID, MASTER_KEY) as app:
        await seed(app, devices)


def main() -> None:
    """Run it on a server of one process, for as many devices as the arguments say."""
    devices = next((int(argument) for argument in sys.argv[1:] if argument.isdecimal()), DEVICES)
    with tempfile.TemporaryDirectory() as name, mock_provider(Path(name) / "mock") as mock:
        folder = Path(name) / "server"
        (folder / "data").mkdir(parents=True)
        uvloop.run(_seed(folder / "data", devices))
        with TestServer(folder, settings={**mock, "workers": 1, "preset": "development"}) as server:
            uvloop.run(_measure(server, mock, devices))


if __name__ == "__main__":
    main()
