"""A MongoDB for tests: SecantusDB, which speaks MongoDB's wire on one file, or the one that MBAAS_TEST_MONGO_URL names."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pymongo import MongoClient

GIVEN = os.environ.get("MBAAS_TEST_MONGO_URL")


def database(server: str, name: str) -> str:
    """The address of a database on the server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


@contextmanager
def running(folder: Path, *more: str, own: bool = False) -> Iterator[str]:
    """The address of a server that runs as long as the block; `more` are options for SecantusDB, `own` means no other will do."""
    if GIVEN is not None and not own:
        yield GIVEN
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("secantusd-py")
    options = ["--port", str(port), "--storage-path", str(folder / "db"), "--sync-on-commit", "--log-level", "WARNING", *more]
    with (folder / "log").open("wb") as log, subprocess.Popen([program, *options], stdout=log, stderr=log, cwd=folder) as process:
        url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        try:
            with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=60_000) as client:
                client.admin.command("ping")
            yield url
        finally:
            process.terminate()
