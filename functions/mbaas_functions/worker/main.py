"""The first lines of a worker. It is told over its connection what it is to run, and what it may have:

`folder` of its deployment, `scratch` to write to, `packages` that its code needs, where there are some, `environment`, and `strict` if
it is to run nothing where a layer of isolation is missing.
"""

from __future__ import annotations

import mmap
import os
import socket
import time
from pathlib import Path

import uvloop

from mbaas_functions.frames import read_one
from mbaas_functions.page import PAGE_BYTES, Page
from mbaas_functions.worker.limits import confine
from mbaas_functions.worker.serve import Worker

MEMORY_BYTES = 512 * 1024 * 1024
"""What a worker may allocate."""


def main(descriptor: int, counter: int) -> None:
    """Serve until the server lets go. The descriptors are those of the connection, and of the page that counts begun calls."""
    connection = socket.socket(fileno=descriptor)
    begun = mmap.mmap(counter, PAGE_BYTES)
    os.close(counter)
    told = read_one(connection)
    if told is None:
        return
    os.environ.clear()
    os.environ.update(told["environment"])
    time.tzset()
    os.chdir(told["folder"])
    own = [Path(told["folder"]), *([Path(told["packages"])] if told["packages"] else [])]
    found = confine(own, Path(told["scratch"]), MEMORY_BYTES)

    async def serve() -> None:
        await Worker(Page(begun)).serve(connection, own, found, strict=told["strict"])

    uvloop.run(serve())
