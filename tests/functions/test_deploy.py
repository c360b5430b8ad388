"""Deployments: immutable, numbered, downloaded as they were uploaded; what is broken says why and never runs."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from mbaas_functions.archive import MOST_BYTES, MOST_FILES, MOST_UNPACKED, pack
from tests.functions.conftest import on_either
from tests.functions.deploying import Deployer, folder_with, tar, version
from tests.wire.people import Person

MAIN = b"from mbaas_functions import cloud\n"


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A server that was started without any functions, on one store and then on the other."""
    yield from on_either(request, tmp_path_factory.mktemp(request.param), read_only_master_key="read-only")


@pytest.fixture
def deployer(server: TestServer) -> Deployer:
    return Deployer(server)


def called(server: TestServer, name: str = "version", **params: Any) -> Any:
    return Person(server).call("POST", f"/functions/{name}", params)


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


def test_a_deployment_runs_when_it_is_activated_and_an_earlier_one_can_be_again(deployer: Deployer, tmp_path: Path) -> None:
    server = deployer.server
    first, second = (deployer.ready(folder_with(tmp_path / name, main=version(name))) for name in ("one", "two"))
    assert second == first + 1
    for number, name in ((first, "one"), (second, "two"), (first, "one")):
        status, answer = deployer.activate(number)
        assert (status, answer["active"], answer["number"]) == (200, True, number)
        assert called(server) == (200, {"result": name})
    status, listed = deployer.call("GET", "/deployments?limit=2")
    assert status == 200
    assert [(each["number"], each["state"], each["active"]) for each in listed["results"]] == [
        (second, "ready", False),
        (first, "ready", True),
    ]
    assert listed["results"][0]["declares"] == [{"kind": "function", "name": "version"}]
    following = deployer.call("GET", f"/deployments?cursor={second}&limit=1")[1]
    assert [each["number"] for each in following["results"]] == [first]


def test_what_is_downloaded_is_what_was_uploaded(deployer: Deployer, tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "code", main=version(1))
    (folder / "data").mkdir()
    (folder / "data/ü.bin").write_bytes(bytes(range(256)) * 5000)
    sent = pack(folder)
    made = deployer.built(sent)
    status, headers, got = deployer.raw("GET", f"/deployments/{made['number']}/archive")
    assert (status, got == sent) == (200, True)
    assert headers["etag"] == f'"{made["digest"]}"'
    again = deployer.built(got)
    assert (again["digest"], again["number"]) == (made["digest"], made["number"] + 1)


def test_a_folder_always_packs_into_the_same_bytes(tmp_path: Path) -> None:
    packed = []
    for name in ("a", "b"):
        folder = folder_with(tmp_path / name, main="x = 1\n", other="y = 2\n")
        for left_out in (".git", ".venv", "__pycache__"):
            folder_with(folder / left_out, noise=name)
        (folder / ".secrets.env").write_text("KEY=secret")
        packed.append(pack(folder))
    assert packed[0] == packed[1]
    with tarfile.open(fileobj=io.BytesIO(packed[0])) as made:
        assert made.getnames() == ["main.py", "other.py"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def broken(:\n", ("main.py", "SyntaxError")),
        ("import nothing_of_that_name\n", ("main.py", "No module named 'nothing_of_that_name'")),
        ("import os\nos._exit(3)\n", ("the worker ended before it had loaded main.py",)),
        (version(1).replace('"version"', '"version", rate_limit={"requestCount": "many"}'), ("the rate limit of the function version",)),
    ],
)
def test_a_broken_deployment_says_why_and_never_runs(deployer: Deployer, tmp_path: Path, code: str, said: tuple[str, ...]) -> None:
    good = deployer.active(folder_with(tmp_path / "good", main=version("good")))
    made = deployer.built(pack(folder_with(tmp_path / "bad", main=code)))
    assert made["state"] == "failed"
    assert all(text in made["reason"] for text in said), made["reason"]
    assert "/functions/code/" not in made["reason"]
    for percent in (None, 10):
        status, answer = deployer.activate(made["number"], percent)
        assert (status, answer["code"]) == (409, 119)
        assert said[-1] in answer["error"]
    assert called(deployer.server) == (200, {"result": "good"})
    assert deployer.call("GET", f"/deployments/{good}")[1]["active"]


def test_its_packages_are_its_own(deployer: Deployer, tmp_path: Path) -> None:
    """Two deployments with two versions of one package, from wheels that they bring; and one that asks for what there is not."""
    code = version(0).replace("return 0", "return thing.VERSION").replace("import asyncio, os", "import thing")
    numbers = {}
    for number in (1, 2):
        folder = folder_with(tmp_path / str(number), main=code)
        wheel(folder / "wheels", number)
        (folder / "requirements.txt").write_text(f"--no-index\n--find-links wheels\nthing=={number}  # ours\n")
        numbers[number] = deployer.ready(folder)
    for number in (2, 1):
        assert deployer.activate(numbers[number])[0] == 200
        assert called(deployer.server) == (200, {"result": number})
    folder = folder_with(tmp_path / "absent", main=code)
    (folder / "requirements.txt").write_text("--no-index\nthing==3\n")
    made = deployer.built(pack(folder))
    assert made["state"] == "failed"
    assert "requirements.txt: the packages cannot be installed" in made["reason"]
    assert "thing==3" in made["reason"]


@pytest.mark.parametrize("line", ["-e .", "./thing", "--no-binary :all:", "thing @ file:///tmp/thing.tar.gz", "thing.zip", "-r more.txt"])
def test_nothing_is_built_on_the_server(deployer: Deployer, tmp_path: Path, line: str) -> None:
    folder = folder_with(tmp_path / "code", main=version(1))
    (folder / "requirements.txt").write_text(line + "\n")
    made = deployer.built(pack(folder))
    assert made["state"] == "failed"
    assert "nothing is built on the server" in made["reason"]


