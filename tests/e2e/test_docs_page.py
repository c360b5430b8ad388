"""`/docs` in a real browser: what the contract says can be read there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mbaas.testing.process import TestServer
from mbaas.wire.openapi import document, routes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("docs")) as running:
        yield running


def test_every_route_and_value_is_shown_in_words(server: TestServer, page: Page, tmp_path: Path) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{server.url}/docs")
    expect(page.locator("details")).to_have_count(len(routes()))
    page.locator("#getClassesClassName summary").click()
    page.screenshot(path=tmp_path / "docs.png", full_page=True)
    text = page.locator("main").text_content() or ""
    for raw in ("$ref", "`", "undefined", "[object", "{}"):
        assert raw not in text
    for name in document()["components"]["schemas"]:
        assert page.locator(f"h4#{name}").count() == 1
    assert said == []


def test_a_link_leads_to_its_value_and_the_filter_leaves_what_fits(server: TestServer, page: Page) -> None:
    page.goto(f"{server.url}/docs")
    page.locator("#getClassesClassName summary").click()
    page.locator("#getClassesClassName a", has_text="Results").click()
    assert page.url.endswith("#Results")
    page.get_by_placeholder("Find a route").fill("requestPasswordReset")
    expect(page.locator("details:visible")).to_have_count(1)
