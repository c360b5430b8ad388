"""Rows 24 to 26, 28, 30, 34, 51, 55, 57, 58, 71, 73 and A3, as far as they are about identity providers, on both stores."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from mbaas_auth.totp import Totp
from tests.auth.issuer import FORGED, KINDS, Kind, publish, token
from tests.functions.web import Web, web
from tests.secantus import database
from tests.security.attack import ANON, MASTER, PASSWORD, WAYS, Target, Way
from tests.wire.people import fresh

PKCE = "v" * 43


@pytest.fixture(scope="module")
def issuer() -> Iterator[Web]:
    with web() as running:
        publish(running)
        yield running


def _auth(issuer: Web) -> dict[str, Any]:
    auth: dict[str, Any] = {kind.name: kind.configured(issuer) for kind in KINDS}
    auth["facebook"]["endpoint"] = issuer.url("/graph")
    auth["joining"] = {**auth["acme"], "linkByEmail": True}
    auth["mfa"] = {"options": ["TOTP"], "digits": 6, "period": 30, "algorithm": "SHA1"}
    auth["undeclared"] = {"module": "undeclared"}
    auth["github"] = {"clientId": "c", "clientSecret": "s", "endpoint": issuer.url("")}
    auth["code"] = {
        "type": "oauth2",
        "clientId": "c",
        "tokenUrl": issuer.url("/token"),
        "userUrl": issuer.url("/user"),
        "redirectUris": ["https://app.example.com/back"],
    }
    auth["asked"] = {
        "oauth2": True,
        "tokenIntrospectionEndpointUrl": issuer.url("/introspect"),
        "appidField": "client_id",
        "appIds": ["ours"],
    }
    return auth


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def target(request: pytest.FixtureRequest, issuer: Web, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    options: dict[str, Any] = {"appId": APP_ID, "masterKey": MASTER_KEY, "auth": _auth(issuer), "revokeSessionOnPasswordReset": True}
    if request.param == "mongodb":
        options["databaseURI"] = database(request.getfixturevalue("mongo"), fresh("providers"))
    folder = tmp_path_factory.mktemp(request.param)
    with TestServer.with_parse_options(folder, options, functions=Path(__file__).parent / "cloud") as server:
        made = Target(server)
        with made.http:
            yield made


def test_each_provider_vouches_for_its_own(target: Target) -> None:
    """So that what is refused below is refused for what is wrong with it."""
    for kind in KINDS:
        sub = fresh(kind.name)
        made = target.ask("POST", "/users", {"authData": kind.good(sub, email="a@example.com", email_verified=True)})
        assert made.status == 201, (kind.name, made.text)
        again = target.ask("POST", "/users", {"authData": kind.good(sub)})
        assert (again.status, again.body["objectId"]) == (200, made.body["objectId"])
    apple = KINDS[0]
    assert target.ask("POST", "/users", {"authData": apple.good(fresh(), email="a@b", email_verified="true")}).status == 201


@pytest.mark.parametrize(("turn", "wrong"), list(enumerate(FORGED)), ids=list(FORGED))
def test_row_26_and_73_no_forged_token_is_believed(target: Target, turn: int, wrong: str) -> None:
    """Of no provider, by no entrance; nor is it linked to who is signed in, of which each provider has its turn."""
    user = target.someone
    for number, kind in enumerate(KINDS):
        sub = fresh("sub")
        data = kind.data(FORGED[wrong](kind, sub), sub)
        answer = target.ask("POST", "/users", {"authData": data}, ANON, WAYS[(number + turn) % 3])
        assert answer.code in (101, 142), (kind.name, answer.text)
        if (number + turn) % 3:
            continue
        # Where a user is changed, Parse Server tells 101 as 206.
        answer = target.ask("PUT", f"/users/{user.id}", {"authData": data}, user.sent, WAYS[turn % 3])
        assert answer.code in (142, 206), (kind.name, answer.text)
    assert "authData" not in target.ask("GET", f"/users/{user.id}", None, user.sent).body


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_row_24_an_id_without_its_proof_signs_nobody_in(target: Target, kind: Kind) -> None:
    sub = fresh("sub")
    assert target.ask("POST", "/users", {"authData": kind.good(sub)}).status == 201
    signed = kind.good(sub)[kind.name][kind.field]
    stranger = kind.good(fresh("other"))[kind.name][kind.field]
    for way in WAYS:
        for data in ({"id": sub}, {"id": sub, kind.field: ""}, {"id": sub, kind.field: None}, {"id": sub, kind.field: stranger}):
            for more in ({}, {"anonymous": {"id": fresh("anon")}}):
                answer = target.ask("POST", "/users", {"authData": {kind.name: data, **more}}, ANON, way)
                assert answer.code in (101, 142), answer.text
        for data in ({kind.field: signed}, {"id": "", kind.field: signed}, {"id": sub.upper(), kind.field: signed}):
            assert target.ask("POST", "/users", {"authData": {kind.name: data}}, ANON, way).code == 101


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [{"$ne": None}, {"$regex": "."}, ["x"], 1, True, None], ids=str)
def test_row_25_operators_are_no_ids_and_no_tokens(target: Target, value: Any, way: Way) -> None:
    for kind in KINDS:
        sub = fresh("sub")
        signed = kind.good(sub)[kind.name][kind.field]
        assert target.ask("POST", "/users", {"authData": {kind.name: {"id": value, kind.field: signed}}}, ANON, way).code == 162
        assert target.ask("POST", "/users", {"authData": {kind.name: {"id": sub, kind.field: value}}}, ANON, way).code in (101, 142)
    for name, field in (("github", "code"), ("code", "code"), ("asked", "access_token"), ("facebook", "access_token")):
        data = {"id": "x", field: value, "code_verifier": value}
        assert target.ask("POST", "/users", {"authData": {name: data}}, ANON, way).code in (101, 142)


def test_row_30_no_address_in_the_data_is_asked(target: Target, issuer: Web) -> None:
    """Whatever a client calls it; nor one in a token."""
    names = ("apiURL", "url", "endpoint", "jwksUri", "tokenUrl", "issuer", "iss", "publicKeyUrl", "redirect_uri", "userUrl", "jku")
    there: dict[str, Any] = {name: issuer.url("/evil") for name in names}
    for kind in KINDS:
        sub = fresh("sub")
        target.ask("POST", "/users", {"authData": kind.data(token(kind.claims(sub, **there), **there), sub, **there)})
        target.ask("POST", "/users", {"authData": kind.data(token(kind.claims(sub, iss=issuer.url("/evil"))), sub, **there)})
    for name in ("github", "code", "asked", "facebook"):
        data = {**there, "id": "x", "code": "x", "access_token": "x", "code_verifier": PKCE}
        assert target.ask("POST", "/users", {"authData": {name: data}}).code in (100, 101, 142)
    assert issuer.to("/evil") == []


def test_row_34_of_many_who_come_at_once_with_an_id_one_is_signed_up(target: Target) -> None:
    kind, sub = KINDS[1], fresh("sub")
    data = {"authData": kind.good(sub)}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: target.ask("POST", "/users", data), range(16)))
    assert sorted(answer.status for answer in answers) == [200] * 15 + [201]
    assert len({answer.body["objectId"] for answer in answers}) == 1


def test_row_34_of_many_who_link_an_id_at_once_one_has_it(target: Target) -> None:
    kind, sub = KINDS[1], fresh("sub")
    people = [target.user() for _ in range(8)]
    ready = threading.Barrier(8)

    def link(number: int) -> int | None:
        ready.wait()
        return target.ask("PUT", f"/users/{people[number].id}", {"authData": kind.good(sub)}, people[number].sent).code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(code or 0 for code in pool.map(link, range(8))) == [0] + [208] * 7


def test_row_34_of_those_that_one_person_links_at_once_none_is_lost(target: Target) -> None:
    user = target.user()
    kinds = [kind for kind in KINDS if kind.name != "acme"]
    ready = threading.Barrier(len(kinds))

    def link(kind: Kind) -> int | None:
        data = kind.good(fresh("sub"))
        ready.wait()
        return target.ask("PUT", f"/users/{user.id}", {"authData": data}, user.sent).code

    with ThreadPoolExecutor(len(kinds)) as pool:
        assert list(pool.map(link, kinds)) == [None] * len(kinds)
    linked = target.ask("GET", "/users/me", None, user.sent).body["authData"]
    assert set(linked) == {kind.name for kind in kinds}


@pytest.mark.parametrize("way", WAYS)
def test_row_a3_a_provider_of_the_apps_own_that_refuses_is_obeyed(target: Target, way: Way) -> None:
    """At a sign-up, a sign-in with a password, and a link; and what is declared nowhere refuses, too."""
    user = target.user()
    credentials = {"username": user.name, "password": PASSWORD}
    for name in ("never", "undeclared"):
        data = {"authData": {name: {"id": fresh("x")}}}
        assert target.ask("POST", "/users", data, ANON, way).code in (141, 252)
        assert target.ask("PUT", f"/users/{user.id}", data, user.sent, way).code in (141, 252)
        assert target.ask("POST", "/login", {**credentials, **data}, ANON, way).code in (141, 252)
    assert "authData" not in target.ask("GET", "/users/me", None, user.sent).body


@pytest.mark.parametrize("way", WAYS)
def test_row_29_and_51_a_provider_that_is_not_there_is_not_looked_for(target: Target, way: Way) -> None:
    for name in ("gcenter", "microsoft", "unknown", "authData", "google.id", "__proto__"):
        data = {name: {"id": "x", "id_token": "x"}}
        assert target.ask("POST", "/users", {"authData": data}, ANON, way).code in (101, 105, 252)
        assert target.ask("POST", "/challenge", {"authData": data, "challengeData": {}}, ANON, way).code in (101, 105)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name == "acme"], ids=["oidc"])
def test_row_55_who_signs_up_with_anothers_address_is_not_merged_with_her(target: Target, kind: Kind) -> None:
    victim = f"{fresh('victim')}@example.com"
    attacker = target.ask("POST", "/users", {"username": fresh("a"), "password": "pw", "email": victim})
    proved = kind.good(fresh("sub"), email=victim, email_verified=True)
    hers = target.ask("POST", "/users", {"authData": proved})
    assert (hers.status, hers.body["objectId"] != attacker.body["objectId"]) == (201, True)


def test_row_55_where_addresses_join_whatever_was_there_before_the_first_proof_ends(target: Target) -> None:
    """The attacker's password, session and provider; what its owner has after that stays."""
    victim, known, name = f"{fresh('victim')}@example.com", fresh("attacker"), fresh("a")
    apple, joining = KINDS[0], Kind("joining", {}, "https://id.example.com/", "app")
    made = target.ask("POST", "/users", {"username": name, "password": "pw", "email": victim})
    account = made.body["objectId"]
    attacker = {**ANON, "X-Parse-Session-Token": made.body["sessionToken"]}
    assert target.ask("PUT", f"/users/{account}", {"authData": apple.good(known)}, attacker).status == 200
    sub = fresh("sub")
    hers = target.ask("POST", "/users", {"authData": joining.good(sub, email=victim.upper(), email_verified=True)})
    assert (hers.status, hers.body["objectId"], hers.body["emailVerified"]) == (200, account, True)
    assert set(hers.body["authData"]) == {"joining"}
    assert target.ask("GET", "/users/me", None, attacker).code == 209
    assert target.ask("POST", "/login", {"username": name, "password": "pw"}).code == 101
    assert target.ask("POST", "/users", {"authData": apple.good(known)}).body["objectId"] != account
    me = {**ANON, "X-Parse-Session-Token": hers.body["sessionToken"]}
    assert target.ask("PUT", f"/users/{account}", {"password": "hers"}, me).status == 200
    again = target.ask("POST", "/users", {"authData": joining.good(sub, email=victim, email_verified=True)})
    assert set(again.body["authData"]) == {"joining"}
    assert again.body["objectId"] == account
    other = target.ask("POST", "/users", {"authData": joining.good(fresh("other"), email=victim, email_verified=True)})
    assert other.body["objectId"] != account
    assert target.ask("POST", "/login", {"username": name, "password": "hers"}).status == 200