def wheel(folder: Path, number: int) -> None:
    """A wheel of the package `thing`."""
    folder.mkdir()
    with zipfile.ZipFile(folder / f"thing-{number}-py3-none-any.whl", "w") as made:
        info = f"thing-{number}.dist-info"
        made.writestr("thing.py", f"VERSION = {number}\n")
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: thing\nVersion: {number}\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (tar({"other.py": b""}), "no main.py at its top"),
        (tar({"main.py": MAIN, "../evil.py": b""}), "leads out of its folder"),
        (tar({"main.py": MAIN, "a/../../evil.py": b""}), "leads out of its folder"),
        (tar({"main.py": MAIN, "/tmp/evil.py": b""}), "leads out of its folder"),
        (tar({"main.py": MAIN}, link("evil", "/etc/passwd")), "neither a plain file nor a folder"),
        (tar({"main.py": MAIN}, link("evil", "main.py", tarfile.LNKTYPE)), "neither a plain file nor a folder"),
        (tar({"main.py": MAIN}, link("evil", "", tarfile.CHRTYPE)), "neither a plain file nor a folder"),
        (tar({"main.py": MAIN}, link("evil", "", tarfile.FIFOTYPE)), "neither a plain file nor a folder"),
        (tar({"main.py": MAIN, "main.py/x": b""}), "cannot be a file here"),
        (tar({"main.py": MAIN, "x" * 300: b""}), "cannot be a file here"),
        (tar({"main.py": MAIN})[:-20], "damaged"),
        (b"no archive", "no .tar.gz"),
        (b"", "The body is the archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_archive_that_would_reach_elsewhere_is_refused(deployer: Deployer, sent: bytes, said: str) -> None:
    before = deployer.call("GET", "/deployments")
    status, answer = deployer.send(sent)
    assert status == 400
    assert said in answer["error"]
    assert deployer.call("GET", "/deployments") == before


def test_an_archive_has_bounds(deployer: Deployer) -> None:
    """In bytes as it comes, in bytes as it unpacks, in files."""
    status, answer = deployer.send(b"\0" * (MOST_BYTES + 1))
    assert (status, answer["code"]) == (413, 116)
    status, answer = deployer.send(tar({"main.py": MAIN, "bomb": bytes(MOST_UNPACKED)}))
    assert status == 400
    assert "holds more than 250 MB" in answer["error"]
    status, answer = deployer.send(tar({"main.py": MAIN, **{f"f{n}": b"" for n in range(MOST_FILES)}}))
    assert status == 400
    assert "more than 10000 files" in answer["error"]
    left = deployer.server.folder / "data/functions"
    assert [path.name for path in left.iterdir() if path.name.startswith(".new-")] == []


def test_those_who_wait_for_a_worker_are_answered_by_the_old_code(deployer: Deployer, tmp_path: Path) -> None:
    """More calls than there are workers, and none that lets another one beside it: all came before another deployment, and none is lost."""
    slow = "import time\n\n@cloud.define('slow')\nasync def slow(request):\n    time.sleep(0.3)\n    return 'old'\n"
    deployer.active(folder_with(tmp_path / "old", main=version("old", slow)))
    new = deployer.ready(folder_with(tmp_path / "new", main=version("new")))
    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(called, deployer.server, "slow") for _ in range(60)]
        assert waiting[0].result() == (200, {"result": "old"})
        assert deployer.activate(new)[0] == 200
        assert {str(each.result()) for each in waiting} == {str((200, {"result": "old"}))}
    assert called(deployer.server) == (200, {"result": "new"})
    assert called(deployer.server, "slow")[1]["code"] == 141


def test_deployments_are_for_the_master_key(deployer: Deployer, tmp_path: Path) -> None:
    server = deployer.server
    number = deployer.active(folder_with(tmp_path / "code", main=version("kept")))
    reader = Deployer(server, **{"X-Parse-Master-Key": "read-only"})
    nobody = Deployer(server, **{"X-Parse-Master-Key": "wrong"})
    assert reader.call("GET", f"/deployments/{number}")[0] == 200
    for who, code in ((reader, 119), (nobody, 119)):
        for status, answer in (
            who.send(tar({"main.py": MAIN})),
            who.activate(number),
            who.call("PUT", "/secrets/NAME", {"value": "x"}),
            who.call("DELETE", "/secrets/NAME"),
        ):
            assert (status, answer["code"]) == (403, code)
    for path in ("/deployments", f"/deployments/{number}", f"/deployments/{number}/archive", "/secrets", "/logs"):
        assert nobody.call("GET", path)[0] == 403
    assert called(server) == (200, {"result": "kept"})


@pytest.mark.parametrize("number", ["0", "99999999", "x", "1.0", "-1"])
def test_what_is_not_there_is_told(deployer: Deployer, number: str) -> None:
    for method, path in (("GET", ""), ("GET", "/archive"), ("POST", "/activate")):
        status, answer = deployer.call(method, f"/deployments/{number}{path}", {} if method == "POST" else None)
        assert (status, answer["code"]) == (404, 101)


@pytest.mark.parametrize("percent", [0, 100, -1, "10", True, [1]])
def test_a_share_of_calls_is_between_none_and_all(deployer: Deployer, tmp_path: Path, percent: Any) -> None:
    number = deployer.active(folder_with(tmp_path / "code", main=version(1)))
    status, answer = deployer.activate(number, percent)
    assert (status, answer["error"]) == (400, "percent is a number between 0 and 100.")
    assert deployer.activate(number, 10)[0] == 409
