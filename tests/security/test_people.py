"""Rows 20 to 25, 33 to 37, 51, A1 and A2: accounts, sessions, and what can be found out about them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mbaas_auth.passwords import Passwords
from tests.security.attack import ANON, MASTER, PASSWORD, WAYS, Answer, Target, Way, pointer


@pytest.mark.parametrize("way", WAYS)
def test_row_20_a_session_is_changed_by_its_user_alone(target: Target, way: Way) -> None:
    owner, other = target.user(), target.user()
    session = target.ask("GET", "/sessions/me", sent=owner.sent).body["objectId"]
    for path in (f"/sessions/{session}", f"/classes/_Session/{session}"):
        assert target.ask("PUT", path, {"note": "mine"}, other.sent, way).code == 101
        assert target.ask("PUT", path, {"user": other.pointer}, other.sent, way).code in (101, 105)
        assert target.ask("DELETE", path, None, other.sent, way).code == 101
        assert target.ask("GET", path, None, other.sent, way).code == 101
        for method in ("PUT", "DELETE", "GET"):
            assert target.ask(method, path, {"note": "x"} if method == "PUT" else None, ANON, way).code == 209
    assert target.ask("GET", "/users/me", sent=owner.sent).status == 200


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sessionToken", "r:chosen"),
        ("expiresAt", {"__type": "Date", "iso": "2999-01-01T00:00:00.000Z"}),
        ("expiresAt", {"__op": "Delete"}),
        ("user", pointer("_User", "another")),
        ("user", {"__op": "Delete"}),
        ("createdWith", {"action": "masterkey"}),
        ("createdWith.action", "masterkey"),
        ("installationId", "another"),
        ("ACL", {"*": {"read": True}}),
    ],
    ids=str,
)
def test_row_20_what_the_server_put_into_a_session_stays(target: Target, name: str, value: Any, way: Way) -> None:
    user = target.user()
    session = target.ask("GET", "/sessions/me", sent=user.sent).body
    for path in (f"/sessions/{session['objectId']}", f"/classes/_Session/{session['objectId']}"):
        assert target.ask("PUT", path, {name: value}, user.sent, way).code in (105, 119)
    kept = target.ask("GET", "/sessions/me", sent=user.sent).body
    assert {**kept, "updatedAt": ""} == {**session, "updatedAt": ""}


@pytest.mark.parametrize("way", WAYS)
def test_row_20_a_session_that_a_client_makes_is_its_own_and_the_servers(target: Target, way: Way) -> None:
    user, other = target.user(), target.user()
    chosen = {
        "sessionToken": "r:chosen",
        "user": other.pointer,
        "createdWith": {"action": "masterkey"},
        "expiresAt": {"__type": "Date", "iso": "2999-01-01T00:00:00.000Z"},
    }
    made = target.ask("POST", "/sessions", chosen, user.sent, way)
    assert made.code is None, made.text
    assert made.body["user"]["objectId"] == user.id
    assert made.body["sessionToken"] != "r:chosen"
    assert made.body["createdWith"] == {"action": "create"}
    assert not made.body["expiresAt"]["iso"].startswith("2999")
    assert target.ask("GET", "/users/me", sent={**ANON, "X-Parse-Session-Token": "r:chosen"}).code == 209


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["/sessions", "/classes/_Session"])
def test_row_a2_class_permissions_hold_for_sessions_too(parse: Target, path: str, way: Way) -> None:
    user = parse.user()
    before = parse.ask("GET", "/schemas/_Session", None, MASTER).body["classLevelPermissions"]
    try:
        parse.schema("_Session", classLevelPermissions={**before, "create": {}})
        assert parse.ask("POST", path, {}, user.sent, way).code == 119
        parse.schema("_Session", classLevelPermissions={**before, "addField": {}})
        assert parse.ask("POST", path, {parse.name("column"): 1}, user.sent, way).code == 119
        assert parse.ask("POST", path, {}, user.sent, way).code is None
    finally:
        parse.schema("_Session", classLevelPermissions=before)


@pytest.mark.parametrize("way", WAYS)
def test_row_a2_signing_out_ends_the_sessions_that_were_made_from_it(target: Target, way: Way) -> None:
    user = target.user()
    chain = [user.sent]
    for _ in range(3):
        token = target.ask("POST", "/sessions", {}, chain[-1], way).body["sessionToken"]
        chain.append({**ANON, "X-Parse-Session-Token": token})
    apart = target.ask("POST", "/loginAs", {"userId": user.id}, MASTER).body["sessionToken"]
    assert [target.ask("GET", "/users/me", sent=sent).status for sent in chain] == [200] * 4
    assert target.ask("POST", "/logout", {}, user.sent, way).code is None
    assert [target.ask("GET", "/users/me", sent=sent).code for sent in chain] == [209] * 4
    assert target.ask("GET", "/users/me", sent={**ANON, "X-Parse-Session-Token": apart}).status == 200


@pytest.mark.parametrize("way", WAYS)
def test_row_21_protected_fields_of_sessions_hold_for_ones_own(parse: Target, way: Way) -> None:
    user = parse.user()
    before = parse.ask("GET", "/schemas/_Session", None, MASTER).body["classLevelPermissions"]
    try:
        parse.schema("_Session", classLevelPermissions={**before, "protectedFields": {"*": ["createdWith"]}})
        mine = parse.ask("GET", "/sessions/me", None, user.sent, way)
        listed = parse.ask("GET", "/sessions", None, user.sent, way)
        one = parse.ask("GET", f"/sessions/{mine.body['objectId']}", None, user.sent, way)
        for answer in (mine, listed, one):
            assert answer.code is None
            assert "createdWith" not in answer.text
    finally:
        parse.schema("_Session", classLevelPermissions=before)


@pytest.mark.parametrize("way", WAYS)
def test_row_22_every_way_to_oneself_shows_the_same(parse: Target, way: Way) -> None:
    """Also where the class is closed to everybody; a column of the class that was protected stays so for others."""
    user = parse.user(authData={"anonymous": {"id": parse.name("anon")}})
    before = parse.ask("GET", "/schemas/_User", None, MASTER).body["classLevelPermissions"]
    try:
        parse.schema("_User", classLevelPermissions={**before, "get": {}, "find": {}})
        credentials = {"username": user.name, "password": PASSWORD}
        shown = [
            parse.ask("POST", "/login", credentials, ANON, way),
            parse.ask("GET", "/login", credentials, ANON, way),
            parse.ask("POST", "/verifyPassword", credentials, ANON, way),
            parse.ask("GET", "/users/me", None, user.sent, way),
        ]
        keys = [set(answer.body) - {"sessionToken"} for answer in shown]
        assert all(k == keys[0] for k in keys), keys
        assert not any(name.startswith("_") or name == "password" for name in keys[0])
        assert parse.ask("GET", f"/users/{user.id}", None, user.sent, way).code in (119, 101)
    finally:
        parse.schema("_User", classLevelPermissions=before)


EMPTY: tuple[Any, ...] = ({}, {"x": None}, {"anonymous": None}, {"anonymous": {}}, {"anonymous": {"other": 1}}, {"x": {}}, [], "x", 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("auth_data", EMPTY, ids=json.dumps)
def test_row_23_nobody_signs_up_with_nothing(parse: Target, auth_data: Any, way: Way) -> None:
    def count() -> int:
        return int(parse.ask("GET", "/users", {"count": 1, "limit": 0}, MASTER).body["count"])

    before = count()
    for body in ({"authData": auth_data}, {"authData": auth_data, "username": parse.name("u")}):
        assert parse.ask("POST", "/users", body, ANON, way).code in (200, 201, 252), body
    assert count() == before


PROVIDERS = ("facebook", "google", "apple", "twitter", "ldap", "mfa", "unknown", "anonymous2", "constructor", "__proto__", "a.b", "a'b", "")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_row_24_and_51_a_provider_that_is_not_there_vouches_for_nobody(target: Target, provider: str, way: Way) -> None:
    user, factor = target.user(), (141, 200) if provider == "mfa" else ()
    for data in ({"id": "1"}, {"id": "1", "access_token": "x"}, {"access_token": "x"}, {"id": {"$ne": None}}, {"id": ["1"]}, {"id": 1}):
        for auth_data in ({provider: data}, {"anonymous": {"id": target.name("anon")}, provider: data}):
            answer = target.ask("POST", "/users", {"authData": auth_data}, {**ANON, **MASTER} if way == "plain" else MASTER, way)
            assert answer.code in (101, 105, 162, 252, *factor), answer.text
            changed = target.ask("PUT", f"/users/{user.id}", {"authData": auth_data}, user.sent, way)
            assert changed.code in (101, 105, 162, 206, 252, *factor), changed.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "path", ["authData.anonymous.id", "authData.facebook", "authData.facebook.id", "password.x", "emailVerified.x", "email.x"]
)
def test_row_24_no_path_leads_around_what_is_checked(target: Target, path: str, way: Way) -> None:
    user = target.user()
    before = target.ask("GET", f"/users/{user.id}", None, MASTER).body
    for value in ("victim", {"id": "victim"}, {"__op": "Delete"}, {"__op": "AddUnique", "objects": ["x"]}):
        for at in (f"/users/{user.id}", f"/classes/_User/{user.id}"):
            assert target.ask("PUT", at, {path: value}, user.sent, way).code == 105
        new = {"username": target.name("new"), "password": "x", path: value}
        assert target.ask("POST", "/users", new, MASTER, way).code == 105
    assert target.ask("GET", f"/users/{user.id}", None, MASTER).body == before


INJECTED: tuple[Any, ...] = (
    {"$ne": None},
    {"$regex": "."},
    {"$gt": ""},
    ["x"],
    [{"$ne": 1}],
    {"__type": "Pointer"},
    True,
    1,
    {"length": 1, "0": "x"},
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", INJECTED, ids=str)
def test_row_25_operators_are_no_credentials(parse: Target, value: Any, way: Way) -> None:
    user = parse.user()
    for body in (
        {"username": value, "password": PASSWORD},
        {"username": user.name, "password": value},
        {"email": value, "password": PASSWORD},
        {"username": user.name, "email": value, "password": PASSWORD},
    ):
        for path in ("/login", "/verifyPassword"):
            for method in ("POST", "GET"):
                answer = parse.ask(method, path, body, ANON, way)
                assert answer.code in (101, 200, 201), answer.text
    assert parse.ask("POST", "/users", {"authData": {"anonymous": {"id": value}}}, ANON, way).code == 162
    assert parse.ask("POST", "/loginAs", {"userId": value}, MASTER, way).code in (101, 162)


@pytest.mark.parametrize("query", ["username[$ne]=x&password[$ne]=x", "username[$regex]=.&password=x", "username=a&username=b&password=x"])
def test_row_25_nor_are_brackets_in_a_query_string(parse: Target, query: str) -> None:
    for path in ("/login", "/verifyPassword"):
        assert parse.raw("GET", f"{path}?{query}", headers=ANON).json()["code"] in (101, 200, 201)
        form = {**ANON, "Content-Type": "application/x-www-form-urlencoded"}
        assert parse.raw("POST", path, content=query, headers=form).json()["code"] in (101, 200, 201)


@pytest.mark.parametrize(
    "body",
    [
        lambda n: {"username": f"racer{n}", "password": "x"},
        lambda n: {"username": f"Racer{n}" if n else "r", "password": "x", "email": f"racer{n}@x.org"},
        lambda n: {"authData": {"anonymous": {"id": f"racer-{n}"}}},
    ],
    ids=["username", "email", "authData"],
)
def test_row_34_one_of_many_parallel_sign_ups_wins(parse: Target, body: Any) -> None:
    """With one name, with one address, with one id of a provider: one account, and no other error than "taken"."""
    wanted = body(parse.name())
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: parse.ask("POST", "/users", wanted), range(20)))
    made = {answer.body["objectId"] for answer in answers if answer.code is None}
    assert len(made) == 1
    assert {answer.code for answer in answers} <= {None, 202, 203, 208}
    where = {"objectId": {"$in": [*made]}} if "authData" in wanted else {"username": wanted["username"]}
    assert parse.ask("GET", "/users", {"where": where, "count": 1}, MASTER).body["count"] == 1


def test_row_34_who_comes_second_with_a_providers_id_is_signed_in(parse: Target) -> None:
    """A first launch that sends its sign-up twice gets one account, and a session each time."""
    wanted = {"authData": {"anonymous": {"id": parse.name("launch")}}}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: parse.ask("POST", "/users", wanted), range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert len({answer.body["objectId"] for answer in answers}) == 1
    for answer in answers:
        me = parse.ask("GET", "/users/me", None, {**ANON, "X-Parse-Session-Token": answer.body["sessionToken"]})
        assert me.body["objectId"] == answer.body["objectId"]


def test_row_34_parallel_requests_of_one_batch_too(parse: Target) -> None:
    name = parse.name("batch")
    part = {"method": "POST", "path": "/parse/users", "body": {"username": name, "password": "x"}}
    answers = parse.raw("POST", "/batch", json={"requests": [part] * 10}, headers=ANON).json()
    assert sum("success" in answer for answer in answers) == 1
    assert {answer["error"]["code"] for answer in answers if "error" in answer} == {202}


@pytest.mark.parametrize("hashed", [True, False])
async def test_row_35_an_unknown_account_costs_as_much_work_as_a_known_one(hashed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in hashes, not in time: one for each attempt, with the same parameters."""
    from mbaas_auth import passwords

    seen: list[str] = []
    work = passwords._verify

    def counting(password: str, stored: str) -> bool:
        seen.append(stored.rsplit("$", 2)[0])
        return work(password, stored)

    monkeypatch.setattr(passwords, "_verify", counting)
    pool = Passwords()
    stored = await pool.hash("right") if hashed else None
    for _ in range(3):
        assert await pool.verify("wrong", stored) == (False, False)
    assert seen == ["$argon2id$v=19$m=19456,t=2,p=1"] * 3


