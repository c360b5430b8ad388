"""Where people are signed in, and how they leave: sessions by device, tokens that are rotated, all that is theirs told and taken away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import httpx
import pytest

from mbaas.storage.ports import Delete
from tests.auth.inside import House, Person, house
from tests.wire.scenarios import APP


@pytest.fixture(params=["sqlite", "mongo"])
async def home(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    url = request.getfixturevalue("mongo") if request.param == "mongo" else None
    async with house(tmp_path, url, erase=("Note", "_File")) as made:
        yield made


async def again(home: House, person: Person, more: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of another sign-in of hers."""
    answer = await home.ask("POST", "/login", {"username": person.name, "password": "correct horse"}, sent={**APP, **(more or {})})
    return {**APP, "X-Parse-Session-Token": answer.json()["sessionToken"]}


async def is_in(home: House, sent: dict[str, str]) -> bool:
    return (await home.ask("GET", "/users/me", sent=sent)).status_code == 200


async def listed(home: House, sent: dict[str, str]) -> list[Any]:
    results: list[Any] = (await home.ask("GET", "/api/v1/sessions", sent=sent)).json()["results"]
    return results


async def test_ending_the_others_leaves_the_session_that_one_of_them_has_made(home: House) -> None:
    person = await home.person()
    made = await home.ask("POST", "/upgradeToRevocableSession", {}, sent=person.sent)
    sent = {**APP, "X-Parse-Session-Token": made.json()["sessionToken"]}
    further = await home.ask("POST", "/sessions", {}, sent=sent)
    assert further.status_code == 201
    ended = await home.ask("DELETE", "/api/v1/sessions", sent=sent)
    assert ended.json() == {"ended": 2}
    assert [each["current"] for each in await listed(home, sent)] == [True]
    assert not await is_in(home, person.sent)


async def test_a_person_sees_where_she_is_signed_in(home: House) -> None:
    """Her own sessions only; when each was used, to the hour; no token."""
    person, other = await home.person(), await home.person()
    home.clock.advance(1000)
    phone = {"X-Parse-Installation-Id": "phone", "X-Parse-Client-Version": "i1.19"}
    sent = await again(home, person, phone)
    assert await is_in(home, {**sent, **phone})
    home.clock.advance(3_600_000)
    assert await is_in(home, {**sent, **phone})
    found = await listed(home, sent)
    assert [each["current"] for each in found] == [True, False]
    assert (found[0]["installationId"], found[0]["client"]) == ("phone", "i1.19")
    assert (found[0]["createdAt"], found[0]["lastUsedAt"]) == ("2026-01-31T09:05:01.123Z", "2026-01-31T10:05:01.123Z")
    assert found[1]["lastUsedAt"] is None
    assert "r:" not in str(found)
    named = await home.ask("PUT", "/api/v1/sessions/me", {"name": " Ann's phone "}, sent=sent)
    assert (named.json()["name"], (await listed(home, sent))[0]["name"]) == ("Ann's phone", "Ann's phone")
    for name in (None, "", " ", "x" * 101, {"$ne": 1}):
        assert (await home.ask("PUT", "/api/v1/sessions/me", {"name": name}, sent=sent)).json()["code"] == 162
    assert len(await listed(home, other.sent)) == 1
    assert (await home.ask("GET", "/api/v1/sessions")).status_code == 401


async def test_a_person_ends_her_sessions_and_nobody_elses(home: House) -> None:
    person, other = await home.person(), await home.person()
    second, third = await again(home, person), await again(home, person)
    [hers] = await listed(home, other.sent)
    for session_id in (hers["id"], "unknown", "../x"):
        assert (await home.ask("DELETE", f"/api/v1/sessions/{session_id}", sent=second)).status_code == 404
    first = next(each["id"] for each in await listed(home, person.sent) if each["current"])
    assert (await home.ask("DELETE", f"/api/v1/sessions/{first}", sent=second)).json() == {}
    assert not await is_in(home, person.sent)
    assert (await home.ask("DELETE", "/api/v1/sessions", sent=second)).json() == {"ended": 1}
    assert [await is_in(home, sent) for sent in (second, third, other.sent)] == [True, False, True]


