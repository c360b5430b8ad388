"""What functions may know and nobody reads back, and what they say, with the id of each invocation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer
from mbaas_functions.archive import pack
from tests.functions.deploying import Deployer, folder_with
from tests.secantus import database
from tests.wire.people import Person, fresh
from tests.workers.asking import soon

SECRET = "sesame-opens-4711"
CODE = """
import asyncio, logging, os, sys
from mbaas_functions import cloud

NEEDED = os.environ.get("DOOR", "shut")
sys.stdout.reconfigure(encoding="utf-8")
sys.stderr.buffer.write(b"bytes\\n")
print("loaded")
logging.basicConfig()

@cloud.define("knows")
async def knows(request):
    return [NEEDED, sorted(os.environ), os.environ.get(request.params["key"])]

@cloud.define("says")
async def says(request):
    who = request.params["who"]
    print("begin", who)
    await asyncio.sleep(0.05)
    print("unfinished", who, end="")
    print("wrong", who, file=sys.stderr)
    request.log.warning("noted", who=who)
    return None

@cloud.define("saysInThread")
def says_in_thread(request):
    print("from a thread")
    request.log.info("logged in a thread")
    logging.getLogger("own").warning("by logging")

@cloud.define("shouts")
async def shouts(request):
    for n in range(3000):
        print(n)
    print("x" * 100_000)

@cloud.define("tells")
async def tells(request):
    print("the secret is " + NEEDED)
    raise ValueError("no " + NEEDED)

@cloud.define("leaves")
async def leaves(request):
    os._exit(3)
