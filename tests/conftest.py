"""What holds for every test: how many examples a property gets, no settings of the machine that runs the tests, and a MongoDB
for those that ask for one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from mbaas.testing.process import TestServer
from tests.secantus import running
from tests.security.rows import ELSEWHERE, ROWS, rows_in

for _name in [name for name in os.environ if name.startswith("MBAAS_") and not name.startswith("MBAAS_TEST_")]:
    del os.environ[_name]

EXAMPLES = int(os.environ.get("MBAAS_TEST_EXAMPLES", "30"))
"""Examples of each property; `make nightly` asks for many more."""

settings.register_profile("mbaas", max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("mbaas")

TestServer.preloaded = True


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a MongoDB server."""
    with running(tmp_path_factory.mktemp("mongo")) as url:
        yield url


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many rows of the list of attacks hold, where the tests of them ran."""
    told = {how: rows_in(report.nodeid for report in terminalreporter.stats.get(how, ())) for how in ("passed", "failed", "error")}
    hold = told["passed"] - told["failed"] - told["error"]
    if hold:
        terminalreporter.write_line(f"attacks: {len(hold)} of {len(ROWS)} rows hold; {len(ELSEWHERE)} have no test of their own")
