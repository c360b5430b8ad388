"""Partners of a server of several processes: quotas, keys and answers under a key are those of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.functions.web import Web, web
from tests.workers.asking import CLIENTS, ONE_MACHINE, PROCESSES, Stores, soon

KEYS = {"X-Parse-Application-Id": APP_ID}
MASTER = {**KEYS, "X-Parse-Master-Key": MASTER_KEY}


@pytest.fixture(scope="module", params=ONE_MACHINE)
def server(request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    settings = stores.settings(request.param, workers=PROCESSES, outbound_allow="127.0.0.1")
    with TestServer(tmp_path_factory.mktemp(request.param), settings=settings) as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Web]:
    with web() as running:
        yield running


class Desk:
    """Registers partners; each request is a connection of its own, so that it comes to any of the processes."""

    def __init__(self, server: TestServer, elsewhere: Web) -> None:
        self._server, self._elsewhere = server, elsewhere

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        status, told = self._server.call(method, f"/api/v1/partners{path}", body, MASTER)
        assert status in (200, 201), told
        return told

    def live(self, name: str, **limits: int) -> None:
        live = {"url": self._elsewhere.url(f"/{name}"), "limits": {"concurrency": 1000, **limits}}
        self("POST", "", {"name": name, "manifest": {"operations": {"offer": {}}}, "live": live})
        for state in ("sandbox", "submitted", "approved", "live"):
            self("POST", f"/{name}/state", {"state": state})
        self("PUT", f"/{name}/grant", {"environment": "live"})

    def calls(self, name: str, count: int, **headers: str) -> list[tuple[int, Any]]:
        """What many calls at once are told."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            path = f"/parse/functions/{name}.offer"
            return list(pool.map(lambda _: self._server.call("POST", path, {}, {**KEYS, **headers}), range(count)))


@pytest.fixture
def desk(server: TestServer, elsewhere: Web) -> Desk:
    return Desk(server, elsewhere)


def test_a_quota_is_used_up_by_all_together(desk: Desk, elsewhere: Web) -> None:
    desk.live("taxi", perMonth=40)
    told = [status for status, _ in desk.calls("taxi", 100)]
    assert (told.count(200), told.count(429), len(elsewhere.to("/taxi/offer"))) == (40, 60, 40)
    soon(lambda: sum(row["calls"] for row in desk("GET", "/taxi/usage")["results"]) == 40)


def test_one_key_is_one_call_whoever_takes_it(desk: Desk, elsewhere: Web) -> None:
    desk.live("bus")
    elsewhere.on["/bus/offer"] = {"price": 7}
    told = desk.calls("bus", 40, **{"Idempotency-Key": "once"})
    assert {status for status, _ in told} <= {200, 409}
    assert next(answer for status, answer in told if status == 200) == {"result": {"price": 7}}
    assert len(elsewhere.to("/bus/offer")) == 1


def test_a_key_that_is_revoked_is_so_everywhere_at_once(desk: Desk, server: TestServer) -> None:
    desk.live("tram")
    made = desk("POST", "/tram/keys", {"environment": "live", "scopes": {"rights": ["usage"]}})
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert {server.call("GET", "/api/v1/partner", None, headers)[0] for _ in range(CLIENTS)} == {200}
    desk("DELETE", f"/tram/keys/{made['id']}")
    assert {server.call("GET", "/api/v1/partner", None, headers)[0] for _ in range(CLIENTS)} == {401}
