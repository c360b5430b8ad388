"""`/events`: what apps track, for the server that posts it in lots and for whoever asks about it."""

from __future__ import annotations

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, read_object
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, moment, text, whole
from mbaas_push import event_queries
from mbaas_push.event_queries import DAY_MS, Window
from mbaas_push.events import events_of, read_all

_PAGE, _MOST = 100, 10_000
_WEEK, _MOST_DAYS = 7, 366


async def track(request: Request) -> Answer:
    """Keep events, each with its name."""
    events = read_all(request.object(), request.caller, request.app.clock.now())
    await events_of(request.app).keep(events)
    return Answer(201, orjson.dumps({"kept": len(events)}))


async def event_names(request: Request) -> Json:
    """The names of the events that are kept."""
    return {"results": await event_queries.names(request.app)}


async def event_counts(request: Request) -> Json:
    """How often each user, or installation, did something in a window, the most often first."""
    name = text(request, "name")
    if not name:
        raise ParseError(Code.INVALID_QUERY, "name must be the name of an event.")
    of, where = _of(request), read_object(request.texts().get("where", {}))
    if where is None:
        raise ParseError(Code.INVALID_QUERY, "where must be an object: the dimensions that count.")
    found = await event_queries.counts(request.app, name, _window(request), where)
    prefix = f"{of}:"
    mine = [(key.removeprefix(prefix), count) for key, count in found.most_common() if key.startswith(prefix)]
    limit = max(1, whole(request, "limit", _PAGE, _MOST))
    told = [{of: subject, "count": count} for subject, count in mine[:limit]]
    return {"results": told, "subjects": len(mine), "events": sum(count for _, count in mine)}


async def actives(request: Request) -> Json:
    """How many were active by day, week and month."""
    days = max(1, whole(request, "days", _WEEK, _MOST_DAYS))
    until = moment(request, "to", request.app.clock.now())
    return {"results": await event_queries.actives(request.app, _of(request), days, until, text(request, "name"))}


async def export_events(request: Request) -> Answer:
    """The events as NDJSON."""
    stream = event_queries.export(request.app, text(request, "name"), _window(request))
    return Answer(content_type=b"application/x-ndjson", stream=stream)


def _of(request: Request) -> str:
    of = text(request, "of") or "user"
    if of not in ("user", "installation"):
        raise ParseError(Code.INVALID_QUERY, "of must be user or installation.")
    return of


def _window(request: Request) -> Window:
    """From `from` to `to`: the last week unless they say."""
    until = moment(request, "to", request.app.clock.now() + 1)
    return Window(moment(request, "from", until - _WEEK * DAY_MS), until)


ROUTES = (
    Route("POST", "/events", track, "Keep events", "events", base=BASE, master=True, read_only="track events", status=201),
    Route("GET", "/events", export_events, "The events, as NDJSON", "events", base=BASE, master=True),
    Route("GET", "/events/names", event_names, "The names of events", "events", base=BASE, master=True),
    Route("GET", "/events/counts", event_counts, "How often each did something", "events", base=BASE, master=True),
    Route("GET", "/events/actives", actives, "How many were active", "events", base=BASE, master=True),
)
