"""Signing in by the code or link of a mail, and by a token that the app's own backend asks for."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.kernel.options import EmailVerification
from tests.auth.inside import House, house
from tests.auth.test_breaches import LOCAL, service
from tests.auth.test_mfa import code as authenticator
from tests.auth.test_mfa import enrolled, mfa

WRONG = {"code": 101, "error": "The code is wrong, or no longer good."}
PAGE = "https://app.example.com/enter?from=mail"


@pytest.fixture(params=["sqlite", "mongo"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    url = request.getfixturevalue("mongo") if request.param == "mongo" else None
    async with house(tmp_path, url, sign_in_url=PAGE) as made:
        yield made


async def asked(home: House, email: str) -> tuple[str, str, str]:
    """A mail that was asked for: the id, the code, the token of the link."""
    before = len(home.office.mails)
    answer = await home.ask("POST", "/api/v1/codes", {"email": email})
    assert answer.status_code == 200, answer.text
    text = await home.mail(before + 1)
    found = re.search(r"\b(\d{6})\b", text)
    link = re.search(r"https://app\.example\.com/enter\?from=mail&token=(\S+)", text)
    assert found is not None
    assert link is not None
    return answer.json()["id"], found[1], link[1]


async def enter(home: House, **given: Any) -> Any:
    return (await home.ask("POST", "/api/v1/sign-in", given)).json()


@pytest.mark.parametrize("by", ["code", "link"])
async def test_row_32_a_mail_signs_in_once(home: House, by: str) -> None:
    """However many come at the same time; and the other half of the mail is used up with it."""
    person = await home.person(email="ann@example.org")
    ticket, code, token = await asked(home, "ann@example.org")
    given = {"id": ticket, "code": code} if by == "code" else {"token": token}
    answers = await asyncio.gather(*(enter(home, **given) for _ in range(4)))
    [right] = [answer for answer in answers if "sessionToken" in answer]
    assert (right["objectId"], right["email"]) == (person.id, "ann@example.org")
    assert [answer for answer in answers if answer is not right] == [WRONG] * 3
    assert await enter(home, id=ticket, code=code) == WRONG
    assert await enter(home, token=token) == WRONG
    me = await home.ask("GET", "/users/me", sent={**person.sent, "X-Parse-Session-Token": right["sessionToken"]})
    assert me.json()["objectId"] == person.id


async def test_a_code_is_tried_five_times(home: House) -> None:
    """By whoever has the id: a stranger's tries are those of a ticket of her own."""
    await home.person(email="ann@example.org")
    ticket, code, _ = await asked(home, "ann@example.org")
    other, _, _ = await asked(home, "ann@example.org")
    wrong = "000000" if code != "000000" else "000001"
    assert [await enter(home, id=ticket, code=wrong) for _ in range(5)] == [WRONG] * 5
    assert await enter(home, id=ticket, code=code) == WRONG
    assert await enter(home, id=other, code=code) == WRONG
    ticket, code, _ = await asked(home, "ann@example.org")
    assert "sessionToken" in await enter(home, id=ticket, code=code)


async def test_a_code_ends_after_ten_minutes(home: House) -> None:
    await home.person(email="ann@example.org")
    ticket, code, token = await asked(home, "ann@example.org")
    home.clock.advance(600_000)
    assert await enter(home, id=ticket, code=code) == WRONG
    assert await enter(home, token=token) == WRONG


async def test_row_25_only_texts_are_looked_at(home: House) -> None:
    ticket, code = (await home.ask("POST", "/api/v1/codes", {"email": "nobody@example.org"})).json()["id"], "123456"
    for wrong in (None, 1, {"$ne": ""}, ["x"], "", "é", "x" * 1000):
        for given in ({"id": ticket, "code": wrong}, {"id": wrong, "code": code}, {"token": wrong}, {}):
            assert await enter(home, **given) == WRONG
    for email, refused in ((None, 204), ("", 204), (1, 125), ({"$ne": ""}, 125), (["x"], 125)):
        assert (await home.ask("POST", "/api/v1/codes", {"email": email})).json()["code"] == refused


