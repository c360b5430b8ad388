"""Rows 31, 37, 55 and 69 where several processes serve: codes are good once and guesses are counted, through whichever of them."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer
from mbaas_auth.totp import Totp
from tests.auth.authenticator import DOMAIN, Passkey
from tests.secantus import GIVEN, database
from tests.security.attack import ANON, MASTER, PASSWORD, WAYS, Answer, Target, User, Way

_ADDRESSES = itertools.count(1)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Two processes with the defaults of `mbaas serve`, behind a proxy that says where requests come from."""
    store = {} if GIVEN is None else {"database_url": database(GIVEN, f"sign_in_{ObjectId()}")}
    auth = json.dumps({"webauthn": {"rpId": DOMAIN}})
    settings = {"workers": 2, "auth": auth, "trusted_proxies": "127.0.0.1", "master_key_ips": "0.0.0.0/0", **store}
    with TestServer(tmp_path_factory.mktemp("several"), "serve", settings=settings) as server:
        target = Target(server)
        with target.http:
            yield target


def elsewhere() -> dict[str, str]:
    """The headers of a client at an address that nobody else has."""
    number = next(_ADDRESSES)
    return {**ANON, "X-Forwarded-For": f"10.{number >> 8}.{number & 255}.1"}


def sign_in(target: Target, user: User, sent: dict[str, str], way: Way = "plain", password: str = PASSWORD, **more: Any) -> Answer:
    return target.ask("POST", "/login", {"username": user.name, "password": password, **more}, sent, way)


def enrolled(target: Target) -> tuple[User, str, list[str]]:
    """Somebody with a second factor: her next code, and her recovery codes."""
    user, secret = target.user(), target.server.url.encode() + target.name().encode()
    step = int(time.time()) // 30
    totp = Totp()
    data = {"secret": base64.b32encode(secret).decode(), "token": totp.code(secret, step)}
    answer = target.ask("PUT", f"/users/{user.id}", {"authData": {"mfa": data}}, user.sent)
    return user, totp.code(secret, step + 1), answer.body["authDataResponse"]["mfa"]["recovery"].split(", ")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("which", ["code", "recovery code"])
def test_row_31_of_many_who_come_with_one_code_one_gets_in(several: Target, which: str, way: Way) -> None:
    user, code, recovery = enrolled(several)
    token = code if which == "code" else recovery[0]

    def once(_: int) -> int | None:
        return sign_in(several, user, elsewhere(), way, authData={"mfa": {"token": token}}).code

    with ThreadPoolExecutor(8) as pool:
        said = Counter(pool.map(once, range(8)))
    assert said == {None: 1, 141: 7}


def test_row_31_codes_are_guessed_at_from_a_thousand_addresses_in_vain(several: Target) -> None:
    """Ten tries in ten minutes are an account's, wherever they come from."""
    user, _, _ = enrolled(several)
    answers = [sign_in(several, user, elsewhere(), authData={"mfa": {"token": f"{n:06d}"}}) for n in range(14)]
    assert [answer.status for answer in answers] == [400] * 10 + [429] * 4


def test_row_37_guesses_count_through_whichever_process(several: Target) -> None:
    user, sent = several.user(), elsewhere()
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda n: sign_in(several, user, sent, password=f"guess {n}").status, range(24)))
    assert statuses == {404: 10, 429: 14}
    assert sign_in(several, user, sent).status == 429
    assert sign_in(several, user, elsewhere()).status == 200


def test_row_69_a_flood_on_an_account_from_everywhere_keeps_nobody_out(several: Target) -> None:
    """Neither its owner, at an address of her own, nor anybody else; and the master key ends what is counted."""
    user, other = several.user(), several.user()
    flood = [elsewhere() for _ in range(12)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: sign_in(several, user, flood[n % 12], password=f"guess {n}"), range(96)))
    later = elsewhere()
    assert [sign_in(several, user, later, password="x").status for _ in range(4)] == [404, 404, 404, 429]
    assert sign_in(several, other, later).status == 200
    limits = several.server.get(f"/api/v1/limits?account={user.name}", MASTER)[1]["results"]
    assert {each["limit"] for each in limits} == {"sign-in-account", "sign-in-crowd", "sign-in-spare"}
    assert sign_in(several, user, elsewhere()).status == 200
    status, _ = several.server.call("DELETE", f"/api/v1/limits?account={user.name}", None, MASTER)
    assert status == 200
    deadline = time.monotonic() + 10  # the other process believes for a second what it was told
    while sign_in(several, user, later).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_row_66_a_token_for_somebody_is_good_once_through_whichever_process(several: Target) -> None:
    user = several.user()
    status, made = several.server.call("POST", "/api/v1/tokens", {"userId": user.id}, MASTER)
    assert status == 201

    def once(_: int) -> int:
        return several.server.call("POST", "/api/v1/sign-in", {"token": made["token"]}, elsewhere())[0]

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(once, range(8))) == {200: 1, 404: 7}


def test_row_31_what_a_passkey_has_signed_is_good_once_through_whichever_process(several: Target) -> None:
    """And it is known to every process as soon as it was added, and to none once it was removed."""
    user, passkey = several.user(), Passkey()

    def ask(method: str, path: str, body: Any = None, sent: dict[str, str] | None = None) -> tuple[int, Any]:
        return several.server.call(method, f"/api/v1/passkeys{path}", body, sent or elsewhere())

    credential = passkey.registered(ask("POST", "/registration", {}, user.sent)[1])
    with ThreadPoolExecutor(8) as pool:
        added = Counter(pool.map(lambda _: ask("POST", "", {"credential": credential}, user.sent)[0], range(8)))
    assert added == {201: 1, 404: 7}
    for _ in range(4):
        signed = passkey.signed(ask("POST", "/options", {})[1])
        with ThreadPoolExecutor(8) as pool:
            assert Counter(pool.map(lambda _, given=signed: ask("POST", "/sign-in", {"credential": given})[0], range(8))) == {
                200: 1,
                404: 7,
            }
    [kept] = ask("GET", "", None, user.sent)[1]["results"]
    assert ask("DELETE", f"/{kept['id']}", None, user.sent)[0] == 200
    for _ in range(4):
        assert ask("POST", "/sign-in", {"credential": passkey.signed(ask("POST", "/options", {})[1])})[0] == 404
