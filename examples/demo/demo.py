"""Try the console: a server with some 2,000 phones, and a provider that delivers nothing. `make demo` starts it; Ctrl-C ends it.

What is made is kept in ./demo-data. Phones answer as real ones would: most are delivered what they are sent, some open it, few buy.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import people

from mbaas_push.mock import credentials
from mbaas_push.mock.script import Receipt, Script
from mbaas_push.mock.server import listening

FOLDER = Path("demo-data").absolute()
KEYS = {"MBAAS_APP_ID": "demo", "MBAAS_MASTER_KEY": "demo-master-key"}
PORT = int(os.environ.get("MBAAS_PORT", "1337"))
SERVER = f"http://localhost:{PORT}"


def call(method: str, path: str, body: Any = None) -> Any:
    """One request with the master key."""
    headers = {"X-Parse-Application-Id": "demo", "X-Parse-Master-Key": "demo-master-key", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(SERVER + path, data, headers, method=method), timeout=60) as answer:
        return json.load(answer)


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Some at a time."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def save(path: str, bodies: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The ids of new objects, of which many are saved at once."""
    for some in batched(bodies, 100):
        requests = [{"method": "POST", "path": f"/parse{path}", "body": body} for body in some]
        for each in call("POST", "/parse/batch", {"requests": requests}):
            if "success" not in each:
                raise SystemExit(f"{path}: {each}")
            yield each["success"]["objectId"]


def seed() -> None:
    """Fill the server, unless it has been."""
    if call("GET", "/parse/installations?count=1&limit=0")["count"] > people.PHONES:
        return
    print("making 2,000 people with phones … (some seconds, once)", flush=True)
    user_ids = list(save("/users", people.users()))
    list(save("/installations", people.phones(user_ids)))
    for some in batched(people.events(user_ids), 1000):
        call("POST", "/api/v1/events", {"events": some})
    young = {"events": [{"name": "AppOpened", "atLeast": 3, "days": 30}]}
    for name, audience in (("German speakers", {"where": {"localeIdentifier": {"$regex": "^\\Qde\\E"}}}), ("Opens it often", young)):
        query = audience.get("where") or {"objectId": {"$in": []}}
        call("POST", "/parse/push_audiences", {"name": name, "query": json.dumps(query), "audience": json.dumps(audience)})


def told_by(receipts: Iterable[Receipt]) -> Iterator[dict[str, Any]]:
    """What the phones' apps tell of what they were sent."""
    dice = random.Random()  # noqa: S311 -- nothing of it is a secret
    for receipt in receipts:
        message = receipt.message
        data = json.loads(message["data"]["data"]) if receipt.provider == "fcm" else message
        if receipt.token == people.MY_PHONE:
            print(f"\n  my phone: {data.get('title', '')} – {data.get('alert', '')}\n", flush=True)
        key = data.get("receipt")
        if key is None or receipt.status != 200:
            continue
        luck = dice.random()
        kinds = ["delivered"] * (luck < 0.93) + ["opened"] * (luck < 0.14)
        yield from ({"receipt": key, "kind": kind} for kind in kinds)
        if luck < 0.03:
            yield {"receipt": key, "kind": "converted", "value": round(dice.uniform(5, 60), 2), "currency": "EUR"}


async def phones_answer(script: Script) -> None:
    """Post what the phones tell, every now and then."""
    seen = 0
    while True:
        await asyncio.sleep(1)
        fresh = list(script.receipts)[seen:]
        seen += len(fresh)
        for some in batched(told_by(each for each in fresh if each.provider != "webpush"), 200):
            await asyncio.to_thread(call, "POST", "/api/v1/receipts", {"receipts": some})


def started(settings: dict[str, str]) -> subprocess.Popen[bytes]:
    """The server, in a process of its own; what it says is in server.log."""
    environment = {**os.environ, "MBAAS_PORT": str(PORT), "MBAAS_DATA_DIR": str(FOLDER / "data"), **KEYS, **settings}
    with (FOLDER / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "mbaas", "dev"]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 -- it is ours


async def ready(server: subprocess.Popen[bytes]) -> None:
    """Wait for the server."""
    while server.poll() is None:
        with suppress(urllib.error.URLError, OSError):
            await asyncio.to_thread(call, "GET", "/readyz")
            return
        await asyncio.sleep(0.1)
    raise SystemExit(f"the server did not start:\n\n{(FOLDER / 'server.log').read_text()}")


def refuse_taken_port() -> None:
    """Else the server that is there, of `make serve` perhaps, would be taken for ours."""
    with suppress(OSError), socket.create_connection(("localhost", PORT), 1):
        raise SystemExit(f"Something listens on port {PORT} already: stop it, or choose another port: MBAAS_PORT=1338 make demo")


async def main() -> None:
    """Everything at once, until somebody ends it."""
    refuse_taken_port()
    script, done = Script(latency_ms=20), asyncio.Event()
    script.change({"tokens": {token: [{"status": 404, "reason": "UNREGISTERED"}] for token in people.dead_tokens()}})
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, done.set)
    credentials.make(FOLDER)
    async with listening(script, FOLDER / "cert.pem", FOLDER / "cert.key") as port:
        server = started(credentials.settings(FOLDER, port))
        try:
            await ready(server)
            await asyncio.to_thread(seed)
            [mine] = call("GET", "/parse/installations?where=" + urllib.parse.quote(json.dumps({"installationId": people.MY_PHONE})))[
                "results"
            ]
            links = {role: call("POST", "/api/v1/console/invitations", {"role": role})["url"] for role in ("owner", "marketer")}
            print("\nThe console, for who is new:\n")
            for role, url in links.items():
                print(f"  as {role:<9} {url}")
            print(f"\n  afterwards   {SERVER}/console")
            print(f"  my phone     {mine['objectId']}   (what it is sent is printed here)\n\nCtrl-C ends it.", flush=True)
            answering = asyncio.create_task(phones_answer(script))
            await done.wait()
            answering.cancel()
        finally:
            server.terminate()
            server.wait()


asyncio.run(main())
