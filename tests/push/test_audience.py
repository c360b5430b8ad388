"""Of several installations with one address the first is sent the push, whoever finds them."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from mbaas.data.app import App
from mbaas.kernel.options import PushOptions
from mbaas.kernel.values import Object
from mbaas.outbound.reach import Reach
from mbaas.storage.ports import Document, Insert, Row
from mbaas.testing.clock import FakeClock
from mbaas_push.audience import CLASS
from mbaas_push.deliveries import TABLE, Delivery, beside_others, key_of
from mbaas_push.message import read
from mbaas_push.mock.script import Script
from mbaas_push.room import opened
from mbaas_push.runs import PUSHES, begun
from tests.push.pushing import deliveries, ended, push, status, tokens

OWNED = {"a1": "t1", "a2": "t1", "a3": "t2", "b1": "t1", "b2": "t3", "c1": "t2"}
STAMP = "2026-01-31T09:05:00.123Z"


async def installed(app: App) -> None:
    """Installations past the policy that lets an address have but one."""
    schema = app.classes.known_or_blank(CLASS)
    named = {"deviceType": "android", "createdAt": STAMP, "updatedAt": STAMP}
    bodies: list[Object] = [{"objectId": id, "deviceToken": token, "installationId": id, **named} for id, token in OWNED.items()]
    await app.store.documents.commit([Insert(schema, Document(body)) for body in bodies])


async def test_of_one_page_and_of_several(app: App, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mbaas_push.runs.PAGE", 2)
    await installed(app)
    run = await push(app)
    assert (await ended(app, run))["numSent"] == 3
    assert tokens(script) == {"t1": 1, "t2": 1, "t3": 1}
    assert [row["installation"] for row in await deliveries(app, run)] == ["a1", "a3", "b2"]


async def test_of_a_run_whose_first_page_another_process_has_written(
    closed_app: App, push_settings: PushOptions, clock: FakeClock, script: Script
) -> None:
    app = closed_app
    await installed(app)
    asked: Object = {**asdict(read({"where": {}, "data": {"alert": "hello"}}, clock.now())), "asked": clock.now(), "pushTime": None}
    value: Object = {"to": ["fcm", "t1", "token", "", False], "type": "android", "installation": "a1", "state": "pending", "seen": 0}
    written = beside_others(Delivery(key_of("run", 0, "t1"), value))
    await app.store.rows.put_many(TABLE, [Row(written.key, written.value)])
    await app.store.rows.put_many(PUSHES, [Row("run", {**begun(asked), "cursor": "a1", "found": 1}, due=clock.now())])
    async with opened(app, push_settings, Reach(open=True)):
        assert (await ended(app, "run"))["numSent"] == 3
    assert tokens(script) == {"t1": 1, "t2": 1, "t3": 1}
    assert (await status(app, "run"))["status"] == "succeeded"
