"""The MongoDB that comes with the server, as far as can be told without Docker: the parts fit each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.house.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
SCRIPT = ROOT / "tests/mongo.sh"


@pytest.mark.parametrize("name", ["mongo", "test-mongo"])
def test_a_member_makes_itself_a_replica_set_and_is_healthy_as_primary(name: str) -> None:
    service = SERVICES[name]
    [wanted] = re.findall(r"--replSet (\S+)", " ".join(service["command"]))
    *program, script = service["healthcheck"]["test"]
    assert program == ["CMD", "mongosh", "--quiet", "--eval"]
    [(made, host)] = re.findall(r'rs\.initiate\(\{_id: "(\w+)", members: \[\{_id: 0, host: "([\w:]+)"\}\]\}\)', script)
    assert made == wanted
    assert host == f"{service.get('hostname', 'localhost')}:27017"
    assert script.endswith("quit(db.hello().isWritablePrimary ? 0 : 1)")


def test_the_server_waits_for_the_replica_set_that_it_names() -> None:
    server = SERVICES["server"]
    url = urlsplit(server["environment"]["MBAAS_DATABASE_URL"])
    assert server["depends_on"] == {url.hostname: {"condition": "service_healthy"}}
    assert f"--replSet {parse_qs(url.query)['replicaSet'][0]} " in " ".join(SERVICES[url.hostname or ""]["command"]) + " "
    assert url.hostname == SERVICES["mongo"]["hostname"]
    exposed = re.search(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert exposed is not None
    assert [port.rpartition(":")[2] for port in server["ports"]] == [exposed[1]]


def test_every_volume_is_declared() -> None:
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert used == set(COMPOSE["volumes"])


def test_the_tests_find_the_database_that_is_started_for_them() -> None:
    service = SERVICES["test-mongo"]
    assert service["profiles"] == ["test"]
    assert "volumes" not in service
    [port] = service["ports"]
    assert port.startswith("127.0.0.1:")
    assert f"mongodb://{port.rpartition(':')[0]}/?directConnection=true" in SCRIPT.read_text()


def test_every_suite_that_is_run_on_it_exists() -> None:
    [suites] = re.findall(r"^suites=\((.*)\)$", SCRIPT.read_text(), re.MULTILINE)
    assert [suite for suite in suites.split() if not (ROOT / suite).exists()] == []


def test_without_a_database_and_without_docker_it_says_what_is_needed(tmp_path: Path) -> None:
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    done = subprocess.run([tmp_path / "bash", SCRIPT], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "name one by MBAAS_TEST_MONGO_URL" in done.stderr
    assert "or install Docker" in done.stderr
