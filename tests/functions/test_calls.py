"""Functions as clients call them and as their authors write them, on both stores."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from mbaas.testing.process import TestServer
from tests.wire.people import Object, Person, fresh


@pytest.fixture
def public(either: TestServer) -> Person:
    return Person(either)


def run(person: Person, function: str, /, **params: object) -> object:
    status, answer = person.call("POST", f"/functions/{function}", params)
    assert status == 200, answer
    return answer.get("result")


def test_params_may_be_a_model(public: Person) -> None:
    assert run(public, "order", item="tea", count=3) == "3 x tea"
    assert run(public, "order", item="tea") == "1 x tea"
    status, told = public.call("POST", "/functions/order", {"count": "many"})
    assert (status, told["code"]) == (400, 142)
    assert told["error"] == "Validation failed. item: Field required"


def test_a_plain_function_runs_in_a_thread(public: Person) -> None:
    assert run(public, "plain", name="ann") == "plain ann"
    assert public.call("POST", "/functions/plain", {}) == (400, {"code": 141, "error": "'name'"})


def test_every_value_goes_there_and_back(public: Person) -> None:
    name = fresh()
    told = run(public, "values", className=name)
    assert isinstance(told, dict)
    assert told["__type"] == "Object"
    expected: Object = {
        "when": {"__type": "Date", "iso": "2026-01-02T00:00:00.000Z"},
        "at": {"__type": "GeoPoint", "latitude": 1, "longitude": 2},
        "list": [1, "two", None, 4],
        "deep": {"a": {"b": True}, "c": 5},
        "n": 3,
        "tags": ["x"],
    }
    assert {field: told.get(field) for field in expected} == expected
    assert "raw" not in told


def test_queries_ask_as_clients_do(public: Person) -> None:
    assert run(public, "query", className=fresh()) == {
        "few": [6, 5, 4],
        "count": 4,
        "either": [0, 11],
        "near": [0, 1, 2],
        "first": 0,
        "none": None,
        "distinct": list(range(12)),
        "aggregate": [{"objectId": None, "total": 66}],
        "each": 12,
        "selected": ["n"],
    }


def test_objects_in_objects(public: Person) -> None:
    told = run(public, "family", className=fresh())
    assert isinstance(told, dict)
    assert (told["related"], told["child"]) == ([1, 2], 1)
    assert told["whole"]["child"]["__type"] == "Object"
    assert [one["__type"] for one in told["whole"]["children"]] == ["Pointer"]


def test_a_function_asks_in_its_callers_name(public: Person) -> None:
    assert run(public, "asWhom", className=fresh()) == {"own": 0, "all": 1, "refused": [101, "Object not found."]}


def test_who_calls(either: TestServer) -> None:
    ann = Person.signed_up(either)
    master = Person.master(either)
    user = {"__type": "Pointer", "className": "_User", "objectId": ann.id}
    inner, outer = fresh("role"), fresh("role")
    made = master.save("_Role", {"name": inner, "ACL": {"*": {"read": True}}, "users": {"__op": "AddRelation", "objects": [user]}})
    related = {"__op": "AddRelation", "objects": [{"__type": "Pointer", "className": "_Role", "objectId": made["objectId"]}]}
    master.save("_Role", {"name": outer, "ACL": {"*": {"read": True}}, "roles": related})
    status, answer = ann.call("POST", "/functions/whoami", {}, {"Cookie": "a=b", "Authorization": "Bearer x", "X-Own": "1"})
    told = answer["result"]
    assert status == 200
    assert told["roles"] == sorted([inner, outer])
    assert told["fields"] == ["ACL", "username"]
    assert told["headers"] == ["x-own", "x-parse-application-id"]
    assert (told["ip"], told["left"]) == ("127.0.0.1", True)


def test_functions_call_functions(either: TestServer) -> None:
    ann = Person.signed_up(either)
    told = run(ann, "outer")
    assert isinstance(told, list)
    assert [each["n"] for each in told] == [2, 3]
    assert [each["master"] for each in told] == [False, True]
    assert all(each["user"] for each in told)


def test_config_is_shown_as_to_its_caller(either: TestServer) -> None:
    master = Person.master(either)
    params = {"params": {"open": 1, "private": 2}, "masterKeyOnly": {"private": True}}
    assert master.call("PUT", "/config", params) == (200, {"result": True})
    assert run(Person(either), "config") == [{"open": 1}, {"open": 1, "private": 2}]


def test_a_function_stores_files(either: TestServer) -> None:
    told = run(Person(either), "file", className=fresh())
    assert isinstance(told, dict)
    assert told["note"]["name"].endswith("note.txt")
    assert either.get(urlsplit(told["note"]["url"]).path) == (200, "hello")


def test_lines_are_in_the_servers_log(either: TestServer) -> None:
    run(Person(either), "log")
    assert any('"a line for the log"' in line and "function log" in line for line in either.log.read_text().splitlines())


def test_a_repeated_call_is_refused(public: Person) -> None:
    again = {"X-Parse-Request-Id": fresh()}
    assert public.call("POST", "/functions/plain", {"name": "x"}, again)[0] == 200
    assert public.call("POST", "/functions/plain", {"name": "x"}, again) == (400, {"code": 159, "error": "Duplicate request"})


def test_a_function_may_be_called_so_often(public: Person) -> None:
    answers = [public.call("POST", "/functions/seldom", {}) for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 429]
    assert Person.master(public.server).call("POST", "/functions/seldom", {})[0] == 200


def test_a_push_is_asked_of_the_one_place_that_sends(public: Person) -> None:
    missing = [115, "Missing push configuration"]
    nobody = [115, 'Sending a push requires either "channels" or a "where" query.']
    both = [115, "A push with a condition goes to whoever has subscribed: without channels."]
    assert run(public, "push") == [[119, "master key is required"], missing, missing, nobody, missing, both]
