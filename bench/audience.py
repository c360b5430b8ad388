"""`python -m bench audience [DEVICES]`: how long it takes until each device of a push has its durable row, before any is sent to."""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from string import ascii_letters, digits
from typing import Any

import uvloop

from mbaas.app import open_app
from mbaas.cli.interpreter import tune_interpreter
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.options import AppOptions, PushOptions, ServerOptions
from mbaas.outbound.reach import Reach
from mbaas.services import Services
from mbaas.storage.ports import Document, Insert
from mbaas_push.audience import CLASS
from mbaas_push.room import opened

DEVICES, AT_A_TIME, LOOK_SECONDS = 100_000, 1000, 0.02
STAMP = "2026-01-31T09:05:00.123Z"
_LETTERS, _RANDOM = ascii_letters + digits, Random(1)


@asynccontextmanager
async def running_app(folder: Path, app_id: str = "a", master_key: str = "m", **more: Any) -> AsyncIterator[App]:
    """An app on the embedded store, that sends nothing yet."""
    app = await open_app(AppOptions(app_id=app_id, master_key=master_key, data_dir=folder, **more), Services(ServerOptions(), {}))
    try:
        yield app
    finally:
        await app.close()


def installation(number: int) -> dict[str, Any]:
    """A phone that Firebase knows, with an id as the server makes them."""
    named = {"deviceType": "android", "deviceToken": f"{number:064x}", "installationId": f"i{number}", "channels": ["news"]}
    return {"objectId": "".join(_RANDOM.choices(_LETTERS, k=10)), "createdAt": STAMP, "updatedAt": STAMP, **named}


async def seed(app: App, count: int) -> None:
    """Have so many of them, past the API, which would take longer."""
    schema = app.classes.known_or_blank(CLASS)
    for first in range(0, count, AT_A_TIME):
        rows = [installation(n) for n in range(first, min(first + AT_A_TIME, count))]
        await app.store.documents.commit([Insert(schema, Document(row)) for row in rows])


async def measure(folder: Path, count: int) -> None:
    """Seed, push, and look until the run begins to send."""
    # A provider of its own accepts everything.
    async with running_app(folder, push={"adapter": {"module": "accept"}}) as app:
        await seed(app, count)
        async with opened(app, PushOptions(), Reach(open=True)):
            begun, used, kept, told = time.perf_counter(), time.process_time(), written(), count // 4
            anonymous = 0
            push = await app.pushes.send(MASTER, {"where": {}, "data": {"alert": "News"}})
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                task, anonymous = await app.store.rows.get("pushes", push), max(anonymous, _of("status", "RssAnon"))
                assert task is not None
                found, seconds = task.value.get("found", 0), time.perf_counter() - begun
                if found >= told:
                    each = (time.process_time() - used) / found * 1e6, (written() - kept) / found / 1024
                    print(f"{found:9,} rows {seconds:6.1f} s {found / seconds:8,.0f}/s ", end="")
                    print("{:5.0f} µs of the processor and {:.1f} KB written each".format(*each), flush=True)
                    told += count // 4
                if task.value["state"] == "sending":
                    break
            assert found == count
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"most memory {most:,.0f} MB with what is mapped of the files; {anonymous / 1024:,.0f} MB without")


def written() -> int:
    """The bytes that this process has written to the disk."""
    return _of("io", "write_bytes")


def _of(file: str, name: str) -> int:
    lines = Path(f"/proc/self/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def main() -> None:
    """Run it for as many devices as the arguments say."""
    devices = next((int(argument) for argument in sys.argv[1:] if argument.isdecimal()), DEVICES)
    tune_interpreter()
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(measure(Path(folder), devices))


if __name__ == "__main__":
    main()
