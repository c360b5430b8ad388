"""Triggers, wherever objects are saved, deleted, found, and people sign in, on both stores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mbaas.testing.process import TestServer
from tests.wire.people import Person, fresh


@pytest.fixture
def public(either: TestServer) -> Person:
    return Person(either)


def test_what_a_trigger_has_seen_is_what_is_saved(public: Person) -> None:
    """Many write the same object at the same time: each trigger's answer rests on the state that it was saved upon."""
    made = public.save("Counted", {"n": 0})
    with ThreadPoolExecutor(8) as pool:
        statuses = [
            status for status, _ in pool.map(lambda n: public.call("PUT", f"/classes/Counted/{made['objectId']}", {"by": n}), range(40))
        ]
    done = statuses.count(200)
    assert set(statuses) <= {200, 409}
    assert done >= 8
    kept = public.call("GET", f"/classes/Counted/{made['objectId']}")[1]
    assert (kept["n"], kept["seen"]) == (1 + done, 1 + done)


def test_context_goes_from_trigger_to_trigger(public: Person) -> None:
    status, told = public.call("POST", "/classes/Chain", {"x": 1}, {"X-Parse-Cloud-Context": '{"by": ["client"]}'})
    assert (status, told["before"], told["after"]) == (201, ["client", "before"], ["client", "before", "after"])
    kept = public.call("GET", f"/classes/Chain/{told['objectId']}")[1]
    assert "after" not in kept


def test_what_one_request_puts_into_its_context_is_not_in_the_next(public: Person) -> None:
    for _ in range(3):
        assert public.call("POST", "/classes/Chain", {"x": 1})[1]["before"] == ["before"]


def test_parts_of_a_batch_have_triggers_too(public: Person) -> None:
    parts = [{"method": "POST", "path": "/parse/classes/Counted", "body": {"k": k}} for k in range(3)]
    for transaction in (False, True):
        status, told = public.call("POST", "/batch", {"requests": parts, "transaction": transaction})
        assert status == 200
        assert [part["success"]["seen"] for part in told] == [1, 1, 1]


def test_a_transaction_whose_trigger_refuses_writes_nothing(either: TestServer) -> None:
    master, name = Person.master(either), fresh()
    parts = [
        {"method": "POST", "path": f"/parse/classes/{name}", "body": {"k": 1}},
        {"method": "POST", "path": "/parse/roles", "body": {"name": fresh("forbidden"), "ACL": {}}},
    ]
    assert master.call("POST", "/batch", {"requests": parts, "transaction": True}) == (400, {"code": 142, "error": "no such role here"})
    assert master.find(name) == []


def test_classes_of_the_servers_own_have_triggers(either: TestServer) -> None:
    master = Person.master(either)
    assert master.call("POST", "/roles", {"name": fresh("forbidden"), "ACL": {}})[1] == {"code": 142, "error": "no such role here"}
    given = {"deviceType": "ios", "installationId": fresh().lower()}
    status, told = Person(either).call("POST", "/installations", given)
    assert (status, told["seenBy"]) == (201, "trigger")
    # The same device again is an update of the same row.
    assert Person(either).call("POST", "/installations", given)[0] == 200


def test_signing_in_and_out(either: TestServer) -> None:
    public, master, name = Person(either), Person.master(either), fresh("ann")
    _, made = public.call("POST", "/users", {"username": name, "password": "pw"})
    status, told = public.call("POST", "/login", {"username": name, "password": "pw"})
    assert status == 200
    assert [row["what"] for row in master.find("SignIn", f'{{"name": "{name}"}}')] == ["in"]
    own = Person(either, **{"X-Parse-Session-Token": told["sessionToken"]})
    assert own.call("POST", "/logout", {}) == (200, {})
    assert [row["what"] for row in master.find("SignIn", f'{{"user": "{made["objectId"]}"}}')] == ["out"]


