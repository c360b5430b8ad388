"""How often: Parse Server's `rateLimit`, `routeAllowList`, and the server's own limits, at every entrance, on a clock of the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from mbaas.app import open_app
from mbaas.data.uses import MemoryCounters, StoredCounters, Use, Uses
from mbaas.kernel.addresses import network_of
from mbaas.kernel.errors import TooMany
from mbaas.kernel.options import AppOptions, RateLimit, ServerOptions
from mbaas.kernel.paths import path_pattern
from mbaas.parse_rate_limit import rate_limits
from mbaas.services import Services
from mbaas.testing.clock import FakeClock
from mbaas.wire.asgi import Wire
from mbaas.wire.limits import CROWD_S, OWN, TRACKED
from mbaas.wire.v1 import dialect
from mbaas.wire.v1.table import table as v1_table
from tests.wire.scenarios import APP, MASTER, SDK, options

USER = {"username": "ann", "password": "right"}


class Client:
    """Requests to a wire in this process, from any address."""

    def __init__(self, wire: Wire, clock: FakeClock, v1: Wire) -> None:
        self._wire, self.clock, self._v1 = wire, clock, v1
        self.app = wire.keyring.doors["app"].app

    async def ask(
        self, method: str, path: str, body: Any = None, *, ip: str = "10.1.1.1", sent: dict[str, str] | None = None
    ) -> httpx.Response:
        wire, path = (self._v1, path) if path.startswith(dialect.BASE) else (self._wire, f"/parse{path}")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(wire, client=(ip, 1))) as http:
            return await http.request(method, f"http://x{path}", json=body, headers=APP if sent is None else sent)

    async def statuses(self, times: int, method: str, path: str, body: Any = None, **more: Any) -> list[int]:
        return [(await self.ask(method, path, body, **more)).status_code for _ in range(times)]


Start = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a wire with these options."""

    @asynccontextmanager
    async def started(*, stored: bool = False, **changed: Any) -> AsyncIterator[Client]:
        async with AsyncExitStack() as stack:
            clock = FakeClock()
            kept = AppOptions(**options(data_dir=tmp_path, **{"master_key_ips": ("0.0.0.0/0",), **changed}))
            app = await open_app(kept, Services(ServerOptions(), {"app": kept}, clock))
            stack.push_async_callback(app.close)
            if stored:
                app.uses = Uses(StoredCounters(app.store.rows), clock)
            wire = Wire({"app": app}, trusted_proxies=("10.9.9.9/32",))
            v1 = Wire({"app": app}, mount=dialect.BASE, routes=v1_table(), keyring=wire.keyring, told=dialect.told)
            yield Client(wire, clock, v1)

    return started


def rule(path: str, count: int = 2, **more: Any) -> dict[str, Any]:
    """Options with one entry of `rateLimit`."""
    return {"rate_limits": (RateLimit(path, 10_000, count, **more),)}


async def test_a_use_that_has_waited_for_the_store_counts_in_the_window_that_began_meanwhile(start: Start) -> None:
    """As many come at once through several processes, each with the time at which it was asked."""
    async with start(stored=True) as client:
        counters, now = StoredCounters(client.app.store.rows), client.clock.now()
        found = [await counters.hit("limit|who", 60_000, now - late) for late in (0, 500, 5_000)]
        assert [use.count for use in found] == [1, 2, 3]
        assert (await counters.hit("limit|who", 60_000, now - 50_000)).count == 1, "here the clock was put back"


