"""Endpoints that an app's own code declares, as any HTTP client sees them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.functions.conftest import APPS
from tests.wire.people import Person, fresh


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("endpoints"), settings={"preset": "parse", "functions": APPS / "endpoints"}) as running:
        yield running


@pytest.fixture
def http(server: TestServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/api/v1/http/{APP_ID}", timeout=30) as client:
        yield client


def test_anybody_may_call_without_keys(http: httpx.Client) -> None:
    secrets = {"X-Api-Key": "k", "Authorization": "Basic eDp5", "Cookie": "a=b"}
    answer = http.get("/report/a%20b", params=[("x", "1"), ("x", "2"), ("y", "é")], headers={"X-Signature": "s", **secrets})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    told = answer.json()
    assert (told["id"], told["query"], told["ip"]) == ("a b", {"x": ["1", "2"], "y": "é"}, "127.0.0.1")
    assert "x-signature" in told["headers"]
    assert not {"x-api-key", "authorization", "cookie"} & set(told["headers"])


def test_a_constant_part_comes_before_a_variable_one(http: httpx.Client) -> None:
    answer = http.get("/report/latest")
    assert (answer.text, answer.headers["content-type"]) == ("the latest", "text/plain; charset=utf-8")


@pytest.mark.parametrize("keys", [{}, {"X-Parse-Application-Id": APP_ID}], ids=["bare", "with keys"])
def test_the_body_arrives_as_it_was_sent(http: httpx.Client, keys: dict[str, str]) -> None:
    """Nothing of it is taken for keys or for another method, whatever it looks like."""
    for body in (b'{"_method": "GET", "_ApplicationId": "x", "n": 1}', b"\x00\xff not json", b"", b"n=1&_method=PUT"):
        answer = http.post("/echo", content=body, headers={"Content-Type": "application/x-own", **keys})
        assert (answer.status_code, answer.content) == (202, body)
        assert (answer.headers["content-type"], answer.headers["x-own"]) == ("application/x-own", "yes")
    packed = http.post("/echo", content=gzip.compress(b"packed"), headers={"Content-Encoding": "gzip", **keys})
    assert packed.content == b"packed"
    told = http.put("/tree/a/b", json={"n": 5}, headers=keys)
    assert (told.text, told.headers["content-type"]) == ("PUT /tree/a/b a/b 5", "application/octet-stream")
    assert (http.delete("/nothing", headers=keys).status_code, http.head("/report/latest", headers=keys).text) == (204, "")


@pytest.mark.parametrize("keys", [{}, {"X-Parse-Application-Id": APP_ID}], ids=["bare", "with keys"])
def test_a_body_that_is_too_long_is_refused(http: httpx.Client, keys: dict[str, str]) -> None:
    answer = http.post("/echo", content=b"x" * (10 * 1024 * 1024 + 1), headers=keys)
    assert (answer.status_code, answer.json()["code"]) == (413, 116)


def test_a_session_says_who_asks(server: TestServer, http: httpx.Client) -> None:
    ann = Person.signed_up(server)
    own = fresh()
    ann.save("Own", {"name": own, "ACL": {ann.id: {"read": True}}})
    answer = http.get("/me", headers={"X-Parse-Session-Token": ann.headers["X-Parse-Session-Token"]}).json()
    assert (answer["name"][:4], answer["master"], [one["name"] for one in answer["own"]]) == ("user", False, [own])
    refused = http.get("/me")
    assert (refused.status_code, refused.json()) == (400, {"code": 142, "error": "Validation failed. Please login to continue."})
    wrong = http.get("/me", headers={"X-Parse-Session-Token": "r:none"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, 209)


def test_the_master_key_is_told(http: httpx.Client) -> None:
    assert http.get("/admin").json()["code"] == 142
    keys = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}
    assert http.get("/admin", headers=keys).text == "welcome"


def test_what_goes_wrong_is_told_as_everywhere(http: httpx.Client) -> None:
    for how, status, code in (("error", 400, 4711), ("other", 400, 141), ("crash", 400, 141), ("header", 400, 141), ("status", 400, 141)):
        answer = http.get(f"/fails/{how}")
        assert (how, answer.status_code, answer.json()["code"]) == (how, status, code)
    assert http.get("/fails/huge").json() == {"code": 116, "error": "an answer has no more than 10 MB"}


def test_what_is_not_declared_is_not_there(server: TestServer, http: httpx.Client) -> None:
    for path in ("/other", "/report", "/echo"):
        answer = http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, 101)
    assert server.get("/api/v1/http/other/report/1")[0] == 404


@pytest.mark.parametrize("keys", [{}, {"X-Parse-Application-Id": APP_ID}], ids=["bare", "with keys"])
def test_the_apps_limits_hold_with_and_without_keys(tmp_path: Path, keys: dict[str, str]) -> None:
    path = f"/api/v1/http/{APP_ID}/report/latest"
    limit = {"requestPath": path, "requestTimeWindow": 60_000, "requestCount": 2, "includeInternalRequests": True}
    options = {"appId": APP_ID, "masterKey": MASTER_KEY, "rateLimit": [limit], "routeAllowList": ["api/v1/http/.*/report/.*", "health"]}
    with TestServer.with_parse_options(tmp_path, options, functions=APPS / "endpoints") as running:
        assert [running.get(path, keys)[0] for _ in range(3)] == [200, 200, 429]
        assert running.call("POST", f"/api/v1/http/{APP_ID}/echo", {}, keys) == (403, {"code": 119, "error": "Permission denied"})


@pytest.mark.parametrize("line", ['"PATCH", "/x"', '"GET", "x"', '"GET", "/:id"', '"GET", "/a/*/b"', '"GET", "/a b"'])
def test_an_endpoint_that_makes_no_sense_is_not_declared(tmp_path: Path, line: str) -> None:
    code = f"from mbaas_functions import cloud\n\n@cloud.http({line})\nasync def none(request): ...\n"
    (tmp_path / "main.py").write_text(code)
    with pytest.raises(RuntimeError, match="no endpoint"):
        TestServer(tmp_path / "server", settings={"functions": tmp_path}).start()
