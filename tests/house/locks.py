"""Do the lock files still say what `pyproject.toml` asks for? As far as that can be told without a network. `make check` runs it."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
REMEDY = """pip-compile --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-find-links \\
  --extra editable -o requirements.lock
and the same with --extra dev -c requirements.lock -o requirements-dev.lock"""


def pins(lock: Path) -> dict[str, str]:
    """Package → version, as locked."""
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE)
    }


def problems() -> Iterator[str]:
    """Sentences on what is stale, unhashed or private."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime, dev = pins(ROOT / "requirements.lock"), pins(ROOT / "requirements-dev.lock")
    for name, lock, wanted in (
        ("requirements.lock", runtime, [*project["dependencies"], *extras["editable"]]),
        ("requirements-dev.lock", dev, [*project["dependencies"], *extras["editable"], *extras["dev"]]),
    ):
        for requirement in map(Requirement, wanted):
            version = lock.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                yield f"{name} does not satisfy {requirement}"
        text = (ROOT / name).read_text()
        if re.search(r"https?://|file:|--index-url|--find-links [^\\]", text.split("\n\n")[0].partition("pip-compile")[0]) or "://" in text:
            yield f"{name} names where packages come from"
        if len(lock) > text.count("    --hash=") or not lock:
            yield f"{name} lacks hashes"
    for name, version in runtime.items():
        if dev.get(name) != version:
            yield f"{name} is {version} at run time, but {dev.get(name)} in tests"
    if '"resolved"' in (ROOT / "tests/compat/package-lock.json").read_text():
        yield "package-lock.json names where packages come from (see .npmrc)"


if __name__ == "__main__":
    found = list(problems())
    print("\n".join(found) + f"\n{REMEDY}" if found else "lock files: fresh")
    sys.exit(bool(found))
