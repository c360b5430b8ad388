"""People with devices, and campaigns for them: what the tests of campaigns share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import orjson

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.values import Json, Object, pointer
from mbaas.testing.clock import FakeClock
from mbaas_push.campaigns.campaigns import Campaigns
from mbaas_push.mock.script import Script
from mbaas_push.room import campaigns_of, runs_of
from tests.waiting import until

HELLO: Object = {"title": "Hello", "body": "Come back"}


async def person(app: App, username: str, /, **fields: Json) -> Object:
    """A user; the pointer to her."""
    body = {"username": username, "password": "secret-password", **fields}
    return pointer("_User", str((await objects.create(app, MASTER, "_User", body)).answer["objectId"]))


async def phone(app: App, token: str, user: Object | None = None, **fields: Json) -> str:
    """An installation; its id."""
    body = {"deviceToken": token, "deviceType": "android", "installationId": f"i-{token}", **fields}
    if user is not None:
        body["user"] = user
    return str((await objects.create(app, MASTER, "_Installation", body)).answer["objectId"])


def campaigns(app: App) -> Campaigns:
    return campaigns_of(app)


async def campaign(app: App, **definition: Json) -> str:
    """A draft; its id."""
    body = {"name": "Spring", **({} if "variants" in definition else {"content": HELLO}), **definition}
    return str((await campaigns(app).create(body, MASTER))["id"])


async def launched(app: App, **definition: Json) -> str:
    """A campaign that is approved and scheduled."""
    made = await campaign(app, **definition)
    await order(app, made, "approve", "schedule")
    return made


async def order(app: App, made: str, *orders: str) -> Object:
    """What is said of it after the last one."""
    told: Object = {}
    for each in orders:
        told = await campaigns(app).order(made, each, MASTER, None)
    return told


async def state(app: App, made: str) -> str:
    return str((await campaigns(app).get(made))["state"])


async def ended(app: App, made: str, wanted: str = "completed") -> None:
    """Wait until it has ended so."""

    async def over() -> bool:
        return await state(app, made) == wanted

    await until(over)


async def passing(app: App, clock: FakeClock, holds: Callable[[], Awaitable[bool]]) -> None:
    """Let time pass until it holds: whenever nothing is worked on, to the moment at which something is due."""

    async def over() -> bool:
        if await holds():
            return True
        rows = [row for table in ("pushes", "campaign times") for row in await app.store.rows.scan(table)]
        if rows and all(row.owner is None for row in rows):
            clock.advance(max(0, min(row.due or 0 for row in rows) - clock.now()))
        runs_of(app).wake()
        campaigns(app).launching.wake()
        return False

    await until(over)


async def passed(app: App, clock: FakeClock, made: str, wanted: str = "completed") -> None:
    """Let time pass until a campaign has ended so."""

    async def over() -> bool:
        return await state(app, made) == wanted

    await passing(app, clock, over)


async def run_of(app: App, made: str) -> str:
    """Its only run."""
    [run] = [run for run in await campaigns(app).store.runs(made) if not run["test"]]
    return str(run["id"])


async def rows(app: App, run: str) -> dict[str, Object]:
    """The deliveries of a run by their tokens; of those that have none, by their installations."""
    found = await app.store.rows.scan("deliveries", prefix=f"{run}:")
    return {(row.value["to"] or [0, row.value["installation"]])[1]: row.value for row in found}


def reasons(deliveries: dict[str, Object]) -> dict[str, str]:
    """How each ended, and why."""
    return {token: f"{value['state']} {value.get('reason', '')}".strip() for token, value in deliveries.items()}


def sent(script: Script) -> dict[str, Object]:
    """What each address was sent last, of what Firebase took."""
    return {receipt.token: orjson.loads(receipt.message["data"]["data"]) for receipt in script.accepted() if receipt.provider == "fcm"}


def tokens(script: Script) -> Counter[str]:
    """How often each address was sent something."""
    return Counter(receipt.token for receipt in script.accepted())