@pytest.mark.parametrize("how", ["another session", "an upgraded one", "a new password"])
async def test_who_has_a_token_signs_in_again_when_a_year_is_over(home: House, how: str) -> None:
    """A session lasts no longer than the one that it was made with."""
    person = await home.person()
    first = (await listed(home, person.sent))[0]["expiresAt"]
    home.clock.advance(300 * 24 * 3_600_000)
    if how == "a new password":
        made = await home.ask("PUT", f"/users/{person.id}", {"password": "another horse"}, sent=person.sent)
    else:
        made = await home.ask("POST", "/sessions" if how == "another session" else "/upgradeToRevocableSession", {}, sent=person.sent)
    sent = {**APP, "X-Parse-Session-Token": made.json()["sessionToken"]}
    assert [each["expiresAt"] for each in await listed(home, sent) if each["current"]] == [first]
    home.clock.advance(66 * 24 * 3_600_000)
    assert not await is_in(home, sent)


async def test_who_signs_in_and_out_several_times_at_once_is_told_no_error(home: House) -> None:
    """A device has one session: each sign-in ends that before, which another may have ended already."""
    phone, guest = {**APP, "X-Parse-Installation-Id": "phone"}, {"authData": {"anonymous": {"id": "guest"}}}
    for _ in range(2):
        answers = await asyncio.gather(*(home.ask("POST", "/users", guest, sent=phone) for _ in range(6)))
        assert {answer.status_code for answer in answers} <= {200, 201}, [answer.text for answer in answers]
    person = await home.person()
    user = {"userId": person.id}
    tokens = [(await home.master("POST", "/api/v1/tokens", user)).json()["token"] for _ in range(4)]
    answers = await asyncio.gather(*(home.ask("POST", "/api/v1/sign-in", {"token": token}, sent=phone) for token in tokens))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    sent = await again(home, person)
    answers = await asyncio.gather(*(home.ask("POST", "/logout", sent=sent) for _ in range(2)))
    assert {answer.text for answer in answers} <= {"{}", '{"code":209,"error":"Invalid session token"}'}


@pytest.mark.parametrize("path", ["/upgradeToRevocableSession", "/sessions"])
async def test_row_a2_what_a_session_makes_in_the_moment_it_ends_ends_with_it(home: House, path: str) -> None:
    """Whoever has a copy of a token keeps nothing by asking for more sessions while its owner signs out."""
    for _ in range(5):
        person = await home.person()
        asked = [home.ask("POST", path, {}, sent=person.sent) for _ in range(6)]
        asked.insert(2, home.ask("POST", "/logout", {}, sent=person.sent))
        answers = await asyncio.gather(*asked)
        assert answers.pop(2).status_code == 200
        assert {answer.json().get("code") for answer in answers} <= {None, 209}
        for token in [answer.json()["sessionToken"] for answer in answers if answer.is_success]:
            assert not await is_in(home, {**APP, "X-Parse-Session-Token": token})


async def test_row_a2_a_session_whose_maker_has_gone_is_gone(home: House) -> None:
    """Also in a process that has used it, and hears of that later."""
    person = await home.person()
    made = await home.ask("POST", "/sessions", {}, sent=person.sent)
    sent = {**APP, "X-Parse-Session-Token": made.json()["sessionToken"]}
    assert await is_in(home, sent)
    maker = (await home.ask("GET", "/sessions/me", sent=person.sent)).json()["objectId"]
    schema, start = home.app.classes.known_or_blank("_Session"), await home.app.store.feed.latest()
    await home.app.store.documents.commit([Delete(schema, maker)])
    for entry in await home.app.store.feed.after(start) or ():
        home.app.rooms["sessions"].touched(entry)
    assert not await is_in(home, sent)


