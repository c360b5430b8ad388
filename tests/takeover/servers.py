"""Parse Server and this server on one database, from one set of options and at one address, and what the SDK does with them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from mbaas.testing.process import TestServer, clean_environment, free_port, mbaas
from tests.compat.differential.peers import parse_server_on
from tests.tools import node_modules, tool

WORLD = Path(__file__).with_name("world.mjs")
OPTIONS: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master",
    "javascriptKey": "js",
    "allowClientClassCreation": True,
    "enableSanitizedErrorResponse": False,
    "liveQuery": {"classNames": ["Tick"]},
}
State = dict[str, Any]


class Place:
    """A database, and the port at which whoever serves it is found."""

    def __init__(self, database: str, folder: Path) -> None:
        self.database, self._folder, self._port = database, folder, free_port()

    @contextmanager
    def theirs(self) -> Iterator[str]:
        """Parse Server's address."""
        with parse_server_on(self.database, self._folder / "theirs", OPTIONS, self._port) as url:
            yield url

    @contextmanager
    def ours(self, port: int | None = None) -> Iterator[str]:
        """This server's address."""
        port = port or self._port
        options = {**OPTIONS, "databaseURI": self.database, "port": port, "serverURL": f"http://127.0.0.1:{port}/parse"}
        with TestServer.with_parse_options(self._folder / "ours", options) as running:
            yield f"{running.url}/parse"

    def seal(self) -> subprocess.CompletedProcess[str]:
        """`mbaas migrate --seal`, to its end."""
        return migrate(self._folder, "--seal", database_url=self.database)

    @contextmanager
    def kept(self) -> Iterator[Database[dict[str, Any]]]:
        """The database itself."""
        with MongoClient[dict[str, Any]](self.database) as client:
            yield client.get_default_database()


def migrate(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`mbaas migrate` as an operator runs it."""
    return mbaas(folder, "migrate", *arguments, **{f"MBAAS_{name.upper()}": value for name, value in settings.items()})


def ask(url: str, job: str, state: State | None = None) -> Any:
    """What a job of the world gives back; its errors fail the test."""
    node_modules()
    done = subprocess.run(
        [tool("node"), str(WORLD), job],
        env=clean_environment({"SERVER_URL": url}),
        input=json.dumps(state) if state else "",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
