"""The first proof of an address, by whichever door: what was there before it goes, and what its owner has after it stays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mbaas.kernel.caller import Caller
from mbaas.kernel.triggers import Kind, NoTriggers, Outcome
from mbaas.kernel.values import Object
from tests.auth.inside import PASSWORD, House, Person, house
from tests.auth.test_mfa import SECRET, enrolled, mfa
from tests.auth.test_mfa import code as authenticator

ADDRESS = "victim@example.org"


def device(number: int) -> dict[str, Any]:
    """A way in that needs nobody's word."""
    return {"authData": {"anonymous": {"id": f"00000000-0000-0000-0000-{number:012d}"}}}


async def by_code(home: House) -> Any:
    """Sign in by the code of a mail."""
    before = len(home.office.mails)
    asked = await home.ask("POST", "/api/v1/codes", {"email": ADDRESS})
    found = re.search(r"\b(\d{6})\b", await home.mail(before + 1))
    assert found is not None
    return (await home.ask("POST", "/api/v1/sign-in", {"id": asked.json()["id"], "code": found[1]})).json()


async def reset(home: House, password: str = "chosen") -> None:
    """Choose a password by the link of a mail."""
    before = len(home.office.mails)
    assert (await home.ask("POST", "/requestPasswordReset", {"email": ADDRESS})).status_code == 200
    found = re.search(r"https://api\.example\.com/parse(/\S+)\?token=(\S+)", await home.mail(before + 1))
    assert found is not None
    answer = await home.ask("POST", found[1], {"token": found[2], "new_password": password})
    assert answer.status_code in (200, 302), answer.text


async def whose(home: House, person: Person, token: str, authData: dict[str, Any]) -> None:  # noqa: N803 - as Parse spells it
    sent = {**person.sent, "X-Parse-Session-Token": token}
    answer = await home.ask("PUT", f"/users/{person.id}", {"authData": authData}, sent=sent)
    assert answer.status_code == 200, answer.text


async def test_row_55_a_password_chosen_by_mail_stays_when_she_comes_by_a_code(home: House) -> None:
    """Her address was proved by the first mail; the second proves nothing new."""
    person = await home.person(email=ADDRESS)
    await reset(home)
    assert (await by_code(home))["objectId"] == person.id
    assert (await home.ask("POST", "/login", {"username": person.name, "password": "chosen"})).status_code == 200


async def test_row_55_a_provider_linked_after_a_code_stays_when_she_chooses_a_password(home: House) -> None:
    person = await home.person(email=ADDRESS)
    mine = await by_code(home)
    assert mine["emailVerified"] is True
    await whose(home, person, mine["sessionToken"], device(1)["authData"])
    await reset(home)
    assert (await home.ask("POST", "/users", device(1))).json()["objectId"] == person.id


async def test_row_55_the_strangers_session_ends_with_the_first_proof_whatever_new_passwords_do(tmp_path: Path) -> None:
    async with house(tmp_path, revoke_session_on_password_reset=False) as home:
        stranger = await home.person(email=ADDRESS, **device(2))
        await reset(home)
        assert (await home.ask("GET", "/users/me", sent=stranger.sent)).json()["code"] == 209
        assert (await home.ask("POST", "/users", device(2))).json()["objectId"] != stranger.id
        kept = (await home.ask("POST", "/login", {"username": stranger.name, "password": "chosen"})).json()["sessionToken"]
        await reset(home, "another")
        assert (await home.ask("GET", "/users/me", sent={**stranger.sent, "X-Parse-Session-Token": kept})).status_code == 200


async def test_row_55_what_a_stranger_links_while_the_owner_comes_goes_too(home: House) -> None:
    """However the two of them meet."""
    for turn, comes in enumerate((by_code, reset)):
        stranger = await home.person(email=ADDRESS)
        links = [home.ask("PUT", f"/users/{stranger.id}", device(10 * turn + n), sent=stranger.sent) for n in range(6)]
        await asyncio.gather(comes(home), *links)
        for number in range(6):
            assert (await home.ask("POST", "/users", device(10 * turn + number))).json()["objectId"] != stranger.id
        assert (await home.ask("GET", "/users/me", sent=stranger.sent)).json()["code"] == 209
        assert (await home.sign_in(stranger)).json()["code"] == 101
        assert (await home.master("DELETE", f"/users/{stranger.id}")).status_code == 200


async def test_row_55_who_signs_in_while_the_owner_comes_has_no_session_afterwards(home: House) -> None:
    """A password that was looked at before it was taken away opens none after it."""
    stranger = await home.person(email=ADDRESS)
    _, *answers = await asyncio.gather(by_code(home), *(home.sign_in(stranger) for _ in range(12)))
    for answer in answers:
        token = answer.json().get("sessionToken")
        if token is None:
            assert answer.json()["code"] == 101
        else:
            sent = {**stranger.sent, "X-Parse-Session-Token": token}
            assert (await home.ask("GET", "/users/me", sent=sent)).json()["code"] == 209


