"""The wheel holds our four packages and nothing that could shadow an app team's own folders."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.house.source import ROOT

OURS = {"mbaas", "mbaas_auth", "mbaas_push", "mbaas_functions"}
PROBE = """
import importlib.util, json, sys
names = ["mbaas", "mbaas_auth", "mbaas_push", "mbaas_functions", "auth", "push", "functions", "tests", "bench"]
print(json.dumps({n: (s.origin or list(s.submodule_search_locations)[0]) for n in names if (s := importlib.util.find_spec(n))}))
import functions.main, auth
assert functions.main.WHOSE == "the team's" and auth.WHOSE == "the team's"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_exactly_four_packages(wheel: Path) -> None:
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == OURS


def test_installed_beside_a_team_that_has_folders_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """Run from a repository with `functions/` and `auth/` packages: those are the team's, ours are the four with the prefix."""
    installed, team = tmp_path / "installed", tmp_path / "team"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(installed), str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("functions", "auth"):
        (team / name).mkdir(parents=True)
        (team / name / "__init__.py").write_text('WHOSE = "the team\'s"\n')
    (team / "functions" / "main.py").write_text('WHOSE = "the team\'s"\n')
    probe = f"import sys; sys.path[:0] = ['', {str(installed)!r}]{PROBE}"
    run = subprocess.run([sys.executable, "-I", "-S", "-c", probe], cwd=team, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = {name: Path(origin) for name, origin in json.loads(run.stdout).items()}
    assert {name for name, origin in found.items() if origin.is_relative_to(installed)} == OURS
    assert {name for name, origin in found.items() if not origin.is_relative_to(installed)} == {"functions", "auth"}


def test_version_is_said_once() -> None:
    import mbaas

    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == mbaas.__version__