async def test_a_limit_is_used_up_and_comes_back(start: Start) -> None:
    async with start(**rule("/classes/*rest", error_response_message="Slowly.")) as client:
        assert await client.statuses(2, "GET", "/classes/A") == [200, 200]
        client.clock.advance(4_000)
        refused = await client.ask("GET", "/classes/B/x")
        assert (refused.status_code, refused.json()) == (429, {"code": 100, "error": "Slowly."})
        assert refused.headers["retry-after"] == "6"
        assert refused.headers["ratelimit-policy"] == '"1 /classes/*rest"; q=2; w=10'
        assert (await client.ask("GET", "/config")).status_code == 200
        assert (await client.ask("GET", "/classes/A", ip="10.1.1.2")).status_code == 200
        client.clock.advance(6_000)
        assert await client.statuses(3, "GET", "/classes/A") == [200, 200, 429]


@pytest.mark.parametrize("path", ["/classes/A", "/CLASSES/a", "//classes/A/", "/classes/A?x=/config", "/cl%61sses/A"])
async def test_no_spelling_of_a_path_escapes(start: Start, path: str) -> None:
    async with start(**rule("/classes/:name", 0)) as client:
        assert (await client.ask("GET", path)).status_code == 429


async def test_methods_are_those_that_route_the_request(start: Start) -> None:
    async with start(**rule("/classes/*rest", 1, request_methods=("POST",))) as client:
        assert await client.statuses(3, "GET", "/classes/A") == [200] * 3
        assert await client.statuses(3, "POST", "/classes/A", {"_method": "GET"}) == [200] * 3
        assert await client.statuses(2, "POST", "/classes/A", {}) == [201, 429]
    async with start(**rule("/classes/*rest", 1, request_methods="PUT|DELETE")) as client:
        assert await client.statuses(2, "POST", "/classes/A/x", {"_method": "DELETE"}) == [404, 429]


async def test_an_override_does_not_hide_a_method(start: Start) -> None:
    async with start(**rule("/login", 1, request_methods=("GET",))) as client:
        body = {**SDK, **USER, "_method": "GET"}
        assert await client.statuses(2, "POST", "/login", body, sent={}) == [404, 429]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_parts_of_a_batch_count(start: Start, method: str) -> None:
    async with start(**rule("/classes/A", 3, request_methods=("POST",))) as client:
        parts = [{"method": method, "path": "/parse/classes/A", "body": {}}] * 4
        refused = await client.ask("POST", "/batch", {"requests": parts})
        assert (refused.status_code, refused.json()["code"]) == (429, 100)
        assert (await client.ask("GET", "/classes/A?count=1&limit=0")).json()["count"] == 0
        refused = await client.ask("POST", "/batch", {"requests": parts[:1], "transaction": True})
        assert refused.status_code == 429


async def test_the_master_key_counts_only_where_it_is_told_to(start: Start) -> None:
    async with start(**rule("/classes/A", 1)) as client:
        assert await client.statuses(3, "GET", "/classes/A", sent=MASTER) == [200] * 3
    async with start(**rule("/classes/A", 1, include_master_key=True)) as client:
        assert await client.statuses(2, "GET", "/classes/A", sent=MASTER) == [200, 429]


async def test_this_machine_counts_only_where_it_is_told_to(start: Start) -> None:
    async with start(**rule("/classes/A", 1)) as client:
        assert await client.statuses(3, "GET", "/classes/A", ip="127.0.0.1") == [200] * 3
        spoofed = {**APP, "X-Forwarded-For": "127.0.0.1"}
        assert await client.statuses(2, "GET", "/classes/A", sent=spoofed) == [200, 429]
        behind = {**APP, "X-Forwarded-For": "127.0.0.1, 10.2.2.2"}
        assert await client.statuses(2, "GET", "/classes/A", ip="10.9.9.9", sent=behind) == [200, 429]
    async with start(**rule("/classes/A", 1, include_internal_requests=True)) as client:
        assert await client.statuses(2, "GET", "/classes/A", ip="127.0.0.1") == [200, 429]


