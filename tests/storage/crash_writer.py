"""`python -m tests.storage.crash_writer FOLDER ROUND`: 32 writers that report each acknowledged write, until they are killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mbaas.kernel.clock import SystemClock
from mbaas.kernel.ops import Increment
from mbaas.storage.ports import PutRow, Update
from mbaas.storage.sqlite.store import open_store
from mbaas.testing.contracts.samples import POST, insert


async def main(folder: Path, turn: str) -> None:
    store = await open_store(folder, SystemClock())
    if "Post" not in await store.schemas.load():
        await store.schemas.put(POST)
        await store.documents.commit([insert("counter", score=0)])
    say("ready")

    async def writer(n: int) -> None:
        k = 0
        while True:
            name = f"{turn}-{n}-{k}"
            await store.documents.commit([insert(name, score=k, spot={"__type": "GeoPoint", "latitude": n, "longitude": k % 180})])
            say(f"object {name}")
            await store.documents.commit([Update(POST, "counter", [Increment(("score",), 1)]), PutRow("marks", name, k)])
            say(f"mark {name}")
            k += 1

    await asyncio.gather(*(writer(n) for n in range(32)))


def say(text: str) -> None:
    """One line in one write, so that a kill cannot tear it from its meaning."""
    os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
