"""`/campaigns`: writing, rehearsing, approving, scheduling and stopping them, and what became of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, format_of, report_as, text, whole
from mbaas_push.room import campaigns_of

_PAGE, _MOST = 100, 1000
_SAMPLE, _MOST_SAMPLE = 5, 100
_CHANGE = "change campaigns"


async def campaigns(request: Request) -> Json:
    """The campaigns."""
    room, limit = campaigns_of(request.app), max(1, whole(request, "limit", _PAGE, _MOST))
    found, following = await room.store.page(text(request, "cursor") or "", limit)
    return {"results": [await room.told(campaign) for campaign in found], "next": following}


async def create(request: Request) -> Answer:
    """A new draft."""
    made = await campaigns_of(request.app).create(request.object(), request.caller, request.header(b"idempotency-key"))
    return Answer(201, orjson.dumps(made))


async def campaign(request: Request) -> Json:
    """One campaign."""
    return await campaigns_of(request.app).get(request.params[0])


async def edit(request: Request) -> Json:
    """A new version of a campaign, which is a draft."""
    return await campaigns_of(request.app).edit(request.params[0], request.object(), request.caller, request.if_match())


async def delete(request: Request) -> Json:
    """Forget a campaign that is not under way."""
    await campaigns_of(request.app).delete(request.params[0], request.caller, request.if_match())
    return {}


async def duplicate(request: Request) -> Answer:
    """Another draft like it."""
    made = await campaigns_of(request.app).duplicate(request.params[0], request.caller)
    return Answer(201, orjson.dumps(made))


async def order(request: Request) -> Json:
    """Approve, schedule, pause, resume or cancel a campaign."""
    from mbaas_push.campaigns.campaigns import ORDERS

    room, (campaign_id, asked) = campaigns_of(request.app), request.params
    if asked not in ORDERS:
        raise ParseError(Code.INVALID_VALUE, f"A campaign is told to {', '.join(ORDERS)}.")
    return await room.order(campaign_id, asked, request.caller, request.if_match())


async def preview(request: Request) -> Json:
    """How many are in an audience now, and some of them."""
    from mbaas_push.campaigns import rehearsal

    room = campaigns_of(request.app)
    return await rehearsal.preview(room, request.object(), max(1, whole(request, "sample", _SAMPLE, _MOST_SAMPLE)))


async def send_test(request: Request) -> Answer:
    """Send a campaign to some devices at once."""
    from mbaas_push.campaigns import rehearsal

    room = campaigns_of(request.app)
    run = await rehearsal.send_test(room, await room.store.get(request.params[0]), request.object())
    return Answer(202, orjson.dumps({"id": run}))


async def dry_run(request: Request) -> Answer | Json:
    """What everybody in the audience would be sent, or why not; as NDJSON all of them."""
    from mbaas_push.campaigns import rehearsal
    from mbaas_push.campaigns.definition import check_shown

    room = campaigns_of(request.app)
    found, limit = await room.store.get(request.params[0]), whole(request, "limit", _PAGE, _MOST)
    if format_of(request, "json", "ndjson") == "json":
        return await rehearsal.dry_run(room, found, limit)
    # An answer that has begun cannot be refused.
    check_shown(request.app, found.definition)

    async def lines() -> AsyncIterator[bytes]:
        async for one in rehearsal.rehearse(room, found):
            yield orjson.dumps(one.told()) + b"\n"

    return Answer(content_type=b"application/x-ndjson", stream=lines())


async def versions(request: Request) -> Json:
    """The versions of a campaign."""
    return {"results": await campaigns_of(request.app).store.versions(request.params[0])}


async def audit(request: Request) -> Json:
    """Who did what to a campaign."""
    return {"results": await campaigns_of(request.app).store.audit(request.params[0])}


async def runs(request: Request) -> Json:
    """The runs of a campaign; `/push/<id>` says how far one is."""
    room = campaigns_of(request.app)
    await room.store.get(request.params[0])
    return {"results": await room.store.runs(request.params[0])}


async def report(request: Request) -> Answer | Json:
    """What became of a campaign."""
    from mbaas_push.campaigns.report import Report

    room, run = campaigns_of(request.app), text(request, "run")
    await room.store.get(request.params[0])
    every = [each["id"] for each in await room.store.runs(request.params[0]) if each["id"] == run or (run is None and not each["test"])]
    if run is not None and not every:
        raise ParseError(Code.OBJECT_NOT_FOUND, "The campaign has no such run.")
    made = await Report.of(request.app, [f"{each}:" for each in every])
    return report_as(request, made, runs=list[Json](every))


async def why(request: Request) -> Json:
    """Why somebody did not get a campaign."""
    from mbaas_push.campaigns.why import why as answer

    campaigns_of(request.app)
    user, installation = text(request, "user"), text(request, "installation")
    if (user is None) == (installation is None):
        raise ParseError(Code.INVALID_QUERY, "user or installation must be the id of one.")
    return {"results": await answer(request.app, *request.params, user=user, installation=installation)}


_ONE = "/campaigns/:campaignId"
_reading = partial(Route, tag="campaigns", base=BASE, master=True)
_changing = partial(_reading, read_only=_CHANGE)

ROUTES = (
    _reading("GET", "/campaigns", campaigns, "Campaigns"),
    _changing("POST", "/campaigns", create, "A new draft", status=201),
    _reading("POST", "/campaigns/audience/preview", preview, "How many are in an audience"),
    _reading("GET", _ONE, campaign, "One campaign"),
    _changing("PUT", _ONE, edit, "A new version of a campaign"),
    _changing("DELETE", _ONE, delete, "Forget a campaign"),
    _changing("POST", f"{_ONE}/duplicate", duplicate, "Another draft like it", status=201),
    _changing("POST", f"{_ONE}/test", send_test, "Send a campaign to some devices", status=202),
    _reading("POST", f"{_ONE}/dry-run", dry_run, "What everybody would be sent, or why not"),
    _reading("GET", f"{_ONE}/versions", versions, "The versions of a campaign"),
    _reading("GET", f"{_ONE}/audit", audit, "Who did what to a campaign"),
    _reading("GET", f"{_ONE}/runs", runs, "The runs of a campaign"),
    _reading("GET", f"{_ONE}/runs/:runId/why", why, "Why somebody did not get it"),
    _reading("GET", f"{_ONE}/report", report, "What became of a campaign"),
    _changing("POST", f"{_ONE}/:order", order, "Approve, schedule, pause, resume or cancel a campaign"),
)
