"""Identity providers as people use them: signing up and in, several for one person, and what she is told of it; on both stores."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from mbaas.settings import SettingsError, read
from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.auth.issuer import KINDS, Kind, publish, token
from tests.auth.post import Post, link_in, post
from tests.functions.web import Web, respond, web
from tests.secantus import database
from tests.wire.people import Person, fresh

APPLE, GOOGLE, FACEBOOK = KINDS[:3]
ACME = KINDS[-1]
VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def issuer() -> Iterator[Web]:
    with web() as running:
        publish(running)
        yield running


@pytest.fixture(scope="module")
def office() -> Iterator[Post]:
    with post() as made:
        yield made


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, issuer: Web, office: Post, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    code = {"clientId": "c", "clientSecret": "s", "redirectUris": ["https://app.example.com/back"]}
    auth: dict[str, Any] = {kind.name: kind.configured(issuer) for kind in (APPLE, GOOGLE, FACEBOOK)}
    auth["facebook"] |= {"endpoint": issuer.url("/graph"), "appSecret": "fs"}
    auth["google"]["requireNonce"] = True
    auth["found"] = {"type": "oidc", "issuer": issuer.url("/found"), "algorithms": ["ES256"], **code}
    auth["github"] = {"clientId": "c", "clientSecret": "s", "endpoint": issuer.url("")}
    auth["code"] = {"type": "oauth2", "tokenUrl": issuer.url("/token"), "userUrl": issuer.url("/user"), **code}
    auth["asked"] = {"oauth2": True, "tokenIntrospectionEndpointUrl": issuer.url("/introspect"), "authorizationHeader": "Basic eA=="}
    auth["away"] = {"type": "oidc", "issuer": "http://127.0.0.1:1", "clientId": "c"}
    auth["lenient"] = {**ACME.configured(issuer), "allowUnverifiedEmail": True, "linkByEmail": True}
    auth["closed"] = {**auth["found"], "enabled": False}
    auth["google2"] = {"type": "oidc"}
    options = {
        "appId": APP_ID,
        "appName": "Gardens",
        "masterKey": MASTER_KEY,
        "auth": auth,
        "publicServerURL": "https://api.example.com/parse",
    }
    if request.param == "mongodb":
        options["databaseURI"] = database(request.getfixturevalue("mongo"), fresh("identity"))
    with TestServer.with_parse_options(tmp_path_factory.mktemp(request.param), options, smtp_url=office.url) as running:
        yield running


def test_options_that_cannot_be_are_named_and_nobody_signs_in_by_them(server: TestServer) -> None:
    assert "auth.google2: issuer is missing" in server.log.read_text()
    public = Person(server)
    assert public.call("POST", "/users", {"authData": {"google2": {"id": "x", "id_token": "x"}}})[1]["code"] == 252
    assert public.call("POST", "/users", {"authData": {"closed": {"id": "x", "id_token": "x"}}})[1]["code"] == 252


def test_the_same_person_is_signed_in_and_what_is_kept_is_hers_to_see(server: TestServer) -> None:
    public, sub = Person(server), fresh("sub")
    status, made = public.call("POST", "/users", {"authData": APPLE.good(sub)})
    assert (status, made["authDataResponse"], "authData" in made) == (201, {}, False)
    fresh_token = APPLE.good(sub, email="x@example.com")
    status, again = public.call("POST", "/users", {"authData": fresh_token})
    assert (status, again["objectId"], again["authData"]) == (200, made["objectId"], fresh_token)
    other = Person.signed_up(server)
    assert "authData" not in other.call("GET", f"/users/{made['objectId']}")[1]


def test_a_nonce_is_compared(server: TestServer) -> None:
    """As it is or hashed; where it is required, a token with one is nothing without it."""
    public, sub = Person(server), fresh("sub")
    hashed = "8264c38a2e4e3fe7e83fbb1b3da1e2ba0ba15bb0cbe84c0f7d8f9d4b9d5ba7f5"  # of nothing that is sent

    def answered(kind: Kind, claimed: str | None, sent: str | None) -> int:
        data = kind.data(token(kind.claims(sub, nonce=claimed)), sub, **({} if sent is None else {"nonce": sent}))
        status, answer = public.call("POST", "/users", {"authData": data})
        assert "nonce" not in json.dumps(answer)
        return status

    raw = "n-0S6_WzA2Mj"
    for kind in (APPLE, GOOGLE):
        assert answered(kind, raw, raw) in (200, 201)
        assert answered(kind, hashlib.sha256(raw.encode()).hexdigest(), raw) == 200
        assert answered(kind, hashed, raw) == 404
        assert answered(kind, None, raw) == 404
        assert answered(kind, None, None) == 200
    assert answered(APPLE, raw, None) == 200
    assert answered(GOOGLE, raw, None) == 404


def test_an_issuer_tells_where_its_keys_and_tokens_are(server: TestServer, issuer: Web) -> None:
    """A code is exchanged for an id token, with the proof that she asked for it; nothing of that is kept."""
    there = issuer.url("/found")
    issuer.on["/found/.well-known/openid-configuration"] = {
        "issuer": there,
        "jwks_uri": issuer.url("/keys"),
        "token_endpoint": issuer.url("/found/token"),
    }
    kind, sub = Kind("found", {}, there, "c"), fresh("sub")
    issuer.on["/found/token"] = {"id_token": token(kind.claims(sub, nonce="n"), alg="ES256", kid="e1")}
    data = {"code": "the code", "code_verifier": VERIFIER, "redirect_uri": "https://app.example.com/back", "nonce": "n"}
    public = Person(server)
    status, made = public.call("POST", "/users", {"authData": {"found": data}})
    assert (status, made["authData"]) == (201, {"found": {"id": sub}})
    sent = parse_qs(issuer.to("/found/token")[-1].raw.decode())
    assert sent == {
        "grant_type": ["authorization_code"],
        "client_id": ["c"],
        "client_secret": ["s"],
        "code": ["the code"],
        "redirect_uri": ["https://app.example.com/back"],
        "code_verifier": [VERIFIER],
    }
    assert public.call("POST", "/users", {"authData": {"found": {**data, "nonce": "other"}}})[1]["code"] == 101
    assert public.call("POST", "/users", {"authData": {"found": {**data, "id": "other"}}})[1]["code"] == 101
    signed = token(kind.claims(sub), alg="ES256", kid="e1")
    assert public.call("POST", "/users", {"authData": kind.data(signed, sub)})[1]["objectId"] == made["objectId"]


@pytest.mark.parametrize(("name", "paths"), [("github", ("/login/oauth/access_token", "/api/v3/user")), ("code", ("/token", "/user"))])
def test_a_code_says_who_she_is(server: TestServer, issuer: Web, name: str, paths: tuple[str, str]) -> None:
    number = int(time.time_ns())
    issuer.on[paths[0]] = {"access_token": "at"}
    issuer.on[paths[1]] = {"id": number, "sub": str(number), "login": "ann"}
    public, data = Person(server), {"code": "c1", "code_verifier": VERIFIER}
    status, made = public.call("POST", "/users", {"authData": {name: data}})
    assert (status, made["authData"]) == (201, {name: {"id": str(number)}})
    assert issuer.to(paths[1])[-1].headers["Authorization"] == "Bearer at"
    status, again = public.call("POST", "/users", {"authData": {name: {**data, "id": str(number)}}})
    assert (status, again["objectId"]) == (200, made["objectId"])
    assert public.call("POST", "/users", {"authData": {name: {**data, "id": "another"}}})[1]["code"] == 101
    for refused in ({"error": "bad_verification_code"}, {}, {"access_token": ""}, {"access_token": 5}):
        issuer.on[paths[0]] = refused
        assert public.call("POST", "/users", {"authData": {name: data}})[1]["code"] == 101
    issuer.on[paths[0]] = {"access_token": "at"}
    for nobody in ({}, {"id": None, "sub": None}, {"id": "", "sub": ""}, {"id": True, "sub": True}, {"id": [1], "sub": {}}):
        issuer.on[paths[1]] = nobody
        assert public.call("POST", "/users", {"authData": {name: data}})[1]["code"] == 101


def test_facebooks_classic_token_is_asked_about(server: TestServer, issuer: Web) -> None:
    sub = fresh("fb")
    issuer.on |= {"/graph/app": {"id": "4711"}, "/graph/me": {"id": sub}}
    data = {"facebook": {"id": sub, "access_token": "t"}}
    assert Person(server).call("POST", "/users", {"authData": data})[0] == 201
    asked = issuer.to("/graph/me")[-1]
    assert asked.headers["Authorization"] == "Bearer t"
    assert "appsecret_proof=" in asked.path


def test_a_token_is_introspected(server: TestServer, issuer: Web) -> None:
    sub = fresh("sub")
    issuer.on["/introspect"] = {"active": True, "sub": sub}
    data = {"asked": {"id": sub, "access_token": "a b&c"}}
    assert Person(server).call("POST", "/users", {"authData": data})[0] == 201
    asked = issuer.to("/introspect")[-1]
    assert (asked.headers["Authorization"], parse_qs(asked.raw.decode())) == ("Basic eA==", {"token": ["a b&c"]})


def test_a_provider_that_is_away_is_told_of_and_not_taken_for_a_refusal(server: TestServer, issuer: Web) -> None:
    public = Person(server)
    signed = token(ACME.claims("x"))
    assert public.call("POST", "/users", {"authData": {"away": {"id": "x", "id_token": signed}}})[1] == {
        "code": 100,
        "error": "Away cannot be reached.",
    }
    issuer.on["/token"] = lambda to, _: respond(to, 503, b"down")
    data = {"code": "c", "code_verifier": VERIFIER}
    assert public.call("POST", "/users", {"authData": {"code": data}})[1]["code"] == 100
    issuer.on["/token"] = lambda to, _: respond(to, 302, b"{}", Location=issuer.url("/elsewhere"))
    assert public.call("POST", "/users", {"authData": {"code": data}})[1]["code"] == 101
    issuer.on["/token"] = lambda to, _: respond(to, 200, b"x" * 300_000)
    assert public.call("POST", "/users", {"authData": {"code": data}})[1]["code"] == 100
    assert issuer.to("/elsewhere") == []


def test_one_person_has_several_and_is_told_of_each(server: TestServer, office: Post) -> None:
    person, public, address = Person.signed_up(server), Person(server), f"{fresh('ann')}@example.com"
    assert person.call("PUT", f"/users/{person.id}", {"email": address})[0] == 200
    apple, google, before = APPLE.good(fresh("a")), GOOGLE.good(fresh("g")), len(office.mails)
    assert person.call("PUT", f"/users/{person.id}", {"authData": apple})[1]["authDataResponse"] == {}
    # SDKs send what is linked already with what is new; an old token of it is not looked at again.
    assert person.call("PUT", f"/users/{person.id}", {"authData": {**apple, **google}})[0] == 200
    assert person.call("PUT", f"/users/{person.id}", {"authData": {"apple": {"id": apple["apple"]["id"]}}})[0] == 200
    for each in (apple, google):
        assert public.call("POST", "/users", {"authData": each})[1]["objectId"] == person.id
    assert public.call("POST", "/users", {"authData": {**apple, **google}})[1]["objectId"] == person.id
    assert person.call("PUT", f"/users/{person.id}", {"authData": {"google": None}})[0] == 200
    status, other = public.call("POST", "/users", {"authData": google})
    assert (status, other["objectId"] != person.id) == (201, True)
    assert person.call("GET", "/users/me")[1]["authData"] == apple
    assert public.call("POST", "/users", {"authData": {**apple, **google}})[1]["code"] == 208
    mails = office.until(before + 3)[before:]
    assert sorted((mail["To"], mail["Subject"]) for mail in mails) == [
        (address, "apple was added to your account at Gardens"),
        (address, "google was added to your account at Gardens"),
        (address, "google was removed from your account at Gardens"),
    ]


def test_she_is_told_when_a_provider_stands_for_somebody_else(server: TestServer, office: Post) -> None:
    """Whoever has her session could put an account of his own in the place of hers; tokens of the same one are no news."""
    person, address, sub = Person.signed_up(server), f"{fresh('ann')}@example.com", fresh("a")
    assert person.call("PUT", f"/users/{person.id}", {"email": address})[0] == 200
    before = len(office.mails)
    for data in (APPLE.good(sub), APPLE.good(sub, email=address), APPLE.good(fresh("other"))):
        assert person.call("PUT", f"/users/{person.id}", {"authData": data})[0] == 200
    assert person.call("PUT", f"/users/{person.id}", {"authData": {"apple": None}})[0] == 200
    mails = office.until(before + 3)[before:]
    added, removed = "apple was added to your account at Gardens", "apple was removed from your account at Gardens"
    assert sorted(mail["Subject"] for mail in mails) == [added, added, removed]


def test_a_password_may_come_with_a_provider(server: TestServer) -> None:
    """`/login` links it, too, if it is nobody else's."""
    person, public, apple = Person.signed_up(server), Person(server), APPLE.good(fresh("a"))
    name = person.call("GET", "/users/me")[1]["username"]
    status, answer = public.call("POST", "/login", {"username": name, "password": "secret", "authData": apple})
    assert (status, answer["authData"]) == (200, apple)
    assert public.call("POST", "/users", {"authData": apple})[1]["objectId"] == person.id
    other = Person.signed_up(server).call("GET", "/users/me")[1]["username"]
    credentials = {"username": other, "password": "secret"}
    assert public.call("POST", "/login", {**credentials, "authData": apple})[1]["code"] == 208
    assert public.call("POST", "/login", {**credentials, "authData": {"apple": {"id": "x", "token": "x"}}})[1]["code"] == 101
    assert public.call("POST", "/login", {**credentials, "authData": {"nobody": {"id": "x"}}})[1]["code"] == 252
    assert "authData" not in public.call("POST", "/login", credentials)[1]


