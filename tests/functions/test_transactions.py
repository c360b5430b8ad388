"""What functions save and delete together is done together or not at all, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.functions.conftest import on_either
from tests.live.client import Client
from tests.wire.people import APP, Person, fresh


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    yield from on_either(request, tmp_path_factory.mktemp(request.param), "together")


def run(person: Person, function: str, **params: Any) -> Any:
    status, answer = person.call("POST", f"/functions/{function}", params)
    assert status == 200, answer
    return answer.get("result")


def test_objects_that_point_to_one_another_are_made_at_once(server: TestServer) -> None:
    public, name = Person(server), fresh()
    public.save(name, {"n": 100})
    told = run(public, "family", className=name)
    assert told == {"during": 1, "n": 6, "stored": 6, "all": 2}
    assert len(public.find(name)) == 4


@pytest.mark.parametrize("how", [{}, {"raise": True}], ids=["by the server", "in the block"])
def test_what_is_refused_leaves_nothing(server: TestServer, how: dict[str, Any]) -> None:
    public, name = Person(server), fresh()
    kept = public.save(name, {"n": 1})
    with Client(f"ws://127.0.0.1:{server.port}/parse") as client:
        client.connect(applicationId=APP["X-Parse-Application-Id"])
        client.subscribe(name)
        told = run(public, "refused", className=name, id=kept["objectId"], **how)
        assert told == {"code": 4711 if how else 101, "id": None, "dirty": [["n"], ["n"]], "count": 1}
        assert client.due() == []
    assert [one["n"] for one in public.find(name)] == [1]


def test_triggers_see_the_state_that_is_committed(server: TestServer) -> None:
    """Many move money at the same time: none is lost, none is made, and no account is overdrawn."""
    public = Person(server)
    accounts = [public.save("Account", {"amount": 5})["objectId"] for _ in range(3)]
    moves = [{"from": accounts[n % 3], "to": accounts[(n + 1 + n // 3 % 2) % 3], "amount": 1 + n % 4} for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda move: public.call("POST", "/functions/transfer", move), moves))
    codes = [answer.get("code") for _, answer in answers]
    assert set(codes) <= {None, 251, 4711}
    assert codes.count(None) >= 5
    amounts = [public.call("GET", f"/classes/Account/{account}")[1]["amount"] for account in accounts]
    assert (sum(amounts), min(amounts) >= 0) == (15, True)


def test_deletes_and_saves_go_together(server: TestServer) -> None:
    public, name = Person(server), fresh()
    for n in range(3):
        public.save(name, {"n": n})
    run(public, "removes", className=name)
    assert [one["n"] for one in public.find(name)] == [2]


def test_the_callers_rights_hold_for_each_object(server: TestServer) -> None:
    public, name = Person(server), fresh()
    closed = Person.master(server).save(name, {"n": 0, "ACL": {"*": {"read": True}}})["objectId"]
    status, told = public.call("POST", "/functions/asWhom", {"className": name, "id": closed, "master": False})
    assert (status, told) == (404, {"code": 101, "error": "Object not found."})
    assert [one["n"] for one in public.find(name)] == [0]
    run(public, "asWhom", className=name, id=closed, master=True)
    assert sorted(one["n"] for one in public.find(name)) == [1, 2]


def test_what_cannot_be_together_is_refused(server: TestServer) -> None:
    public, name = Person(server), fresh()
    assert run(public, "wrong", className=name, id=public.save(name, {"n": 0})["objectId"]) == [1, 119, 101]
    assert [one["n"] for one in public.find(name)] == [0]
