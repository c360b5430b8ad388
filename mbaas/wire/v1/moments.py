"""`/moments` and `/geofences`: what happens to whom, told by servers, and by devices that enter or leave a place."""

from __future__ import annotations

import orjson

from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, text
from mbaas_push.room import moments_of


async def fire(request: Request) -> Answer | Json:
    """Say that something happened, once for each event id; with `sync=1` it is answered what came of it."""
    firing = moments_of(request.app).firing
    given = {name: value for name, value in request.object().items() if name != "sync"}
    fire_id = await firing.fire(request.params[0], given)
    if text(request, "sync") in ("1", "true"):
        return await firing.outcome(fire_id)
    return accepted(fire_id)


async def moment(request: Request) -> Json:
    """What became of something that happened."""
    return await moments_of(request.app).firing.told(request.params[0])


async def fences(request: Request) -> Json:
    """The places that devices are to watch for."""
    return {"results": await moments_of(request.app).firing.fences()}


async def crossed(request: Request) -> Answer:
    """A device enters or leaves a place."""
    firing = moments_of(request.app).firing
    await request.limits.track(request.caller)
    return accepted(await firing.geofence(request.caller, request.object()))


def accepted(fire_id: str) -> Answer:
    """What is answered to who tells of something that happened: it is on disk."""
    return Answer(202, orjson.dumps({"id": fire_id}))


ROUTES = (
    Route(
        "POST",
        "/moments/:key/fire",
        fire,
        "Say that something happened",
        "moments",
        base=BASE,
        master=True,
        read_only="fire moments",
        status=202,
    ),
    Route("GET", "/moments/:momentId", moment, "What became of it", "moments", base=BASE, master=True),
    Route("GET", "/geofences", fences, "The places that devices watch for", "moments", base=BASE),
    Route("POST", "/geofences", crossed, "Enter or leave a place", "moments", base=BASE, read_only="fire moments", status=202),
)
