"""A real browser for the tests that look at pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

BROWSER = "/usr/bin/chromium"
FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync".split()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page that reaches this machine alone."""
    if not shutil.which(BROWSER):
        pytest.fail("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1400, "height": 850})
        opened.route(lambda url: "localhost" not in url and "127.0.0.1" not in url, lambda route: route.abort())
        yield opened
        browser.close()