def test_row_55_an_address_that_was_changed_is_proved_no_more(target: Target) -> None:
    """Whoever has proved her own address and takes somebody else's has no way in left when its owner comes."""
    own, victim = f"{fresh('attacker')}@example.com", f"{fresh('victim')}@example.com"
    google, joining = KINDS[1], Kind("joining", {}, "https://id.example.com/", "app")
    known = google.good(fresh("attacker"), email=own, email_verified=True)
    made = target.ask("POST", "/users", {"authData": known, "email": own})
    attacker = {**ANON, "X-Parse-Session-Token": made.body["sessionToken"]}
    assert target.ask("GET", "/users/me", None, attacker).body["emailVerified"] is True
    for way in WAYS:
        assert target.ask("PUT", f"/users/{made.body['objectId']}", {"email": f"{way}{victim}"}, attacker, way).code is None
        assert target.ask("GET", "/users/me", None, attacker).body["emailVerified"] is False
    hers = target.ask("POST", "/users", {"authData": joining.good(fresh("sub"), email=f"{way}{victim}", email_verified=True)})
    assert (hers.body["objectId"], set(hers.body["authData"])) == (made.body["objectId"], {"joining"})
    assert target.ask("GET", "/users/me", None, attacker).code == 209


def test_row_55_a_second_factor_is_shown_before_an_address_joins(target: Target) -> None:
    """Where nobody had proved the address, whoever comes has an account of her own; else nothing is linked without the factor."""
    joining, secret, totp = Kind("joining", {}, "https://id.example.com/", "app"), b"12345678901234567890", Totp()
    step = int(time.time()) // 30
    enrol = {"authData": {"mfa": {"secret": base64.b32encode(secret).decode(), "token": totp.code(secret, step)}}}
    for proved in (False, True):
        sub, victim, name = fresh("sub"), f"{fresh('victim')}@example.com", fresh("a")
        made = target.ask("POST", "/users", {"username": name, "password": "pw", "email": victim})
        account, sent = made.body["objectId"], {**ANON, "X-Parse-Session-Token": made.body["sessionToken"]}
        if proved:
            assert target.ask("PUT", f"/users/{account}", {"emailVerified": True}, MASTER).status == 200
        assert target.ask("PUT", f"/users/{account}", enrol, sent).status == 200
        data = joining.good(sub, email=victim, email_verified=True)
        answer = target.ask("POST", "/users", {"authData": data})
        assert target.ask("GET", f"/users/{account}", None, MASTER).body["authData"] == {"mfa": {"status": "enabled"}}
        assert target.ask("GET", "/users/me", None, sent).status == 200
        if not proved:
            assert (answer.status, answer.body["objectId"] != account) == (201, True)
            continue
        assert answer.code == -1
        assert target.ask("POST", "/users", {"authData": {**data, "mfa": {"token": "000000"}}}).code == 141
        right = target.ask("POST", "/users", {"authData": {**data, "mfa": {"token": totp.code(secret, step + 1)}}})
        assert (right.status, right.body["objectId"]) == (200, account)
        assert set(right.body["authData"]) == {"joining", "mfa"}
        assert target.ask("POST", "/users", {"authData": data}).code == -1


