"""Plays, and what sets them off: what the tests of moments share."""

from __future__ import annotations

from typing import Any

from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.values import Json, Object
from mbaas.testing.clock import FakeClock
from mbaas_push.moments.moments import Moments
from mbaas_push.moments.report import PlayReport
from mbaas_push.room import moments_of
from tests.push.marketing import HELLO
from tests.waiting import until

MINUTE = 60_000


def moments(app: App) -> Moments:
    return moments_of(app)


async def play(app: App, **definition: Json) -> str:
    """A draft that `landed` sets off, for ten minutes; its id."""
    told: Object = {"content": HELLO} if "variants" not in definition else {}
    body = {"name": "Taxi", "trigger": {"moment": "landed"}, "validFor": "10m", **told, **definition}
    return str((await moments(app).plays.create(body, MASTER))["id"])


async def order(app: App, made: str, *orders: str) -> Object:
    """What is said of it after the last one."""
    told: Object = {}
    for each in orders:
        told = await moments(app).plays.order(made, each, MASTER, None)
    return told


async def live(app: App, **definition: Json) -> str:
    """A play that is live."""
    made = await play(app, **definition)
    await order(app, made, "start")
    return made


async def fire(app: App, event: str, subject: Object, key: str = "landed", **more: Any) -> str:
    """Something happens; its id."""
    return await moments(app).fire(key, {"eventId": event, "subject": subject, **more})


async def outcome(app: App, fired: str) -> dict[str, Object]:
    """What came of it, by play, once it is decided and sent."""
    told = await moments(app).firing.outcome(fired)
    assert told["state"] == "done"
    return {each.pop("play"): each for each in told["plays"]}


async def came_of(app: App, event: str, subject: Object, key: str = "landed", **more: Any) -> dict[str, Object]:
    """The same of something that happens now."""
    return await outcome(app, await fire(app, event, subject, key, **more))


async def report(app: App, made: str) -> Object:
    return (await PlayReport.of_play(app, made)).told()


async def idle(app: App) -> None:
    """Wait until nothing is left to do."""

    async def over() -> bool:
        return not await app.store.rows.scan("moment tasks")

    await until(over)


async def passing(app: App, clock: FakeClock) -> None:
    """Let time pass until nothing is left to do: to when something is due, whenever nothing is worked on."""

    async def over() -> bool:
        rows = await app.store.rows.scan("moment tasks")
        if rows and all(row.owner is None for row in rows):
            clock.advance(max(0, min(row.due or 0 for row in rows) - clock.now()))
        moments(app).queue.wake()
        return not rows

    await until(over)
