"""The golden transcripts of Parse Server 9.10: every step is answered alike, but for the differences that we mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer
from tests.compat.transcript import FOLDER, Replay, scenarios

PLAIN = """acl aggregate batch clp files functions hooks installations live objects operators protected protocol push queries roles schemas
    sessions triggers users""".split()
CLOUD = {"functions", "triggers", "sanitized_access"}
"""Themes of the server with cloud code."""
SANITIZED = ("sanitized", "sanitized_access")
DIFFERENCES: dict[str, str] = json.loads((FOLDER / "differences.json").read_text())
"""`theme | scenario | step` of each step that differs, with the name of the difference in docs/parse-differences.md."""
CASES = [(theme, name) for theme in (*PLAIN, *SANITIZED) for name, _ in scenarios(theme)]
DOCUMENT = Path(__file__).parents[2] / "docs" / "parse-differences.md"


@pytest.fixture
def replay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Replay]:
    """A scenario starts from an empty server."""
    theme, _ = request.param
    options = json.loads((FOLDER / ("server-sanitized.json" if theme in SANITIZED else "server.json")).read_text())
    cloud = {"functions": FOLDER / "cloud"} if theme in CLOUD else {}
    if theme == "push":
        options["push"] = {"adapter": {"module": "accept"}}
    with TestServer.with_parse_options(tmp_path, options, **cloud) as server:
        replayed = Replay(f"{server.url}/parse")
        yield replayed
        replayed.close()


@pytest.mark.parametrize(("replay", "case"), [(c, c) for c in CASES], indirect=["replay"], ids=[f"{t}-{n}" for t, n in CASES])
def test_transcript(replay: Replay, case: tuple[str, str]) -> None:
    """Each step's status, headers, body and texts are those of the transcript, unless the step is a named difference."""
    theme, name = case
    steps = dict(scenarios(theme))[name]
    wrong = []
    for step in steps:
        differences = replay.run(step)
        place = f"{theme} | {name} | {step['step']}"
        if step.get("loose"):
            continue
        if differences and place not in DIFFERENCES:
            wrong.append(f"{place} {step['name']}: " + "; ".join(differences[:4]))
        if not differences and place in DIFFERENCES:
            wrong.append(f"{place} {step['name']}: no longer differs; take it off the list")
    assert not wrong, "\n".join(wrong)


def test_every_difference_is_explained() -> None:
    """A step that is answered otherwise has its reason in the documentation, under the name that the list gives it."""
    text = DOCUMENT.read_text()
    unexplained = {name for name in DIFFERENCES.values() if f"### {name}\n" not in text}
    assert not unexplained
