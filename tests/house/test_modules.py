"""Every module says what it is for, bears a name that says so too, and keeps to its place."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import PACKAGES, ROOT, checks_and_benches, product, short, tracked, tree

VAGUE = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc", "base"}


@pytest.mark.parametrize("path", [*product(), *checks_and_benches()], ids=short)
def test_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(tree(path)) or not path.read_text().strip()


def test_no_module_has_a_vague_name() -> None:
    assert [short(path) for path in tracked() if path.suffix == ".py" and path.stem in VAGUE] == []


def environment_readers(path: Path) -> bool:
    """True if the module touches the process's environment variables."""
    found = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    imported = [
        name.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and node.module == "os" for name in node.names
    ]
    touched = {node.attr for node in found if isinstance(node.value, ast.Name) and node.value.id == "os"} | set(imported)
    return bool(touched & {"environ", "environb", "getenv", "putenv"})


def test_only_settings_read_the_environment() -> None:
    """`mbaas.testing` starts processes and hands its own environment on, and a worker takes the one that it is given; nothing else but
    the settings looks at it."""
    found = {short(path) for path in product() if environment_readers(path)}
    assert {name for name in found if not name.startswith("mbaas/testing/")} <= {
        "mbaas/settings.py",
        "functions/mbaas_functions/worker/main.py",
    }


def test_imports_go_down_only() -> None:
    """The contracts in pyproject.toml, which say who may import whom."""
    run = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_marks_itself_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
