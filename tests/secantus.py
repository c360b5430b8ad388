"""A MongoDB for tests: SecantusDB, which speaks MongoDB's wire on one file, or the one that MBAAS_TEST_MONGO_URL names."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError

GIVEN = os.environ.get("MBAAS_TEST_MONGO_URL")
_END_SECONDS = 10
_REAP_SECONDS = 10


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
            with _reaping(url):
                yield url
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                # A write that waits for a lock keeps it from ending.
                process.kill()


@contextmanager
def _reaping(url: str) -> Iterator[None]:
    """Begin a transaction now and then: SecantusDB looks only then for those whose client is gone, as MongoDB does by itself.

    Until they are ended, whoever writes what they wrote waits, and keeps a processor busy.
    """
    done = threading.Event()

    def reap() -> None:
        with MongoClient[dict[str, object]](url) as client:
            while not done.wait(_REAP_SECONDS):
                with suppress(PyMongoError), client.start_session() as session, session.start_transaction():
                    client.admin["reaping"].find_one({}, session=session)

    thread = threading.Thread(target=reap)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def end_transactions(url: str) -> None:
    """End the transactions that are open, as MongoDB does by itself a minute after a client is gone: until then what they wrote is locked.

    Clients that are there begin theirs anew.
    """
    with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=60_000) as client:
        client.admin.command("killAllSessions", [])
