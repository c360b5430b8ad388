"""Calls under an Idempotency-Key: one call, one answer, for those who ask again and for nobody else."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

from tests.functions.partnership import KEYS, TAXI, Partnership
from tests.functions.web import respond
from tests.waiting import until

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


async def test_the_same_key_has_the_same_answer_and_one_call(partners: Partnership) -> None:
    await partners.partner()
    partners.elsewhere.on["/taxi/offer"] = {"price": 1}
    first = await partners.call(**KEY)
    partners.elsewhere.on["/taxi/offer"] = {"price": 2}
    again = await partners.call(**KEY)
    assert (first.json(), again.json()) == ({"result": {"price": 1}}, {"result": {"price": 1}})
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert (await partners.call(**{"Idempotency-Key": "another"})).json() == {"result": {"price": 2}}
    assert len(partners.elsewhere.to("/taxi/offer")) == 2
    partners.clock.advance(24 * 3_600_000)
    assert (await partners.call(**KEY)).json() == {"result": {"price": 2}}


async def test_a_failure_is_an_answer_and_what_was_not_made_is_none(partners: Partnership) -> None:
    await partners.partner(live={"url": partners.elsewhere.url("/taxi"), "limits": {"perMinute": 1}})
    partners.elsewhere.on["/taxi/offer"] = lambda to, body: respond(to, 500, b"")
    told = [(answer.status_code, answer.json()) for answer in [await partners.call(**KEY) for _ in range(2)]]
    assert told == [(400, {"code": 141, "error": "taxi.offer failed: its answer has the status 500."})] * 2
    assert len(partners.elsewhere.to("/taxi/offer")) == 1
    partners.elsewhere.on["/taxi/offer"] = {"price": 1}
    other = {"Idempotency-Key": "other"}
    assert (await partners.call(**other)).status_code == 429
    partners.clock.advance(60_000)
    assert (await partners.call(**other)).json() == {"result": {"price": 1}}


async def test_a_key_is_not_used_for_something_else(partners: Partnership) -> None:
    await partners.partner(manifest={"operations": {**TAXI["operations"], "cancel": {}}})
    assert (await partners.call(params={"to": "a", "n": 1}, **KEY)).status_code == 200
    assert (await partners.call(params={"n": 1, "to": "a"}, **KEY)).status_code == 200
    other = await partners.call(params={"to": "b"}, **KEY)
    assert (other.status_code, other.json()["code"]) == (422, 159)
    assert (await partners.call("taxi.cancel", **KEY)).status_code == 200
    await partners.desk("PATCH", "/taxi", {"sandbox": {"url": partners.elsewhere.url("/sandbox")}})
    await partners.desk("PUT", "/taxi/grant", {"environment": "sandbox"})
    assert (await partners.call(params={"to": "b"}, **KEY)).status_code == 200
    assert len(partners.elsewhere.to("/sandbox/offer")) == 1
    assert (await partners.call(**{"Idempotency-Key": "x" * 256})).json()["code"] == 162


async def test_nobody_is_told_what_somebody_else_was_answered(partners: Partnership) -> None:
    await partners.partner()
    prices = iter(range(10))

    def next_price(to: BaseHTTPRequestHandler, body: Any) -> None:
        respond(to, 200, b'{"price": %d}' % next(prices))

    partners.elsewhere.on["/taxi/offer"] = next_price
    tokens = []
    for name in ("ann", "bob"):
        answer = await partners.ask("POST", "/parse/users", {"username": name, "password": "right"}, KEYS)
        assert answer.status_code == 201, answer.text
        tokens.append(answer.json()["sessionToken"])
    callers: list[dict[str, str]] = [{"X-Parse-Session-Token": token} for token in tokens]
    callers += [{"X-Parse-Installation-Id": "one"}, {}, {"X-Parse-Master-Key": "m"}]
    told = [(await partners.call(**caller, **KEY)).json()["result"]["price"] for caller in callers]
    assert told == [0, 1, 2, 3, 4]
    assert [(await partners.call(**caller, **KEY)).json()["result"]["price"] for caller in callers] == told


async def test_one_that_comes_while_the_first_is_under_way_is_told_so(partners: Partnership) -> None:
    """And where the first one never ends, the next is made under the same webhook-id, by which the partner knows it."""
    await partners.partner()
    goes_on = Event()

    def slow(to: BaseHTTPRequestHandler, body: Any) -> None:
        goes_on.wait(30)
        respond(to, 200, b"{}")

    partners.elsewhere.on["/taxi/offer"] = slow
    first = asyncio.create_task(partners.call(**KEY))
    await until(lambda: len(partners.elsewhere.to("/taxi/offer")) == 1)
    second = await partners.call(**KEY)
    assert (second.status_code, second.json()["code"]) == (409, 159)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    goes_on.set()
    assert (await partners.call(**KEY)).status_code == 409
    partners.clock.advance(60_000)
    assert (await partners.call(**KEY)).status_code == 200
    ids = [each.headers["webhook-id"] for each in partners.elsewhere.to("/taxi/offer")]
    assert (len(ids), len(set(ids))) == (2, 1)


async def test_a_browser_may_send_the_key(partners: Partnership) -> None:
    asked = {"Access-Control-Request-Headers": "idempotency-key,x-parse-application-id"}
    answer = await partners.ask("OPTIONS", "/parse/functions/taxi.offer", headers=asked)
    assert "Idempotency-Key" in answer.headers.get_list("access-control-allow-headers", split_commas=True)
