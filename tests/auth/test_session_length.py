"""How long a session lasts: as long as it was made for, or, where the app wants that, as long as it is used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.kernel.clock import from_iso
from tests.auth.inside import House, Person, house
from tests.wire.scenarios import APP

HOUR = 3_600_000


@pytest.fixture(params=["sqlite", "mongo"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Sessions of four hours, longer where they are used."""
    url = request.getfixturevalue("mongo") if request.param == "mongo" else None
    async with house(tmp_path, url, session_length_s=4 * 3600, extend_session_on_use=True) as made:
        yield made


async def use(home: House, token: dict[str, str]) -> int:
    """The code of the error, 0 if there is none."""
    answer = await home.ask("GET", "/users/me", sent=token)
    return 0 if answer.status_code == 200 else int(answer.json()["code"])


async def kept(home: House, person: Person) -> Any:
    """Her only session."""
    whose = json.dumps({"user": {"__type": "Pointer", "className": "_User", "objectId": person.id}})
    [found] = (await home.master("GET", f"/sessions?where={whose}")).json()["results"]
    return found


async def left(home: House, person: Person) -> int:
    """Milliseconds that her session lasts."""
    return (from_iso((await kept(home, person))["expiresAt"]["iso"]) or 0) - home.clock.now()


async def test_a_session_that_is_used_lasts_and_one_that_is_not_ends(home: House) -> None:
    used, idle = await home.person(), await home.person()
    for _ in range(4):
        home.clock.advance(2 * HOUR)
        assert await use(home, used.sent) == 0
    assert await left(home, used) == 4 * HOUR
    assert await use(home, idle.sent) == 209


async def test_it_is_written_at_most_once_in_half_its_length(home: House) -> None:
    person = await home.person()
    home.clock.advance(2 * HOUR - 1)
    await use(home, person.sent)
    assert await left(home, person) == 2 * HOUR + 1
    home.clock.advance(1)
    assert await asyncio.gather(*(use(home, person.sent) for _ in range(5))) == [0] * 5
    assert await left(home, person) == 4 * HOUR
    written = (await kept(home, person))["updatedAt"]
    home.clock.advance(HOUR)
    assert await use(home, person.sent) == 0
    assert (await kept(home, person))["updatedAt"] == written


async def test_a_session_that_another_one_made_ends_when_that_was_to_end(home: House) -> None:
    """Who has a token could make herself another for ever."""
    person = await home.person()
    home.clock.advance(HOUR)
    made = (await home.ask("POST", "/sessions", {}, sent=person.sent)).json()
    child = {**APP, "X-Parse-Session-Token": made["sessionToken"]}
    home.clock.advance(2 * HOUR)
    assert await use(home, child) == 0
    home.clock.advance(HOUR)
    assert await use(home, child) == 209


async def test_where_the_app_does_not_want_that_a_session_ends_however_much_it_is_used(tmp_path: Path) -> None:
    async with house(tmp_path, session_length_s=4 * 3600) as home:
        person = await home.person()
        for _ in range(3):
            home.clock.advance(HOUR)
            assert await use(home, person.sent) == 0
        home.clock.advance(HOUR)
        assert await use(home, person.sent) == 209
