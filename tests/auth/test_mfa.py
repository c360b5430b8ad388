"""Second factors over authData.mfa, as Parse Server's adapter speaks: enrolled, asked for, used up, changed, taken away."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from mbaas.kernel.ops import Set
from mbaas.storage.ports import Update
from mbaas_auth.mfa import TEXTER
from mbaas_auth.totp import Totp
from tests.auth.inside import PASSWORD, House, Messages, Person, house
from tests.wire.scenarios import MASTER

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""The 20 bytes of the standard's examples."""
OTHER = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(home: House, secret: str = SECRET, steps: int = 0) -> str:
    """What an authenticator app shows now, or so many steps later."""
    return Totp().code(base64.b32decode(secret), home.clock.now() // 30_000 + steps)


class SlowMessages(Messages):
    """Takes each message when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def send(self, number: str, text: str) -> None:
        now = asyncio.Event()
        self.asked.put_nowait(now)
        await now.wait()
        await super().send(number, text)


async def enrolled(home: House, secret: str = SECRET, **more: Any) -> tuple[Person, list[str]]:
    """Somebody with an authenticator app, and her recovery codes. The next step has begun."""
    person = await home.person()
    answer = await home.ask("PUT", f"/users/{person.id}", mfa(secret=secret, token=code(home, secret), **more), sent=person.sent)
    assert answer.status_code == 200, answer.text
    home.clock.advance(60_000)
    return person, answer.json()["authDataResponse"]["mfa"]["recovery"].split(", ")


def mfa(**data: Any) -> dict[str, Any]:
    return {"authData": {"mfa": data}}


async def signs_in(home: House, person: Person, **data: Any) -> tuple[int, Any, str | None]:
    """Status, code and text of a sign-in with this second factor."""
    answer = await home.sign_in(person, **(mfa(**data) if data else {}))
    body = answer.json()
    return answer.status_code, body.get("code"), body.get("error")


async def test_the_second_factor_is_asked_for(home: House) -> None:
    person, recovery = await enrolled(home)
    assert [len(each) for each in recovery] == [30, 30]
    assert await signs_in(home, person) == (400, -1, "Missing additional authData mfa")
    assert await signs_in(home, person, token="000000") == (400, 141, "Invalid MFA token")
    assert await signs_in(home, person, token=code(home, OTHER)) == (400, 141, "Invalid MFA token")
    for wrong in (None, 123456, {"$ne": 1}, ["x"], "", "0" * 1000):
        assert (await signs_in(home, person, token=wrong))[1] == 141
    assert await signs_in(home, person, status="enabled") == (400, 141, "Invalid MFA token")
    answer = (await home.sign_in(person, **mfa(token=code(home)))).json()
    assert answer["authData"] == {"mfa": {"status": "enabled"}}
    assert answer["sessionToken"].startswith("r:")


async def test_a_wrong_password_tells_nothing_of_the_factor(home: House) -> None:
    person, _ = await enrolled(home)
    answer = await home.ask("POST", "/login", {"username": person.name, "password": "x", **mfa(token=code(home))})
    assert (answer.status_code, answer.json()["code"]) == (404, 101)
    assert (await home.sign_in(person, **mfa(token=code(home)))).status_code == 200


async def test_row_22_no_answer_has_the_secret(home: House) -> None:
    """Whoever asks, whichever way; nor has what is stored a recovery code."""
    person, recovery = await enrolled(home)
    login = await home.sign_in(person, **mfa(token=code(home)))
    sent = {**person.sent, "X-Parse-Session-Token": login.json()["sessionToken"]}
    answers = [
        login,
        await home.ask("POST", "/verifyPassword", {"username": person.name, "password": PASSWORD}),
        await home.ask("GET", "/users/me", sent=sent),
        await home.ask("GET", f"/users/{person.id}", sent=sent),
        await home.ask("GET", "/users", sent=sent),
        await home.master("GET", f"/users/{person.id}"),
        await home.master("GET", "/classes/_User"),
        await home.master("POST", "/loginAs", {"userId": person.id}),
        await home.ask("GET", f"/users/{person.id}", sent={**MASTER, "X-Parse-Maintenance-Key": "maint"}, ip="127.0.0.1"),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert SECRET not in answer.text
        assert "recovery" not in answer.text
        assert "enabled" in answer.text
    user = await home.app.store.documents.get(home.app.classes.known_or_blank("_User"), person.id)
    assert user is not None
    assert SECRET in str(user.hidden)
    assert not any(each in str(user) for each in recovery)


async def test_row_31_a_code_is_good_once(home: House) -> None:
    """Also for those who come at the same time; and none of an earlier step is good after it."""
    person, _ = await enrolled(home)
    token = code(home)
    statuses = await asyncio.gather(*(signs_in(home, person, token=token) for _ in range(8)))
    assert sorted(status for status, _, _ in statuses) == [200] + [400] * 7
    assert (await signs_in(home, person, token=token))[1] == 141
    assert (await signs_in(home, person, token=code(home, steps=-1)))[1] == 141
    home.clock.advance(30_000)
    assert (await signs_in(home, person, token=code(home)))[0] == 200


async def test_row_31_a_recovery_code_is_good_once(home: House) -> None:
    person, [first, second] = await enrolled(home)
    statuses = await asyncio.gather(*(signs_in(home, person, token=first) for _ in range(8)))
    assert sorted(status for status, _, _ in statuses) == [200] + [400] * 7
    assert (await signs_in(home, person, token=first))[1] == 141
    user = await home.app.store.documents.get(home.app.classes.known_or_blank("_User"), person.id)
    assert user is not None
    [kept] = user.hidden["_mfa"]["recovery"]
    assert (await signs_in(home, person, token=kept))[1] == 141, "what a copy of the database has is no code"
    assert (await signs_in(home, person, token=second))[0] == 200
    assert (await signs_in(home, person, token=code(home)))[0] == 200


async def test_the_tries_of_an_account_are_bounded_from_however_many_addresses(home: House) -> None:
    person, _ = await enrolled(home)
    body = {"username": person.name, "password": PASSWORD, **mfa(token="000000")}
    answers = [await home.ask("POST", "/login", body, ip=f"10.2.{n}.1") for n in range(12)]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429] * 2
    assert answers[-1].headers["ratelimit-policy"] == '"mfa"; q=10; w=600'
    assert (await signs_in(home, person, token=code(home)))[0] == 429
    home.clock.advance(600_000)
    assert (await signs_in(home, person, token=code(home)))[0] == 200


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"secret": SECRET}, "Invalid MFA data"),
    ({"secret": SECRET[:16], "token": "000000"}, "Invalid MFA data"),
    ({"secret": SECRET, "token": "000000"}, "Invalid MFA token"),
    ({"secret": "1" * 32, "token": "000000"}, "Invalid MFA token"),
    ({"secret": {"$ne": ""}, "token": "000000"}, "Invalid MFA data"),
    ({"secret": "A" * 1000, "token": "000000"}, "Invalid MFA data"),
    ({}, "Invalid MFA data"),
]


async def test_nobody_enrols_by_mistake(home: House) -> None:
    person = await home.person()
    for data, error in MISTAKES:
        answer = await home.ask("PUT", f"/users/{person.id}", mfa(**data), sent=person.sent)
        assert (answer.json()["code"], answer.json()["error"]) == (141, error), data
    assert (await home.sign_in(person)).status_code == 200


async def test_nobody_enrols_somebody_else(home: House) -> None:
    person, other = await home.person(), await home.person()
    answer = await home.ask("PUT", f"/users/{person.id}", mfa(secret=SECRET, token=code(home)), sent=other.sent)
    assert answer.json()["code"] == 206
    assert (await home.sign_in(person)).status_code == 200


async def test_the_factor_is_changed_with_a_code_of_the_one_before(home: House) -> None:
    person, _ = await enrolled(home)
    place, new = f"/users/{person.id}", {"secret": OTHER, "token": code(home, OTHER)}
    for old in ({}, {"old": None}, {"old": "000000"}, {"old": code(home, OTHER)}):
        refused = await home.ask("PUT", place, mfa(**new, **old), sent=person.sent)
        assert refused.json()["code"] in (141, 210), refused.text
    answer = await home.ask("PUT", place, mfa(**new, old=code(home)), sent=person.sent)
    assert len(answer.json()["authDataResponse"]["mfa"]["recovery"].split(", ")) == 2
    home.clock.advance(60_000)
    assert (await signs_in(home, person, token=code(home)))[1] == 141
    assert (await signs_in(home, person, token=code(home, OTHER)))[0] == 200


async def test_a_session_alone_does_not_take_the_factor_away(home: House) -> None:
    person, _ = await enrolled(home)
    place = f"/users/{person.id}"
    assert (await home.ask("PUT", place, {"authData": {"mfa": None}}, sent=person.sent)).json()["code"] == 210
    assert (await home.ask("PUT", place, {"authData": {"mfa": {"status": "enabled"}}}, sent=person.sent)).status_code == 200
    assert (await signs_in(home, person))[1] == -1
    assert (await home.ask("PUT", place, mfa(old=code(home)), sent=person.sent)).status_code == 200
    assert (await signs_in(home, person))[0] == 200
    assert (await home.ask("PUT", place, {"authData": {"mfa": None}}, sent=person.sent)).status_code == 200


async def test_the_master_key_takes_it_from_who_has_lost_her_phone(home: House) -> None:
    person, _ = await enrolled(home)
    assert (await home.master("PUT", f"/users/{person.id}", {"authData": {"mfa": None}})).status_code == 200
    assert "authData" not in (await home.sign_in(person)).json()


async def test_a_factor_alone_signs_nobody_up(home: House) -> None:
    answer = await home.ask("POST", "/users", mfa(secret=SECRET, token=code(home)))
    assert answer.json()["code"] == 200
    both = {"username": "both", "password": PASSWORD, **mfa(secret=SECRET, token=code(home))}
    made = await home.ask("POST", "/users", both)
    assert "recovery" in made.json()["authDataResponse"]["mfa"]
    home.clock.advance(60_000)
    assert (await signs_in(home, Person("", "both", ""), token=code(home)))[0] == 200


async def test_who_comes_by_a_provider_is_asked_for_it_too(home: House) -> None:
    anonymous = {"anonymous": {"id": "00000000-0000-0000-0000-000000000001"}}
    made = (await home.ask("POST", "/users", {"authData": anonymous})).json()
    person = Person(made["objectId"], "", made["sessionToken"])
    kept = {"authData": {**anonymous, "mfa": {"secret": SECRET, "token": code(home)}}}
    assert (await home.ask("PUT", f"/users/{person.id}", kept, sent=person.sent)).status_code == 200
    home.clock.advance(60_000)
    assert (await home.ask("POST", "/users", {"authData": anonymous})).json()["code"] == -1
    again = await home.ask("POST", "/users", {"authData": {**anonymous, "mfa": {"token": code(home)}}})
    assert (again.status_code, again.json()["objectId"]) == (200, person.id)
    assert again.json()["authData"] == {**anonymous, "mfa": {"status": "enabled"}}


async def test_a_number_is_proved_and_then_asked(home: House) -> None:
    person, number = await home.person(), "+49 170 1234567"
    place = f"/users/{person.id}"
    assert (await home.ask("PUT", place, mfa(mobile=number), sent=person.sent)).status_code == 200
    assert home.messages.taken[0][0] == number
    assert (await home.sign_in(person)).json()["authData"] == {"mfa": {"status": "disabled"}}
    for wrong in ({"mobile": "+1", "token": home.messages.code}, {"mobile": number, "token": "nonsense"}):
        assert (await home.ask("PUT", place, mfa(**wrong), sent=person.sent)).json()["code"] == 141
    assert (await home.ask("PUT", place, mfa(mobile=number, token=home.messages.code), sent=person.sent)).status_code == 200
    assert (await signs_in(home, person))[1] == -1
    assert (await signs_in(home, person, token=home.messages.code))[1] == 141
    assert await signs_in(home, person, token="request") == (400, 141, "Please enter the token")
    user = await home.app.store.documents.get(home.app.classes.known_or_blank("_User"), person.id)
    assert home.messages.code not in str(user)
    statuses = await asyncio.gather(*(signs_in(home, person, token=home.messages.code) for _ in range(4)))
    assert sorted(status for status, _, _ in statuses) == [200, 400, 400, 400]
    await signs_in(home, person, token="request")
    home.clock.advance(301_000)
    assert (await signs_in(home, person, token=home.messages.code))[1] == 141
    refused = await home.ask("PUT", place, mfa(mobile="+2"), sent=person.sent)
    assert refused.json()["error"] == "MFA is already set up on this account"


async def test_messages_go_to_numbers(home: House) -> None:
    person = await home.person()
    for number in ("one", "+49x", {"$ne": 1}, "1" * 300):
        answer = await home.ask("PUT", f"/users/{person.id}", mfa(mobile=number), sent=person.sent)
        assert answer.json()["code"] == 141, number
    assert home.messages.taken == []


async def test_the_code_of_the_last_message_is_good_whoever_else_asks_meanwhile(home: House) -> None:
    """Two sign-ins ask at once, and the service takes its time."""
    person, number = await home.person(), "+49 170 7654321"
    for more in ({}, {"token": "sent"}):
        sent = {"token": home.messages.code} if more else {}
        assert (await home.ask("PUT", f"/users/{person.id}", mfa(mobile=number, **sent), sent=person.sent)).status_code == 200
    slow = SlowMessages()
    home.app.rooms[TEXTER] = slow
    first, second = (asyncio.create_task(signs_in(home, person, token="request")) for _ in range(2))
    [one, other] = [await slow.asked.get() for _ in range(2)]
    one.set()
    await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    other.set()
    assert {(await first)[2], (await second)[2]} == {"Please enter the token"}
    assert (await signs_in(home, person, token=slow.code))[0] == 200


async def test_nobody_has_messages_sent_to_strangers_by_the_dozen(home: House) -> None:
    """Each sign-up is somebody new, also one that is refused: what they have in common is where they come from."""

    async def asks(number: int, ip: str, name: str = "ann") -> int:
        body = {"username": name, "password": PASSWORD, **mfa(mobile=f"+88213{number:06d}")}
        return (await home.ask("POST", "/users", body, ip=ip)).status_code

    assert await asks(0, "2001:db8::1") == 201
    assert [await asks(number, f"2001:db8::{number:x}") for number in range(1, 31)] == [400] * 29 + [429]
    assert len(home.messages.taken) == 30
    assert await asks(31, "2001:db8:0:1::1", "bob") == 201
    home.clock.advance(601_000)
    assert await asks(32, "2001:db8::1", "cat") == 201


async def test_on_a_database_of_parse_servers_it_is_kept_as_that_keeps_it(mongo: str, tmp_path: Path) -> None:
    """Parse Server stops at a hidden field that it does not know; and what it has kept is asked for, and kept better once it is sealed."""
    async with house(tmp_path, mongo, database_shared=True) as home:
        person, [first, _] = await enrolled(home)
        statuses = await asyncio.gather(*(signs_in(home, person, token=code(home)) for _ in range(4)))
        assert sorted(status for status, _, _ in statuses) == [200, 400, 400, 400]
        user = await home.app.store.documents.get(home.app.classes.known_or_blank("_User"), person.id)
        assert user is not None
        assert not any(name.startswith("_mfa") for name in user.hidden)
        assert user.body["authData"]["mfa"]["secret"] == SECRET
        assert SECRET not in (await home.master("GET", f"/users/{person.id}")).text
        home.app.sharing.shared = False
        assert (await signs_in(home, person, token=first))[0] == 200
        user = await home.app.store.documents.get(home.app.classes.known_or_blank("_User"), person.id)
        assert user is not None
        assert user.body["authData"] == {"mfa": {"status": "enabled"}}
        assert (await signs_in(home, person, token=first))[1] == 141


async def test_row_22_what_parse_server_has_kept_of_a_factor_is_in_no_answer(home: House) -> None:
    """It keeps secrets in `authData`: nobody is shown them there, or finds people by them, whichever way the master key asks."""
    person = await home.person()
    kept = {"secret": SECRET, "recovery": ["r" * 30, "s" * 30]}
    schema = home.app.classes.known_or_blank("_User")
    await home.app.store.documents.commit([Update(schema, person.id, [Set(("authData", "mfa"), kept)])])
    stages = ({"$match": {"authData.mfa.secret": SECRET}}, {"$project": {"s": "$authData.mfa.secret", "a": "$authData"}})
    asked: list[dict[str, Any]] = [{"pipeline": json.dumps([stage])} for stage in stages]
    asked += [{"distinct": path} for path in ("authData", "authData.mfa", "authData.mfa.secret", "authData.mfa.recovery")]
    for arguments in asked:
        answer = await home.master("GET", f"/aggregate/_User?{urlencode(arguments)}")
        assert answer.status_code == 200, answer.text
        assert SECRET not in answer.text
        assert "r" * 30 not in answer.text
    for where in ({"authData.mfa.secret": {"$regex": "^G"}}, {"authData.mfa.recovery": "r" * 30}, {"authData.mfa.secret": {"$gt": "A"}}):
        found = await home.master("GET", f"/classes/_User?{urlencode({'where': json.dumps(where)})}")
        assert found.json()["results"] == []
    enrolled_ones = await home.master("GET", f"/classes/_User?{urlencode({'where': json.dumps({'authData.mfa': {'$exists': True}})})}")
    assert [each["objectId"] for each in enrolled_ones.json()["results"]] == [person.id]
    assert (await home.sign_in(person, **mfa(token=code(home)))).status_code == 200
