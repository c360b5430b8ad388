"""Passkeys: added while signed in, signing in by themselves, listed, named and taken away; and what a forger may try."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.auth.authenticator import AAGUID, DOMAIN, ORIGIN, Passkey, data_of, text
from tests.auth.inside import House, Person, house
from tests.auth.test_mfa import code, enrolled
from tests.wire.scenarios import APP

PASSKEYS = "/api/v1/passkeys"
INVALID = "Webauthn auth is invalid for this user."


@pytest.fixture(params=["sqlite", "mongo"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    url = request.getfixturevalue("mongo") if request.param == "mongo" else None
    async with house(tmp_path, url, auth={"webauthn": {"rpId": DOMAIN}}) as made:
        yield made


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[House]:
    """On the embedded store alone, for what makes no difference to a store."""
    async with house(tmp_path, auth={"webauthn": {"rpId": DOMAIN}}) as made:
        yield made


async def asked(home: House, person: Person | None = None, **more: Any) -> dict[str, Any]:
    """Options: to sign in, or to add a passkey of the person's."""
    place, sent = (f"{PASSKEYS}/registration", person.sent) if person else (f"{PASSKEYS}/options", APP)
    answer = await home.ask("POST", place, more, sent=sent)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def added(home: House, person: Person, passkey: Passkey | None = None, **more: Any) -> Passkey:
    passkey = passkey or Passkey()
    options = await asked(home, person, **more)
    answer = await home.ask("POST", PASSKEYS, {"credential": passkey.registered(options)}, sent=person.sent)
    assert answer.status_code == 201, answer.text
    return passkey


async def enters(home: House, credential: Any, **more: Any) -> httpx.Response:
    return await home.ask("POST", f"{PASSKEYS}/sign-in", {"credential": credential, **more})


async def test_a_passkey_is_added_and_signs_in_by_itself(home: House) -> None:
    person = await home.person(email="ann@example.org")
    options = (await asked(home, person))["publicKey"]
    assert options["rp"] == {"id": DOMAIN, "name": "Gardens"}
    assert options["user"]["name"] == "ann@example.org"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    passkey = await added(home, person)
    answer = await enters(home, passkey.signed(await asked(home)))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["objectId"] == person.id
    assert body["authData"] == {"webauthn": {"id": passkey.handle.decode()}}
    assert "ann" not in passkey.handle.decode()
    assert person.id.encode() not in passkey.handle
    sent = {**APP, "X-Parse-Session-Token": body["sessionToken"]}
    [session] = [s for s in (await home.ask("GET", "/api/v1/sessions", sent=sent)).json()["results"] if s["current"]]
    assert session["createdWith"] == {"action": "login", "authProvider": "webauthn"}
    assert "Passkey (Passkey) can be used to sign in" in await home.mail(1)


async def test_it_is_authdata_that_a_stock_client_sends(home: House) -> None:
    """`linkWith` and `logInWith`, with the options from `/challenge`."""
    person = await home.person()
    told = await home.ask("POST", "/challenge", {"challengeData": {"webauthn": {"register": True}}}, sent=person.sent)
    passkey = Passkey()
    credential = passkey.registered(told.json()["challengeData"]["webauthn"])
    linked = await home.ask("PUT", f"/users/{person.id}", {"authData": {"webauthn": credential}}, sent=person.sent)
    assert linked.status_code == 200, linked.text
    assert linked.json()["authData"] == {"webauthn": {"id": passkey.handle.decode()}}
    told = await home.ask("POST", "/challenge", {"challengeData": {"webauthn": {}}})
    answer = await home.ask("POST", "/users", {"authData": {"webauthn": passkey.signed(told.json()["challengeData"]["webauthn"])}})
    assert (answer.status_code, answer.json()["objectId"]) == (200, person.id)
    assert (await home.ask("PUT", f"/users/{person.id}", {"authData": {"webauthn": None}}, sent=person.sent)).status_code == 200
    told = await home.ask("POST", "/challenge", {"challengeData": {"webauthn": {}}})
    answer = await home.ask("POST", "/users", {"authData": {"webauthn": passkey.signed(told.json()["challengeData"]["webauthn"])}})
    assert (answer.json()["code"], answer.json()["error"]) == (101, INVALID)
    everybody = await home.master("GET", "/users?count=1&limit=0")
    assert everybody.json()["count"] == 1, "nobody signs up with a passkey that is known no more"


