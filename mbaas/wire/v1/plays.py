"""`/plays`: what marketers bind to moments, written, made live and stopped, and what became of it."""

from __future__ import annotations

from functools import partial

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.errors import refuse_read_only
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, report_as, text, whole
from mbaas_push.room import moments_of, runs_of

_PAGE, _MOST = 100, 1000
_CHANGE = "change plays"


async def plays(request: Request) -> Json:
    """The plays."""
    room, limit = moments_of(request.app).plays, max(1, whole(request, "limit", _PAGE, _MOST))
    found, following = await room.store.page(text(request, "cursor") or "", limit)
    return {"results": [play.told() for play in found], "next": following}


async def create(request: Request) -> Answer:
    """A new draft."""
    made = await moments_of(request.app).plays.create(request.object(), request.caller, request.header(b"idempotency-key"))
    return Answer(201, orjson.dumps(made))


async def play(request: Request) -> Json:
    """One play."""
    return await moments_of(request.app).plays.get(request.params[0])


async def edit(request: Request) -> Json:
    """A new version of a play that is not live."""
    return await moments_of(request.app).plays.edit(request.params[0], request.object(), request.caller, request.if_match())


async def delete(request: Request) -> Json:
    """Forget a play that is a draft or retired."""
    await moments_of(request.app).plays.delete(request.params[0], request.caller, request.if_match())
    return {}


async def duplicate(request: Request) -> Answer:
    """Another draft like it."""
    made = await moments_of(request.app).plays.duplicate(request.params[0], request.caller)
    return Answer(201, orjson.dumps(made))


async def order(request: Request) -> Json:
    """Start, pause, resume or retire a play."""
    from mbaas_push.moments.plays import ORDERS

    room, (play_id, asked) = moments_of(request.app).plays, request.params
    if asked not in ORDERS:
        raise ParseError(Code.INVALID_VALUE, f"A play is told to {', '.join(ORDERS)}.")
    return await room.order(play_id, asked, request.caller, request.if_match())


async def dry_run(request: Request) -> Json:
    """What would be sent for an event, to whom, and why not."""
    from mbaas_push.moments import rehearsal

    room = moments_of(request.app)
    play, limit = await room.plays.store.get(request.params[0]), whole(request, "limit", _PAGE, _MOST)
    if request.object().get("ask"):
        refuse_read_only(request.caller, "ask functions for offers")
    return await rehearsal.dry_run(request.app, room, play, request.object(), limit)


async def send_test(request: Request) -> Answer:
    """Send a play to some devices at once."""
    from mbaas_push.moments import rehearsal

    room = moments_of(request.app)
    play = await room.plays.store.get(request.params[0])
    run = await rehearsal.send_test(request.app, room, runs_of(request.app), play, request.object())
    return Answer(202, orjson.dumps({"id": run}))


async def versions(request: Request) -> Json:
    """The versions of a play."""
    return {"results": await moments_of(request.app).plays.store.versions(request.params[0])}


async def audit(request: Request) -> Json:
    """Who did what to a play."""
    return {"results": await moments_of(request.app).plays.store.audit(request.params[0])}


async def fires(request: Request) -> Json:
    """What set a play off, the oldest first."""
    room = moments_of(request.app)
    await room.plays.store.get(request.params[0])
    limit = max(1, whole(request, "limit", _PAGE, _MOST))
    found, following = await room.fires(request.params[0], text(request, "cursor") or "", limit)
    return {"results": found, "next": following}


async def play_report(request: Request) -> Answer | Json:
    """What became of a play."""
    from mbaas_push.moments.report import PlayReport

    await moments_of(request.app).plays.store.get(request.params[0])
    return report_as(request, await PlayReport.of_play(request.app, request.params[0]))


_ONE = "/plays/:playId"
_reading = partial(Route, tag="plays", base=BASE, master=True)
_changing = partial(_reading, read_only=_CHANGE)

ROUTES = (
    _reading("GET", "/plays", plays, "Plays"),
    _changing("POST", "/plays", create, "A new draft", status=201),
    _reading("GET", _ONE, play, "One play"),
    _changing("PUT", _ONE, edit, "A new version of a play"),
    _changing("DELETE", _ONE, delete, "Forget a play"),
    _changing("POST", f"{_ONE}/duplicate", duplicate, "Another draft like it", status=201),
    _changing("POST", f"{_ONE}/test", send_test, "Send a play to some devices", status=202),
    _reading("POST", f"{_ONE}/dry-run", dry_run, "What would be sent for an event, or why not"),
    _reading("GET", f"{_ONE}/versions", versions, "The versions of a play"),
    _reading("GET", f"{_ONE}/audit", audit, "Who did what to a play"),
    _reading("GET", f"{_ONE}/fires", fires, "What set a play off"),
    _reading("GET", f"{_ONE}/report", play_report, "What became of a play"),
    _changing("POST", f"{_ONE}/:order", order, "Start, pause, resume or retire a play"),
)