def test_row_55_who_comes_several_times_at_once_joins_once(target: Target) -> None:
    joining, victim, sub = Kind("joining", {}, "https://id.example.com/", "app"), f"{fresh('victim')}@example.com", fresh("sub")
    account = target.ask("POST", "/users", {"username": fresh("a"), "password": "pw", "email": victim}).body["objectId"]
    data = {"authData": joining.good(sub, email=victim, email_verified=True)}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: target.ask("POST", "/users", data), range(8)))
    assert [(answer.status, answer.body.get("objectId")) for answer in answers] == [(200, account)] * 8


@pytest.mark.parametrize("verified", [False, None, "true", 1], ids=str)
def test_row_57_an_address_that_the_provider_does_not_vouch_for_proves_nothing(target: Target, verified: Any) -> None:
    kind = Kind("joining", {}, "https://id.example.com/", "app")
    victim = f"{fresh('victim')}@example.com"
    owner = target.ask("POST", "/users", {"username": fresh("u"), "password": "pw", "email": victim})
    answer = target.ask("POST", "/users", {"authData": kind.good(fresh("sub"), email=victim, email_verified=verified)})
    assert answer.body.get("objectId") != owner.body["objectId"]
    kept = target.ask("GET", f"/users/{owner.body['objectId']}", None, MASTER).body
    assert "authData" not in kept
    assert not kept.get("emailVerified")


