"""Rows 39, 40, 50 and 52, and headers: who may use which key from where, and what the read-only key may not do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbaas.testing.process import TestServer
from mbaas.wire.rest.table import table
from mbaas.wire.routes import Route
from tests.security.attack import ANON, MASTER, READ_ONLY, WAYS, Target, Way

HARMLESS = {
    "GET /login",
    "POST /login",
    "POST /logout",
    "GET /verifyPassword",
    "POST /verifyPassword",
    "POST /requestPasswordReset",
    "POST /verificationEmailRequest",
    "POST /challenge",
    "POST /upgradeToRevocableSession",
    "POST /functions/:functionName",
    "POST /events/:eventName",
    "POST /validate_purchase",
    "POST /batch",
    "POST /files",
}
"""Routes that need no master key and give it nothing that a client does not have, or only refuse."""

WRITING = [route for route in table().routes if route.method != "GET" and f"{route.method} {route.pattern}" not in HARMLESS]
BODIES: dict[str, dict[str, object]] = {"/schemas": {"className": "New"}, "/loginAs": {"userId": "x"}, "/push": {"where": {}, "data": {}}}


def test_row_40_the_list_of_writing_routes_is_whole() -> None:
    """What is called harmless is still there, and every kind of writing route is on the list."""
    names = {f"{route.method} {route.pattern}" for route in table().routes}
    assert names >= HARMLESS
    assert {route.tag for route in WRITING} >= {"objects", "users", "sessions", "roles", "installations", "schemas", "config", "files"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("route", WRITING, ids=lambda route: f"{route.method} {route.pattern}")
def test_row_40_the_read_only_key_writes_nothing(parse: Target, route: Route, way: Way) -> None:
    pattern, method = route.pattern, route.method
    if way == "batch" and not route.batch:
        way = "plain"
    made = parse.make("Kept", {"a": 1})
    user = parse.user()
    values = {":className": "Kept", ":objectId": user.id if pattern.startswith("/users") else made, ":name": "f.txt", "*": "f.txt"}
    path = "/".join(values.get(part, part.lstrip(":")) for part in pattern.split("/"))
    before = parse.ask("GET", "/schemas", None, MASTER).body, parse.ask("GET", "/classes/Kept", None, MASTER).body
    body = {**BODIES.get(pattern, {"a": 2}), **({"username": parse.name(), "password": "x"} if pattern == "/users" else {})}
    answer = parse.ask(method, path, body, READ_ONLY, way)
    assert answer.code in (119, -403), answer.text
    assert (parse.ask("GET", "/schemas", None, MASTER).body, parse.ask("GET", "/classes/Kept", None, MASTER).body) == before


@pytest.mark.parametrize("way", WAYS)
def test_row_40_the_read_only_key_reads(parse: Target, way: Way) -> None:
    made = parse.make("Kept", {"a": 1, "ACL": {}})
    for path in (f"/classes/Kept/{made}", "/schemas/Kept", "/users", "/config", "/serverInfo"):
        assert parse.ask("GET", path, None, READ_ONLY, way).code is None


@pytest.mark.parametrize("how", ["transaction", "plain"])
def test_row_40_nor_in_a_batch_with_a_key_smuggled_in(parse: Target, how: str) -> None:
    body = {"a": 1, "_MasterKey": "test-master-key"}
    part = {"method": "POST", "path": "/parse/classes/Kept", "body": body, "headers": {"X-Parse-Master-Key": "test-master-key"}}
    answer = parse.raw("POST", "/batch", json={"requests": [part], "transaction": how == "transaction"}, headers=READ_ONLY)
    assert '"code":119' in answer.text


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A server whose master key is for one network only, and that no proxy is declared for."""
    with TestServer(tmp_path_factory.mktemp("ips"), settings={"master_key_ips": "10.0.0.0/8", "preset": "parse"}) as server:
        yield server


