"""The airport example, as its README says to run it: real data in, the stock SDK out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "airport"


def test_the_nearest_airports_are_found_among_all_of_them(tmp_path: Path) -> None:
    """28,000 airports are seeded by one command, a second run adds none, and the SDK finds Berlin's first."""
    with TestServer(tmp_path / "server", "dev") as server:
        environment = {**os.environ, "MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY, "MBAAS_URL": f"{server.url}/parse"}
        seed = [sys.executable, str(EXAMPLE / "seed.py"), "--url", f"{server.url}/parse"]
        first = subprocess.run(seed, env=environment, capture_output=True, text=True, check=True)
        second = subprocess.run(seed, env=environment, capture_output=True, text=True, check=True)
        shutil.copy(EXAMPLE / "nearest.mjs", tmp_path)
        (tmp_path / "node_modules").symlink_to(ROOT / "tests" / "compat" / "node_modules")
        found = subprocess.run(
            ["node", "nearest.mjs", "52.52", "13.405"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
    total = int(first.stdout.split()[-2])
    assert total > 28_000
    assert second.stdout.strip() == f"0 airports added, {total} there"
    lines = found.stdout.splitlines()
    assert len(lines) == 5
    distances = [int(line.split()[1]) for line in lines]
    assert distances == sorted(distances)
    assert any(line.startswith("BER") for line in lines[:2])
