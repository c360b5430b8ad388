"""`python -m tests.wire.serve PORT`: the wire on a store in memory, with the keys of the golden transcripts."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import uvicorn

from mbaas.data.app import App
from mbaas.kernel.clock import SystemClock
from mbaas.kernel.ids import Ids
from mbaas.kernel.options import AppOptions, FileUpload
from mbaas.wire.asgi import Wire
from mbaas_auth import room
from tests.wire.memory_store import MemoryStore, options


async def main(port: int, sanitized: bool) -> None:
    upload = FileUpload(public=True, anonymous_user=True)
    kept = AppOptions(
        **options(
            public_url=f"http://127.0.0.1:{port}/parse", file_upload=upload, data_dir=Path(tempfile.mkdtemp()), sanitized_errors=sanitized
        )
    )
    app = App(kept, MemoryStore(), SystemClock(), Ids())
    room.join(app)
    await app.start()
    config = uvicorn.Config(
        Wire({"app": app}), port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning", proxy_headers=False
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), "sanitized" in sys.argv))