def test_a_refused_sign_in_makes_no_session(either: TestServer) -> None:
    public, master, name = Person(either), Person.master(either), fresh("locked")
    _, made = public.call("POST", "/users", {"username": name, "password": "pw"})
    where = f'{{"user": {{"__type": "Pointer", "className": "_User", "objectId": "{made["objectId"]}"}}}}'
    before = len(master.find("_Session", where))
    assert public.call("POST", "/login", {"username": name, "password": "pw"}) == (400, {"code": 142, "error": "locked out"})
    assert public.call("POST", "/login", {"username": name, "password": "no"})[1]["code"] == 101
    assert len(master.find("_Session", where)) == before


def test_a_trigger_before_a_delete_is_asked_for_a_class_of_the_servers_own(either: TestServer) -> None:
    ann, master = Person.signed_up(either), Person.master(either)
    [session] = master.find("_Session", f'{{"user": {{"__type": "Pointer", "className": "_User", "objectId": "{ann.id}"}}}}')
    assert master.call("PUT", f"/sessions/{session['objectId']}", {"kept": True})[0] == 200
    assert master.call("DELETE", f"/sessions/{session['objectId']}") == (400, {"code": 142, "error": "this one stays"})


def test_a_search_may_be_answered_by_its_trigger(public: Person) -> None:
    found = public.find("Answered", '{"n": 5}')
    assert [(one["objectId"], one["n"]) for one in found] == [("fromTheTrig", 5)]
    assert public.call("GET", "/classes/Answered/any")[1]["objectId"] == "fromTheTrig"


def test_what_is_found_passes_the_trigger(public: Person) -> None:
    made = public.save("Masked", {"number": "1234"})
    assert {one["number"] for one in public.find("Masked")} == {"***"}
    assert public.call("GET", f"/classes/Masked/{made['objectId']}")[1]["number"] == "***"
    status, told = public.call("GET", "/classes/Masked?count=1&limit=1")
    assert (status, told["count"] >= 1, len(told["results"])) == (200, True, 1)


def test_a_dotted_key_is_seen_as_a_part_of_its_field(public: Person) -> None:
    made = public.save("Dotted", {"deep": {"a": 1}})
    assert public.call("PUT", f"/classes/Dotted/{made['objectId']}", {"deep.b": 2})[0] == 200
    kept = public.call("GET", f"/classes/Dotted/{made['objectId']}")[1]
    assert kept["deep"] == kept["saw"] == {"a": 1, "b": 2}


def test_what_a_trigger_takes_back_is_not_written(public: Person) -> None:
    made = public.save("Undecided", {"other": 1})
    status, told = public.call("PUT", f"/classes/Undecided/{made['objectId']}", {"mine": 1, "other": 2})
    assert (status, told["mine"]) == (200, {"__op": "Delete"})
    kept = public.call("GET", f"/classes/Undecided/{made['objectId']}")[1]
    assert (kept["other"], "mine" in kept) == (2, False)


def test_nobody_runs_a_trigger_by_a_save_that_she_may_not_make(either: TestServer) -> None:
    ann, public = Person.signed_up(either), Person(either)
    own = ann.save("Counted", {"ACL": {ann.id: {"read": True, "write": True}}})
    assert public.call("PUT", f"/classes/Counted/{own['objectId']}", {"x": 1}) == (404, {"code": 101, "error": "Object not found."})
    assert ann.call("GET", f"/classes/Counted/{own['objectId']}")[1]["n"] == 1


def test_a_save_with_a_request_id_is_made_once(public: Person) -> None:
    again = {"X-Parse-Request-Id": fresh()}
    made = public.save("Counted", {"n": 0})
    path = f"/classes/Counted/{made['objectId']}"
    assert public.call("PUT", path, {"x": 1}, again)[0] == 200
    assert public.call("PUT", path, {"x": 1}, again)[1]["code"] == 159
    assert public.call("GET", path)[1]["n"] == 2
