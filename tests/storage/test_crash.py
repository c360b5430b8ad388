"""The process is killed amid writing, again and again, in one folder: every acknowledged write is there once."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from mbaas.kernel.clock import SystemClock
from mbaas.query.ast import Near
from mbaas.storage.ports import Find
from mbaas.storage.sqlite.store import open_store
from mbaas.testing.contracts.samples import POST
from tests.storage.feeding import all_entries

KILLS = int(os.environ.get("MBAAS_TEST_KILLS", "5"))
ROOT = Path(__file__).parents[2]


async def run_and_kill(folder: Path, turn: int, errors: Path) -> list[str]:
    """What one run acknowledged before it was killed."""
    with errors.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.storage.crash_writer", str(folder), str(turn),
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.readline(), 30)
    assert first == b"ready\n"
    reading = asyncio.ensure_future(process.stdout.read())
    await asyncio.sleep(random.uniform(0.05, 0.5))
    process.kill()
    lines = (await reading).decode().splitlines()
    await process.wait()
    return lines


async def test_a_killed_server_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    said: list[str] = []
    for turn in range(KILLS):
        said += await run_and_kill(tmp_path / "data", turn, tmp_path / "errors")
    store = await open_store(tmp_path / "data", SystemClock())
    documents = {d.body["objectId"]: d.body async for d in store.documents.scan(Find(POST))}
    objects = {line.split()[1] for line in said if line.startswith("object ")}
    marked = {line.split()[1] for line in said if line.startswith("mark ")}
    assert len(objects) > 100
    assert objects <= set(documents)
    entries = await all_entries(store.feed)
    created = [e.object_id for e in entries if e.op == "create"]
    assert sorted(created) == sorted(documents)
    marks = {row.key for row in await store.rows.scan("marks", limit=10**9)}
    assert marked <= marks
    assert documents["counter"]["score"] == len(marks) == sum(e.op == "update" for e in entries)
    assert len(await store.documents.find_raw(Find(POST, Near(("spot",), (0.0, 0.0))))) == len(documents) - 1
    await store.close()
