"""The console's people as they are kept: links that end, races for them, sessions that end with their person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mbaas.app import open_app
from mbaas.data.app import App
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.services import Services
from mbaas.testing.clock import FakeClock
from mbaas_auth.staff import factor, sessions
from mbaas_auth.staff.people import Person, first_token, people_of
from mbaas_auth.totp import Totp, secret_of

PASSWORD = "three green bicycles"
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def app(tmp_path: Path, clock: FakeClock) -> AsyncIterator[App]:
    opened = await open_app(AppOptions(app_id="a/b", master_key="m", data_dir=tmp_path), Services(ServerOptions(), {}, clock=clock))
    yield opened
    await opened.close()


async def invited(app: App, role: str = "marketer", email: str = "") -> str:
    return str((await people_of(app).invite(role, email))["url"]).rpartition("/")[2].removesuffix("?app=a%2Fb")


async def joined(app: App, email: str, role: str = "marketer") -> Person:
    return await people_of(app).accept(await invited(app, role), email, PASSWORD)


async def test_a_link_ends_after_a_week(app: App, clock: FakeClock) -> None:
    token = await invited(app)
    clock.advance(7 * DAY_MS - 1)
    assert await people_of(app).invitation(token) is not None
    clock.advance(1)
    assert await people_of(app).invitation(token) is None
    with pytest.raises(ParseError, match="too old"):
        await people_of(app).accept(token, "a@example.com", PASSWORD)


@pytest.mark.parametrize("first", [True, False])
async def test_of_two_who_use_a_link_at_once_one_is_let_in(app: App, first: bool) -> None:
    token = first_token(app.options) if first else await invited(app)
    both = await asyncio.gather(*(people_of(app).accept(token, f"{name}@example.com", PASSWORD) for name in "ab"), return_exceptions=True)
    assert sorted(type(each).__name__ for each in both) == ["ParseError", "Person"]
    assert len(await people_of(app).all()) == 1


async def test_the_first_owners_link_ends_with_whoever_comes_first(app: App) -> None:
    assert (await people_of(app).invitation(first_token(app.options))) is not None
    await joined(app, "a@example.com")
    assert await people_of(app).invitation(first_token(app.options)) is None
    assert await people_of(app).invitation("first-owner-" + "0" * 40) is None


async def test_what_is_kept_opens_nothing(app: App) -> None:
    token = await invited(app)
    person = await joined(app, "a@example.com")
    session = await sessions.begin(app, person)
    tables = ("console people", "console invitations", "console sessions")
    kept = str([row for table in tables for row in await app.store.rows.scan(table)])
    assert not any(secret in kept for secret in (token, session, PASSWORD))
    assert "$argon2id$" in kept


async def test_a_session_ends_with_the_day_and_with_its_person(app: App, clock: FakeClock) -> None:
    person = await joined(app, "a@example.com")
    token = await sessions.begin(app, person)
    clock.advance(sessions.LASTS_S * 1000 - 1)
    assert await sessions.person_of(app, token) == person
    clock.advance(1)
    assert await sessions.person_of(app, token) is None
    token = await sessions.begin(app, person)
    await people_of(app).remove("A@Example.com ")
    assert await sessions.person_of(app, token) is None
    # Whoever has the address afterwards is somebody else.
    await joined(app, "a@example.com")
    assert await sessions.person_of(app, token) is None


async def test_a_person_keeps_which_phone_is_hers_and_nobody_elses_changes(app: App) -> None:
    person = await joined(app, "a@example.com")
    await people_of(app).note_phone(person, "installation")
    assert (await people_of(app).get("a@example.com")) == Person(person.id, person.email, "marketer", person.since, "installation")
    await people_of(app).accept(await invited(app, email="a@example.com"), "", PASSWORD)
    await people_of(app).note_phone(person, "another")
    found = await people_of(app).get("a@example.com")
    assert found is not None
    assert found.phone == ""


async def test_a_password_is_neither_short_nor_the_name(app: App) -> None:
    token = await invited(app)
    for password, said in (("x" * 11, "at least 12"), ("somebody-1234", "name of the address")):
        with pytest.raises(ParseError, match=said):
            await people_of(app).accept(token, "somebody@example.com", password)
    assert (await people_of(app).accept(token, "somebody@example.com", "x" * 12)).role == "marketer"


def code_at(secret: str, clock: FakeClock) -> str:
    raw = secret_of(secret)
    assert raw is not None
    return Totp().code(raw, clock.now() // 30_000)


async def test_of_two_who_come_with_the_same_code_one_is_let_in(app: App, clock: FakeClock) -> None:
    person = await joined(app, "a@example.com")
    secret, address = factor.offered(app, person)
    assert f"secret={secret}" in address
    recovery = await factor.enrol(app, person, secret, code_at(secret, clock))
    clock.advance(30_000)
    for code in (code_at(secret, clock), recovery[0]):
        both = await asyncio.gather(*(factor.prove(app, person, code) for _ in range(2)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in both) == ["NoneType", "ParseError"]


async def test_a_sign_in_without_a_factor_ends_with_the_factor_however_late_it_comes(app: App, clock: FakeClock) -> None:
    before = await joined(app, "a@example.com")
    own, other = await sessions.begin(app, before), await sessions.begin(app, before)
    secret, _ = factor.offered(app, before)
    await factor.enrol(app, before, secret, code_at(secret, clock))
    await sessions.prove(app, own)
    await sessions.end_others(app, before, own)
    # Her password was checked before she had it, and the session begins after all others have ended.
    late = await sessions.begin(app, before)
    assert [await sessions.person_of(app, token) is not None for token in (own, other, late)] == [True, False, False]
    await sessions.end(app, own)
    await sessions.prove(app, own)
    assert await sessions.person_of(app, own) is None


async def test_a_ticket_is_used_once_and_ends(app: App, clock: FakeClock) -> None:
    person = await joined(app, "a@example.com")
    first, second = [await sessions.ticket(app, person) for _ in range(2)]
    # It is no session.
    assert await sessions.person_of(app, first) is None
    assert await sessions.ticket_of(app, first) == person
    assert [await sessions.use(app, first) for _ in range(2)] == [True, False]
    clock.advance(600_000)
    assert await sessions.ticket_of(app, second) is None


async def test_what_is_kept_of_recovery_codes_opens_nothing(app: App, clock: FakeClock) -> None:
    person = await joined(app, "a@example.com")
    secret, _ = factor.offered(app, person)
    codes = await factor.enrol(app, person, secret, code_at(secret, clock))
    [row] = await app.store.rows.scan("console people")
    assert not any(code in str(row) for code in codes)
    with pytest.raises(ParseError, match="wrong"):
        await factor.prove(app, person, row.value["factor"]["recovery"][0])
