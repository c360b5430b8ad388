"""A server and a mock started as a user starts them: a push over HTTP, what is told of it, and what is refused."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, clean_environment

MASTER = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}
_SETTING = re.compile(r"^export MBAAS_(\w+)=(.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`mbaas push mock`; the settings that it prints."""
    folder = tmp_path_factory.mktemp("mock")
    command = [sys.executable, "-m", "mbaas", "push", "mock", "--folder", str(folder / "keys")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment({})) as process:
        assert process.stdout is not None
        told = ""
        while "/mock/script" not in told:
            line = process.stdout.readline()
            assert line, told
            told += line
        yield {name.lower(): value for name, value in _SETTING.findall(told)}
        process.terminate()
    assert process.returncode == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mock: dict[str, str]) -> Iterator[TestServer]:
    settings = {**mock, "preset": "development"}
    with TestServer(tmp_path_factory.mktemp("server"), settings=settings) as running:
        yield running


@pytest.fixture
def api(server: TestServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=MASTER) as client:
        yield client


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def receipts(mock: dict[str, str], token: str) -> int:
    """How often the mock was sent something for an address."""
    with httpx.Client(verify=ssl.create_default_context(cafile=mock["push_ca_file"]), http2=True) as client:
        return client.get(f"{mock['fcm_endpoint']}/mock/receipts").text.count(f'"provider":"fcm","token":"{token}"')


def registered(api: httpx.Client, token: str) -> None:
    body = {"deviceType": "android", "deviceToken": token, "installationId": f"i-{token}"}
    assert api.post("/parse/installations", json=body).status_code == 201


def ended(api: httpx.Client, push: str) -> Any:
    def over() -> Any:
        told = api.get(f"/api/v1/push/{push}").json()
        return told if told["status"] in ("succeeded", "failed") else None

    return until(over)


def test_a_push_is_sent_once_however_often_it_is_asked_for(api: httpx.Client, mock: dict[str, str]) -> None:
    registered(api, "once")
    body = {"where": {"deviceToken": "once"}, "data": {"alert": "x"}}
    answers = [api.post("/api/v1/push", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    [push] = {answer.json()["id"] for answer in answers}
    assert ended(api, push)["counts"] == {"sent": 1}
    assert api.post("/api/v1/push", json=body, headers={"Idempotency-Key": "k1"}).json()["id"] == push
    assert receipts(mock, "once") == 1
    [delivery] = api.get(f"/api/v1/push/{push}/deliveries").json()["results"]
    assert (delivery["state"], delivery["provider"], delivery["type"]) == ("sent", "fcm", "android")
    assert "once" not in str(delivery)


def test_a_scheduled_push_is_paused_resumed_and_cancelled(api: httpx.Client, mock: dict[str, str]) -> None:
    registered(api, "later")
    body = {"where": {"deviceToken": "later"}, "data": {"alert": "x"}, "push_time": "2099-01-01T00:00:00Z"}
    push = api.post("/api/v1/push", json=body).json()["id"]
    assert api.get(f"/api/v1/push/{push}").json()["status"] == "scheduled"
    assert api.post(f"/api/v1/push/{push}/pause").json()["status"] == "paused"
    assert api.post(f"/api/v1/push/{push}/resume").json()["status"] == "scheduled"
    assert api.post(f"/api/v1/push/{push}/cancel").status_code == 200
    ended(api, push)
    assert receipts(mock, "later") == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/v1/push", {"data": {}}, 400),
        ("POST", "/api/v1/push", {"where": {}, "push_time": "soon"}, 400),
        ("GET", "/api/v1/push/nobody", None, 404),
        ("GET", "/api/v1/push/nobody/deliveries?state=lost", None, 400),
        ("POST", "/api/v1/push/nobody/pause", None, 404),
        ("POST", "/api/v1/push/nobody/stop", None, 400),
    ],
)
def test_what_makes_no_sense_is_refused(api: httpx.Client, method: str, path: str, body: Any, status: int) -> None:
    answer = api.request(method, path, json=body)
    assert (answer.status_code, sorted(answer.json())) == (status, ["code", "error"])


@pytest.mark.parametrize("path", ["/parse/push", "/api/v1/push", "/api/v1/push/x/cancel"])
def test_a_client_sends_nothing(server: TestServer, path: str) -> None:
    answer = httpx.post(server.url + path, json={"where": {}, "data": {}}, headers={"X-Parse-Application-Id": APP_ID})
    assert answer.status_code == 403


def test_the_server_says_that_it_sends(api: httpx.Client) -> None:
    assert api.get("/parse/serverInfo").json()["features"]["push"]["immediatePush"] is True


def test_a_wrong_key_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "none.p8").write_text("no key")
    wrong = {"apns_key": tmp_path / "none.p8", "apns_key_id": "a", "apns_team_id": "b"}
    with pytest.raises(RuntimeError, match="MBAAS_APNS_KEY"):
        TestServer(tmp_path, settings=wrong).start()
