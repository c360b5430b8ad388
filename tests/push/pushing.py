"""Devices, and pushes to them: what the tests of pushes share."""

from __future__ import annotations

from collections import Counter

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.values import Json, Object
from mbaas.testing.clock import FakeClock
from mbaas_push.deliveries import TABLE
from mbaas_push.mock.script import Script
from mbaas_push.runs import Runs
from tests.waiting import until

ALL: Object = {}


async def device(app: App, token: str, kind: str = "android", **fields: Json) -> str:
    """An installation; its id."""
    body = {"deviceToken": token, "deviceType": kind, "installationId": f"i-{token}", **fields}
    return str((await objects.create(app, MASTER, "_Installation", body)).answer["objectId"])


def runs(app: App) -> Runs:
    assert isinstance(app.pushes, Runs)
    return app.pushes


async def push(app: App, where: Object | None = None, **fields: Json) -> str:
    """Send a push; its id."""
    body: Object = {"where": where or ALL, "data": {"alert": "hello"}, **fields}
    return await app.pushes.send(MASTER, body)


async def status(app: App, run: str) -> Object:
    found = await app.store.documents.get(app.classes.known_or_blank("_PushStatus"), run)
    assert found is not None
    return found.body


async def ended(app: App, run: str) -> Object:
    """Its `_PushStatus` once it has ended."""

    async def over() -> bool:
        return await app.store.rows.get("pushes", run) is None

    await until(over)
    return await status(app, run)


async def passing(app: App, clock: FakeClock, run: str, ms: int) -> None:
    """Let time pass, so much at a time, until a push has ended. Not while it is worked on: a lease would run out in no time."""

    async def over() -> bool:
        row = await app.store.rows.get("pushes", run)
        if row is not None and row.owner is None:
            clock.advance(ms)
            runs(app).wake()
        return row is None

    await until(over)


async def deliveries(app: App, run: str) -> list[Object]:
    return [dict(row.value) for row in await app.store.rows.scan(TABLE, prefix=f"{run}:")]


def tokens(script: Script) -> Counter[str]:
    """How often each address was sent something that the provider took."""
    return Counter(receipt.token for receipt in script.accepted())