async def test_a_person_has_several_and_takes_them_away(home: House) -> None:
    person = await home.person(email="bea@example.org")
    first, second = await added(home, person), Passkey()
    home.clock.advance(1000)
    options = await asked(home, person)
    assert [each["id"] for each in options["publicKey"]["excludeCredentials"]] == [text(first.id)]
    body = {"credential": second.registered(options), "name": "  Bea's phone "}
    told = (await home.ask("POST", PASSKEYS, body, sent=person.sent)).json()
    assert told["name"] == "Bea's phone"
    assert told["aaguid"].replace("-", "") == AAGUID.hex()
    assert (told["transports"], told["synced"], told["backedUp"], told["lastUsedAt"]) == (["hybrid", "internal"], True, True, None)
    assert (await enters(home, second.signed(await asked(home)))).status_code == 200
    named = await home.ask("PUT", f"{PASSKEYS}/{text(first.id)}", {"name": "Key ring"}, sent=person.sent)
    assert named.json()["name"] == "Key ring"
    listed = (await home.ask("GET", PASSKEYS, sent=person.sent)).json()["results"]
    assert [(each["name"], each["lastUsedAt"] is not None) for each in listed] == [("Key ring", False), ("Bea's phone", True)]
    assert set(listed[0]) == {"id", "name", "aaguid", "transports", "synced", "backedUp", "createdAt", "lastUsedAt"}
    assert (await home.ask("DELETE", f"{PASSKEYS}/{text(second.id)}", sent=person.sent)).status_code == 200
    assert (await enters(home, second.signed(await asked(home)))).json()["code"] == 101
    assert (await enters(home, first.signed(await asked(home)))).status_code == 200
    assert (await home.ask("DELETE", f"{PASSKEYS}/{text(first.id)}", sent=person.sent)).status_code == 200
    assert "authData" not in (await home.ask("GET", "/users/me", sent=person.sent)).json()
    mails = [await home.mail(number) for number in range(1, 5)]
    assert [("from now on" in mail, "no longer" in mail) for mail in mails] == [(True, False)] * 2 + [(False, True)] * 2
    assert "Bea's phone" in mails[2]


async def test_passkeys_are_their_owners_alone(embedded: House) -> None:
    home = embedded
    ann, bob = await home.person(), await home.person()
    passkey = await added(home, ann)
    place = f"{PASSKEYS}/{text(passkey.id)}"
    assert (await home.ask("GET", PASSKEYS, sent=bob.sent)).json()["results"] == []
    for method, body in (("PUT", {"name": "mine"}), ("DELETE", None)):
        assert (await home.ask(method, place, body, sent=bob.sent)).json()["code"] == 101
        assert (await home.ask(method, place, body)).status_code == 401
    for method, where in (("GET", PASSKEYS), ("POST", f"{PASSKEYS}/registration"), ("POST", PASSKEYS)):
        assert (await home.ask(method, where, None if method == "GET" else {})).status_code == 401
    for wrong in ("", "  ", None, 5, ["x"], "x" * 101):
        assert (await home.ask("PUT", place, {"name": wrong}, sent=ann.sent)).json()["code"] == 162
    lines = (await home.ask("GET", "/api/v1/users/me/data", sent=ann.sent)).text.splitlines()
    kept = [json.loads(line)["object"] for line in lines if '"passkey"' in line]
    assert [each["id"] for each in kept] == [text(passkey.id)]
    assert all("key" not in each for each in kept)


Forge = Callable[[Passkey, dict[str, Any]], dict[str, Any]]


def part(name: str, value: Any) -> Forge:
    def forged(passkey: Passkey, options: dict[str, Any]) -> dict[str, Any]:
        good = passkey.signed(options)
        return {**good, "response": {**good["response"], name: value}}

    return forged


def copied(passkey: Passkey, options: dict[str, Any]) -> dict[str, Any]:
    """By a copy of it, that has counted as far as it had the first time."""
    return Passkey(passkey.handle, passkey.id, 0, key=passkey.key).signed(options)


def other_key(passkey: Passkey, options: dict[str, Any]) -> dict[str, Any]:
    return Passkey(passkey.handle, passkey.id, passkey.count).signed(options)


def unverified(passkey: Passkey, options: dict[str, Any]) -> dict[str, Any]:
    return Passkey(passkey.handle, passkey.id, passkey.count, verified=False, key=passkey.key).signed(options)


def challenging(made: str) -> Forge:
    return lambda passkey, options: passkey.signed({"publicKey": {"challenge": made}})


