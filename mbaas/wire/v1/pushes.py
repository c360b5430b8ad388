"""`/push`: pushes that are sent once however often they are asked for, and what becomes of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, whole
from mbaas_push.room import runs_of, subscriptions_of

if TYPE_CHECKING:
    from mbaas_push.dead_letters import DeadLetters

_PAGE, _MOST = 100, 1000
_REQUEUE = "/push/:pushId/dead-letters/requeue"
_READ_ONLY, _TOPICS = "send push notifications", "change subscriptions to topics"
_STATES = ("pending", "again", "sent", "failed", "unknown", "skipped")
_DEAD = ("failed", "unknown")


async def send(request: Request) -> Answer:
    """Send a push, once for each `Idempotency-Key`."""
    run = await runs_of(request.app).send(request.caller, request.object(), request.header(b"idempotency-key"))
    return Answer(202, orjson.dumps({"id": run}))


async def one(request: Request) -> Json:
    """How far a push is."""
    return await runs_of(request.app).told(request.params[0])


def _page(request: Request, states: Collection[str]) -> tuple[str | None, str, int]:
    """Which page of a push's deliveries is asked for: in which state they are, after which one it begins, how many. 102."""
    given = request.texts()
    state, cursor = given.get("state"), given.get("cursor", "")
    if (state is not None and state not in states) or not isinstance(cursor, str):
        raise ParseError(Code.INVALID_QUERY, f"state is one of {', '.join(states)}; cursor is what `next` said.")
    return state, cursor, max(1, whole(request, "limit", _PAGE, _MOST))


async def deliveries(request: Request) -> Json:
    """What became of each address."""
    found, following = await runs_of(request.app).deliveries(request.params[0], *_page(request, _STATES))
    return {"results": found, "next": following}


async def order(request: Request) -> Json:
    """Pause, resume or cancel a push."""
    run, asked = request.params
    if asked not in ("pause", "resume", "cancel"):
        raise ParseError(Code.INVALID_VALUE, "A push is paused, resumed or cancelled: /pause, /resume, /cancel.")
    runs = runs_of(request.app)
    await runs.order(run, asked)
    return await runs.told(run)


async def dead_letters(request: Request) -> Json:
    """What has failed for good, or may have been sent, and can be sent again."""
    found, following = await _dead_letters(request).page(request.params[0], *_page(request, _DEAD))
    return {"results": found, "next": following}


async def requeue(request: Request) -> Answer:
    """Send some of them again."""
    from mbaas_push.dead_letters import Wanted

    told = await _dead_letters(request).requeue(request.params[0], Wanted.read(request.object()), request.caller)
    return Answer(202, orjson.dumps(told))


async def subscribe(request: Request) -> Json:
    """Subscribe the devices of a query to a topic."""
    return await subscriptions_of(request.app).change(request.params[0], request.object(), subscribe=True)


async def unsubscribe(request: Request) -> Json:
    """End that."""
    return await subscriptions_of(request.app).change(request.params[0], request.object(), subscribe=False)


def _dead_letters(request: Request) -> DeadLetters:
    from mbaas_push.dead_letters import DeadLetters

    return DeadLetters(request.app, runs_of(request.app))


ROUTES = (
    Route("POST", "/push", send, "Send a push once", "push", master=True, read_only=_READ_ONLY, base=BASE, status=202),
    Route("GET", "/push/:pushId", one, "How far a push is", "push", master=True, base=BASE),
    Route("GET", "/push/:pushId/deliveries", deliveries, "What became of each address", "push", master=True, base=BASE),
    Route("GET", "/push/:pushId/dead-letters", dead_letters, "What can be sent again", "push", master=True, base=BASE),
    Route("POST", _REQUEUE, requeue, "Send dead letters again", "push", master=True, read_only=_READ_ONLY, base=BASE, status=202),
    Route(
        "POST",
        "/push/topics/:topic/subscribe",
        subscribe,
        "Subscribe devices to a topic",
        "push",
        master=True,
        read_only=_TOPICS,
        base=BASE,
    ),
    Route(
        "POST",
        "/push/topics/:topic/unsubscribe",
        unsubscribe,
        "Unsubscribe devices from a topic",
        "push",
        master=True,
        read_only=_TOPICS,
        base=BASE,
    ),
    Route("POST", "/push/:pushId/:order", order, "Pause, resume or cancel a push", "push", master=True, read_only=_READ_ONLY, base=BASE),
)
