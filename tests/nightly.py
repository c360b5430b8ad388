"""`make nightly`: the long counts. Each suite gets one line: its name, pytest's closing line, its time; details go to test-results/."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TEST_SECONDS = 4 * 3600
"""What one test may take: here, that is all of a property's examples."""
SUITES: dict[str, tuple[list[str], dict[str, str]]] = {
    "everything, 300 examples of each property": (["tests"], {"MBAAS_TEST_EXAMPLES": "300"}),
    "SQL equals the matcher, 20,000 examples": (["tests/query"], {"MBAAS_TEST_EXAMPLES": "20000"}),
    "alike to Parse Server, 20,000 requests": (["tests/compat/differential"], {"MBAAS_TEST_EXAMPLES": "2000"}),
    "events are what finds show, 10,000 trials": (["tests/live/test_equals_find.py"], {"MBAAS_TEST_EXAMPLES": "10000"}),
    "phones have what finds show, 5,000 trials": (["tests/live/test_changes_equal_finds.py"], {"MBAAS_TEST_EXAMPLES": "10000"}),
    "100 writes while the line is cut for a minute": (["tests/live/test_broken_lines.py"], {"MBAAS_TEST_CUT_SECONDS": "60"}),
    "200 ticks and 1,000 jobs while processes are killed": (
        ["tests/functions/test_kills.py"],
        {"MBAAS_TEST_TICKS": "200", "MBAAS_TEST_JOBS": "1000"},
    ),
    "1,000 objects that partners may or may not read": (["tests/functions/test_partner_reading.py"], {"MBAAS_TEST_OBJECTS": "1000"}),
    "1,000 events while a partner is down": (["tests/functions/test_partner_events.py"], {"MBAAS_TEST_EVENTS": "1000"}),
    "50 kills while moments are fired": (["tests/push/test_moment_kills.py"], {"MBAAS_TEST_MOMENT_KILLS": "50"}),
    "a million requests of any kind, three million texts": (
        ["tests/fuzz"],
        {"MBAAS_TEST_REQUESTS": "1000000", "MBAAS_TEST_FUZZ_SECONDS": "1800", "MBAAS_TEST_FUZZ_RUNS": "3000000"},
    ),
    "200 kills while pushes are sent": (["tests/push/test_kills.py"], {"MBAAS_TEST_KILLS": "200"}),
    "every attack on MongoDB's store, too": (["tests/security"], {"MBAAS_TEST_SECURITY_STORES": "all"}),
    "50 kills and 200 power cuts": (["tests/storage"], {"MBAAS_TEST_KILLS": "50", "MBAAS_TEST_POWER_CUTS": "200"}),
}


def run(number: int, name: str) -> bool:
    """One suite; True if it passed. A suite whose folder is not there (yet) says so."""
    paths, variables = SUITES[name]
    if not all((ROOT / path).exists() for path in paths):
        print(f"{name}: no such tests yet", flush=True)
        return True
    log = ROOT / "test-results" / f"nightly-{number}.log"
    log.parent.mkdir(exist_ok=True)
    begun = time.monotonic()
    with log.open("w") as out:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--timeout={_TEST_SECONDS}", *paths]
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, stdout=out, stderr=out, check=False).returncode
    closing = (log.read_text().strip().splitlines() or ["nothing was printed"])[-1].strip("= ")
    print(f"{name}: {closing} ({time.monotonic() - begun:.0f} s; {log.relative_to(ROOT)})", flush=True)
    return code in (0, 5)


if __name__ == "__main__":
    results = [run(number, name) for number, name in enumerate(SUITES, 1)]
    sys.exit(not all(results))
