"""`mbaas deploy`, `deployments`, `secrets` and `logs`, run as a developer runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, clean_environment, free_port, mbaas

KEYS = {"MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY}
APP = {"X-Parse-Application-Id": APP_ID}
CODE = """
import os
from mbaas_functions import cloud

@cloud.define("hello")
async def hello(request):
    print("greeting", request.params.get("name"))
    return [{version}, os.environ.get("DOOR")]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder as `mbaas init` makes it."""
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions/main.py").write_text(CODE.format(version=1))
    return tmp_path


def ran(server: TestServer, folder: Path, *arguments: str, said: str = "") -> str:
    """What a command printed that asked the server and did what it was to do."""
    run = mbaas(folder, *arguments, "--server", server.url, said=said, **KEYS)
    assert run.returncode == 0, run.stderr
    return run.stdout


def hello(server: TestServer, **params: str) -> object:
    return server.call("POST", "/parse/functions/hello", params, APP)[1].get("result")


def test_from_the_first_deployment_to_a_rollback(server: TestServer, project: Path) -> None:
    assert "nothing is deployed" in ran(server, project, "deployments", "list")
    first = ran(server, project, "deploy")
    assert "deployment 1 is ready: function hello" in first
    assert "deployment 1 is active" in first
    assert hello(server) == [1, None]
    (project / "functions/main.py").write_text(CODE.format(version=2))
    assert "mbaas deployments activate 2" in ran(server, project, "deploy", "functions", "--only-upload")
    assert hello(server) == [1, None]
    assert "deployment 2 gets 25 of a hundred calls" in ran(server, project, "deployments", "activate", "2", "--canary", "25")
    assert "canary 25 %" in ran(server, project, "deployments", "list")
    assert "deployment 2 is active" in ran(server, project, "deployments", "activate", "2")
    assert hello(server) == [2, None]
    (project / "functions/main.py").write_text("import nothing_of_that_name\n")
    run = mbaas(project, "deploy", "--server", server.url, **KEYS)
    assert run.returncode == 2
    assert "deployment 3 failed, and what was active still is" in run.stderr
    assert "No module named 'nothing_of_that_name'" in run.stderr
    ran(server, project, "deployments", "activate", "1")
    assert hello(server) == [1, None]
    words = [line.split()[:2] for line in ran(server, project, "deployments", "list").splitlines()]
    assert words == [["number", "state"], ["3", "failed"], ["2", "ready"], ["1", "active"]]
    ran(server, project, "deployments", "download", "1", "one.tar.gz")
    again = mbaas(project, "deployments", "download", "1", "one.tar.gz", "--server", server.url, **KEYS)
    assert (again.returncode, again.stderr) == (2, "error: one.tar.gz cannot be written: File exists\n")
    unpacked = project / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xzf", project / "one.tar.gz", "-C", unpacked], check=True)
    assert (unpacked / "main.py").read_text() == CODE.format(version=1)


def test_secrets_come_from_standard_input_and_logs_name_the_call(server: TestServer, project: Path) -> None:
    (project / "functions/main.py").write_text(CODE.format(version=3))
    ran(server, project, "deploy")
    assert "DOOR is set" in ran(server, project, "secrets", "set", "DOOR", said="open sesame\n")
    assert hello(server, name="Ann") == [3, "open sesame"]
    listed = ran(server, project, "secrets", "list")
    assert "DOOR" in listed
    assert "sesame" not in listed
    with subprocess.Popen(
        [sys.executable, "-m", "mbaas", "logs", "-f", "hello", "--json", "--server", server.url],
        cwd=project,
        env=clean_environment({**KEYS, "PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        try:
            found = [json.loads(next(line for line in following.stdout if "Ann" in line))]
            hello(server, name="Ben")
            found.append(json.loads(next(line for line in following.stdout if "Ben" in line)))
        finally:
            following.kill()
    assert [line["text"] for line in found] == ["greeting Ann", "greeting Ben"]
    assert found[0]["call"] != found[1]["call"]
    assert found[1]["call"] in ran(server, project, "logs", "hello", "-n", "5")
    assert "DOOR is forgotten" in ran(server, project, "secrets", "delete", "DOOR")
    assert hello(server) == [3, None]


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (("deploy", "nowhere"), KEYS, "there is no folder nowhere"),
        (("deploy", "."), KEYS, "there is no main.py in ."),
        (("deploy", "linked"), KEYS, "is a link; put what it leads to in its place"),
        (("deploy",), {}, "needs an application id (MBAAS_APP_ID"),
        (
            ("deploy",),
            {**KEYS, "MBAAS_MASTER_KEY": "wrong"},
            "does not take the application id and the master key; set",
        ),
        (("deploy", "--server", "http://127.0.0.1:9"), KEYS, "http://127.0.0.1:9 does not answer"),
        (("deploy", "--server", "example.com"), KEYS, "an address begins with https:// or http://"),
        (("deployments", "activate", "99"), KEYS, "There is no deployment 99."),
        (("secrets", "delete", "NONE"), KEYS, "There is no secret 'NONE'."),
        (("secrets", "set", "PATH"), KEYS, "take another name"),
    ],
)
def test_what_goes_wrong_is_a_sentence(
    server: TestServer, project: Path, arguments: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    (project / "linked").mkdir()
    (project / "linked/main.py").write_text("")
    (project / "linked/more.py").symlink_to(project / "functions/main.py")
    run = mbaas(project, *arguments, said="x", **{"MBAAS_PUBLIC_URL": server.url, **variables})
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_a_development_server_is_found_with_the_keys_that_it_made(project: Path) -> None:
    port = free_port()
    with TestServer(project, "dev", settings={"port": port}, bare=True) as server:
        settings = {"MBAAS_PORT": str(port), "MBAAS_DATA_DIR": server.environment["MBAAS_DATA_DIR"]}
        (project / "functions/main.py").write_text(CODE.format(version=7))
        run = mbaas(project, "deploy", **settings)
        assert run.returncode == 0, run.stderr
        assert "deployment 1 is active" in run.stdout
