"""The service worker of the example in a real browser: what the server encrypts for a browser is what it shows, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from mbaas_push.transports.port import Address, Parcel
from mbaas_push.transports.web_push import plain

EXAMPLE = Path(__file__).parents[2] / "examples" / "web-push"
SHOWN = "async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(({title, body, tag}) => ({title, body, tag}))"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """The example, served from localhost, where browsers allow service workers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(EXAMPLE))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_push_is_shown_once_however_often_it_comes(page: Page, site: str) -> None:
    page.context.grant_permissions(["notifications"], origin=site)
    page.goto(site)
    browser = page.context.new_cdp_session(page)
    found: list[str] = []
    browser.on(
        "ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(each["registrationId"] for each in event["registrations"])
    )
    browser.send("ServiceWorker.enable")
    page.evaluate("async () => { await navigator.serviceWorker.register('sw.js'); await navigator.serviceWorker.ready }")

    def deliver(number: int, **said: object) -> None:
        data = plain(Parcel(f"00000000-0000-8000-8000-{number:012d}", Address("webpush", "", "subscription"), said)).decode()
        browser.send("ServiceWorker.deliverPushMessage", {"origin": site, "registrationId": found[-1], "data": data})

    deliver(1, title="News", alert="Something has happened", buttons=[{"id": "yes", "title": "Go"}], image=f"{site}/none.png")
    deliver(1, title="News", alert="Something has happened")
    deliver(2, alert={"title": "Nachricht", "body": "Es ist etwas geschehen"})
    page.wait_for_function(f"async () => (await ({SHOWN})()).length === 2")
    shown = sorted(page.evaluate(SHOWN), key=lambda each: str(each["tag"]))
    assert [(each["title"], each["body"]) for each in shown] == [
        ("News", "Something has happened"),
        ("Nachricht", "Es ist etwas geschehen"),
    ]
