"""Who joins with a position while others write is told each write once: by what she is read out, or by what comes to all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mbaas.app import open_app
from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import ANONYMOUS
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.realtime.hub import Hub
from mbaas.realtime.subscriptions import Subscription
from mbaas.services import Services
from mbaas.storage.ports import Entry
from tests.live.test_equals_find import Recorder
from tests.waiting import until


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    options = AppOptions(app_id="a", master_key="m", allow_client_class_creation=True, new_class_permissions="public", data_dir=tmp_path)
    opened = await open_app(options, Services(ServerOptions(), {}))
    yield opened
    await opened.close()


async def save(app: App, n: int) -> None:
    await objects.create(app, ANONYMOUS, "Post", {"n": n})


class Hurried(Hub):
    """A hub on whose feed something is written after it has looked how far the feed goes, and before who joins has read on."""

    async def _seat(self, subscription: Subscription) -> None:
        await super()._seat(subscription)
        if subscription.numbered:
            await save(self._app, 3)


class Unaware(Hub):
    """A hub that hears of a write a moment late, as happens where another process writes."""

    async def _open(self, asked: int | None) -> None:
        self._woken.clear()
        await super()._open(asked)


async def watch(hub: Hub, since: str | None) -> Recorder:
    sink = Recorder()
    audience = await hub.audience(None, master=False)
    subscription = Subscription(sink, 1, '"requestId":1', "Post", {}, (), (), audience, numbered=since is not None)
    assert await hub.join(await hub.check(subscription), subscription, since)
    return sink


@pytest.mark.parametrize(("kind", "told"), [(Hurried, [1, 2, 3, 4]), (Unaware, [1, 2, 4])])
@pytest.mark.parametrize("watched", [False, True], ids=["alone", "beside others"])
async def test_each_write_is_told_once(app: App, kind: type[Hub], told: list[int], watched: bool) -> None:
    await save(app, 0)
    since = await app.store.feed.latest()
    hub = kind(app, app.rooms["sessions"])
    if watched:
        await watch(hub, None)
    await save(app, 1)
    await save(app, 2)
    sink = await watch(hub, since)
    await save(app, 4)
    await hub.caught_up()
    await hub.close()
    assert [frame["object"]["n"] for frame in sink.frames] == told


async def test_a_feed_that_could_not_be_read_is_read_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it was that went wrong: nobody would be told anything any more."""
    monkeypatch.setattr("mbaas.realtime.hub._AGAIN_SECONDS", 0)
    hub, after, failed = Hub(app, app.rooms["sessions"]), app.store.feed.after, asyncio.Event()

    async def fails_once(seq: str, limit: int = 1000, classes: frozenset[str] | None = None) -> list[Entry] | None:
        if failed.is_set():
            return await after(seq, limit, classes)
        failed.set()
        raise ValueError("nobody foresaw this")

    sink = await watch(hub, None)
    monkeypatch.setattr(app.store.feed, "after", fails_once)
    await save(app, 1)
    await until(lambda: bool(sink.frames))
    await hub.close()
    assert [frame["object"]["n"] for frame in sink.frames] == [1]
    assert failed.is_set()