@pytest.mark.parametrize("way", WAYS)
def test_row_36_answers_do_not_tell_who_is_there(parse: Target, way: Way) -> None:
    user = parse.user()
    locked = parse.user()
    assert parse.ask("PUT", f"/users/{locked.id}", {"ACL": {}}, MASTER).status == 200
    names = (user.name, "nobody", locked.name)
    emails = tuple(f"{name}@example.org" for name in names)

    def alike(answers: list[Answer]) -> bool:
        return len({(answer.status, answer.text) for answer in answers}) == 1

    for path in ("/login", "/verifyPassword"):
        assert alike([parse.ask("POST", path, {"username": name, "password": "wrong"}, ANON, way) for name in names])
        assert alike([parse.ask("POST", path, {"email": email, "password": "wrong"}, ANON, way) for email in emails])
    for path in ("/requestPasswordReset", "/verificationEmailRequest"):
        raw = [parse.raw("POST", path, json={"email": email}, headers=ANON) for email in emails]
        assert len({(answer.status_code, answer.text) for answer in raw}) == 1
    other = parse.user()
    for sent in (ANON, other.sent):
        assert alike([parse.ask("GET", f"/users/{user_id}", None, sent, way) for user_id in (user.id, "nosuchid")])
        assert alike([parse.ask("DELETE", f"/users/{user_id}", None, sent, way) for user_id in (user.id, "nosuchid")])