async def test_row_36_an_unknown_address_is_answered_alike(home: House) -> None:
    """By the same answer, as fast, and its codes are as wrong as any."""
    await home.person(email="ann@example.org")
    shapes, shortest = [], 1.0
    for email in ("ann@example.org", "nobody@example.org") * 3:
        began = time.monotonic()
        answer = await home.ask("POST", "/api/v1/codes", {"email": email})
        shortest = min(shortest, time.monotonic() - began)
        shapes.append((answer.status_code, {name: len(text) for name, text in answer.json().items()}))
        assert await enter(home, id=answer.json()["id"], code="123456") == WRONG
    assert all(shape == shapes[0] for shape in shapes)
    assert shortest > 0.14, "each takes longer than the store does for either"
    await home.mail(3)
    assert {mail["To"] for mail in home.office.mails} == {"ann@example.org"}


async def test_row_55_an_account_that_waited_under_somebody_elses_address_is_hers(home: House) -> None:
    """What a stranger left there before her first proof is gone, and stays when she comes again."""
    anonymous = {"anonymous": {"id": "00000000-0000-0000-0000-00000000000a"}}
    stranger = await home.person(email="victim@example.org", authData=anonymous)
    ticket, code, _ = await asked(home, "victim@example.org")
    mine = await enter(home, id=ticket, code=code)
    assert mine["objectId"] == stranger.id
    assert (await home.sign_in(stranger)).json()["code"] == 101
    assert (await home.ask("GET", "/users/me", sent=stranger.sent)).json()["code"] == 209
    again = await home.ask("POST", "/users", {"authData": anonymous})
    assert again.json()["objectId"] != stranger.id
    sent = {**stranger.sent, "X-Parse-Session-Token": mine["sessionToken"]}
    changed = await home.ask("PUT", f"/users/{stranger.id}", {"password": "correct horse"}, sent=sent)
    ticket, code, _ = await asked(home, "victim@example.org")
    assert "sessionToken" in await enter(home, id=ticket, code=code)
    assert (await home.sign_in(stranger)).status_code == 200
    sent["X-Parse-Session-Token"] = changed.json()["sessionToken"]
    assert (await home.ask("GET", "/users/me", sent=sent)).status_code == 200


async def test_a_changed_address_is_proved_anew(home: House) -> None:
    person = await home.person(email="one@example.org")
    ticket, code, _ = await asked(home, "one@example.org")
    mine = await enter(home, id=ticket, code=code)
    sent = {**person.sent, "X-Parse-Session-Token": mine["sessionToken"]}
    ticket, code, _ = await asked(home, "one@example.org")
    changed = await home.ask("PUT", f"/users/{person.id}", {"email": "two@example.org", "password": "mine"}, sent=sent)
    assert changed.status_code == 200
    assert await enter(home, id=ticket, code=code) == WRONG, "it was sent to an address that is hers no more"
    ticket, code, _ = await asked(home, "two@example.org")
    assert "sessionToken" in await enter(home, id=ticket, code=code)
    assert (await home.ask("POST", "/login", {"username": person.name, "password": "mine"})).json()["code"] == 101


async def test_a_code_proves_the_address_where_addresses_are_proved(tmp_path: Path) -> None:
    wanted = EmailVerification(wanted=True, prevent_login=True)
    async with house(tmp_path, sign_in_url=PAGE, email_verification=wanted) as home:
        body = {"username": "ann", "password": "x", "email": "ann@example.org"}
        assert "sessionToken" not in (await home.ask("POST", "/users", body)).json()
        await home.mail(1)
        ticket, code, _ = await asked(home, "ann@example.org")
        assert (await enter(home, id=ticket, code=code))["emailVerified"] is True


