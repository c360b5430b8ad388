"""A device is one row, also where its app registers it several times at once; on both stores."""

from __future__ import annotations

import asyncio

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.values import Object
from mbaas.storage.ports import Find
from tests.push.pushing import device

PHONE = Caller()


async def rows(app: App) -> list[Object]:
    return [document.body for document in await app.store.documents.find(Find(app.classes.known_or_blank("_Installation")))]


async def test_several_registrations_at_once_make_one_row(app: App) -> None:
    await device(app, "another")
    bodies: list[Object] = [{"installationId": "i1", "deviceType": "ios", "deviceToken": "t1", "badge": badge} for badge in range(12)]
    await asyncio.gather(*(objects.create(app, PHONE, "_Installation", body) for body in bodies))
    [row] = [row for row in await rows(app) if row["installationId"] == "i1"]
    assert row["deviceToken"] == "t1"


async def test_of_two_at_once_with_one_address_one_has_it(app: App) -> None:
    await device(app, "another")
    bodies: list[Object] = [{"installationId": f"i{number}", "deviceType": "ios", "deviceToken": "t1"} for number in range(4)]
    await asyncio.gather(*(objects.create(app, PHONE, "_Installation", body) for body in bodies))
    assert [row["deviceToken"] for row in await rows(app) if row.get("deviceToken") == "t1"] == ["t1"]


async def test_one_that_was_removed_is_made_anew_at_once(app: App) -> None:
    first = await device(app, "t1")
    await objects.delete(app, MASTER, "_Installation", first)
    second = await device(app, "t1")
    assert [row["objectId"] for row in await rows(app)] == [second]
    assert first != second


async def test_of_two_at_once_that_take_an_address_over_one_has_it(app: App) -> None:
    await device(app, "t1", "ios")
    bodies: list[Object] = [{"installationId": f"i{number}", "deviceType": "ios", "deviceToken": "t1"} for number in range(3)]
    await asyncio.gather(*(objects.create(app, PHONE, "_Installation", body) for body in bodies))
    assert [row["deviceToken"] for row in await rows(app) if row.get("deviceToken") == "t1"] == ["t1"]
