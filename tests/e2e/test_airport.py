"""The airport example, as its README says to run it: real data in, the stock SDK out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, free_port
from tests.wire.people import Person

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


def test_a_ride_is_offered_by_a_partner_and_told_to_it(tmp_path: Path) -> None:
    """The example's function asks the taxi service, which runs in a process of its own, and hears of rides that users book."""
    port = free_port()
    with TestServer(tmp_path / "server", "dev", settings={"functions": EXAMPLE / "functions"}) as server:
        berlin = {"iata": "BER", "icao": "EDDB", "location": {"__type": "GeoPoint", "latitude": 52.36, "longitude": 13.5}}
        Person.master(server).save("Airport", berlin)
        environment = {**os.environ, "MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, str(EXAMPLE / "taxi.py"), "--url", server.url, "--data-dir", str(tmp_path), "--port", str(port)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as taxi:
            assert taxi.stdout is not None
            assert taxi.stdout.readline() == f"taxi serves on port {port}\n"
            status, told = Person(server).call("POST", "/functions/ride", {"latitude": 52.52, "longitude": 13.405})
            assert (status, told["result"]["airport"], told["result"]["km"]) == (200, "BER", 18.9)
            ride = Person.signed_up(server).save("Ride", {"to": "BER"})
            assert taxi.stdout.readline() == f"told of Ride.created {ride['objectId']}\n"
            assert Person(server).find("Ride") == []
            taxi.terminate()
