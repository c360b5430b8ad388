"""`python -m bench moments [DEVICES]`: from a fired moment to the provider's acceptance, while a campaign to so many devices goes out.

Told is how long that took, from when the request was begun to when the mock had the message: in quiet, while the campaign is being sent,
and both once more with a play that asks a partner which never answers. Server and mock are processes of their own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import quantiles
from typing import Any

import uvloop

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, free_port
from tests.fuzz.client import Line
from tests.mock_provider import mock_provider, received

DEVICES, PEOPLE, FIRES, PAUSE_SECONDS, LINES, BATCH = 20_000, 50, 200, 0.05, 8, 50
BUDGET_MS = 300


def _request(method: str, path: str, body: object = None) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"X-Parse-Application-Id: {APP_ID}", f"X-Parse-Master-Key: {MASTER_KEY}"]
    return "\r\n".join([*lines, f"Content-Length: {len(data)}"]).encode() + b"\r\n\r\n" + data


async def asked(line: Line, method: str, path: str, body: object = None) -> Any:
    """The answer to a request with the master key."""
    reply = await line.ask(_request(method, path, body), method)
    assert reply.status < 300, bytes(reply.body)
    return json.loads(reply.body)


def _device(token: str, **more: object) -> Any:
    body = {"deviceToken": token, "deviceType": "android", "installationId": f"i-{token}", **more}
    return {"method": "POST", "path": "/parse/installations", "body": body}


async def _seed(port: int, devices: int) -> list[str]:
    """Devices for a campaign, and people with one each; their ids."""
    lines = [Line(port) for _ in range(LINES)]
    line = lines[0]
    people: list[str] = []
    for number in range(PEOPLE):
        made = await asked(line, "POST", "/parse/users", {"username": f"u{number}", "password": "secret-password"})
        people.append(made["objectId"])
    pointers = [{"__type": "Pointer", "className": "_User", "objectId": person} for person in people]
    await asked(line, "POST", "/parse/batch", {"requests": [_device(f"m{n}", user=user) for n, user in enumerate(pointers)]})
    left = iter(range(0, devices, BATCH))

    async def fill(line: Line) -> None:
        for first in left:
            requests = [_device(f"c{n}", channels=["all"]) for n in range(first, min(devices, first + BATCH))]
            await asked(line, "POST", "/parse/batch", {"requests": requests})
        await line.close()

    await asyncio.gather(*map(fill, lines))
    return people


async def _play(line: Line, key: str, **more: object) -> None:
    body = {"name": key, "trigger": {"moment": key}, "validFor": "10m", "content": {"body": "Hello {{moment.n}}"}, **more}
    made = await asked(line, "POST", "/api/v1/plays", body)
    await asked(line, "POST", f"/api/v1/plays/{made['id']}/start")


async def _partner(line: Line, port: int) -> None:
    manifest = {"operations": {"offer": {"timeout": 5}}}
    await asked(line, "POST", "/api/v1/partners", {"name": "slow", "manifest": manifest, "live": {"url": f"http://127.0.0.1:{port}"}})
    for state in ("sandbox", "submitted", "approved", "live"):
        await asked(line, "POST", "/api/v1/partners/slow/state", {"state": state})
    await asked(line, "PUT", "/api/v1/partners/slow/grant", {"environment": "live", "classes": {}})


async def _campaign(line: Line) -> str:
    body = {"name": "Big", "audience": {"where": {"channels": "all"}}, "content": {"title": "Hello", "body": "Come back"}}
    made = str((await asked(line, "POST", "/api/v1/campaigns", body))["id"])
    for order in ("approve", "schedule"):
        await asked(line, "POST", f"/api/v1/campaigns/{made}/{order}")
    return made


async def _fires(port: int, what: str, key: str, people: list[str]) -> dict[str, float]:
    """Moments, one after the other whether or not the last one was answered; when each was begun, by its number."""
    lines: asyncio.Queue[Line] = asyncio.Queue()
    begun: dict[str, float] = {}

    async def one(number: int) -> None:
        line = Line(port) if lines.empty() else lines.get_nowait()
        event = f"{what}-{number}"
        begun[event] = time.time() * 1000
        body = {"eventId": event, "subject": {"user": people[number % len(people)]}, "props": {"n": event}}
        await asked(line, "POST", f"/api/v1/moments/{key}/fire", body)
        lines.put_nowait(line)

    running = []
    for number in range(FIRES):
        running.append(asyncio.create_task(one(number)))
        await asyncio.sleep(PAUSE_SECONDS)
    await asyncio.gather(*running)
    while not lines.empty():
        await lines.get_nowait().close()
    await asyncio.sleep(2)
    return begun


def _tell(what: str, begun: dict[str, float], receipts: list[Any]) -> None:
    took, came = [], 0
    since, until = min(begun.values()), max(begun.values())
    for receipt in receipts:
        said = json.loads(receipt["message"]["data"]["data"])
        event = said["alert"].removeprefix("Hello ")
        if event in begun:
            took.append(receipt["at"] - begun[event])
        elif receipt["token"].startswith("c") and since <= receipt["at"] <= until:
            came += 1
    p50, p99 = (quantiles(took, n=100)[percent - 1] for percent in (50, 99))
    campaign = f"; of the campaign {came / (until - since) * 1000:.0f} a second" if came else ""
    print(f"{what}: {len(took)} of {len(begun)} moments, p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {max(took):.0f} ms{campaign}", flush=True)


async def _measure(server: TestServer, mock: dict[str, str], devices: int) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()

    port = free_port()
    people = await _seed(server.port, devices)
    line = Line(server.port)
    async with await asyncio.start_server(hang, "127.0.0.1", port):
        await _partner(line, port)
        await _play(line, "quick")
        asks = [{"name": "slow.offer", "budgetMs": BUDGET_MS}]
        await _play(line, "asking", functions=asks, fallback={"body": "Hello {{moment.n}}"})
        # What a server loads when it first sends, and first calls a partner.
        for key in ("quick", "asking"):
            await asked(line, "POST", f"/api/v1/moments/{key}/fire?sync=1", {"eventId": "first", "subject": {"user": people[0]}})
        for what, key, sends in (
            ("in quiet", "quick", False),
            ("while a campaign goes out", "quick", True),
            ("with a partner that hangs", "asking", False),
            ("with a partner that hangs, while a campaign goes out", "asking", True),
        ):
            campaign = await _campaign(line) if sends else None
            begun = await _fires(server.port, what, key, people)
            if campaign is not None:
                state = (await asked(line, "GET", f"/api/v1/campaigns/{campaign}"))["state"]
                if state != "completed":
                    await asked(line, "POST", f"/api/v1/campaigns/{campaign}/cancel")
            receipts = [each for each in received(mock) if each["provider"] == "fcm" and each["status"] == 200]
            _tell(what, begun, [each for each in receipts if each["at"] >= min(begun.values())])
    await line.close()


def main() -> None:
    """Run it on a server of one process, which sends a campaign to as many devices as the arguments say."""
    devices = next((int(argument) for argument in sys.argv[1:] if argument.isdecimal()), DEVICES)
    print(f"a campaign to {devices} devices, a moment every {PAUSE_SECONDS * 1000:.0f} ms")
    with (
        tempfile.TemporaryDirectory() as folder,
        mock_provider(Path(folder) / "mock") as mock,
        TestServer(Path(folder) / "server", settings={**mock, "workers": 1, "preset": "development"}) as server,
    ):
        uvloop.run(_measure(server, mock, devices))


if __name__ == "__main__":
    main()