FORGED: dict[str, Forge] = {
    "another page": lambda passkey, options: passkey.signed(options, origin="https://evil.example"),
    "a page below it": lambda passkey, options: passkey.signed(options, origin="https://x.gardens.example"),
    "no https": lambda passkey, options: passkey.signed(options, origin="http://gardens.example"),
    "another port": lambda passkey, options: passkey.signed(options, origin=f"{ORIGIN}:8443"),
    "another domain": lambda passkey, options: passkey.signed(options, domain="evil.example"),
    "a frame elsewhere": lambda passkey, options: passkey.signed(options, crossOrigin=True, topOrigin="https://evil.example"),
    "another ceremony": lambda passkey, options: passkey.signed(options, type="webauthn.create"),
    "a challenge of one's own": challenging(text(b"x" * 32)),
    "no challenge": challenging(""),
    "another key": other_key,
    "a counter that stands still": copied,
    "no fingerprint": unverified,
    "another signature": part("signature", text(b"x" * 70)),
    "no signature": part("signature", ""),
    "other data": part("authenticatorData", text(b"x" * 37)),
    "no data": part("authenticatorData", ""),
    "nobody's handle": part("userHandle", text(b"0" * 32)),
    "client data that is none": part("clientDataJSON", text(b"[]")),
    "client data that is no JSON": part("clientDataJSON", text(b"\xff")),
    "an object for a text": part("signature", {"$ne": 1}),
    "an id that is none": lambda passkey, options: {**passkey.signed(options), "id": {"$ne": None}},
    "another id": lambda passkey, options: {**passkey.signed(options), "id": text(b"x" * 32), "rawId": text(b"x" * 32)},
    "an endless text": part("signature", "x" * 100_000),
    "another type": lambda passkey, options: {**passkey.signed(options), "type": "password"},
}


async def test_row_26_nothing_forged_signs_in(embedded: House) -> None:
    """And the passkey itself still does."""
    person = await embedded.person()
    passkey = await added(embedded, person)
    assert (await enters(embedded, passkey.signed(await asked(embedded)))).status_code == 200
    for name, forge in FORGED.items():
        answer = await enters(embedded, forge(passkey, await asked(embedded)))
        assert answer.json().get("code") in (101, 162), f"{name}: {answer.text}"
    odd: list[Any] = [None, 5, "x", [], {}, {"response": None}, {"id": "x", "response": {}}, {"id": "=", "rawId": "é", "response": {}}]
    for wrong in odd:
        assert (await enters(embedded, wrong)).json()["code"] in (101, 142), wrong
    assert (await enters(embedded, passkey.signed(await asked(embedded)))).status_code == 200


