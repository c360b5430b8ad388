"""What runs after a start: the active deployment, made anew where this machine has lost it, and never something else in its place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from mbaas_functions.archive import pack
from mbaas_functions.worker.limits import landlock_version
from tests.functions.deploying import Deployer, folder_with, version
from tests.wire.people import Person
from tests.workers.asking import soon

WATCHED = version(
    1,
    """
@cloud.before_save("Watched")
async def check(request):
    raise cloud.Error("never", code=142)

@cloud.schedule("0 0 1 1 *")
async def new_year(request): ...
""",
)


def called(server: TestServer) -> Any:
    return Person(server).call("POST", "/functions/version", {})


def test_an_active_deployment_wins_over_the_folder_until_it_is_deactivated(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "functions", main=version("folder"))
    settings = {"preset": "parse", "functions": folder}
    with TestServer(tmp_path, settings=settings) as server:
        assert called(server) == (200, {"result": "folder"})
        Deployer(server).active(folder_with(tmp_path / "code", main=version("deployed")))
        assert called(server) == (200, {"result": "deployed"})
    with TestServer(tmp_path, settings=settings) as server:
        assert called(server) == (200, {"result": "deployed"})
        assert "the folder is not used" in server.log.read_text()
        assert Deployer(server).call("DELETE", "/deployments/active") == (200, {})
        assert called(server) == (200, {"result": "folder"})
        canary = Deployer(server).ready(folder_with(tmp_path / "canary", main=version("canary")))
        assert Deployer(server).activate(canary, 50)[1]["percent"] == 50
        soon(lambda: {called(server)[1]["result"] for _ in range(20)} == {"folder", "canary"})


def test_without_code_there_is_no_worker(tmp_path: Path) -> None:
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        assert server.function_workers() == []
        assert called(server)[1]["code"] == 141
        number = Deployer(server).ready(folder_with(tmp_path / "code", main=version(1)))
        status, answer = Deployer(server).activate(number, 50)
        assert (status, answer["error"]) == (409, "There is nothing to share calls with: activate it for all of them.")
        soon(lambda: server.function_workers() == [])


def test_what_a_machine_has_lost_is_made_anew(tmp_path: Path) -> None:
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        Deployer(server).active(folder_with(tmp_path / "code", main=version(1)))
    shutil.rmtree(tmp_path / "data/functions")
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        assert called(server) == (200, {"result": 1})


def test_what_was_not_used_for_long_is_cleared_away(tmp_path: Path) -> None:
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        old = Deployer(server).active(folder_with(tmp_path / "old", main=version("old")))
        Deployer(server).active(folder_with(tmp_path / "code", main=version("new")))
    there = tmp_path / "data/functions"
    folder_with(there / ".new-left", main="")
    for path in (there / ".new-left", *there.glob("*/*")):
        os.utime(path, (0, 0))
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        assert called(server) == (200, {"result": "new"})
        assert len([path for path in there.glob("*/*") if path.is_dir()]) == 1
        assert not (there / ".new-left").exists()
        assert Deployer(server).activate(old)[0] == 200
        assert called(server) == (200, {"result": "old"})


@pytest.mark.skipif(landlock_version() == 0, reason="the kernel has no Landlock")
def test_deployed_code_reads_its_own_files_alone(tmp_path: Path) -> None:
    look = """
from pathlib import Path

def seen(path):
    try:
        return sorted(each.name for each in path.iterdir())
    except PermissionError:
        return "refused"

@cloud.define("look")
async def look(request):
    own = Path(__file__).parent
    return [seen(own), seen(own.parent), seen(own.parents[2])]
"""
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        Deployer(server).active(folder_with(tmp_path / "other", main=version(1)))
        Deployer(server).active(folder_with(tmp_path / "code", main=version(1, look)))
        assert Person(server).call("POST", "/functions/look", {}) == (200, {"result": [["main.py"], "refused", "refused"]})


def test_a_deployment_that_cannot_be_loaded_at_the_start_refuses_what_it_watches(tmp_path: Path) -> None:
    """Nothing slips past a trigger; the server is there to be given other code."""
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        Deployer(server).active(folder_with(tmp_path / "code", main=WATCHED))
        assert Person(server).call("POST", "/classes/Watched", {"a": 1})[1]["code"] == 142
    shutil.rmtree(tmp_path / "data/functions")
    shutil.rmtree(tmp_path / "data/files")
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        assert "The archive of deployment 1 is gone." in server.log.read_text()
        text = "cannot run: deployment 1 cannot be loaded; the server's log says why."
        assert called(server) == (400, {"code": 141, "error": f"function version {text}"})
        assert Person(server).call("POST", "/classes/Watched", {"a": 1}) == (400, {"code": 141, "error": f"beforeSave Watched {text}"})
        assert Person(server).call("POST", "/classes/Other", {"a": 1})[0] == 201
        Deployer(server).active(folder_with(tmp_path / "code", main=WATCHED))
        assert called(server) == (200, {"result": 1})
        assert Person(server).call("POST", "/classes/Watched", {"a": 1})[1]["code"] == 142


def test_a_deployment_that_was_being_built_when_the_server_ended_says_so(tmp_path: Path) -> None:
    server = TestServer(tmp_path, settings={"preset": "parse"}).start()
    slow = folder_with(tmp_path / "slow", main="import time\ntime.sleep(20)\n")
    status, made = Deployer(server).send(pack(slow))
    assert (status, made["state"]) == (201, "building")
    assert Deployer(server).activate(1)[1]["error"] == "Deployment 1 cannot be activated: it is still being built"
    server.kill()
    with server:
        soon(lambda: Deployer(server).call("GET", "/deployments/1")[1]["state"] == "failed")
        assert Deployer(server).call("GET", "/deployments/1")[1]["reason"] == "the server ended while it was built; deploy it again"


def test_a_rate_limit_of_deployed_code_holds_at_once(tmp_path: Path) -> None:
    limit = 'rate_limit={"requestTimeWindow": 60000, "requestCount": 2, "includeInternalRequests": True}'
    with TestServer(tmp_path, settings={"preset": "parse"}) as server:
        limited = version(1).replace('"version"', f'"version", {limit}')
        Deployer(server).active(folder_with(tmp_path / "limited", main=limited))
        assert [called(server)[0] for _ in range(3)] == [200, 200, 429]
        Deployer(server).active(folder_with(tmp_path / "free", main=version(2)))
        assert [called(server)[0] for _ in range(3)] == [200, 200, 200]
