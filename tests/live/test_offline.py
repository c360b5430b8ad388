"""The offline example does what its guide says, with the stock JS SDK; and the guide shows the example's own lines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer
from tests.compat.sdk.test_sdk import HERE as SDK
from tests.compat.sdk.test_sdk import failures, run

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GUIDE, EXAMPLE = ROOT / "docs/offline.md", ROOT / "examples/offline/offline.mjs"
BLOCKS = re.findall(r"^```js\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_example_works(tmp_path: Path) -> None:
    options = json.loads((SDK / "server.json").read_text()) | {"liveQuery": {"classNames": [".*"]}}
    with TestServer.with_parse_options(tmp_path, options) as server:
        done = run(server, HERE / "offline.test.mjs", "parse/node")
    assert (done.code, done.unfinished, done.passed) == (0, 0, 7), failures(done.text)


def words(text: str) -> str:
    """The text with every run of white space as one."""
    return " ".join(text.split())


@pytest.mark.parametrize("block", BLOCKS)
def test_the_guide_quotes_code_that_runs(block: str) -> None:
    """Each block stands in the example, or in its tests."""
    assert words(block) in words(EXAMPLE.read_text() + (HERE / "offline.test.mjs").read_text())


def test_the_guide_shows_code() -> None:
    assert len(BLOCKS) >= 4
