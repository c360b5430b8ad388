"""What the house tests look at: the project's files, as git knows them."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("mbaas", "auth/mbaas_auth", "push/mbaas_push", "functions/mbaas_functions")


@cache
def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        return sorted({ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()})
    skipped = {".venv", "node_modules", ".git", "data", "dist", "build"}
    return sorted(path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.relative_to(ROOT).parts))


@cache
def product() -> list[Path]:
    """The modules that are shipped."""
    return [path for path in tracked() if path.suffix == ".py" and any(path.is_relative_to(ROOT / package) for package in PACKAGES)]


@cache
def checks_and_benches() -> list[Path]:
    """The modules of the test suite and of the benchmarks."""
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ("tests", "bench")]


@cache
def tree(path: Path) -> ast.Module:
    """The module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def short(path: Path) -> str:
    """The path as a person would name it."""
    return str(path.relative_to(ROOT))