@pytest.mark.parametrize("how", ["upgrade", "session", "token", "loginAs"])
async def test_nobody_who_leaves_leaves_a_session_behind(home: House, how: str) -> None:
    """However many are opened in that moment."""
    for _ in range(5):
        person = await home.person()
        tokens = [(await home.master("POST", "/api/v1/tokens", {"userId": person.id})).json()["token"] for _ in range(4)]

        def opened(token: str, person: Person = person) -> Awaitable[httpx.Response]:
            if how == "token":
                return home.ask("POST", "/api/v1/sign-in", {"token": token})
            if how == "loginAs":
                return home.master("POST", "/loginAs", {"userId": person.id})
            return home.ask("POST", "/sessions" if how == "session" else "/upgradeToRevocableSession", {}, sent=person.sent)

        asked = [opened(token) for token in tokens]
        asked.insert(2, home.ask("DELETE", "/users/me", sent=person.sent))
        answers = await asyncio.gather(*asked)
        assert answers.pop(2).json() == {}
        assert {answer.json().get("code") for answer in answers} <= {None, 101, 209}
    assert (await home.master("GET", "/sessions")).json()["results"] == []


async def test_a_token_that_comes_again_after_it_was_rotated_ends_the_session(home: House) -> None:
    person = await home.person()
    answer = await home.ask("POST", "/api/v1/sessions/rotate", sent=person.sent)
    new = {**APP, "X-Parse-Session-Token": answer.json()["sessionToken"]}
    assert not await is_in(home, person.sent), "the old token is good no more"
    assert await is_in(home, new), "but who repeats it at once, since an answer was lost, is no thief"
    home.clock.advance(10_000)
    other = await again(home, person)
    assert not await is_in(home, person.sent)
    assert [await is_in(home, new), await is_in(home, other)] == [False, True]


async def test_other_processes_hear_of_a_token_that_is_rotated(home: House) -> None:
    """What they remember of it is forgotten; when the session was changed stays as it was, for that says when it is extended."""
    person = await home.person()
    before, [session] = await home.app.store.feed.latest(), await listed(home, person.sent)
    home.clock.advance(1000)
    await home.ask("POST", "/api/v1/sessions/rotate", sent=person.sent)
    told = [entry for entry in await home.app.store.feed.after(before) or () if entry.class_name == "_Session"]
    assert [(entry.op, entry.object_id) for entry in told] == [("update", session["id"])]
    assert (await home.master("GET", f"/sessions/{session['id']}")).json()["updatedAt"] == session["createdAt"]


async def test_who_subscribes_with_a_token_that_was_rotated_is_no_thief(home: House) -> None:
    """SDKs begin live queries again with the token that they had; it is nobody's, and no more."""
    person = await home.person()
    answer = await home.ask("POST", "/api/v1/sessions/rotate", sent=person.sent)
    home.clock.advance(60_000)
    told = await home.live(
        {"op": "connect", "applicationId": "app", "javascriptKey": "js", "sessionToken": person.token},
        {"op": "subscribe", "requestId": 1, "query": {"className": "_User", "where": {}}, "sessionToken": person.token},
    )
    assert [each["op"] for each in told] == ["connected", "subscribed"], told
    assert await is_in(home, {**APP, "X-Parse-Session-Token": answer.json()["sessionToken"]})


async def things(home: House, person: Person) -> dict[str, str]:
    """Objects of hers and of others, a file, a role, an installation; the ids of the objects by what they are."""
    acl = {"mine": {person.id: {"read": True, "write": True}}, "open": None}
    acl["shared"] = {person.id: {"read": True, "write": True}, "friend": {"read": True, "write": True}}
    acl["others"] = {person.id: {"read": True}, "friend": {"read": True, "write": True}}
    made = {}
    for class_name in ("Note", "Kept"):
        for what, given in acl.items():
            body = {"what": what, **({"ACL": given} if given else {})}
            made[f"{class_name} {what}"] = (await home.master("POST", f"/classes/{class_name}", body)).json()["objectId"]
    user = {"__type": "Pointer", "className": "_User", "objectId": person.id}
    members = {"__op": "AddRelation", "objects": [user]}
    assert (await home.master("POST", "/roles", {"name": "staff", "ACL": {}, "users": members})).status_code == 201
    device = {"deviceType": "ios", "installationId": "dev-1", "user": user}
    assert (await home.ask("POST", "/installations", device, sent=person.sent)).status_code == 201
    file = {"base64": "aGVsbG8=", "_ContentType": "text/plain", "_ApplicationId": "app", "_JavaScriptKey": "js"}
    uploaded = await home.ask("POST", "/files/a.txt", {**file, "_SessionToken": person.token}, sent={})
    made["file"] = uploaded.json()["name"]
    return made