"""


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def deployer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    """Whoever deploys to a server of two processes, on one store and then on the other."""
    folder = tmp_path_factory.mktemp(request.param)
    settings: dict[str, object] = {"preset": "parse", "workers": 2}
    if request.param == "mongodb":
        settings["database_url"] = database(request.getfixturevalue("mongo"), f"secrets_{ObjectId()}")
    with TestServer(folder, settings=settings) as running:
        found = Deployer(running)
        found.active(folder_with(folder / "code", main=CODE))
        yield found


def call(deployer: Deployer, name: str, **params: object) -> Any:
    return Person(deployer.server).call("POST", f"/functions/{name}", params)[1]


def known(deployer: Deployer, key: str) -> set[str | None]:
    """What the processes have as a secret."""
    return {call(deployer, "knows", key=key)["result"][2] for _ in range(16)}


def everywhere(deployer: Deployer, key: str, value: str | None) -> None:
    """Wait until every process has the secret, or has it no more."""
    soon(lambda: known(deployer, key) == {value})


def lines(deployer: Deployer, function: str, **query: object) -> list[Any]:
    given = "&".join(f"{name}={value}" for name, value in {"function": function, **query}.items())
    status, page = deployer.call("GET", f"/logs?{given}")
    assert status == 200, page
    found: list[Any] = page["results"]
    return found


def test_a_secret_is_for_the_workers_alone(deployer: Deployer) -> None:
    assert deployer.call("PUT", "/secrets/DOOR", {"value": SECRET}) == (200, {})
    everywhere(deployer, "DOOR", SECRET)
    assert call(deployer, "knows", key="DOOR")["result"] == [SECRET, ["DOOR", "LANG", "TMPDIR"], SECRET]
    status, listed = deployer.call("GET", "/secrets")
    assert status == 200
    assert [each["name"] for each in listed["results"]] == ["DOOR"]
    for path in ("/secrets", "/secrets/DOOR", "/deployments", "/deployments/1", "/logs"):
        assert SECRET not in json.dumps(deployer.call("GET", path)[1])
    assert deployer.call("DELETE", "/secrets/DOOR") == (200, {})
    everywhere(deployer, "DOOR", None)
    assert deployer.call("DELETE", "/secrets/DOOR")[0] == 404


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("1ST", "x", 105),
        ("A-B", "x", 105),
        ("A" * 129, "x", 105),
        ("LD_PRELOAD", "x", 105),
        ("PATH", "x", 105),
        ("MBAAS_MASTER_KEY", "x", 105),
        ("OK", "", 162),
        ("OK", 7, 162),
        ("OK", None, 162),
        ("OK", "a\0b", 162),
        ("OK", "x" * 50_000, 162),
    ],
)
def test_what_can_be_no_secret(deployer: Deployer, name: str, value: Any, code: int) -> None:
    before = deployer.call("GET", "/secrets")
    status, answer = deployer.call("PUT", f"/secrets/{name}", {"value": value})
    assert (status, answer["code"]) == (400, code)
    assert deployer.call("GET", "/secrets") == before


def test_a_secret_that_code_cannot_be_loaded_without_stays(deployer: Deployer, tmp_path: Path) -> None:
    before = next(each["number"] for each in deployer.call("GET", "/deployments")[1]["results"] if each["active"])
    assert deployer.call("PUT", "/secrets/NEEDED_KEY", {"value": SECRET})[0] == 200
    try:
        deployer.active(folder_with(tmp_path / "code", main=CODE + "\nos.environ['NEEDED_KEY']\n"))
        everywhere(deployer, "NEEDED_KEY", SECRET)
        status, answer = deployer.call("DELETE", "/secrets/NEEDED_KEY")
        assert status == 409
        assert "KeyError: 'NEEDED_KEY'" in answer["error"]
        assert known(deployer, "NEEDED_KEY") == {SECRET}
    finally:
        deployer.activate(before)
        assert deployer.call("DELETE", "/secrets/NEEDED_KEY")[0] == 200
    made = deployer.built(pack(folder_with(tmp_path / "later", main=CODE + "\nos.environ['NEEDED_KEY']\n")))
    assert made["state"] == "failed"


def test_what_a_call_says_is_its_own(deployer: Deployer) -> None:
    """Two calls at the same time, whose words are told apart by the id of the invocation."""
    names = [fresh("a"), fresh("b")]
    for name in names:
        call(deployer, "says", who=name)

    def said(name: str) -> list[Any]:
        return [line for line in lines(deployer, "says") if name in line["text"] or line["values"].get("who") == repr(name)]

    soon(lambda: [len(said(name)) for name in names] == [4, 4])
    told = [said(name) for name in names]
    for name, of_one in zip(names, told, strict=True):
        words = {(line["level"], line["text"]) for line in of_one}
        assert words == {("info", f"begin {name}"), ("info", f"unfinished {name}"), ("error", f"wrong {name}"), ("warning", "noted")}
        assert {line["kind"] for line in of_one} == {"function"}
        assert {line["deployment"] is None for line in of_one} == {False}
        assert len({line["call"] for line in of_one}) == 1
    assert told[0][0]["call"] != told[1][0]["call"]


def test_threads_and_those_who_say_too_much(deployer: Deployer) -> None:
    call(deployer, "saysInThread")
    soon(
        lambda: (
            {line["text"] for line in lines(deployer, "saysInThread")} == {"from a thread", "logged in a thread", "WARNING:own:by logging"}
        )
    )
    call(deployer, "shouts")
    soon(lambda: "more than 1000 lines" in lines(deployer, "shouts")[-1]["text"] if lines(deployer, "shouts") else False)
    assert len(lines(deployer, "shouts", limit=500)) == 500


def test_an_error_and_an_end_are_told_without_secrets(deployer: Deployer) -> None:
    assert deployer.call("PUT", "/secrets/DOOR", {"value": SECRET})[0] == 200
    everywhere(deployer, "DOOR", SECRET)
    call(deployer, "tells")
    soon(lambda: len(lines(deployer, "tells")) >= 2)
    words = [line["text"] for line in lines(deployer, "tells")]
    assert "the secret is ***" in words
    assert any(text.startswith("Traceback") and "ValueError: no ***" in text for text in words)
    assert SECRET not in deployer.server.log.read_text()
    call(deployer, "leaves")
    soon(lambda: "the call did not end: its worker ended with status 3" in [line["text"] for line in lines(deployer, "leaves")])
    assert deployer.call("DELETE", "/secrets/DOOR")[0] == 200


def test_lines_are_followed_without_a_gap(deployer: Deployer) -> None:
    position = deployer.call("GET", "/logs?function=says&limit=1")[1]["next"]
    assert deployer.call("GET", f"/logs?function=says&cursor={position}")[1]["results"] == []
    names = [fresh("f") for _ in range(20)]
    for name in names:
        call(deployer, "says", who=name)
    seen: list[Any] = []

    def more() -> bool:
        nonlocal position
        status, page = deployer.call("GET", f"/logs?function=says&cursor={position}&limit=7&wait=2")
        assert (status, len(page["results"]) <= 7) == (200, True)
        seen.extend(page["results"])
        position = page["next"]
        return len(seen) >= 80

    soon(more)
    assert len(seen) == 80
    assert [line["n"] for line in seen] == sorted({line["n"] for line in seen})
    assert {line["text"].split()[-1] for line in seen if line["text"].startswith("begin")} == set(names)


@pytest.mark.parametrize("query", ["limit=x", "cursor=-1", "wait=1.5", "limit=" + "9" * 30])
def test_what_is_no_number_is_refused(deployer: Deployer, query: str) -> None:
    status, answer = deployer.call("GET", f"/logs?{query}")
    assert (status, answer["code"]) == (400, 102)


def test_in_development_secrets_are_a_file(tmp_path: Path) -> None:
    functions = folder_with(tmp_path / "functions", main=CODE)
    (functions / ".secrets.env").write_text(f"DOOR={SECRET}\n# a comment\nOTHER='two words'\n")
    with TestServer(tmp_path, "dev") as running:
        found = Deployer(running)
        assert call(found, "knows", key="OTHER")["result"][::2] == [SECRET, "two words"]
        (functions / ".secrets.env").write_text("DOOR=open\n")
        soon(lambda: call(found, "knows", key="OTHER")["result"][::2] == ["open", None])