async def test_row_31_an_answer_is_good_once_and_not_for_ever(home: House) -> None:
    person = await home.person()
    passkey = await added(home, person)
    credential = passkey.signed(await asked(home))
    answers = await asyncio.gather(*(enters(home, credential) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[404] * 9]
    options = await asked(home)
    home.clock.advance(301_000)
    assert (await enters(home, passkey.signed(options))).json()["code"] == 101
    options = await asked(home, person)
    home.clock.advance(301_000)
    late = await home.ask("POST", PASSKEYS, {"credential": Passkey().registered(options)}, sent=person.sent)
    assert late.json()["code"] == 101


async def test_challenges_are_good_for_what_they_were_made_for(embedded: House) -> None:
    home = embedded
    ann, bob = await home.person(), await home.person()
    passkey = await added(home, ann)
    options = await asked(home, ann)
    assert (await enters(home, passkey.signed(options))).json()["code"] == 101
    for_bob = await asked(home, bob)
    stolen = await home.ask("POST", PASSKEYS, {"credential": Passkey().registered(for_bob)}, sent=ann.sent)
    assert stolen.json()["code"] == 101
    to_sign_in = await asked(home)
    to_sign_in["publicKey"]["user"] = {"id": text(passkey.handle)}
    assert (await home.ask("POST", PASSKEYS, {"credential": Passkey().registered(to_sign_in)}, sent=ann.sent)).json()["code"] == 101
    assert (await home.ask("POST", "/users", {"authData": {"webauthn": Passkey().registered(await asked(home, bob))}})).json()[
        "code"
    ] == 101
    taken = Passkey(id=passkey.id).registered(await asked(home, bob))
    answer = await home.ask("POST", PASSKEYS, {"credential": taken}, sent=bob.sent)
    assert answer.json()["code"] == 208, "a passkey of that id is somebody's"
    foreign = Passkey().registered(await asked(home, bob), origin="https://evil.example")
    assert (await home.ask("POST", PASSKEYS, {"credential": foreign}, sent=bob.sent)).json()["code"] == 101
    renamed = Passkey().registered(await asked(home, bob)) | {"id": text(b"x"), "rawId": text(b"x")}
    assert (await home.ask("POST", PASSKEYS, {"credential": renamed}, sent=bob.sent)).json()["code"] == 101
    unverified_one = Passkey(verified=False).registered(await asked(home, bob))
    assert (await home.ask("POST", PASSKEYS, {"credential": unverified_one}, sent=bob.sent)).json()["code"] == 101
    assert (await home.ask("GET", PASSKEYS, sent=bob.sent)).json()["results"] == []


async def test_nobody_links_somebody_elses_passkey(embedded: House) -> None:
    home = embedded
    ann, bob = await home.person(), await home.person()
    passkey = await added(home, ann)
    signed = {"webauthn": passkey.signed(await asked(home))}
    assert (await home.ask("PUT", f"/users/{bob.id}", {"authData": signed}, sent=bob.sent)).json()["code"] == 208
    signed = {"webauthn": passkey.signed(await asked(home))}
    assert (await home.sign_in(bob, authData=signed)).json()["code"] in (101, 208)
    own = {"webauthn": {"id": passkey.handle.decode()}}
    for data in (own, {"webauthn": {"id": passkey.handle.decode(), "response": {}}}):
        assert (await home.ask("POST", "/users", {"authData": data})).json()["code"] in (101, 142)
        assert (await home.ask("PUT", f"/users/{bob.id}", {"authData": data}, sent=bob.sent)).json()["code"] in (142, 206)


async def test_row_62_who_has_a_second_factor_shows_it_before_a_passkey_is_added(embedded: House) -> None:
    """And a passkey that has looked who is there is two factors by itself."""
    home = embedded
    person, _ = await enrolled(home)
    for wrong in ({}, {"mfa": {"token": "000000"}}):
        refused = await home.ask("POST", f"{PASSKEYS}/registration", wrong, sent=person.sent)
        assert refused.json()["code"] in (-1, 141)
    passkey = await added(home, person, mfa={"token": code(home)})
    assert (await home.sign_in(person)).json()["code"] == -1
    assert (await enters(home, passkey.signed(await asked(home)))).status_code == 200


async def test_row_62_a_passkey_ends_with_its_user(home: House) -> None:
    ann, bob = await home.person(), await home.person()
    deleted, locked = await added(home, ann), await added(home, bob)
    assert (await home.ask("DELETE", f"/users/{ann.id}", sent=ann.sent)).status_code == 200
    assert (await enters(home, deleted.signed(await asked(home)))).json()["code"] == 101
    assert await home.app.store.rows.scan("passkeys_of", prefix=f"{ann.id}.") == []
    assert (await home.master("PUT", f"/users/{bob.id}", {"ACL": {}})).status_code == 200
    assert (await enters(home, locked.signed(await asked(home)))).json()["code"] == 101


async def test_row_55_a_strangers_passkey_ends_with_the_first_proof(embedded: House) -> None:
    home = embedded
    person = await home.person(email="owner@example.org")
    passkey = await added(home, person)
    ticket = (await home.ask("POST", "/api/v1/codes", {"email": "owner@example.org"})).json()
    mails = " ".join([await home.mail(1), await home.mail(2)])
    [digits] = re.findall(r"\b\d{6}\b", mails)
    owner = await home.ask("POST", "/api/v1/sign-in", {"id": ticket["id"], "code": digits})
    assert owner.status_code == 200, owner.text
    assert (await enters(home, passkey.signed(await asked(home)))).json()["code"] == 101
    hers = Person(person.id, person.name, owner.json()["sessionToken"])
    assert (await home.ask("GET", PASSKEYS, sent=hers.sent)).json()["results"] == []
    own = await added(home, hers)
    assert (await enters(home, own.signed(await asked(home)))).status_code == 200
    assert [each["id"] for each in (await home.ask("GET", PASSKEYS, sent=hers.sent)).json()["results"]] == [text(own.id)]
    assert len(await home.app.store.rows.scan("passkeys_of", prefix=f"{person.id}.")) == 1


async def test_without_a_fingerprint_a_passkey_is_one_factor(tmp_path: Path) -> None:
    async with house(tmp_path, auth={"webauthn": {"rpId": DOMAIN, "userVerification": "preferred"}}) as home:
        person, _ = await enrolled(home)
        passkey = await added(home, person, Passkey(verified=False), mfa={"token": code(home)})
        home.clock.advance(60_000)
        assert (await enters(home, passkey.signed(await asked(home)))).json()["code"] == -1
        second = {"authData": {"mfa": {"token": code(home)}}}
        assert (await enters(home, passkey.signed(await asked(home)), **second)).status_code == 200
        passkey.verified = True
        assert (await enters(home, passkey.signed(await asked(home)))).status_code == 200


async def test_nobody_has_more_than_twenty(embedded: House) -> None:
    person = await embedded.person()
    for _ in range(20):
        await added(embedded, person)
    refused = await embedded.ask("POST", f"{PASSKEYS}/registration", {}, sent=person.sent)
    assert (refused.json()["code"], "20" in refused.json()["error"]) == (162, True)


async def test_of_several_that_are_added_and_removed_at_once_none_is_lost(home: House) -> None:
    person = await home.person()
    first = await added(home, person)
    wanted = [Passkey() for _ in range(4)]
    credentials = [passkey.registered(await asked(home, person)) for passkey in wanted]
    removing = home.ask("DELETE", f"{PASSKEYS}/{text(first.id)}", sent=person.sent)
    adding = (home.ask("POST", PASSKEYS, {"credential": each}, sent=person.sent) for each in credentials)
    answers = await asyncio.gather(removing, *adding)
    there = {each["id"] for each in (await home.ask("GET", PASSKEYS, sent=person.sent)).json()["results"]}
    assert there == {text(p.id) for p, answer in zip(wanted, answers[1:], strict=True) if answer.status_code == 201}
    assert all(answer.status_code in (201, 404, 409) for answer in answers[1:]), [answer.text for answer in answers]
    for passkey in wanted:
        signed = await enters(home, passkey.signed(await asked(home)))
        assert (signed.status_code == 200) == (text(passkey.id) in there)


async def test_of_two_first_ones_that_are_begun_at_once_the_second_is_begun_again(embedded: House) -> None:
    """It does not take the place of the first; and none is added by the way of a sign-in."""
    home = embedded
    person = await home.person()
    first, second = Passkey(), Passkey()
    credentials = [passkey.registered(await asked(home, person)) for passkey in (first, second)]
    answers = [await home.ask("POST", PASSKEYS, {"credential": each}, sent=person.sent) for each in credentials]
    assert [answer.status_code for answer in answers] == [201, 404]
    assert (await enters(home, first.signed(await asked(home)))).status_code == 200
    again = {"webauthn": second.registered(await asked(home, person))}
    assert (await home.sign_in(person, authData=again)).json()["code"] == 101
    await added(home, person, second)
    for passkey in (first, second):
        assert (await enters(home, passkey.signed(await asked(home)))).status_code == 200


async def test_where_none_are_configured_there_are_none(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        person = await home.person()
        for place in ("options", "registration"):
            assert (await home.ask("POST", f"{PASSKEYS}/{place}", {}, sent=person.sent)).json()["code"] == 252
        assert (await home.ask("POST", "/challenge", {"challengeData": {"webauthn": {}}})).json() == {"challengeData": {}}
        credential = Passkey(b"x", b"x").signed({"publicKey": {"challenge": text(b"x" * 32)}})
        assert (await enters(home, credential)).json()["code"] == 252
        assert data_of(credential["id"]) == b"x"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "rpId"),
        ({"rpId": "https://gardens.example"}, "rpId"),
        ({"rpId": "gardens"}, "rpId"),
        ({"rpId": DOMAIN, "origins": "https://evil.example"}, "origins"),
        ({"rpId": DOMAIN, "origins": ["http://gardens.example"]}, "origins"),
        ({"rpId": DOMAIN, "origins": ["https://gardens.example/"]}, "origins"),
        ({"rpId": DOMAIN, "origins": ["https://x@gardens.example"]}, "origins"),
        ({"rpId": DOMAIN, "origins": ["https://evilgardens.example"]}, "origins"),
        ({"rpId": DOMAIN, "userVerification": "discouraged"}, "userVerification"),
    ],
)
def test_what_cannot_be_configured_is_named(options: dict[str, Any], named: str) -> None:
    from mbaas_auth.identity.configured import configured

    providers, problems = configured({"webauthn": options})
    assert providers == {}
    assert problems["webauthn"].startswith(named)


def test_pages_and_apps_of_the_domain_may_be_configured() -> None:
    from mbaas_auth.identity.configured import configured

    good = ["https://gardens.example", "https://www.gardens.example:8443", "android:apk-key-hash:abc"]
    assert configured({"webauthn": {"rpId": DOMAIN, "origins": good}})[1] == {}
    assert configured({"webauthn": {"rpId": "localhost", "origins": ["http://localhost:3000"]}})[1] == {}