async def test_a_person_is_told_all_that_is_hers(home: House) -> None:
    person, other = await home.person(email="ann@example.org"), await home.person()
    made = await things(home, person)
    answer = await home.ask("GET", "/api/v1/users/me/data", sent=person.sent)
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert (lines[0]["kind"], lines[0]["object"]["email"]) == ("user", "ann@example.org")
    kinds = sorted(line["kind"] for line in lines)
    assert kinds == ["file", "installation", "object", "object", "object", "object", "role", "session", "user"]
    told = {line["object"]["objectId"] for line in lines if line["kind"] == "object"}
    assert told == {made[f"{name} {what}"] for name in ("Note", "Kept") for what in ("mine", "shared")}
    await home.master("PUT", "/schemas/Kept", {"classLevelPermissions": {"find": {}, "get": {}}})
    protected = {"find": {"*": True}, "get": {"*": True}, "protectedFields": {"*": ["what"]}}
    await home.master("PUT", "/schemas/Note", {"classLevelPermissions": protected})
    less = [json.loads(line)["object"] for line in (await home.ask("GET", "/api/v1/users/me/data", sent=person.sent)).text.splitlines()]
    assert [("className" in each, "what" in each) for each in less].count((True, False)) == 2, "as she may see it"
    assert sum("className" in each for each in less) == 2
    for secret in (person.token, "_session_token", "_hashed_password", "argon2"):
        assert secret not in answer.text
    assert (await home.master("GET", f"/api/v1/users/{person.id}/data")).text == answer.text
    assert (await home.ask("GET", f"/api/v1/users/{person.id}/data", sent=other.sent)).status_code == 403
    assert (await home.ask("GET", "/api/v1/users/me/data")).status_code == 401
    assert (await home.master("GET", "/api/v1/users/nobody/data")).status_code == 404


@pytest.mark.parametrize("by", ["me", "id", "master"])
async def test_what_is_hers_goes_with_a_person(home: House, by: str) -> None:
    """Of the classes that the app names what she alone may write, and her files; sessions, roles, and her place on devices."""
    person, other = await home.person(), await home.person()
    made = await things(home, person)
    assert (await home.ask("DELETE", f"/users/{person.id}", sent=other.sent)).status_code >= 400
    if by == "master":
        gone = await home.master("DELETE", f"/users/{person.id}")
    else:
        gone = await home.ask("DELETE", f"/users/{'me' if by == 'me' else person.id}", sent=person.sent)
    assert (gone.status_code, gone.json()) == (200, {})
    assert not await is_in(home, person.sent)
    assert await is_in(home, other.sent)
    left = [(await home.master("GET", f"/classes/{name}")).json()["results"] for name in ("Note", "Kept")]
    assert sorted(each["what"] for each in left[0]) == ["open", "others", "shared"]
    assert len(left[1]) == 4
    assert (await home.ask("GET", f"/files/app/{made['file']}")).status_code == 404
    sessions = (await home.master("GET", "/sessions")).json()["results"]
    assert {each["user"]["objectId"] for each in sessions} == {other.id}
    [role] = (await home.master("GET", "/roles")).json()["results"]
    pointer = {"__type": "Pointer", "className": "_Role", "objectId": role["objectId"]}
    where = json.dumps({"$relatedTo": {"object": pointer, "key": "users"}})
    assert (await home.master("GET", f"/users?where={where}")).json()["results"] == []
    [device] = (await home.master("GET", "/installations")).json()["results"]
    assert "user" not in device


async def test_nobody_is_deleted_who_is_not_signed_in(home: House) -> None:
    assert (await home.ask("DELETE", "/users/me")).json()["code"] == 209
