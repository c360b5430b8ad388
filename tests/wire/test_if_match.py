"""Writes on the condition that nobody else has written: `If-Match` with an object's `updatedAt`, on either store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mbaas.testing.process import TestServer
from tests.wire.people import READ, Person, fresh

LONG_AGO = "2001-01-01T00:00:00.000Z"


def tag(updated_at: str) -> dict[str, str]:
    return {"If-Match": f'"{updated_at}"'}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_write_is_done_if_the_object_is_as_it_was(public: Person, method: str) -> None:
    name = fresh()
    made = public.save(name, {"n": 1})
    path = f"/classes/{name}/{made['objectId']}"
    assert public.call(method, path, {"n": 2}, tag(made["updatedAt"]))[0] == 200
    assert [found["n"] for found in public.find(name)] == ([2] if method == "PUT" else [])


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_write_is_refused_if_the_object_has_changed(public: Person, method: str) -> None:
    name = fresh()
    made = public.save(name, {"n": 1})
    path = f"/classes/{name}/{made['objectId']}"
    for given in (LONG_AGO, "2199-12-31T23:59:59.999Z", made["updatedAt"].replace("Z", "+01:00")):
        status, answer = public.call(method, path, {"n": 2}, tag(given))
        assert (status, answer["code"]) == (409, 251)
    assert [found["n"] for found in public.find(name)] == [1]
    assert public.call(method, path, {"fresh": {"__op": "Increment", "amount": 1}}, tag(LONG_AGO))[0] == 409
    status, schema = Person.master(public.server).call("GET", f"/schemas/{name}")
    assert "fresh" not in schema["fields"]


def test_any_state_is_a_star(public: Person) -> None:
    name = fresh()
    path = f"/classes/{name}/{public.save(name, {'n': 1})['objectId']}"
    assert public.call("PUT", path, {"n": 2}, {"If-Match": "*"})[0] == 200
    assert public.call("DELETE", path, None, {"If-Match": " * "})[0] == 200
    assert public.call("DELETE", path, None, {"If-Match": "*"})[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("given", ["", "x", LONG_AGO, '"x"', '""', f'W/"{LONG_AGO}"', f'"{LONG_AGO}", "{LONG_AGO}"', '"*"', f'"{LONG_AGO}'])
def test_what_is_no_updated_at_is_refused(public: Person, method: str, given: str) -> None:
    name = fresh()
    made = public.save(name, {"n": 1})
    status, answer = public.call(method, f"/classes/{name}/{made['objectId']}", {"n": 2}, {"If-Match": given})
    assert (status, answer["code"]) == (400, 162)
    assert public.find(name)[0]["n"] == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("acl", [{}, {"*": READ}, "pointer"], ids=["hidden", "readable", "not the owner's"])
def test_nothing_is_told_of_objects_that_one_may_not_write(public: Person, ann: Person, method: str, right: bool, acl: object) -> None:
    """Whether the object is there, changed, or closed: the answer is that of an id that never was."""
    name, master = fresh(), Person.master(public.server)
    if acl == "pointer":
        owned = {"pointerFields": ["owner"]}
        rules = {"find": {"*": True}, "create": {"*": True}, "update": owned, "delete": owned}
        fields = {"owner": {"type": "Pointer", "targetClass": "_User"}, "n": {"type": "Number"}}
        assert master.call("POST", f"/schemas/{name}", {"fields": fields, "classLevelPermissions": rules})[0] == 200
    made = master.save(name, {"n": 1} if acl == "pointer" else {"n": 1, "ACL": acl})
    sent = tag(made["updatedAt"] if right else LONG_AGO)
    never = ann.call(method, f"/classes/{name}/neverwas", {"n": 2}, sent)
    assert ann.call(method, f"/classes/{name}/{made['objectId']}", {"n": 2}, sent) == never
    assert (never[0], never[1]["code"]) == (404, 101)


def test_classes_with_paths_of_their_own_take_it_too(ann: Person) -> None:
    status, me = ann.call("GET", "/users/me")
    assert status == 200
    refused = ann.call("PUT", f"/users/{ann.id}", {"phone": "1"}, tag(LONG_AGO))
    assert (refused[0], refused[1]["code"]) == (409, 251)
    status, saved = ann.call("PUT", f"/users/{ann.id}", {"phone": "1"}, tag(me["updatedAt"]))
    assert status == 200
    assert ann.call("DELETE", f"/users/{ann.id}", None, tag(me["updatedAt"]))[0] == 409
    assert ann.call("DELETE", f"/users/{ann.id}", None, tag(saved["updatedAt"]))[0] == 200


def test_of_many_who_have_seen_the_same_state_one_writes(public: Person) -> None:
    """Each round all read one state and write to it at the same time; the sum says how many writes there were."""
    name, add = fresh(), {"n": {"__op": "Increment", "amount": 1}}
    made = public.save(name, {"n": 0})
    path, updated_at = f"/classes/{name}/{made['objectId']}", made["updatedAt"]
    with ThreadPoolExecutor(8) as pool:
        for n in range(1, 6):
            replies = list(pool.map(lambda _, given=updated_at: public.call("PUT", path, add, tag(given)), range(8)))
            assert sorted(status for status, _ in replies) == [200] + [409] * 7
            [found] = public.find(name)
            assert found["n"] == n
            updated_at = found["updatedAt"]
        ends = list(pool.map(lambda _: public.call("DELETE", path, None, tag(updated_at))[0], range(8)))
    assert sorted(ends) == [200] + [404] * 7


def test_a_browser_is_told_that_it_may_send_the_header(either: TestServer, http: httpx.Client) -> None:
    """Whoever asks for it; others get the list that Parse Server has."""
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    names = []
    for wanted in ("content-type,if-match", "content-type"):
        answer = http.options(f"{either.url}/parse/classes/A/b", headers={**asked, "Access-Control-Request-Headers": wanted})
        assert answer.status_code == 200
        names.append([name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")])
    assert "content-type" in names[0]
    assert set(names[0]) - set(names[1]) == {"if-match"}


def test_a_part_of_a_batch_has_no_condition(public: Person) -> None:
    name = fresh()
    made = public.save(name, {"n": 1})
    part = {"method": "PUT", "path": f"/parse/classes/{name}/{made['objectId']}", "body": {"n": 2}}
    status, answer = public.call("POST", "/batch", {"requests": [part]}, tag(LONG_AGO))
    assert (status, "success" in answer[0]) == (200, True)
