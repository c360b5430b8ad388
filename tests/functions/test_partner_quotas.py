"""How often partners may be called, how callers learn of it, and what was counted."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from mbaas.observe.logs import start_logging
from mbaas_functions.partners.usage import Usage
from tests.functions.partnership import Partnership
from tests.functions.web import respond

HOUR, DAY = 3_600_000, 24 * 3_600_000


def limits(partners: Partnership, **limits: int) -> dict[str, Any]:
    return {"live": {"url": partners.elsewhere.url("/taxi"), "limits": limits}}


async def test_an_answer_says_what_is_left(partners: Partnership) -> None:
    await partners.partner(**limits(partners, perMinute=2, perMonth=10))
    partners.clock.advance(60_000 - partners.clock.now() % 60_000 + 15_000)
    left = [(await partners.call()).headers["ratelimit"].partition(",")[0] for _ in range(2)]
    assert left == ['"taxi perMinute"; r=1; t=45', '"taxi perMinute"; r=0; t=45']
    refused = await partners.call()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "45")
    assert refused.headers["ratelimit"] == '"taxi perMinute"; r=0; t=45'
    assert refused.headers["ratelimit-policy"] == '"taxi perMinute"; q=2; w=60'
    partners.clock.advance(45_000)
    answer = await partners.call()
    policies = answer.headers["ratelimit-policy"]
    assert (answer.status_code, policies) == (200, '"taxi perMinute"; q=2; w=60, "taxi perMonth"; q=10; w=2592000')
    assert '"taxi perMonth"; r=7; ' in answer.headers["ratelimit"]


async def test_the_log_is_told_of_a_month_that_runs_out(partners: Partnership) -> None:
    log = io.StringIO()
    start_logging("json", stream=log)
    await partners.partner(**limits(partners, perMonth=10))
    told = []
    for _ in range(12):
        await partners.call()
        told.append(log.getvalue().count("has used up so much"))
    assert told == [*[0] * 7, 1, 1, *[2] * 3]


async def test_many_at_once_use_a_quota_up_exactly(partners: Partnership) -> None:
    """Of 60 calls, 25 are made; a call that is refused uses nothing up."""
    await partners.partner(**limits(partners, perMonth=25, concurrency=60))
    told = [answer.status_code for answer in await asyncio.gather(*(partners.call() for _ in range(60)))]
    assert (told.count(200), told.count(429), len(partners.elsewhere.to("/taxi/offer"))) == (25, 35, 25)
    await partners.desk("PATCH", "/taxi", {"live": {"limits": {"perMonth": 26}}})
    assert [(await partners.call()).status_code for _ in range(2)] == [200, 429]


async def test_usage_is_read_by_hour_day_and_month(partners: Partnership) -> None:
    await partners.partner()
    await partners.partner("bus")
    partners.clock.advance(DAY - partners.clock.now() % DAY)
    for _ in range(3):
        assert (await partners.call()).status_code == 200
        partners.clock.advance(HOUR)
    partners.elsewhere.on["/taxi/offer"] = lambda to, body: respond(to, 500, b"")
    assert (await partners.call()).status_code == 400
    assert (await partners.call("bus.offer")).status_code == 200
    hours = (await partners.desk("GET", "/taxi/usage"))["results"]
    [day] = (await partners.desk("GET", "/taxi/usage?by=day"))["results"]
    [month] = (await partners.desk("GET", "/taxi/usage?by=month"))["results"]
    assert [(row["calls"], row["failed"]) for row in hours] == [(1, 0), (1, 0), (1, 0), (1, 1)]
    assert (day["day"], day["calls"], day["ok"], day["failed"]) == (hours[0]["hour"][:10], 4, 3, 1)
    assert (month["month"], month["calls"], month["p95Ms"] >= day["latencyMs"] / 2) == (day["day"][:7], 4, True)
    within = await partners.desk("GET", f"/taxi/usage?from={hours[1]['hour']}&to={hours[2]['hour']}")
    assert within["results"] == hours[1:3]
    assert (await partners.desk("GET", f"/taxi/usage?to={day['day']}"))["results"] == hours
    every = (await partners.ask("GET", "/api/v1/usage/partners?by=day")).json()["results"]
    assert {(row["partner"], row["calls"]) for row in every} == {("taxi", 4), ("bus", 1)}
    text = (await partners.ask("GET", "/api/v1/usage/partners?by=month&format=csv")).text.splitlines()
    assert text[0] == "partner,environment,month,operation,calls,ok,failed,unreachable,ms,sent,received"
    assert text[1].startswith(f"bus,live,{month['month']},offer,1,1,0,0,")
    assert (await partners.refused("GET", "/taxi/usage?by=week")) == (400, 102)


async def test_what_was_counted_is_there_after_the_server_has_stopped(partners: Partnership) -> None:
    await partners.partner()
    for _ in range(5):
        await partners.call()
    await partners.functions.partners.close()
    [row] = await Usage(partners.app).read(["taxi"])
    assert row["calls"] == 5
