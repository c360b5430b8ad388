"""A clock that is put back or forward: nothing that was used up is good again, and nobody waits until it is as late as it was."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.auth.authenticator import DOMAIN
from tests.auth.inside import House, house
from tests.auth.test_mfa import code, enrolled, mfa
from tests.auth.test_passkeys import added, asked, enters
from tests.wire.scenarios import MASTER

DAY = 86_400_000


@pytest.fixture(params=["sqlite", "mongo"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """With limits, and every way to sign in."""
    url = request.getfixturevalue("mongo") if request.param == "mongo" else None
    async with house(tmp_path, url, auth={"webauthn": {"rpId": DOMAIN}}, rate_limit_factor=1) as made:
        yield made


async def guessed(home: House, name: str, count: int) -> list[int]:
    answers = [await home.ask("POST", "/login", {"username": name, "password": "a guess"}) for _ in range(count)]
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "forward"])
async def test_who_is_told_to_wait_waits_no_longer_than_she_was_told(home: House, jump: int) -> None:
    person = await home.person()
    assert await guessed(home, person.name, 11) == [*[404] * 10, 429]
    home.clock.advance(jump)
    refused = await home.sign_in(person)
    assert refused.status_code == 200 or int(refused.headers["Retry-After"]) <= 60
    home.clock.advance(61_000)
    assert (await home.sign_in(person)).status_code == 200
    assert (await guessed(home, person.name, 11))[-1] == 429, "it counts as before"


async def test_what_was_used_up_stays_used_up(home: House) -> None:
    """A code of an authenticator, one of a mail, a token, and what a passkey has signed."""
    person, _ = await enrolled(home)
    passkey = await added(home, person, mfa={"token": code(home)})
    home.clock.advance(60_000)
    other = await home.person(email="ann@example.org")
    spent: list[tuple[str, Any]] = [("/login", {"username": person.name, "password": "correct horse", **mfa(token=code(home))})]
    ticket = (await home.ask("POST", "/api/v1/codes", {"email": "ann@example.org"})).json()
    [digits] = re.findall(r"\b\d{6}\b", await home.mail(1))
    spent.append(("/api/v1/sign-in", {"id": ticket["id"], "code": digits}))
    token = (await home.ask("POST", "/api/v1/tokens", {"userId": other.id}, sent=MASTER, ip="127.0.0.1")).json()["token"]
    spent.append(("/api/v1/sign-in", {"token": token}))
    spent.append(("/api/v1/passkeys/sign-in", {"credential": passkey.signed(await asked(home))}))
    for path, body in spent:
        assert (await home.ask("POST", path, body)).status_code == 200, path
    for jump in (-1_000, -DAY, 2 * DAY, -DAY):
        home.clock.advance(jump)
        await home.app.store.rows.expire(home.clock.now())
        for path, body in spent:
            again = await home.ask("POST", path, body)
            assert again.status_code >= 400, (path, json.dumps(body), again.text)
    assert (await enters(home, passkey.signed(await asked(home)))).status_code == 200


async def test_sessions_last_through_a_jump_back(home: House) -> None:
    person = await home.person()
    for jump in (-400 * DAY, 400 * DAY, DAY):
        home.clock.advance(jump)
        assert (await home.ask("GET", "/users/me", sent=person.sent)).status_code == 200
        assert (await home.ask("PUT", f"/users/{person.id}", {"seen": jump}, sent=person.sent)).status_code == 200
