"""Power cuts at random moments: what was acknowledged is there. The same test sees losses when syncing is turned off."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from mbaas.kernel.clock import SystemClock
from mbaas.kernel.ops import Increment
from mbaas.storage.ports import Find, Update
from mbaas.storage.sqlite.connection import Tuning
from mbaas.storage.sqlite.store import open_store
from mbaas.testing.contracts.samples import POST, insert
from tests.storage.feeding import all_entries
from tests.storage.power import Disk

CUTS = int(os.environ.get("MBAAS_TEST_POWER_CUTS", "12"))


class Cut:
    """What had been acknowledged, and what the disk then held."""

    def __init__(self, acknowledged: list[str], increments: int, files: dict[str, bytes]) -> None:
        self.acknowledged, self.increments, self.files = acknowledged, increments, files


async def write_and_cut(folder: Path, disk: Disk, synchronous: str, quick_seconds: float) -> list[Cut]:
    """Sixteen writers, a small write-ahead log that is often copied back, and cuts in between."""
    tuning = Tuning(synchronous=synchronous, vfs=disk.name, mmap=0, checkpoint_pages=60, quick_seconds=quick_seconds)
    store = await open_store(folder, SystemClock(), tuning=tuning)
    await store.schemas.put(POST)
    await store.documents.commit([insert("counter", score=0)])
    acknowledged: list[str] = []
    increments = 0
    stop = False

    async def writer(n: int) -> None:
        nonlocal increments
        k = 0
        while not stop:
            name = f"{n}-{k}"
            await store.documents.commit([insert(name, title="x" * 200)])
            acknowledged.append(name)
            await store.documents.commit([Update(POST, "counter", [Increment(("score",), 1)])])
            increments += 1
            k += 1

    writers = [asyncio.ensure_future(writer(n)) for n in range(16)]
    cuts = []
    for _ in range(CUTS):
        await asyncio.sleep(random.uniform(0.01, 0.12))
        cuts.append(Cut(list(acknowledged), increments, disk.after_power_cut()))
    stop = True
    await asyncio.gather(*writers)
    await store.close()
    return cuts


def restore(folder: Path, cut: Cut) -> None:
    folder.mkdir()
    for name, content in cut.files.items():
        (folder / name).write_bytes(content)


async def losses(folder: Path, cut: Cut) -> int:
    """How many acknowledged writes are not there exactly once, each with one entry in the feed, after a restart."""
    restore(folder, cut)
    store = await open_store(folder, SystemClock())
    try:
        documents = {d.body["objectId"]: d async for d in store.documents.scan(Find(POST))}
        entries = await all_entries(store.feed)
        created = [e.object_id for e in entries if e.op == "create"]
        assert len(created) == len(set(created))
        assert set(created) == set(documents)
        lost = sum(name not in documents for name in cut.acknowledged)
        kept = documents["counter"].body["score"] if "counter" in documents else 0
        assert kept == sum(e.op == "update" for e in entries)
        return lost + max(0, cut.increments - kept)
    finally:
        await store.close()


@pytest.mark.parametrize(("synchronous", "quick_seconds", "safe"), [("FULL", 0.0, True), ("FULL", 10.0, True), ("OFF", 0.0, False)])
async def test_what_was_acknowledged_survives_a_power_cut(tmp_path: Path, synchronous: str, quick_seconds: float, safe: bool) -> None:
    """Commits in the thread, so that cuts fall into them, and commits on the loop."""
    disk = Disk(f"disk-{synchronous}-{quick_seconds}")
    cuts = await write_and_cut(tmp_path / "live", disk, synchronous, quick_seconds)
    lost = [await losses(tmp_path / f"cut{n}", cut) for n, cut in enumerate(cuts)]
    assert sum(cut.increments for cut in cuts) > 0
    assert (sum(lost) == 0) == safe, lost