SPOOFS: tuple[dict[str, str], ...] = (
    {"X-Forwarded-For": "10.0.0.1"},
    {"X-Forwarded-For": "127.0.0.1, 10.0.0.1"},
    {"X-Forwarded-For": "::ffff:10.0.0.1"},
    {"X-Real-IP": "10.0.0.1"},
    {"Forwarded": "for=10.0.0.1"},
    {"X-Client-IP": "10.0.0.1"},
    {"CF-Connecting-IP": "10.0.0.1"},
    {"True-Client-IP": "10.0.0.1"},
    {"X-Parse-Client-IP": "10.0.0.1"},
    {},
)


@pytest.mark.parametrize("spoof", SPOOFS, ids=str)
def test_row_39_no_header_moves_a_client_into_the_master_keys_network(behind: TestServer, spoof: dict[str, str]) -> None:
    assert behind.get("/parse/schemas", {**MASTER, **spoof}) == (403, {"error": "unauthorized"})
    body = {"_ApplicationId": "test-app", "_MasterKey": "test-master-key", "_method": "GET"}
    assert behind.call("POST", "/parse/schemas", body, spoof)[0] == 403
    part = {"method": "GET", "path": "/parse/schemas", "body": {"_MasterKey": "test-master-key"}}
    status, answer = behind.call("POST", "/parse/batch", {"requests": [part]}, {**ANON, **spoof})
    assert (status, [*answer[0]]) == (200, ["error"])


def test_row_39_a_declared_proxy_is_believed_for_its_nearest_hop_alone(tmp_path: Path) -> None:
    settings = {"master_key_ips": "10.0.0.0/8", "trusted_proxies": "127.0.0.1/32"}
    with TestServer(tmp_path, settings=settings) as server:
        for chain, status in (("10.0.0.1", 200), ("10.0.0.1, 203.0.113.7", 403), ("203.0.113.7, 10.0.0.1", 200), ("", 403), ("x", 403)):
            assert server.get("/parse/schemas", {**MASTER, "X-Forwarded-For": chain})[0] == status, chain


HEADERS = (
    "X-Parse-Client-Version", "X-Parse-Installation-Id", "X-Parse-Session-Token", "X-Parse-Application-Id", "X-Parse-Master-Key",
    "X-Parse-REST-API-Key", "X-Parse-Cloud-Context", "X-Parse-Request-Id", "Authorization", "Range", "Accept", "Origin", "Cookie",
)  # fmt: skip
PATHOLOGICAL = (
    "1" * 40_000,
    "js" + "1." * 20_000,
    "-" * 40_000 + "!",
    "a" * 20_000 + "@" * 20_000,
    "x" + "\t " * 20_000 + "x",
    "é" * 10_000,
)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("value", PATHOLOGICAL, ids=lambda value: value[:4])
def test_row_50_no_header_costs_time(target: Target, header: str, value: str) -> None:
    began = time.monotonic()
    answer = target.raw("GET", "/classes/Kept", headers={**ANON, header: value.encode("latin-1")})
    assert answer.status_code < 500
    assert time.monotonic() - began < 2.0


def test_row_50_long_headers_are_not_remembered(parse: Target) -> None:
    """A hundred requests of 50 kB each, all different, leave nothing behind."""
    memory = Path(f"/proc/{parse.server.process.pid}/statm") if parse.server.process else Path()

    def resident() -> int:
        return int(memory.read_text().split()[1]) * 4096

    def send(start: int) -> None:
        for n in range(start, start + 400):
            parse.raw("GET", "/health", headers={**ANON, "X-Parse-Client-Version": f"{n:06}" * 8000})
            parse.raw("GET", "/config", headers={**ANON, "X-Parse-Client-Version": f"{n:06}" * 8000})

    send(0)
    before = resident()
    send(1000)
    assert resident() - before < 400 * 48_000 / 2


@pytest.mark.parametrize(
    "path", ["/graphql", "/playground", "/graphql-config", "/subscriptions", "/pages/x", "/apps/test-app/verify_email"]
)
def test_row_52_what_is_not_served_is_not_there(target: Target, path: str) -> None:
    for method in ("GET", "POST"):
        assert target.raw(method, path, headers=ANON).status_code == 404
        assert target.raw(method, path).status_code in (403, 404)
