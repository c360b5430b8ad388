"""What a provider proves of an address is good for that address alone, however the account is changed with it; and who is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.kernel.options import EmailVerification
from mbaas.outbound.reach import Reach
from tests.auth.inside import House, Person, house
from tests.auth.issuer import KINDS, publish
from tests.functions.web import Web, web

OWN, VICTIM = "attacker@example.org", "victim@example.org"
ACME = next(kind for kind in KINDS if kind.name == "acme")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Web]:
    with web() as running:
        publish(running)
        yield running


@pytest.fixture
async def home(issuer: Web, tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, reach=Reach(open=True), auth={"acme": ACME.configured(issuer)}) as made:
        yield made


def proof(home: House, sub: str, email: str) -> dict[str, Any]:
    """What an app sends of somebody who has proved the address to the provider."""
    now = home.clock.now() // 1000
    return {"authData": ACME.good(sub, email=email, email_verified=True, iat=now, exp=now + 600)}


async def herself(home: House, person: Person) -> Any:
    return (await home.ask("GET", "/users/me", sent=person.sent)).json()


@pytest.mark.parametrize("taken_away", ["", None, {"__op": "Delete"}])
async def test_row_55_an_address_that_is_taken_away_proves_nothing_of_the_next(home: House, taken_away: Any) -> None:
    stranger = await home.person(email=OWN)
    linked = await home.ask("PUT", f"/users/{stranger.id}", {**proof(home, "s", OWN), "email": taken_away}, sent=stranger.sent)
    assert linked.status_code == 200, linked.text
    assert (await home.ask("PUT", f"/users/{stranger.id}", {"email": VICTIM}, sent=stranger.sent)).status_code == 200
    assert not (await herself(home, stranger)).get("emailVerified")


async def test_row_55_an_address_that_changes_while_the_one_before_is_proved_is_not_proved(home: House) -> None:
    """Side by side, and in one transaction."""
    for number in range(8):
        own, victim = f"{number}{OWN}", f"{number}{VICTIM}"
        stranger = await home.person(email=own)
        body = proof(home, f"s{number}", own)
        changes = (home.ask("PUT", f"/users/{stranger.id}", each, sent=stranger.sent) for each in (body, {"email": victim}))
        assert [answer.status_code for answer in await asyncio.gather(*changes)] == [200, 200]
        shown = await herself(home, stranger)
        assert (shown["email"], bool(shown.get("emailVerified"))) == (victim, False)
    stranger = await home.person(email=OWN)
    parts = [{"method": "PUT", "path": f"/parse/users/{stranger.id}", "body": each} for each in (proof(home, "t", OWN), {"email": VICTIM})]
    answer = await home.ask("POST", "/batch", {"requests": parts, "transaction": True}, sent=stranger.sent)
    assert answer.json()["code"] == 251, answer.text
    assert (await herself(home, stranger))["email"] == OWN


async def test_who_names_a_provider_that_she_has_not_proves_her_address_as_anybody(tmp_path: Path) -> None:
    async with house(tmp_path, email_verification=EmailVerification(wanted=True)) as home:
        person = await home.person(email=OWN, authData={"google": None})
        assert (await herself(home, person))["emailVerified"] is False
        session = (await home.ask("GET", "/sessions/me", sent=person.sent)).json()
        assert session["createdWith"] == {"action": "signup", "authProvider": "password"}
        assert "verify_email" in await home.mail(1)


async def test_a_transaction_on_people_is_begun_anew_where_they_change_meanwhile(home: House) -> None:
    """Each of two links a provider of hers, which is for the account as it was read."""
    person = await home.person()
    path = f"/parse/users/{person.id}"

    def linking(number: int) -> dict[str, Any]:
        body = {"authData": {"anonymous": {"id": f"a{number}"}}}
        return {"requests": [{"method": "PUT", "path": path, "body": body}], "transaction": True}

    answers = await asyncio.gather(*(home.ask("POST", "/batch", linking(number), sent=person.sent) for number in range(3)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