async def test_a_mail_is_not_a_second_factor(home: House) -> None:
    """A right code without the second factor is not used up."""
    person, _ = await enrolled(home)
    await home.ask("PUT", f"/users/{person.id}", {"email": "ann@example.org"}, sent=person.sent)
    ticket, code, _ = await asked(home, "ann@example.org")
    assert (await enter(home, id=ticket, code=code))["code"] == -1
    assert (await enter(home, id=ticket, code=code, **mfa(token="000000")))["code"] == 141
    assert "sessionToken" in await enter(home, id=ticket, code=code, **mfa(token=authenticator(home)))


async def test_a_token_of_the_apps_own_backend_signs_in_once(home: House) -> None:
    person, _ = await enrolled(home)
    made = await home.master("POST", "/api/v1/tokens", {"userId": person.id})
    assert made.status_code == 201, made.text
    token = made.json()["token"]
    assert await enter(home, token=token[:-1] + ("0" if token[-1] != "0" else "1")) == WRONG
    assert await enter(home, id=token[:25], code="000000") == WRONG
    assert (await enter(home, token=token))["objectId"] == person.id
    assert await enter(home, token=token) == WRONG
    late = (await home.master("POST", "/api/v1/tokens", {"userId": person.id, "expiresIn": 10})).json()["token"]
    home.clock.advance(10_000)
    assert await enter(home, token=late) == WRONG


async def test_row_66_only_the_master_key_makes_tokens(home: House) -> None:
    person = await home.person()
    refused = await home.ask("POST", "/api/v1/tokens", {"userId": person.id}, sent=person.sent)
    assert refused.status_code == 403
    for body in ({"userId": "nobody"}, {"userId": {"$ne": ""}}, {}):
        assert (await home.master("POST", "/api/v1/tokens", body)).json()["code"] == 101
    for seconds in (0, -1, 3601, True, "60", 1.5):
        answer = await home.master("POST", "/api/v1/tokens", {"userId": person.id, "expiresIn": seconds})
        assert answer.json()["code"] == 162


async def test_nothing_that_is_stored_opens_an_account(home: House) -> None:
    await home.person(email="ann@example.org")
    ticket, code, token = await asked(home, "ann@example.org")
    rows = [str(row) for table in ("tickets", "mails") for row in await home.app.store.rows.scan(table)]
    assert any(ticket in row for row in rows)
    assert not any(code in row.replace(ticket, "") or token in row for row in rows)


@pytest.mark.parametrize(
    ("locale", "words"), [("en", "your code to sign in to"), ("de", "Ihr Code"), ("es", "Tu código"), ("fr", "votre code")]
)
async def test_mails_are_in_the_persons_language(tmp_path: Path, locale: str, words: str) -> None:
    async with house(tmp_path) as home:
        await home.person(email="ann@example.org", locale=locale)
        answer = await home.ask("POST", "/api/v1/codes", {"email": "ann@example.org"})
        text = await home.mail(1)
        assert words in text
        assert "http" not in text, "there is no page for a link"
        [code] = re.findall(r"\d{6}", text)
        assert code in home.office.mails[0]["Subject"]
        assert "sessionToken" in await enter(home, id=answer.json()["id"], code=code)


async def test_an_http_service_is_asked_to_send_the_mail_as_it_is(tmp_path: Path) -> None:
    """Parse Server's mail adapters have no method for a code; `sendMail` is theirs for any mail."""
    async with service() as taker:
        adapter = {"module": "http", "options": {"url": f"http://127.0.0.1:{taker.port}/mails"}}
        async with house(tmp_path, reach=LOCAL, email_adapter=adapter, sign_in_url=PAGE) as home:
            await home.person(email="ann@example.org")
            answer = await home.ask("POST", "/api/v1/codes", {"email": "ann@example.org"})
            deadline = time.monotonic() + 10
            while not taker.asked:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            sent = json.loads(taker.asked[0][1])
            assert (sent["method"], sent["options"]["to"]) == ("sendMail", "ann@example.org")
            [code] = re.findall(r"\d{6}", sent["options"]["subject"])
            assert code in sent["options"]["text"]
            assert PAGE in sent["options"]["text"]
            assert "sessionToken" in await enter(home, id=answer.json()["id"], code=code)