def test_an_anonymous_person_becomes_somebody(server: TestServer) -> None:
    public, device, apple = Person(server), fresh("device"), APPLE.good(fresh("a"))
    made = public.call("POST", "/users", {"authData": {"anonymous": {"id": device}}})[1]
    person = Person(server, **{"X-Parse-Session-Token": made["sessionToken"]})
    status, _ = person.call("PUT", f"/users/{made['objectId']}", {"authData": {**apple, "anonymous": None}})
    assert status == 200
    assert person.call("GET", "/users/me")[1]["authData"] == apple
    assert public.call("POST", "/users", {"authData": apple})[1]["objectId"] == made["objectId"]
    assert public.call("POST", "/users", {"authData": {"anonymous": {"id": device}}})[0] == 201


def test_an_address_that_the_provider_has_proved_is_proved(server: TestServer) -> None:
    public, address = Person(server), f"{fresh('ann')}@example.com"
    google = GOOGLE.good(fresh("g"), email=address, email_verified=True)
    made = public.call("POST", "/users", {"authData": google, "email": address})[1]
    other = public.call("POST", "/users", {"authData": APPLE.good(fresh("a")), "email": f"x{address}"})[1]
    master = Person.master(server)
    assert master.call("GET", f"/users/{made['objectId']}")[1]["emailVerified"] is True
    assert "emailVerified" not in master.call("GET", f"/users/{other['objectId']}")[1]


