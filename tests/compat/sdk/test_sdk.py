"""The stock JS SDK against a server started from Parse Server's options: each file of behaviours passes, by Node's own test runner."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer
from tests.tools import node_modules, tool

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.test.mjs"))
WANTED = 250
_COUNT = re.compile(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What Node's test runner said of one file."""

    code: int
    passed: int
    unfinished: int
    text: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """One server for all files: no behaviour depends on what another has left behind."""
    options = json.loads((HERE / "server.json").read_text())
    with TestServer.with_parse_options(tmp_path_factory.mktemp("sdk"), options, functions=HERE.parent / "cloud") as running:
        yield running


@pytest.fixture(scope="module")
def runs(server: TestServer) -> dict[str, Run]:
    """Every file, run once with the current SDK, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda file: run(server, file, "parse/node"), FILES)
        return {file.name: one for file, one in zip(FILES, done, strict=True)}


def run(server: TestServer, file: Path, sdk: str) -> Run:
    """One file with one version of the SDK."""
    node_modules()
    environment = {**os.environ, "SERVER_URL": f"{server.url}/parse", "PARSE_SDK": sdk}
    command = [tool("node"), "--test", "--test-reporter=tap", str(file)]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=300)
    counts = {name: int(count) for name, count in _COUNT.findall(done.stdout)}
    return Run(done.returncode, counts.pop("pass", 0), sum(counts.values()), done.stdout + done.stderr)


def failures(text: str) -> str:
    """The failed tests of a TAP text, with what was wrong."""
    found = re.findall(r"^not ok .*?(?=^(?:ok|not ok|# Subtest) |\Z)", text, re.MULTILINE | re.DOTALL)
    return "\n".join(found) or text[-2000:]


@pytest.mark.parametrize("name", [file.name for file in FILES])
def test_every_behaviour_of_the_file_holds(runs: dict[str, Run], name: str) -> None:
    """No test of the file fails, is cancelled, left out or unfinished."""
    assert (runs[name].code, runs[name].unfinished) == (0, 0), failures(runs[name].text)


def test_there_are_at_least_250_behaviours(runs: dict[str, Run]) -> None:
    """Over all files, by distinct names, as many pass as the project promises."""
    names = {name for one in runs.values() for name in re.findall(r"^\s*ok \d+ - (.*)$", one.text, re.MULTILINE)}
    assert len(names) >= WANTED


def test_the_older_sdk_works(server: TestServer) -> None:
    """Version 5 of the SDK, which speaks the older dialect, does a first day's work."""
    done = run(server, HERE / "smoke.mjs", "parse5/node.js")
    assert (done.code, done.unfinished) == (0, 0), failures(done.text)
    assert done.passed >= 8
