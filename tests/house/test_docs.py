"""The papers keep up with the code, and name nothing that only its authors have."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from mbaas.parse_config import LATER, known
from mbaas.settings import variables
from mbaas.wire.openapi import routes
from tests.house.source import ROOT, short, tracked

PAPERS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE",
    "docs/settings.md",
    "docs/rest.md",
    "docs/offline.md",
    "docs/migrating.md",
    "docs/security.md",
    "sdk-schema/README.md",
)
ROOMS = {"mbaas": "mbaas", "auth": "mbaas_auth", "push": "mbaas_push", "functions": "mbaas_functions"}
BINARY = {".png", ".jpg", ".gif", ".ico", ".woff2", ".gz", ".zip"}
# Spelled in pieces, so that this file does not name them either.
PRIVATE = ["/" + folder + "/" for folder in ("work", "root", "home", "Users", "opt/wheels", "opt/pypi-more")] + [
    f"{name}.{domain}" for name, domain in (("registry.npmjs", "org"), ("files.pythonhosted", "org"), ("pypi", "org/simple"))
]


@pytest.mark.parametrize("name", PAPERS)
def test_paper_is_there(name: str) -> None:
    assert (ROOT / name).read_text().strip()


@pytest.mark.parametrize("variable", variables())
def test_setting_is_documented(variable: str) -> None:
    assert f"`{variable}`" in (ROOT / "docs/settings.md").read_text()


def test_no_setting_is_documented_that_does_not_exist() -> None:
    named = set(re.findall(r"`(MBAAS_[A-Z_]+)`", (ROOT / "docs/settings.md").read_text()))
    assert named - set(variables()) == {"MBAAS_CMD", "MBAAS_TEST_"}


@pytest.mark.parametrize("option", sorted(name for name in known() - LATER if "." not in name))
def test_option_of_parse_server_is_documented(option: str) -> None:
    assert f"`{option}`" in (ROOT / "docs/settings.md").read_text()


@pytest.mark.parametrize("route", sorted(route.label for route in routes()))
def test_route_is_documented(route: str) -> None:
    assert f"| `{route}` |" in (ROOT / "docs/rest.md").read_text()


@pytest.mark.parametrize(("room", "package"), ROOMS.items())
def test_room_has_a_door(room: str, package: str) -> None:
    text = (ROOT / room / "README.md").read_text()
    assert text.startswith(f"Code: `{package}/`")
    assert len(text.splitlines()) <= 60


def test_decisions_are_numbered_without_gaps_and_short() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    assert {short(path): n for path in records if not 8 <= (n := len(path.read_text().splitlines())) <= 40} == {}


def test_repository_names_no_private_place() -> None:
    """No path of anybody's machine, and no address that packages were fetched from."""
    found: list[tuple[str, str]] = []
    for path in tracked():
        if path.suffix not in BINARY and (text := _text(path)):
            found += [(short(path), place) for place in PRIVATE if re.search(rf"(?<![\w.]){re.escape(place)}\w", text)]
    assert found == []


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def test_the_security_page_names_what_is_there() -> None:
    text = (ROOT / "docs/security.md").read_text()
    places = re.findall(r"`((?:mbaas|auth|push|functions|tests|docs|sdk-schema)/[\w./-]+)`", text)
    places += [f"docs/{link}" for link in re.findall(r"\]\(([\w./-]+\.md)", text)]
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_the_security_page_judges_every_requirement_once_and_counts_right() -> None:
    """ASVS 5.0.0 has 253 requirements of levels 1 and 2; a row may stand for several that follow one another."""
    text = (ROOT / "docs/security.md").read_text()
    judged: dict[str, str] = {}
    for section, first, last, verdict in re.findall(
        r"^\| (\d+\.\d+)\.(\d+)(?: – [\d.]+\.(\d+))? \| [12] \| [^|]+ \| ([a-z ]+) \| [^|]+ \|$", text, re.MULTILINE
    ):
        for number in range(int(first), int(last or first) + 1):
            assert f"{section}.{number}" not in judged
            judged[f"{section}.{number}"] = verdict
    counts = Counter(judged.values())
    assert counts.keys() == {"met", "met with an option", "yours", "not met", "does not apply"}
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("met", "met with an option", "yours", "not met"))
    assert f"Of {len(judged)}: {summary}, {counts['does not apply']} do not apply." in text
    assert len(judged) == 253