def test_row_58_the_issuer_is_the_configurations_and_never_the_tokens(target: Target, issuer: Web) -> None:
    """An attacker's own issuer, with good keys where its tokens say."""
    issuer.on["/mine/.well-known/openid-configuration"] = {"issuer": issuer.url("/mine"), "jwks_uri": issuer.url("/keys")}
    for kind in KINDS:
        sub = fresh("sub")
        forged = token(kind.claims(sub, iss=issuer.url("/mine")))
        assert target.ask("POST", "/users", {"authData": kind.data(forged, sub)}).code == 101
    assert issuer.to("/mine/.well-known/openid-configuration") == []


@pytest.mark.parametrize(
    "sent", ["https://evil.example/back", "https://app.example.com@evil.example", "https://app.example.com/back/../x", 5]
)
def test_row_71_a_code_that_was_sent_elsewhere_is_not_exchanged(target: Target, issuer: Web, sent: Any) -> None:
    before = len(issuer.to("/token"))
    data = {"code": "x", "code_verifier": PKCE, "redirect_uri": sent}
    assert target.ask("POST", "/users", {"authData": {"code": data}}).code == 101
    assert len(issuer.to("/token")) == before


@pytest.mark.parametrize("verifier", ["short", "v" * 129, "v" * 42 + "ü", "v" * 42 + "&", 5, ["v" * 43]])
def test_row_71_nor_one_without_the_proof_who_asked_for_it(target: Target, issuer: Web, verifier: Any) -> None:
    before = len(issuer.to("/token"))
    for data in ({"code": "x", "code_verifier": verifier}, {"code": "x"}, {"code": "", "code_verifier": PKCE}):
        assert target.ask("POST", "/users", {"authData": {"code": data}}).code in (101, 142)
    assert len(issuer.to("/token")) == before