@pytest.mark.parametrize("zone", ["session", "user"])
async def test_a_made_up_token_gives_no_limit_of_its_own(start: Start, zone: str) -> None:
    async with start(**rule("/classes/A", 2, zone=zone)) as client:
        tokens = [(await client.ask("POST", "/users", {**USER, "username": name})).json()["sessionToken"] for name in "ab"]
        for token in tokens:
            assert await client.statuses(3, "GET", "/classes/A", sent={**APP, "X-Parse-Session-Token": token}) == [200, 200, 429]
        asked = [await client.statuses(1, "GET", "/classes/A", sent={**APP, "X-Parse-Session-Token": f"r:{n}"}) for n in range(4)]
        assert asked == [[400], [400], [429], [429]]


async def test_two_sessions_of_a_user_share_her_limit(start: Start) -> None:
    async with start(**rule("/classes/A", 2, zone="user")) as client:
        tokens = [(await client.ask("POST", "/users", USER)).json()["sessionToken"]]
        tokens.append((await client.ask("POST", "/login", USER)).json()["sessionToken"])
        asked = [await client.statuses(1, "GET", "/classes/A", sent={**APP, "X-Parse-Session-Token": t}) for t in tokens * 2]
        assert asked == [[200], [200], [429], [429]]


async def test_a_global_limit_is_everybodys(start: Start) -> None:
    async with start(**rule("*", 2, zone="global")) as client:
        assert [(await client.ask("GET", "/config", ip=f"10.0.0.{n}")).status_code for n in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("a", "an object or a list"),
        ([1], "an object or a list"),
        ({}, "requestPath"),
        ({"requestPath": []}, "requestPath"),
        ({"requestPath": "/a(b)", "requestTimeWindow": 1, "requestCount": 1}, "unexpected"),
        ({"requestPath": "/{a", "requestTimeWindow": 1, "requestCount": 1}, "braces"),
        ({"requestPath": "/a", "requestTimeWindow": "x", "requestCount": 1}, "requestTimeWindow"),
        ({"requestPath": "/a", "requestTimeWindow": 1}, "requestCount"),
        ({"requestPath": "/a", "requestTimeWindow": 1, "requestCount": 1, "zone": "planet"}, "zone"),
        ({"requestPath": "/a", "requestTimeWindow": 1, "requestCount": 1, "path": "b"}, "no option path"),
        ({"requestPath": "/a", "requestTimeWindow": 1, "requestCount": 1, "includeInternalRequests": []}, "includeInternalRequests"),
        ({"requestPath": "/a", "requestTimeWindow": 1, "requestCount": 1, "errorResponseMessage": []}, "errorResponseMessage"),
        ({"requestPath": "/a", "requestTimeWindow": 1, "requestCount": 1, "requestMethods": "("}, "requestMethods"),
        ({"requestPath": "/a", "requestTimeWindow": 1, "requestCount": 1, "requestMethods": {}}, "requestMethods"),
    ],
)
def test_a_wrong_entry_is_refused_at_the_start(entry: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rate_limits(entry)


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/functions/*name", "/functions/a/b", True),
        ("/functions/*", "/functions/a", True),
        ("*", "/anything", True),
        ("/users{/me}", "/users", True),
        ("/users{/me}", "/users/me/", True),
        ("/users{/me}", "/users/you", False),
        ("/classes/:name", "/classes/a/b", False),
        ("/a.b", "/aXb", False),
        (r"/a\:b", "/a:b", True),
        ("/classes/A", "/classes/AB", False),
    ],
)
def test_patterns_of_paths(pattern: str, path: str, fits: bool) -> None:
    assert bool(path_pattern(pattern).match(path)) is fits


PATHS = ("/login", "/verifyPassword")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["plain", "override", "batch", "sdk"])
async def test_guesses_at_an_account_end(start: Start, path: str, how: str) -> None:
    """Whatever the entrance and the spelling of the name."""
    async with start(rate_limit_factor=1) as client:
        await client.ask("POST", "/users", USER, ip="10.0.0.9")
        names = ("ann", "Ann", "ANN ", "ann")
        codes = []
        for n in range(20):
            body = {"username": names[n % 4], "password": f"guess {n}"}
            ip = "10.0.0.1"
            if how == "batch":
                parts = {"requests": [{"method": "POST", "path": f"/parse{path}", "body": body}]}
                codes.append((await client.ask("POST", "/batch", parts, ip=ip)).json()[0]["error"]["code"])
            elif how == "sdk":
                codes.append((await client.ask("POST", path, {**SDK, **body}, ip=ip, sent={})).json()["code"])
            else:
                body |= {"_method": "GET"} if how == "override" else {}
                codes.append((await client.ask("POST", path, body, ip=ip)).json()["code"])
        allowed = OWN["sign-in"].by_account
        assert codes == [101] * allowed + [100] * (20 - allowed)
        refused = await client.ask("POST", "/login", USER, ip="10.0.0.1")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert "sign-in-account" in refused.headers["ratelimit-policy"]
        client.clock.advance(60_000)
        assert (await client.ask("POST", "/login", USER, ip="10.0.0.1")).status_code == 200


@pytest.mark.parametrize("stored", [False, True])
async def test_a_flood_on_an_account_locks_nobody_out(start: Start, stored: bool) -> None:
    """However many addresses guess: each has a few guesses left, and a right password from a new one is let in."""
    async with start(stored=stored, rate_limit_factor=1) as client:
        await client.ask("POST", "/users", USER, ip="10.0.0.9")
        own = OWN["sign-in"]
        wrong = {**USER, "password": "guess"}
        for n in range(own.crowd):
            assert (await client.ask("POST", "/login", wrong, ip=f"10.1.{n}.1")).status_code == 404
        assert own.spare is not None
        for n in range(100, 110):
            codes = [404] * own.spare + [429] * 2
            assert await client.statuses(own.spare + 2, "POST", "/login", wrong, ip=f"10.1.{n}.1") == codes
        refused = await client.ask("POST", "/login", USER, ip="10.1.100.1")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, str(CROWD_S))
        assert "sign-in-spare" in refused.headers["ratelimit-policy"]
        assert (await client.ask("POST", "/login", USER, ip="10.7.7.7")).status_code == 200


@pytest.mark.parametrize("stored", [False, True])
async def test_limits_are_shown_to_the_master_key_and_reset_by_it(start: Start, stored: bool) -> None:
    async with start(stored=stored, rate_limit_factor=1) as client:
        await client.ask("POST", "/users", USER)
        wrong = {**USER, "password": "guess"}
        assert (await client.statuses(11, "POST", "/login", wrong))[-1] == 429
        assert (await client.ask("GET", "/api/v1/limits")).status_code == 403
        shown = (await client.ask("GET", "/api/v1/limits", sent=MASTER)).json()
        assert {use["limit"]: use["count"] for use in shown["results"]} == {
            "sign-in-account": 11,
            "sign-in-address": 11,
            "sign-in-crowd": 10,
            "sign-up-account": 1,
            "sign-up-address": 1,
        }
        assert "ann" not in str(shown)
        page = (await client.ask("GET", "/api/v1/limits?limit=2", sent=MASTER)).json()
        rest = (await client.ask("GET", f"/api/v1/limits?cursor={quote(page['next'])}", sent=MASTER)).json()
        assert page["results"] + rest["results"] == shown["results"]
        by_account = (await client.ask("GET", "/api/v1/limits?account=ANN", sent=MASTER)).json()["results"]
        assert {use["limit"] for use in by_account} == {"sign-in-account", "sign-in-crowd", "sign-up-account"}
        assert (await client.ask("DELETE", "/api/v1/limits", sent=MASTER)).json()["code"] == 102
        assert (await client.ask("DELETE", "/api/v1/limits?account=ann", sent=MASTER)).json() == {"reset": 3, "unlocked": True}
        assert (await client.ask("POST", "/login", USER)).status_code == 200
        [address] = [use["id"] for use in shown["results"] if use["limit"] == "sign-in-address"]
        assert (await client.ask("DELETE", f"/api/v1/limits/{quote(address, safe='')}", sent=MASTER)).json() == {}
        assert (await client.ask("DELETE", f"/api/v1/limits/{quote(address, safe='')}", sent=MASTER)).status_code == 404
        assert (await client.ask("DELETE", "/api/v1/limits?address=10.1.1.1", sent=MASTER)).json() == {"reset": 1, "unlocked": False}


async def test_a_limit_that_is_used_up_is_not_counted_in_the_store_again() -> None:
    """Within a second: a flood of refused attempts costs it nothing."""
    clock, counters = FakeClock(), MemoryCounters()
    uses = Uses(counters, clock)
    await uses.use("a", "b", 1, 60_000, "")
    for seconds, count in ((0, 2), (0, 2), (0.5, 2), (0.6, 3)):
        clock.advance(int(seconds * 1000))
        with pytest.raises(TooMany) as caught:
            await uses.use("a", "b", 1, 60_000, "")
        assert (await uses.used("a", "b"), caught.value.retry_after_s) == (count, 59 if seconds == 0.6 else 60)
    assert await uses.forget("a", "b")
    await uses.use("a", "b", 1, 60_000, "")


async def test_an_unknown_account_is_limited_alike(start: Start) -> None:
    """Being limited tells nothing about who is there."""
    async with start(rate_limit_factor=1) as client:
        await client.ask("POST", "/users", USER)
        answers = []
        for name in ("ann", "nobody"):
            asked = [await client.ask("POST", "/login", {"username": name, "password": "x"}) for _ in range(12)]
            answers.append([(a.status_code, a.text, a.headers.get("retry-after")) for a in asked])
        assert answers[0] == answers[1]
        assert answers[0][-1][0] == 429


async def test_an_address_that_tries_many_accounts_is_stopped(start: Start) -> None:
    """Also with one right password among the guesses, and with other bodies each time."""
    async with start(rate_limit_factor=1) as client:
        await client.ask("POST", "/users", USER)
        most = OWN["sign-in"].by_address
        bodies = [USER if n % 5 == 0 else {"email": f"{n}@x.org", "password": "x", f"extra{n}": n} for n in range(most)]
        for body in bodies:
            await client.ask("POST", "/login", body)
        refused = await client.ask("POST", "/login", {"username": "another", "password": "x"})
        assert (refused.status_code, refused.json()["code"]) == (429, 100)
        assert "address" in refused.json()["error"]
        assert (await client.ask("POST", "/login", USER, ip="10.7.7.7")).status_code == 200


async def test_a_right_password_gives_the_account_its_attempts_back(start: Start) -> None:
    async with start(rate_limit_factor=1) as client:
        await client.ask("POST", "/users", USER)
        for n in range(4):
            assert await client.statuses(9, "POST", "/login", {**USER, "password": "x"}, ip=f"10.0.0.{n}") == [404] * 9
            assert (await client.ask("POST", "/login", USER, ip=f"10.0.0.{n}")).status_code == 200


@pytest.mark.parametrize("path", ["/users", "/classes/_User"])
async def test_sign_ups_of_one_address_are_limited(start: Start, path: str) -> None:
    async with start(rate_limit_factor=1) as client:
        most = OWN["sign-up"].by_address
        taken = [{"username": f"u{n}"} for n in range(most + 1)]  # no password: refused, and counted
        statuses = [(await client.ask("POST", path, body)).status_code for body in taken]
        assert statuses == [400] * most + [429]
        assert (await client.ask("POST", "/classes/Other", {})).status_code == 201


@pytest.mark.parametrize("path", ["/requestPasswordReset", "/verificationEmailRequest"])
async def test_mail_requests_are_limited(start: Start, path: str) -> None:
    async with start(rate_limit_factor=1) as client:
        codes = [(await client.ask("POST", path, {"email": "a@x.org"}, ip=f"10.0.0.{n}")).json()["code"] for n in range(12)]
        assert codes[OWN["mail"].crowd :] == [100, 100]
        assert 100 not in codes[: OWN["mail"].crowd]
        codes = [(await client.ask("POST", path, {"email": "b@x.org"})).json()["code"] for _ in range(6)]
        assert codes[OWN["mail"].by_account :] == [100]
        assert 100 not in codes[: OWN["mail"].by_account]


@pytest.mark.parametrize(("factor", "limited"), [(0, False), (100, False), (1, True)])
async def test_presets_widen_the_limits_or_take_them_away(start: Start, factor: int, limited: bool) -> None:
    async with start(rate_limit_factor=factor) as client:
        statuses = await client.statuses(12, "POST", "/verificationEmailRequest", {"email": "a@x.org"})
        assert (statuses[-1] == 429) is limited
    async with start(rate_limit_factor=factor) as client:
        assert 429 not in await client.statuses(12, "POST", "/verificationEmailRequest", {"email": "a@x.org"}, sent=MASTER)


async def test_memory_is_bounded() -> None:
    """However many names are tried; and what has ended is let go."""
    counters = MemoryCounters(most=100)
    for n in range(1000):
        await counters.hit(f"a|{n}", 1000, now=n // 10)
    assert len(counters) == 100
    assert await counters.hit("a|999", 1000, now=100) == Use("a|999", 2, 1099)
    assert await counters.hit("a|new", 1000, now=5000) == Use("a|new", 1, 6000)
    assert len(counters) == 1


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "10.0.0.1", False),
    ],
)
def test_addresses_count_by_network(one: str, other: str, alike: bool) -> None:
    assert (network_of(one) == network_of(other)) is alike


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/classes/Open", 200),
        ("/classes/Open/", 200),
        ("/classes/Open?where={}", 200),
        ("/classes/Closed", 400),
        ("/classes/Open/../Closed", 400),
        ("/classes/Open%2F..%2FClosed", 400),
        ("//classes/Closed", 400),
        ("/classes/Closed?/classes/Open", 400),
        ("/config", 400),
    ],
)
async def test_row_38_only_listed_routes_are_open(start: Start, path: str, status: int) -> None:
    async with start(route_allow_list=("classes/Open", "batch")) as client:
        answer = await client.ask("GET", path)
        assert answer.status_code == status, answer.text
        assert status == 200 or answer.json()["code"] == 119
        assert "119" not in (await client.ask("GET", path, sent=MASTER)).text


@pytest.mark.parametrize("path", ["classes/Closed", "/classes/Closed", "/classes/Open/../Closed", "/CLASSES/Closed", "/classes/Closed/"])
async def test_row_38_a_batch_opens_no_further_route(start: Start, path: str) -> None:
    async with start(route_allow_list=("classes/Open", "batch"), sanitized_errors=True) as client:
        part = {"method": "POST", "path": f"/parse/{path}", "body": {}}
        refused = await client.ask("POST", "/batch", {"requests": [part]})
        assert (refused.status_code, refused.json()) == (400, {"code": 119, "error": "Permission denied"})
        part["path"] = "/parse/classes/Open"
        assert "success" in (await client.ask("POST", "/batch", {"requests": [part]})).json()[0]


async def test_what_an_address_tells_of_users_does_not_fill_the_disk(start: Start) -> None:
    async with start(stored=False, rate_limit_factor=2 / TRACKED) as client:
        codes = [(await client.ask("POST", "/events/AppOpened", {"username": "ann"}, ip="10.0.0.1")).status_code for _ in range(4)]
        assert codes == [200, 200, 429, 429]
        assert (await client.ask("POST", "/events/AppOpened", {"username": "ann"}, ip="10.0.0.2")).status_code == 200
