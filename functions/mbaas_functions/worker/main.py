"""The first lines of a worker process. Its arguments: the descriptors of its connection to the server and of the page that counts
begun calls, its deployment's folder, a folder to write to, the folder of the packages that its code needs, if there is one, and
`strict` if it is to run nothing where a layer of isolation is missing."""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import sys
from pathlib import Path

from mbaas_functions.isolation import STRICT
from mbaas_functions.page import PAGE_BYTES, Page
from mbaas_functions.worker.limits import confine
from mbaas_functions.worker.serve import Worker

MEMORY_BYTES = 512 * 1024 * 1024
"""What a worker may allocate."""


def main() -> None:
    """Serve until the server lets go."""
    descriptor, counter, folder, scratch, packages, isolation = sys.argv[1:7]
    own = [Path(folder), *([Path(packages)] if packages else [])]
    connection = socket.socket(fileno=int(descriptor))
    begun = mmap.mmap(int(counter), PAGE_BYTES)
    os.close(int(counter))
    found = confine(own, Path(scratch), MEMORY_BYTES)

    async def serve() -> None:
        await Worker(Page(begun)).serve(connection, own, found, strict=isolation == STRICT)

    if sys.platform == "win32":
        asyncio.run(serve())
    else:
        import uvloop

        uvloop.run(serve())