def test_where_unproved_addresses_are_allowed_they_prove_nothing(server: TestServer) -> None:
    public, address, lenient = Person(server), f"{fresh('ann')}@example.com", Kind("lenient", {}, ACME.issuer, ACME.audience)
    owner = public.call("POST", "/users", {"username": fresh("u"), "password": "pw", "email": address})[1]
    status, made = public.call("POST", "/users", {"authData": lenient.good(fresh("s"), email=address, email_verified=False)})
    assert (status, made["objectId"] != owner["objectId"]) == (201, True)
    assert "emailVerified" not in Person.master(server).call("GET", f"/users/{owner['objectId']}")[1]


def test_a_new_password_ends_the_providers_of_an_account_whose_address_nobody_had_proved(server: TestServer, office: Post) -> None:
    """Whoever signed up with somebody else's address has no way in left when its owner asks for a password; hers stay afterwards."""
    person, public, address = Person.signed_up(server), Person(server), f"{fresh('victim')}@example.com"
    planted, hers = APPLE.good(fresh("attacker")), APPLE.good(fresh("victim"))
    assert person.call("PUT", f"/users/{person.id}", {"email": address})[0] == 200
    before = len(office.mails)
    assert person.call("PUT", f"/users/{person.id}", {"authData": planted})[0] == 200
    _choose(server, office, address, before + 1)
    assert public.call("POST", "/users", {"authData": planted})[1]["objectId"] != person.id
    assert person.call("GET", "/users/me")[1]["code"] == 209
    owner = public.call("POST", "/login", {"username": address, "password": "chosen"})[1]
    assert owner["emailVerified"] is True
    me = Person(server, **{"X-Parse-Session-Token": owner["sessionToken"]})
    before = len(office.until(before + 3))
    assert me.call("PUT", f"/users/{person.id}", {"authData": hers})[0] == 200
    _choose(server, office, address, before + 1)
    assert public.call("POST", "/users", {"authData": hers})[1]["objectId"] == person.id


