"""The bounds of one answer with changes: what is read for it, how long it becomes, and how far back the feed reaches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from mbaas.app import open_app
from mbaas.data import changes as deltas
from mbaas.data import find as finding
from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.changes import Wanted
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import ANONYMOUS
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.kernel.values import Object
from mbaas.services import Services
from mbaas.testing.clock import FakeClock

HOUR_MS = 3_600_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def app(tmp_path: Path, clock: FakeClock) -> AsyncIterator[App]:
    options = AppOptions(
        app_id="a",
        master_key="m",
        allow_client_class_creation=True,
        new_class_permissions="public",
        data_dir=tmp_path,
        feed_retention_ms=HOUR_MS,
    )
    opened = await open_app(options, Services(ServerOptions(), {}, clock=clock))
    yield opened
    await opened.close()


async def page(app: App, class_name: str, since: str | None = None, limit: int = 100) -> Object:
    answer: Object = orjson.loads(await deltas.changes(app, ANONYMOUS, Wanted(class_name, since, {}, limit)))
    return answer


async def save(app: App, class_name: str, **fields: object) -> str:
    made: str = (await objects.create(app, ANONYMOUS, class_name, fields)).answer["objectId"]
    return made


async def test_a_position_that_is_older_than_what_is_kept_makes_a_client_start_again(app: App, clock: FakeClock) -> None:
    early = (await page(app, "Post"))["next"]
    await save(app, "Post")
    middle = (await page(app, "Post", early))["next"]
    clock.advance(2 * HOUR_MS)
    last = await save(app, "Post")
    assert [change["objectId"] for change in (await page(app, "Post", middle))["results"]] == [last]
    assert await app.store.feed.trim(clock.now()) > 0
    assert [change["objectId"] for change in (await page(app, "Post", middle))["results"]] == [last]
    with pytest.raises(ParseError) as refused:
        await page(app, "Post", early)
    assert (refused.value.status, refused.value.code) == (410, 120)


async def test_a_class_that_is_made_while_its_changes_are_read_is_asked_for_again(app: App) -> None:
    """The reader has found that there is no such class; then its first object is written; then the feed is read."""
    early = (await page(app, "Post"))["next"]
    view = deltas.ChangesView(app, ANONYMOUS, "Post", {})
    first = await save(app, "Post")
    place = view.opened(early)
    assert await deltas.read(app, view, place, 100) == ([], place, True)
    assert [change["objectId"] for change in (await page(app, "Post", early))["results"]] == [first]


async def test_a_class_that_is_gone_has_no_changes(app: App) -> None:
    early = (await page(app, "Post"))["next"]
    await save(app, "Post")
    schema = app.classes.get("Post")
    assert schema is not None
    await app.classes.drop(schema)
    answer = await page(app, "Post", early)
    assert (answer["results"], answer["more"]) == ([], False)
    assert answer["next"] != early


async def test_a_position_of_another_database_makes_a_client_start_again(app: App, tmp_path: Path, clock: FakeClock) -> None:
    options = AppOptions(app_id="b", master_key="m", data_dir=tmp_path / "other")
    other = await open_app(options, Services(ServerOptions(), {}, clock=clock))
    foreign = (await page(other, "_User"))["next"]
    await other.close()
    with pytest.raises(ParseError) as refused:
        await page(app, "_User", foreign)
    assert refused.value.status == 410


async def test_an_answer_comes_though_nothing_of_what_was_read_concerns_the_caller(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may be empty and have more behind it: so many entries are read for it and no more."""
    monkeypatch.setattr(deltas, "_READ", 6)
    monkeypatch.setattr(deltas, "_AT_ONCE", 3)
    await save(app, "Mine")
    since = (await page(app, "Mine"))["next"]
    for _ in range(14):
        await save(app, "Other")
    mine = await save(app, "Mine")
    pages: list[Object] = []
    while not pages or pages[-1]["more"]:
        pages.append(await page(app, "Mine", pages[-1]["next"] if pages else since))
    assert [[change["objectId"] for change in one["results"]] for one in pages] == [[], [], [mine]]


async def test_an_answer_does_not_become_longer_than_it_may(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltas, "_BYTES", 2000)
    since = (await page(app, "Post"))["next"]
    made = [await save(app, "Post", text="x" * size) for size in (3000, 700, 700, 700, 10)]
    pages: list[Object] = []
    while not pages or pages[-1]["more"]:
        pages.append(await page(app, "Post", pages[-1]["next"] if pages else since))
    assert [[change["objectId"] for change in one["results"]] for one in pages] == [made[:1], made[1:3], made[3:]]


async def test_own_sign_in_data_is_told_as_a_find_shows_it(app: App) -> None:
    """To her who asks for changes, as to her who asks for objects; live queries send it to nobody."""
    since = (await page(app, "_User"))["next"]
    given: Object = {"authData": {"anonymous": {"id": "a1"}}}
    token = (await objects.create(app, ANONYMOUS, "_User", given)).answer["sessionToken"]
    caller = await app.rooms["sessions"].caller(token, ANONYMOUS)
    answer = orjson.loads(await deltas.changes(app, caller, Wanted("_User", since)))
    found = orjson.loads(await finding.find(app, caller, "_User", FindOptions()))["results"]
    assert [change["object"] for change in answer["results"]] == found
    assert found[0]["authData"]
