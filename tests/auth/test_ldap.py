"""Row 28 and people of an LDAP directory: who they are is what the directory says, and their passwords stay theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.auth.directory import Directory, directory
from tests.auth.inside import house
from tests.wire.people import Person, fresh

SUFFIX = "ou=users,dc=example,dc=com"
SECRET = "a secret that is nowhere"


@pytest.fixture(scope="module")
def office() -> Iterator[Directory]:
    with directory() as running:
        running.people |= {f"uid=ann,{SUFFIX}": SECRET, f"uid=bob,{SUFFIX}": "b", f"uid=o\\,u\\=x,{SUFFIX}": "odd"}
        running.groups["memberUid=ann"] = ["staff", "gardeners"]
        running.groups["memberUid=bob"] = ["visitors"]
        yield running


@pytest.fixture(scope="module")
def server(office: Directory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    plain = {"url": office.url, "suffix": SUFFIX}
    groups = {**plain, "dn": f"uid={{{{id}}}},{SUFFIX}", "groupCn": "gardeners", "groupFilter": "(memberUid={{id}})", "oauth2": False}
    auth = {"ldap": groups, "plain": {**plain, "type": "ldap"}, "away": {**plain, "type": "ldap", "url": "ldap://127.0.0.1:1"}}
    options = {"appId": APP_ID, "masterKey": MASTER_KEY, "auth": auth}
    with TestServer.with_parse_options(tmp_path_factory.mktemp("ldap"), options) as running:
        yield running


def sign_in(server: TestServer, name: Any, password: Any, provider: str = "ldap") -> tuple[int, Any]:
    return Person(server).call("POST", "/users", {"authData": {provider: {"id": name, "password": password}}})


def test_row_28_who_is_in_the_directory_is_signed_in_and_her_password_is_not_kept(server: TestServer) -> None:
    status, made = sign_in(server, "ann", SECRET)
    assert (status, made["authData"]) == (201, {"ldap": {"id": "ann"}})
    assert sign_in(server, "ann", SECRET)[1]["objectId"] == made["objectId"]
    kept = b"".join(path.read_bytes() for path in sorted(server.folder.rglob("*")) if path.is_file())
    assert b"memberUid" in kept  # of the options
    assert SECRET.encode() not in kept


@pytest.mark.parametrize("password", ["wrong", "", None, 5, {"$ne": 1}, "x" * 2000])
def test_row_28_no_other_password_does_not_even_none(server: TestServer, office: Directory, password: Any) -> None:
    before = len(office.bound)
    for provider in ("ldap", "plain"):
        assert sign_in(server, "ann", password, provider)[1]["code"] in (101, 142)
    assert all(given for _, given in office.bound[before:])


@pytest.mark.parametrize("name", ["*", "*)(uid=*", "ann)(|(uid=*", "ann,ou=admins", "ann\\", "ann\x00", "", {"$ne": 1}, "a" * 2000])
def test_row_28_a_name_is_nothing_but_a_name(server: TestServer, office: Directory, name: Any) -> None:
    before = len(office.bound)
    assert sign_in(server, name, SECRET)[1]["code"] in (100, 101, 142, 162)
    assert all(who.endswith(f",{SUFFIX}") and who.count(",ou=") == 1 for who, _ in office.bound[before:])


def test_row_28_who_is_not_in_the_group_stays_outside(server: TestServer, office: Directory) -> None:
    assert sign_in(server, "bob", "b")[1]["code"] == 101
    assert office.searched[-1] == "memberUid=bob"
    assert sign_in(server, "bob", "b", "plain")[0] == 201
    assert sign_in(server, "o,u=x", "odd", "plain")[0] == 201


def test_a_directory_that_is_away_is_told_of(server: TestServer) -> None:
    assert sign_in(server, fresh("x"), "x", "away")[1]["code"] == 100


def test_a_directory_of_no_such_kind_is_named(tmp_path: Path) -> None:
    options = {"appId": APP_ID, "masterKey": MASTER_KEY, "auth": {"ldap": {"url": "http://x", "suffix": SUFFIX}}}
    with TestServer.with_parse_options(tmp_path, options) as running:
        assert "auth.ldap: url must begin with ldap:// or ldaps://" in running.log.read_text()
        assert sign_in(running, "ann", "x")[1] == {"code": 101, "error": "Ldap auth is not configured."}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ldap3 calls what pyasn1 has other names for
async def test_row_69_its_passwords_are_guessed_at_no_faster_than_others(office: Directory, tmp_path: Path) -> None:
    """By whichever entrance, and also by who is signed in; who comes from elsewhere still gets in."""
    async with house(tmp_path, auth={"ldap": {"url": office.url, "suffix": SUFFIX}}, rate_limit_factor=1) as home:
        person, before = await home.person(), len(office.bound)

        def guess(number: int) -> dict[str, Any]:
            return {"authData": {"ldap": {"id": "bob", "password": f"guess {number}"}}}

        for number in range(6):
            await home.ask("PUT", f"/users/{person.id}", guess(number), sent=person.sent)
            refused = await home.ask("POST", "/users", guess(number))
        assert (refused.status_code, len(office.bound) - before) == (429, 10), refused.text
        right = {"authData": {"ldap": {"id": "bob", "password": "b"}}}
        assert (await home.ask("POST", "/users", right)).status_code == 429
        assert (await home.ask("POST", "/users", right, ip="10.2.2.2")).status_code == 201
