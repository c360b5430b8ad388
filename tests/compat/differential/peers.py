"""The two servers that are compared: Parse Server 9.10 on SecantusDB, and this one, with the same options and people."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from mbaas.testing.process import TestServer, clean_environment, free_port
from tests.tools import node_modules, tool

COMPAT = Path(__file__).parents[1]
START_SECONDS = 60.0
OPTIONS: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master",
    "restAPIKey": "rest",
    "allowClientClassCreation": True,
    "allowCustomObjectId": True,
    "enableSanitizedErrorResponse": False,
}
PEOPLE = ("userann", "userbob", "usercid")
"""Ids of the users. Bob is a member of the role `team`; Cid of `inner`, which `team` holds."""
OPEN = {"*": {"read": True, "write": True}}


class Request(NamedTuple):
    """One call. `who` is `anon`, `master` or one of PEOPLE; `body` of a GET is its arguments."""

    who: str
    method: str
    path: str
    body: dict[str, Any]


class Peer:
    """One of the servers, with a session of each person."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url, self._mount = url, parts.path
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._tokens: dict[str, str] = {}
        try:
            self._settle()
        finally:
            self._connection.close()

    def run(self, requests: list[Request]) -> list[tuple[int, Any]]:
        """The answers to requests in order, over a connection of their own: servers close one that was idle."""
        try:
            return [self.call(request) for request in requests]
        finally:
            self._connection.close()

    def call(self, request: Request) -> tuple[int, Any]:
        """Status and decoded body."""
        headers = {"X-Parse-Application-Id": "app", "X-Parse-REST-API-Key": "rest", "Content-Type": "application/json"}
        if request.who == "master":
            headers["X-Parse-Master-Key"] = "master"
        elif request.who in self._tokens:
            headers["X-Parse-Session-Token"] = self._tokens[request.who]
        path, data = self._mount + request.path, None
        if request.method == "GET":
            arguments = {k: v if isinstance(v, str) else json.dumps(v) for k, v in request.body.items()}
            path += "?" + urlencode(arguments) if arguments else ""
        elif request.method != "DELETE":
            data = json.dumps(request.body)
        self._connection.request(request.method, path, data, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode().replace(self._url, "<mount>")
        try:
            told = json.loads(text)
        except ValueError:
            return answer.status, text
        if isinstance(told, dict) and "sessionToken" in told:
            self._tokens[str({**request.body, **told}.get("username"))] = told["sessionToken"]
        return answer.status, told

    def _settle(self) -> None:
        """Make the people and the roles."""
        for person in PEOPLE:
            status, answer = self.call(Request("anon", "POST", "/users", {"objectId": person, "username": person, "password": "secret"}))
            if status != 201:
                raise RuntimeError(f"{person}: {status} {answer}")
            self._tokens[person] = answer["sessionToken"]
        for role, user, holds in (("inner", "usercid", None), ("team", "userbob", "roleinner")):
            body: dict[str, Any] = {"objectId": f"role{role}", "name": role, "ACL": OPEN, "users": _relation("_User", user)}
            if holds:
                body["roles"] = _relation("_Role", holds)
            status, answer = self.call(Request("master", "POST", "/roles", body))
            if status != 201:
                raise RuntimeError(f"{role}: {status} {answer}")


def _relation(class_name: str, object_id: str) -> dict[str, Any]:
    return {"__op": "AddRelation", "objects": [{"__type": "Pointer", "className": class_name, "objectId": object_id}]}


@contextmanager
def peers(folder: Path) -> Iterator[tuple[Peer, Peer]]:
    """Parse Server and this server, started and settled."""
    with ExitStack() as stack:
        theirs = stack.enter_context(parse_server(folder / "parse-server", OPTIONS))
        ours = stack.enter_context(TestServer.with_parse_options(folder / "mbaas", OPTIONS))
        yield Peer(theirs), Peer(f"{ours.url}/parse")


@contextmanager
def parse_server(folder: Path, options: Mapping[str, Any]) -> Iterator[str]:
    """Parse Server's address, with a database of its own."""
    folder.mkdir(parents=True)
    database = free_port()
    where = ["--port", str(database), "--storage-path", str(folder / "database"), "--log-level", "ERROR"]
    uri = f"mongodb://127.0.0.1:{database}/compared?directConnection=true"
    with ExitStack() as stack:
        stack.enter_context(_process([str(Path(sys.executable).parent / "secantusd-py"), *where], {}, folder / "database.log"))
        _wait(lambda: _listens(database), folder / "database.log")
        yield stack.enter_context(parse_server_on(uri, folder, options, free_port()))


@contextmanager
def parse_server_on(uri: str, folder: Path, options: Mapping[str, Any], port: int) -> Iterator[str]:
    """Parse Server's address, with the database at `uri`."""
    node_modules()
    folder.mkdir(parents=True, exist_ok=True)
    # TESTING: after an answer of 500 it leaves the connection open.
    settings = {
        "TESTING": "1",
        "PORT": str(port),
        "DATABASE_URI": uri,
        "OPTIONS": json.dumps({"logsFolder": str(folder / "logs"), **options}),
    }
    log = folder / "server.log"
    with _process([tool("node"), str(COMPAT / "parse_server.mjs")], settings, log):
        _wait(lambda: "ready" in log.read_text(), log)
        yield f"http://127.0.0.1:{port}/parse"


@contextmanager
def _process(command: list[str], settings: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=log.parent, env=clean_environment(settings), stdout=out, stderr=out)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _wait(ready: Any, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"it did not start:\n{log.read_text()}")
        time.sleep(0.05)
