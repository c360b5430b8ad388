"""A server loads what it uses, and starts within a second."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer

HEAVY = {"aiohttp", "cryptography", "firebase_admin", "grpc", "jinja2", "numpy", "prometheus_client", "pymongo", "starlette_admin"}
LOADED = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)", re.MULTILINE)


def test_a_plain_server_does_not_load_what_it_does_not_use(tmp_path: Path) -> None:
    with TestServer(tmp_path, python=("-X", "importtime")) as server:
        assert server.get("/livez") == (200, {"status": "ok"})
    loaded = {name.partition(".")[0] for name in LOADED.findall(server.log.read_text())}
    assert "starlette" in loaded
    assert loaded & HEAVY == set()


def processor_seconds(process: int) -> float:
    """What the process has used of a processor so far: unlike the clock on the wall, no busy neighbour adds to it."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processor time of another process is read from Linux's /proc")
def test_a_server_is_ready_within_a_second(tmp_path: Path) -> None:
    """Of one processor's time, the best of three."""
    times: list[float] = []
    for number in range(3):
        with TestServer(tmp_path / str(number)) as server:
            assert server.process
            times.append(processor_seconds(server.process.pid))
    assert min(times) < 1.0