@pytest.mark.parametrize("way", WAYS)
def test_row_a1_who_may_not_change_an_account_learns_nothing_by_trying(target: Target, way: Way) -> None:
    victim, other, taken = target.user(), target.user(), target.user()
    bodies: tuple[dict[str, Any], ...] = (
        {"username": taken.name},
        {"username": target.name("free")},
        {"email": f"{taken.name}@example.org"},
        {"email": "not an address"},
        {"password": PASSWORD},
        {"password": "x"},
        {"password": 1},
        {"username": {"__op": "Delete"}},
        {"emailVerified": True},
        {"authData": {"anonymous": {"id": "x"}}},
        {"authData": {"nobody": {"id": "x"}}},
        {"username": 1},
        {"no-name": 1},
        {"ACL": {"*": {"write": True}}},
        {},
    )
    answers = [
        target.ask("PUT", path, body, sent, way)
        for sent in (ANON, other.sent)
        for body in bodies
        for path in (f"/users/{victim.id}", f"/classes/_User/{victim.id}", "/users/nosuchid")
    ]
    assert len({(answer.status, json.dumps(answer.body)) for answer in answers}) == 1, {answer.text for answer in answers}
    assert answers[0].code == 206
    assert target.ask("GET", "/users/me", sent=victim.sent).body["username"] == victim.name


