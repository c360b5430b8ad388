"""`python -m bench flood`: a thousand guesses a second at somebody's password, from two hundred addresses.

Told are how the guesses were answered, how long everybody else's requests took meanwhile and in quiet, and whether the owner, and
somebody else, were let in from addresses of their own.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import quantiles

import uvloop

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.fuzz.client import Line, Reply

GUESSES, ADDRESSES, SECONDS, OTHERS, OTHERS_PAUSE = 1000, 200, 20.0, 4, 0.01
_NAMES = ("ann", "bob")
_PASSWORD = "correct horse"


def _request(method: str, path: str, body: object = None, **headers: str) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} /parse{path} HTTP/1.1", "Host: x", f"X-Parse-Application-Id: {APP_ID}", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def _sign_in(name: str, password: str) -> bytes:
    return _request("POST", "/login", {"username": name, "password": password})


async def _others(port: int, path: str, end: float, took: list[float]) -> None:
    """Somebody who reads an object, again and again."""
    line, raw = Line(port), _request("GET", path)
    while time.perf_counter() < end:
        begun = time.perf_counter()
        reply = await line.ask(raw, "GET")
        took.append(time.perf_counter() - begun)
        assert reply.status == 200, bytes(reply.body)
        await asyncio.sleep(OTHERS_PAUSE)
    await line.close()


async def _guesses(port: int, address: str, end: float, statuses: Counter[int]) -> None:
    """One of the addresses, with its share of the guesses, whether or not they are answered in time."""
    line, pause = Line(port, address), ADDRESSES / GUESSES
    due = time.perf_counter()
    while due < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        statuses[(await line.ask(_sign_in(_NAMES[0], "a guess"), "POST")).status] += 1
        due += pause
    await line.close()


def _percentile(took: list[float], percent: int) -> str:
    return f"{quantiles(took, n=100)[percent - 1] * 1000:.1f} ms"


async def _measure(server: TestServer) -> None:
    master = {"X-Parse-Master-Key": MASTER_KEY}
    line = Line(server.port)

    async def made(path: str, body: object) -> str:
        reply: Reply = await line.ask(_request("POST", path, body, **master), "POST")
        return str(json.loads(reply.body)["objectId"])

    await line.ask(_request("POST", "/schemas/Post", {"classLevelPermissions": {"get": {"*": True}}}, **master), "POST")
    path = f"/classes/Post/{await made('/classes/Post', {'title': 'x'})}"
    for name in _NAMES:
        await made("/users", {"username": name, "password": _PASSWORD})
    await line.close()

    for what, addresses in (("in quiet", 0), ("meanwhile", ADDRESSES)):
        took: list[float] = []
        statuses: Counter[int] = Counter()
        end = time.perf_counter() + SECONDS
        floods = [_guesses(server.port, f"127.0.1.{n + 1}", end, statuses) for n in range(addresses)]
        await asyncio.gather(*floods, *(_others(server.port, path, end, took) for _ in range(OTHERS)))
        if addresses:
            rate = statuses.total() / SECONDS
            print(f"guesses: {rate:.0f}/s, answered with {dict(sorted(statuses.items()))}")
        print(f"others {what}: {len(took)} requests, median {_percentile(took, 50)}, p99 {_percentile(took, 99)}")
    for n, name in enumerate(_NAMES):
        line = Line(server.port, f"127.0.2.{n + 1}")
        reply = await line.ask(_sign_in(name, _PASSWORD), "POST")
        print(f"{name}, with the right password from an address of her own: {reply.status}")
        await line.close()


def main() -> None:
    """Run it on a server with the defaults of production, in one process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        TestServer(Path(folder), settings={"workers": 1}) as server,
    ):
        uvloop.run(_measure(server))


if __name__ == "__main__":
    main()
