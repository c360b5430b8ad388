"""Several requests in one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.wire.conftest import Running
from tests.wire.scenarios import APP, MASTER, Case, play


def _one(method: Any, path: Any, body: Any = None) -> dict[str, Any]:
    return {"requests": [{"method": method, "path": path, "body": body}]}


CASES = (
    Case("no requests", "POST", "/batch", 400, ('"code":107', "requests must be an array"), json={}),
    Case("a list", "POST", "/batch", 400, ('"code":107',), json=[_one("GET", "/parse/classes/B")]),
    Case("none", "POST", "/batch", 200, ("[]",), json={"requests": []}),
    Case("not below the mount", "POST", "/batch", 400, ("cannot route batch path /classes/B",), json=_one("POST", "/classes/B", {})),
    Case("another mount", "POST", "/batch", 400, ("cannot route batch path",), json=_one("POST", "/parsed/classes/B", {})),
    Case("climbing", "POST", "/batch", 400, ("cannot route",), json=_one("GET", "/parse/classes/../../health")),
    Case("files", "POST", "/batch", 400, ("cannot route",), json=_one("POST", "/parse/files/a.txt", {"base64": "AA=="})),
    Case("nested", "POST", "/batch", 400, ("nested batch",), json=_one("POST", "/parse/batch", {"requests": []})),
    Case("nested in disguise", "POST", "/batch", 400, ("nested batch",), json=_one("post", "/parse//x/../BATCH/", {"requests": []})),
    Case("method of no sort", "POST", "/batch", 400, ("cannot route",), json=_one(["GET"], "/parse/classes/B")),
    Case("path of no sort", "POST", "/batch", 400, ("batch request path must be a string",), json=_one("GET", {"$ne": 1})),
    Case("body of no sort", "POST", "/batch", 200, ('"code":107',), json=_one("POST", "/parse/classes/B", "x")),
    Case(
        "too many", "POST", "/batch", 400, ("exceeds the limit of 5",), json={"requests": _one("GET", "/parse/classes/B")["requests"] * 6}
    ),
    Case("not too many", "POST", "/batch", 200, sent=MASTER, json={"requests": _one("GET", "/parse/classes/B")["requests"] * 6}),
    Case(
        "master key smuggled in",
        "POST",
        "/batch",
        200,
        ('{"error":{"error":"unauthorized: master key is required"}}',),
        json=_one("GET", "/parse/schemas/B", {"_MasterKey": "master"}),
    ),
    Case("options of a find", "POST", "/batch", 200, ('"count":',), json=_one("GET", "/parse/classes/B", {"count": 1, "limit": 0})),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_batch_is_answered_as_clients_expect(http: httpx.Client, server: Running, case: Case) -> None:
    play(http, server.base, case)


def test_a_bad_part_stops_the_others_before_they_begin(http: httpx.Client, server: Running) -> None:
    good = {"method": "POST", "path": "/parse/classes/Never", "body": {"a": 1}}
    bad = {"method": "POST", "path": "/parse/nope", "body": {}}
    play(http, server.base, Case("both", "POST", "/batch", 400, json={"requests": [good, bad]}))
    play(http, server.base, Case("nothing was made", "GET", "/classes/Never", 200, ('"results":[]',)))


@pytest.mark.parametrize("transaction", [True, False])
def test_a_transaction_is_all_or_none(http: httpx.Client, server: Running, transaction: bool) -> None:
    name = f"Tx{transaction}"
    play(http, server.base, Case("the class", "POST", f"/classes/{name}", 201, json={"n": 0}))
    parts = [{"method": "POST", "path": f"/parse/classes/{name}", "body": {"n": n}} for n in (1, "x", 2)]
    answer = http.post(f"{server.base}/batch", headers=APP, json={"requests": parts, "transaction": transaction})
    kept = http.get(f"{server.base}/classes/{name}?count=1&limit=0", headers=APP).json()["count"]
    if transaction:
        assert (answer.status_code, answer.json()["code"], kept) == (400, 111, 1)
    else:
        assert ([sorted(part) for part in answer.json()], kept) == ([["success"], ["error"], ["success"]], 3)
    good = [part for part in parts if part["body"] != {"n": "x"}]
    answer = http.post(f"{server.base}/batch", headers=APP, json={"requests": good, "transaction": transaction})
    assert answer.status_code == 200, answer.text
    assert all("success" in part for part in answer.json())
