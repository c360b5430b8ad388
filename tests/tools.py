"""Programs that some tests need beside Python: found, or the test fails and says how to get them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

HOW = {
    "chromium": "apt-get install chromium",
    "wrk": "apt-get install wrk",
    "node": "install Node.js 20 or later",
    "npm": "install Node.js 20 or later",
}
NODE_MODULES = Path(__file__).parent / "compat" / "node_modules"


def tool(name: str) -> str:
    """The program's path. A missing one is a failure, never a skipped test."""
    found = shutil.which(name)
    if not found:
        pytest.fail(f"{name} is missing: {HOW.get(name, 'install it')}", pytrace=False)
    return found


def node_modules() -> Path:
    """The folder of the stock clients' packages."""
    if not NODE_MODULES.is_dir():
        pytest.fail("the npm packages are missing: make tests/compat/node_modules/.stamp", pytrace=False)
    return NODE_MODULES
