"""An app's own code as a provider of `authData`, on both stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.functions.conftest import APPS
from tests.secantus import database
from tests.wire.people import Person, fresh

AUTH = {"acme": {"module": "acme", "secret": "s"}, "off": {"module": "off", "enabled": False}, "nobody": {"module": "none"}}


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    options: dict[str, Any] = {"appId": APP_ID, "masterKey": MASTER_KEY, "allowClientClassCreation": True, "auth": {**AUTH, "google": {}}}
    if request.param == "mongodb":
        options["databaseURI"] = database(request.getfixturevalue("mongo"), fresh("vouching"))
    folder = tmp_path_factory.mktemp(request.param)
    with TestServer.with_parse_options(folder, options, functions=APPS / "vouching") as running:
        yield running


def data(who: str, **more: Any) -> dict[str, Any]:
    return {"authData": {"acme": {"id": who, "token": f"s-{who}", **more}}}


def test_who_is_vouched_for_is_signed_up_and_then_signed_in(server: TestServer) -> None:
    public, who = Person(server), fresh("id")
    status, made = public.call("POST", "/users", data(who))
    assert (status, made["sessionToken"][:2]) == (201, "r:")
    status, again = public.call("POST", "/users", data(who))
    assert (status, again["objectId"], again["sessionToken"] != made["sessionToken"]) == (200, made["objectId"], True)
    assert [row.get("whom") for row in Person.master(server).find("Asked", f'{{"of": "{who}"}}')] == [None, None]


def test_who_is_not_vouched_for_is_refused(server: TestServer) -> None:
    """At a sign-up, at a sign-in as somebody who is known, and where the data alone is wrong."""
    public, who = Person(server), fresh("id")
    wrong = data(who, token="guessed")
    assert public.call("POST", "/users", wrong) == (400, {"code": 4711, "error": "wrong token"})
    assert public.call("POST", "/users", data(who))[0] == 201
    assert public.call("POST", "/users", wrong) == (400, {"code": 4711, "error": "wrong token"})
    for given in ({}, {"id": ""}, {"id": 5}, {"id": None}, {"token": "s-"}):
        assert public.call("POST", "/users", {"username": fresh("u"), "password": "x", "authData": {"acme": given}})[1]["code"] == 162
    assert public.call("POST", "/users", {"authData": {"broken": {"id": "x"}}}) == (400, {"code": 141, "error": "it broke"})
    for closed in ("off", "nobody", "other"):
        assert public.call("POST", "/users", {"authData": {closed: {"id": "x"}}})[1]["code"] == 252
    assert public.call("POST", "/users", {"authData": {"google": {"id": "x"}}})[1]["code"] == 101


def test_what_a_provider_says_anew_is_kept(server: TestServer) -> None:
    """A token changes with each sign-in; nothing of one that is refused is kept."""
    public, master, who = Person(server), Person.master(server), fresh("id")
    made = public.call("POST", "/users", data(who, n=1))[1]
    status, again = public.call("POST", "/users", data(who, n=2))
    assert (status, again["authData"]["acme"]["n"]) == (200, 2)
    assert public.call("POST", "/users", {"authData": {"acme": {"id": who, "token": "guessed", "n": 3}}})[0] == 400
    assert master.call("GET", f"/users/{made['objectId']}")[1]["authData"] == {"acme": {"id": who, "token": f"s-{who}", "n": 2}}


def test_an_id_is_one_users(server: TestServer) -> None:
    ann, ben, who = Person.signed_up(server), Person.signed_up(server), fresh("id")
    assert ann.call("PUT", f"/users/{ann.id}", data(who))[0] == 200
    assert [row["whom"] for row in Person.master(server).find("Asked", f'{{"of": "{who}"}}')] == [ann.id]
    assert ben.call("PUT", f"/users/{ben.id}", data(who))[1]["code"] == 208
    assert Person(server).call("POST", "/users", data(who))[1]["objectId"] == ann.id
    assert ann.call("PUT", f"/users/{ann.id}", {"authData": {"acme": None}})[0] == 200
    assert ben.call("PUT", f"/users/{ben.id}", data(who))[0] == 200


def all_at_once(server: TestServer, who: str) -> list[int]:
    """The statuses of many sign-ups with one id, which are all of one user."""
    public = Person(server)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: public.call("POST", "/users", data(who)), range(16)))
    assert len({answer["objectId"] for _, answer in answers}) == 1
    return sorted(status for status, _ in answers)


def test_of_many_who_come_at_once_with_an_id_one_is_signed_up(server: TestServer) -> None:
    assert all_at_once(server, fresh("id")) == [200] * 15 + [201]


def test_an_id_stays_one_users_after_another_start(tmp_path: Path) -> None:
    options = {"appId": APP_ID, "masterKey": MASTER_KEY, "allowClientClassCreation": True, "auth": AUTH}
    for number in range(2):
        with TestServer.with_parse_options(tmp_path, options, functions=APPS / "vouching") as running:
            assert all_at_once(running, f"new{number}") == [200] * 15 + [201]
            assert all_at_once(running, "new0") == [200] * 16
            log = [json.loads(line) for line in running.log.read_text().splitlines()]
            assert [line["provider"] for line in log if "no such provider" in str(line.get("event"))] == ["nobody"]


@pytest.mark.parametrize("name", ["anonymous", "a.b", "1a", ""])
def test_a_provider_that_cannot_be_called_so_is_not_declared(tmp_path: Path, name: str) -> None:
    code = f"from mbaas_functions import cloud\n\n@cloud.auth_provider({name!r})\ndef none(data, options, request): ...\n"
    (tmp_path / "main.py").write_text(code)
    with pytest.raises(RuntimeError, match="no provider can be called"):
        TestServer(tmp_path / "server", settings={"functions": tmp_path}).start()