@pytest.mark.parametrize(
    "answer",
    [
        {"active": False, "sub": "x", "client_id": "ours"},
        {"active": "true", "sub": "x", "client_id": "ours"},
        {"sub": "x", "client_id": "ours"},
        {"active": True, "sub": "y", "client_id": "ours"},
        {"active": True, "client_id": "ours"},
        {"active": True, "sub": "x", "client_id": "another"},
        {"active": True, "sub": "x"},
        [],
        "x",
    ],
    ids=json.dumps,
)
def test_row_26_and_27_an_access_token_is_good_for_its_own_client_and_person(target: Target, issuer: Web, answer: Any) -> None:
    issuer.on["/introspect"] = answer
    assert target.ask("POST", "/users", {"authData": {"asked": {"id": "x", "access_token": "t"}}}).code == 101


@pytest.mark.parametrize(
    ("app", "me"),
    [
        ({"id": "4712"}, {"id": "x"}),
        ({}, {"id": "x"}),
        ({"id": "4711"}, {"id": "y"}),
        ({"id": "4711"}, {}),
        ({"id": ["4711"]}, {"id": "x"}),
    ],
    ids=json.dumps,
)
def test_row_26_and_27_facebooks_classic_tokens_too(target: Target, issuer: Web, app: Any, me: Any) -> None:
    issuer.on |= {"/graph/app": app, "/graph/me": me}
    assert target.ask("POST", "/users", {"authData": {"facebook": {"id": "x", "access_token": "t"}}}).code == 101
    injected = {"id": "x", "access_token": "t&fields=id\r\nX: y"}
    assert target.ask("POST", "/users", {"authData": {"facebook": injected}}).code == 101


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", ["$where", "a.b", "__proto__", "constructor"])
def test_row_42_odd_keys_are_kept_of_no_data(target: Target, key: str, way: Way) -> None:
    """Neither of somebody new nor of somebody known, whose data is written anew when she signs in."""
    kind, sub = KINDS[1], fresh("sub")
    for times in range(2):
        for odd in ({key: 1}, {"deep": [{key: {"x": 1}}]}):
            data = {kind.name: {**kind.good(sub)[kind.name], **odd}}
            assert target.ask("POST", "/users", {"authData": data}, ANON, way).code in (105, 121)
        assert target.ask("POST", "/users", {"authData": kind.good(sub)}, ANON, "plain").status == 201 - times


def test_row_70_who_is_locked_out_is_so_by_every_way(target: Target) -> None:
    kind, sub = KINDS[1], fresh("sub")
    made = target.ask("POST", "/users", {"authData": kind.good(sub)})
    assert target.ask("PUT", f"/users/{made.body['objectId']}", {"ACL": {}}, MASTER).status == 200
    assert target.ask("POST", "/users", {"authData": kind.good(sub)}).code == 101