class Meanwhile(NoTriggers):
    """Does something amid the first sign-in: after the account was looked at, and before the session is made."""

    def __init__(self, what: Callable[[], Awaitable[None]]) -> None:
        self._what: Callable[[], Awaitable[None]] | None = what

    def has(self, kind: Kind, class_name: str) -> bool:
        return kind == "beforeLogin" and self._what is not None

    async def fire(self, kind: Kind, class_name: str, caller: Caller, given: Object) -> Outcome:
        what, self._what = self._what, None
        assert what is not None
        await what()
        return Outcome()


async def test_row_55_nor_has_who_signs_in_by_a_provider_meanwhile(home: House) -> None:
    """A provider that has vouched and is taken away then opens no session."""
    stranger = await home.person(email=ADDRESS)
    assert (await home.ask("PUT", f"/users/{stranger.id}", device(1), sent=stranger.sent)).status_code == 200

    async def owner_comes() -> None:
        assert (await by_code(home))["objectId"] == stranger.id

    home.app.triggers = Meanwhile(owner_comes)
    answer = await home.ask("POST", "/users", device(1))
    assert answer.json().get("code") == 101, answer.text


async def test_row_55_no_proof_of_an_address_opens_what_a_second_factor_guards(home: House) -> None:
    person, _ = await enrolled(home)
    assert (await home.ask("PUT", f"/users/{person.id}", {"email": ADDRESS}, sent=person.sent)).status_code == 200
    assert (await by_code(home))["code"] == -1
    assert (await home.sign_in(person, **mfa(token=authenticator(home)))).status_code == 200
    await reset(home)
    entered = {"username": person.name, "password": "chosen"}
    assert (await home.ask("POST", "/login", entered)).json()["code"] == -1
    home.clock.advance(30_000)
    assert (await home.ask("POST", "/login", {**entered, **mfa(token=authenticator(home))})).status_code == 200


async def test_a_session_that_was_made_of_another_ends_with_it(home: House) -> None:
    """A copy of a token makes no session that outlives it."""
    person = await home.person()
    made = (await home.ask("POST", "/upgradeToRevocableSession", {}, sent=person.sent)).json()["sessionToken"]
    copy = {**person.sent, "X-Parse-Session-Token": made}
    assert (await home.ask("GET", "/users/me", sent=copy)).status_code == 200
    assert (await home.ask("DELETE", "/api/v1/sessions/me", sent=person.sent)).status_code == 200
    assert (await home.ask("GET", "/users/me", sent=copy)).json()["code"] == 209


async def test_row_70_who_is_locked_out_has_no_session_any_more(home: House) -> None:
    """Nor is one made for her, and what she had is good again once she is let in again."""
    person = await home.person(email=ADDRESS)
    assert (await home.ask("GET", "/users/me", sent=person.sent)).status_code == 200
    assert (await home.master("PUT", f"/users/{person.id}", {"ACL": {}})).status_code == 200
    for method, path in (("GET", "/users/me"), ("GET", "/api/v1/sessions"), ("POST", "/api/v1/sessions/rotate"), ("GET", "/classes/Any")):
        answer = await home.ask(method, path, sent=person.sent)
        assert answer.status_code in (400, 401), answer.text
        assert "209" in answer.text
    assert (await home.ask("POST", "/login", {"username": person.name, "password": PASSWORD})).json()["code"] == 101
    assert (await by_code(home))["code"] == 101


async def test_a_number_is_the_same_however_it_is_written(home: House) -> None:
    """Five messages in ten minutes are a number's, and a person's, whichever numbers she has them be sent to."""
    people = [await home.person() for _ in range(7)]
    codes = []
    for person, number in zip(people, ("+491711", "+49 1711", "+49-1711", "+49.17.11", "+49/1711", "(49)1711", "++49 17 11"), strict=True):
        answer = await home.ask("PUT", f"/users/{person.id}", mfa(mobile=number), sent=person.sent)
        codes.append(answer.status_code)
    assert codes == [200] * 5 + [429] * 2
    codes = []
    for last in range(6):
        answer = await home.ask("PUT", f"/users/{people[6].id}", mfa(mobile=f"+4917{last}"), sent=people[6].sent)
        codes.append(answer.status_code)
    assert codes[-1] == 429
    assert len(home.messages.taken) <= 10


async def test_a_secret_of_padding_is_no_secret(home: House) -> None:
    person = await home.person()
    for secret in ("=" * 20, " " * 20, "AA" + "=" * 18):
        answer = await home.ask("PUT", f"/users/{person.id}", mfa(secret=secret, token="328482"), sent=person.sent)
        assert answer.json()["code"] == 141
    answer = await home.ask("PUT", f"/users/{person.id}", mfa(secret=SECRET, token=authenticator(home)), sent=person.sent)
    assert answer.status_code == 200
