"""An address is written in any case: whose it is, and that nobody is taken for her whose address looks alike."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from mbaas.kernel.options import EmailVerification
from mbaas.outbound.reach import Reach
from tests.auth.inside import PASSWORD, House, Person, house
from tests.auth.issuer import KINDS, publish
from tests.functions.web import Web, web

HERS, TYPED = "Ann@Example.org", "aNN@example.ORG"
ALIKE = "anna@strasse.example", "anna@stra\u00dfe.example"
"""Two domains that the embedded store keeps one for."""
ACME = next(kind for kind in KINDS if kind.name == "acme")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Web]:
    with web() as running:
        publish(running)
        yield running


@pytest.fixture(params=["sqlite", "mongo"])
async def home(request: pytest.FixtureRequest, issuer: Web, tmp_path: Path) -> AsyncIterator[House]:
    url = request.getfixturevalue("mongo") if request.param == "mongo" else None
    auth = {"acme": ACME.configured(issuer), "joining": {**ACME.configured(issuer), "linkByEmail": True}}
    async with house(tmp_path, url, reach=Reach(open=True), auth=auth, email_verification=EmailVerification(wanted=True)) as made:
        yield made


def proof(home: House, sub: str, email: str, provider: str = "acme") -> dict[str, Any]:
    """`authData` of somebody who has proved the address to the provider."""
    now = home.clock.now() // 1000
    return {provider: ACME.good(sub, email=email, email_verified=True, iat=now, exp=now + 600)["acme"]}


async def told(home: House, count: int) -> tuple[str, str]:
    """To whom the mail of that number went, and its text."""
    text = await home.mail(count)
    return str(home.office.mails[count - 1]["To"]), text


async def herself(home: House, person: Person) -> Any:
    return (await home.ask("GET", "/users/me", sent=person.sent)).json()


async def test_row_59_mails_for_an_address_in_any_case_go_where_its_owner_has_it(home: House) -> None:
    """A code that signs her in, a link for a new password, and the link that proves the address."""
    person = await home.person(email=HERS)
    await told(home, 1)
    asked = (await home.ask("POST", "/api/v1/codes", {"email": TYPED})).json()
    to, text = await told(home, 2)
    assert to == HERS
    assert (await home.ask("POST", "/verificationEmailRequest", {"email": TYPED})).status_code == 200
    assert (await told(home, 3))[0] == HERS
    code = re.findall(r"\b\d{6}\b", text)[0]
    entered = (await home.ask("POST", "/api/v1/sign-in", {"id": asked["id"], "code": code})).json()
    assert (entered["objectId"], entered["emailVerified"]) == (person.id, True)
    assert (await home.ask("POST", "/requestPasswordReset", {"email": TYPED})).status_code == 200
    to, text = await told(home, 4)
    assert (to, "request_password_reset" in text) == (HERS, True)


async def test_row_55_a_provider_that_proves_the_address_in_another_case_joins_her_account(home: House) -> None:
    """And what signed in to it before goes, since nobody had proved the address."""
    planted = await home.person(email=HERS)
    came = await home.ask("POST", "/users", {"authData": proof(home, "ann", TYPED, "joining")})
    assert (came.json()["objectId"], came.json()["emailVerified"]) == (planted.id, True)
    assert (await home.ask("GET", "/users/me", sent=planted.sent)).json()["code"] == 209
    assert (await home.sign_in(planted)).json()["code"] == 101


@pytest.mark.parametrize(("kept", "typed"), [ALIKE, ALIKE[::-1], ("kim@example.org", "\u212aim@example.org")])
async def test_row_55_an_address_that_only_looks_alike_is_not_hers(home: House, kept: str, typed: str) -> None:
    """Neither is she written to or joined, nor is hers proved."""
    person = await home.person(email=kept)
    await told(home, 1)
    for path in ("/api/v1/codes", "/requestPasswordReset", "/verificationEmailRequest"):
        await home.ask("POST", path, {"email": typed})
    came = await home.ask("POST", "/users", {"authData": proof(home, "kim", typed, "joining")})
    assert came.json()["objectId"] != person.id
    await home.ask("PUT", f"/users/{person.id}", {"authData": proof(home, "kim", typed)}, sent=person.sent)
    assert (await herself(home, person))["emailVerified"] is False
    await home.ask("POST", "/api/v1/codes", {"email": kept})
    assert (await told(home, 2))[0] == kept


async def test_row_55_where_addresses_of_two_differ_in_case_each_has_her_own_and_none_a_third(
    issuer: Web, tmp_path: Path, mongo: str
) -> None:
    """As Parse Server could leave them, without the index that keeps them apart."""
    auth = {"joining": {**ACME.configured(issuer), "linkByEmail": True}}
    async with house(tmp_path, mongo, reach=Reach(open=True), auth=auth) as home:
        people = {email: await home.person(email=f"{number}{email}") for number, email in enumerate((HERS, HERS.lower()))}
        url = home.app.options.database_url
        assert url is not None
        with MongoClient[dict[str, Any]](url) as client:
            users = client.get_default_database()["_User"]
            users.drop_index("email_unique")
            for email, person in people.items():
                users.update_one({"_id": person.id}, {"$set": {"email": email}})
        await home.ask("POST", "/api/v1/codes", {"email": TYPED})
        await home.ask("POST", "/requestPasswordReset", {"email": TYPED})
        third = await home.ask("POST", "/users", {"authData": proof(home, "third", TYPED, "joining")})
        assert third.json()["objectId"] not in {person.id for person in people.values()}
        for number, (email, person) in enumerate(people.items()):
            await home.ask("POST", "/api/v1/codes", {"email": email})
            assert (await told(home, 2 * number + 1))[0] == email
            came = await home.ask("POST", "/users", {"authData": proof(home, email, email, "joining")})
            assert came.json()["objectId"] == person.id
            assert (await told(home, 2 * number + 2))[0] == email  # that a provider was linked


async def test_a_sign_in_with_a_provider_that_proves_the_address_proves_it(home: House) -> None:
    """Beside her password, by the provider alone, and where it was linked before she had the address; her password stays."""
    ann = await home.person(email=HERS)
    entered = await home.sign_in(ann, authData=proof(home, "ann", TYPED))
    assert (entered.json()["emailVerified"], entered.json()["authDataResponse"]) == (True, {})
    assert (await herself(home, ann))["emailVerified"] is True
    await told(home, 1)

    bob = await home.person(email="Bob@Example.org", authData=proof(home, "bob", "bob@example.org"))
    assert (await herself(home, bob))["emailVerified"] is True

    cat = await home.person(authData=proof(home, "cat", "cat@example.org"))
    assert (await home.ask("PUT", f"/users/{cat.id}", {"email": "Cat@Example.org"}, sent=cat.sent)).status_code == 200
    assert (await herself(home, cat))["emailVerified"] is False
    entered = await home.ask("POST", "/users", {"authData": proof(home, "cat", "cat@example.org")})
    assert (entered.json()["objectId"], entered.json()["emailVerified"]) == (cat.id, True)
    assert (await herself(home, cat))["emailVerified"] is True
    assert (await home.ask("POST", "/login", {"username": cat.name, "password": PASSWORD})).status_code == 200


async def test_row_57_a_sign_in_with_a_provider_that_proves_another_address_proves_nothing(home: House) -> None:
    dan = await home.person(email="dan@example.org")
    entered = await home.sign_in(dan, authData=proof(home, "dan", "dan@example.com"))
    assert entered.json()["emailVerified"] is False
    entered = await home.ask("POST", "/users", {"authData": proof(home, "dan", "dan@example.com")})
    assert (entered.json()["objectId"], entered.json()["emailVerified"]) == (dan.id, False)