def _choose(server: TestServer, office: Post, address: str, before: int) -> None:
    """Ask for a mail after so many others, and choose a password by its link."""
    office.until(before)
    assert Person(server).call("POST", "/requestPasswordReset", {"email": address})[0] == 200
    link = next(link for mail in office.until(before + 1)[before:] if "request_password_reset" in (link := link_in(mail)))
    path, _, sent = link.removeprefix("https://api.example.com/parse").partition("?token=")
    status, page = Person(server).call("POST", path, {"token": sent, "new_password": "chosen"})
    assert status in (200, 302), page


def test_providers_by_a_variable(tmp_path: Path, issuer: Web) -> None:
    """The path of a file; in development providers on this machine may be asked."""
    (tmp_path / "auth.json").write_text(json.dumps({"google": GOOGLE.configured(issuer), "gogle": {}}))
    with TestServer(tmp_path, settings={"auth": tmp_path / "auth.json", "preset": "development"}) as running:
        assert Person(running).call("POST", "/users", {"authData": GOOGLE.good(fresh("g"))})[0] == 201
        assert "auth.gogle" in running.log.read_text()


@pytest.mark.parametrize("wrong", ["{", "[]", '{"google": 5}', "nowhere.json"])
def test_a_variable_that_names_no_providers_is_an_error(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("MBAAS_AUTH", wrong)
    with pytest.raises(SettingsError, match="MBAAS_AUTH: "):
        read(None)


def test_no_provider_is_asked_in_production_where_nobody_may_be(tmp_path: Path, issuer: Web) -> None:
    """Keys at an address of this machine are not fetched."""
    with TestServer(tmp_path, settings={"auth": json.dumps({"google": GOOGLE.configured(issuer)})}) as running:
        before = len(issuer.received)
        answer = Person(running).call("POST", "/users", {"authData": GOOGLE.good(fresh("g"))})[1]
        assert (answer["code"], len(issuer.received)) == (100, before)