@pytest.mark.parametrize("path", ["/login", "/verifyPassword"])
def test_row_37_guessing_is_limited_at_every_entrance(production: Target, path: str) -> None:
    """Each entrance uses up the same attempts, whichever method, spelling of the name or address header is chosen."""
    user = production.user()
    codes: list[int | None] = []
    for n in range(40):
        way = WAYS[n % 3]
        body = {"username": user.name.upper() if n % 2 else user.name, "password": f"guess {n}", f"extra{n}": n}
        sent = {**ANON, "X-Forwarded-For": f"203.0.113.{n}", "X-Parse-Installation-Id": str(n)}
        codes.append(production.ask("GET" if n % 4 else "POST", path, body, sent, way).code)
    assert codes.count(101) <= 10
    assert set(codes[10:]) == {100}


def test_row_37_a_batch_of_guesses_is_many_guesses(production: Target) -> None:
    user = production.user()
    part = {"method": "POST", "path": "/parse/login", "body": {"username": user.name, "password": "wrong"}}
    answers = production.raw("POST", "/batch", json={"requests": [part] * 100}, headers=ANON).json()
    codes = [answer["error"]["code"] for answer in answers]
    assert codes.count(101) <= 10
    assert codes.count(100) >= 90


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"username": "nobody-here", "password": "x", "challengeData": {"a": 1}}, 101),
        ({"challengeData": {}, "authData": {"anonymous": {"id": "nobody-here"}}}, 101),
        ({"challengeData": {}, "authData": {"a": {"id": "1"}, "b": {"id": "2"}}}, -1),
        ({"challengeData": {}, "authData": "x"}, -1),
        ({"challengeData": {}, "authData": {"a": "x"}}, -1),
        ({"challengeData": {"anonymous": {}}}, None),
    ],
    ids=json.dumps,
)
def test_a_challenge_is_for_one_known_person(parse: Target, body: Any, code: int | None) -> None:
    assert parse.ask("POST", "/challenge", body, ANON).code == code
