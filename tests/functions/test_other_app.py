"""The code of one app tries every way that there is to another app on the same server, and comes back with nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from mbaas_functions.worker.limits import landlock_version
from tests.functions.apps.neighbours.main import ASKED, LOOKED, REQUESTED
from tests.functions.conftest import APPS
from tests.functions.deploying import Deployer, folder_with

MARK = "known to the neighbour alone"
TELL = f"""
@cloud.define("tell")
async def tell(request):
    return {MARK!r}
"""
OWN = {"query", "get", "config", "function", "file", "file by its key", "users", "secrets of the environment"}
"""The ways by which an app comes to what is its own: what another one is refused is there."""


@dataclass(frozen=True)
class Neighbours:
    """A server with two apps. `where` is all that may be known of the second; a call of its is running."""

    server: TestServer
    where: dict[str, Any]

    def call(self, app: str, function: str, way: str) -> Any:
        """What a function of an app comes to."""
        status, told = self.server.call("POST", f"/parse/functions/{function}", {"way": way, "where": self.where}, headers(app))
        assert status == 200, told
        return told.get("result")


def headers(app: str, *, master: bool = False) -> dict[str, str]:
    return {"X-Parse-Application-Id": app, **({"X-Parse-Master-Key": f"master of {app}"} if master else {})}


def hold(server: TestServer, pool: ThreadPoolExecutor) -> Any:
    """A call of the second app that goes on, as it describes itself."""
    pool.submit(server.call, "POST", "/parse/functions/hold", {}, headers("two"))
    deadline = time.monotonic() + 20
    while not (found := server.call("GET", "/parse/classes/Held", None, headers("two", master=True))[1].get("results")):
        assert time.monotonic() < deadline
    return found[0]


def keep_secrets(server: TestServer) -> dict[str, Any]:
    """Put the mark wherever the second app has something; what is known of it."""
    master = headers("two", master=True)

    def made(method: str, path: str, body: Any) -> Any:
        status, answer = server.call(method, path, body, master)
        assert status in (200, 201, 204), answer
        return answer

    saved = made("POST", "/parse/classes/Secret", {"text": MARK, "n": 1, "ACL": {}})
    made("PUT", "/parse/config", {"params": {"text": MARK}, "masterKeyOnly": {"text": True}})
    made("POST", "/parse/users", {"username": MARK, "password": MARK})
    user = made("POST", "/parse/login", {"username": MARK, "password": MARK})
    made("PUT", "/api/v1/secrets/THE_SECRET", {"value": MARK})
    made("POST", "/parse/hooks/functions", {"functionName": "viaHook", "url": "https://hooks.example.com/tell"})
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/parse/files/secret.txt", MARK, {**master, "Content-Type": "text/plain"})
    file = json.loads(connection.getresponse().read())["name"]
    connection.close()
    return {"app": "two", "port": server.port, "objectId": saved["objectId"], "token": user["sessionToken"], "file": file}


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    folder = tmp_path_factory.mktemp("neighbours")
    code = (APPS / "neighbours/main.py").read_text()
    apps = [{"appId": name, "masterKey": f"master of {name}", "allowClientClassCreation": True} for name in ("one", "two")]
    (folder / "apps.json").write_text(json.dumps(apps))
    settings = {"apps_file": "apps.json", "functions": APPS / "neighbours"}
    with TestServer(folder, settings=settings, bare=True) as server, ThreadPoolExecutor(1) as pool:
        Deployer(server, **headers("two", master=True)).active(folder_with(folder / "code", main=code + TELL))
        where = keep_secrets(server)
        held = hold(server, pool)
        kept = [path for path in (folder / "data/apps/two/files").rglob("*") if path.is_file()]
        (content,) = [path for path in kept if path.read_bytes() == MARK.encode()]
        store = folder / "data/apps/two/mbaas.db"
        assert store.is_file()
        places = {"store": str(store), "note": f"{held['scratch']}/note", "main": f"{held['code']}/main.py"}
        yield Neighbours(server, {**held, **where, **places, "key": content.parent.name + content.name})
        os.kill(held["pid"], signal.SIGKILL)


def shows(told: Any) -> bool:
    """True if the mark is in it, as it is or as the contents of a file."""
    return MARK in (text := json.dumps(told)) or b64encode(MARK.encode()).decode() in text


@pytest.mark.parametrize("way", [*ASKED, *REQUESTED])
def test_nothing_of_another_app_is_answered(neighbours: Neighbours, way: str) -> None:
    assert not shows(neighbours.call("one", "ask", way))


@pytest.mark.parametrize("way", sorted(OWN))
def test_it_is_there_for_the_app_itself(neighbours: Neighbours, way: str) -> None:
    told = neighbours.call("two", "ask", way)
    assert shows(told), told


@pytest.mark.skipif(landlock_version() == 0, reason="the kernel has no Landlock")
@pytest.mark.parametrize("way", LOOKED)
def test_nothing_of_another_app_can_be_reached_past_the_server(neighbours: Neighbours, way: str) -> None:
    told = neighbours.call("one", "look", way)
    assert isinstance(told, dict), told
    assert told["refused"] in ("EACCES", "EPERM", "EXDEV"), told
