"""Parse Dashboard 9, unmodified, in a real browser against a server started as a user starts it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from mbaas.testing.process import TestServer, free_port

COMPAT = Path(__file__).parents[1] / "compat"
MASTER = {"X-Parse-Application-Id": "app", "X-Parse-Master-Key": "master"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    options = json.loads((COMPAT / "golden" / "server.json").read_text())
    with TestServer.with_parse_options(tmp_path_factory.mktemp("server"), options) as running:
        yield running


@pytest.fixture(scope="module")
def dashboard(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard's address for the server's app."""
    port = free_port()
    command = ["node", str(COMPAT / "node_modules/.bin/parse-dashboard"), "--dev", "--appId", "app", "--masterKey", "master"]
    command += ["--serverURL", f"{server.url}/parse", "--appName", "Airport", "--port", str(port)]
    log = tmp_path_factory.mktemp("dashboard") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        _wait_until_it_answers(f"http://localhost:{port}/", process, log)
        yield f"http://localhost:{port}/apps/Airport"
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"Parse Dashboard did not start:\n{log.read_text()}")


def call(server: TestServer, method: str, path: str, body: Any = None) -> Any:
    status, answer = server.call(method, f"/parse{path}", body, MASTER)
    assert status < 300, answer
    return answer


def test_the_data_browser_shows_a_class_and_edits_a_row(server: TestServer, dashboard: str, page: Page, tmp_path: Path) -> None:
    """A value typed into a cell is in the database."""
    made = call(server, "POST", "/classes/Note", {"title": "first", "stars": 3})
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 and "/parse" in answer.url else None)
    page.goto(f"{dashboard}/browser/Note")
    page.get_by_text("first", exact=True).dblclick()
    page.keyboard.press("Control+A")
    page.keyboard.type("edited")
    with page.expect_response(lambda answer: f"/classes/Note/{made['objectId']}" in answer.url):
        page.keyboard.press("Enter")
    expect(page.get_by_text("edited", exact=True)).to_be_visible()
    page.screenshot(path=tmp_path / "browser.png")
    assert call(server, "GET", f"/classes/Note/{made['objectId']}")["title"] == "edited"
    assert failed == []


def test_the_permissions_dialog_closes_a_class_for_writing(server: TestServer, dashboard: str, page: Page) -> None:
    """The public's write permission is taken away with one click."""
    call(server, "POST", "/classes/Closed", {"title": "mine"})
    page.goto(f"{dashboard}/browser/Closed")
    expect(page.get_by_text("mine", exact=True)).to_be_visible()
    page.get_by_text("Security", exact=True).click()
    page.get_by_text("Class Level Permissions").first.click()
    expect(page.get_by_text("Edit Class Level Permissions")).to_be_visible()
    page.locator("//span[text()='Write']/following-sibling::span").first.click()
    with page.expect_response(lambda answer: "/schemas/Closed" in answer.url and '"PUT"' in (answer.request.post_data or "")):
        page.get_by_text("Save CLP").click()
    permissions = call(server, "GET", "/schemas/Closed")["classLevelPermissions"]
    assert permissions["create"] == permissions["update"] == permissions["delete"] == {}
    assert permissions["find"] == {"*": True}


def test_the_config_page_creates_a_parameter(server: TestServer, dashboard: str, page: Page) -> None:
    """A parameter made in the dashboard is what clients read."""
    page.goto(f"{dashboard}/config")
    page.get_by_text("Create your first parameter").click()
    expect(page.get_by_text("New parameter")).to_be_visible()
    page.get_by_placeholder("New parameter").fill("greeting")
    page.locator("textarea").fill("good morning")
    with page.expect_response(lambda answer: "/config" in answer.url and '"PUT"' in (answer.request.post_data or "")):
        page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("good morning")).to_be_visible()
    assert call(server, "GET", "/config")["params"] == {"greeting": "good morning"}
