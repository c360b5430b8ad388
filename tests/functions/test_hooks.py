"""Webhooks: functions and triggers at a URL, what they are sent, what they may do, and what becomes of a bad one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.functions.conftest import on_either
from tests.functions.web import Web, respond
from tests.wire.people import Person, fresh


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """One that has no code of its own, and may call this machine."""
    yield from on_either(request, tmp_path_factory.mktemp(request.param), outbound_allow="127.0.0.1", webhook_key="hook")


@pytest.fixture
def master(server: TestServer) -> Person:
    return Person.master(server)


@pytest.fixture
def public(server: TestServer) -> Person:
    return Person(server)


def function(master: Person, elsewhere: Web, answer: Any) -> str:
    """A new webhook of a function, and its name."""
    name = fresh("fn")
    elsewhere.on[f"/{name}"] = answer
    assert master.call("POST", "/hooks/functions", {"functionName": name, "url": elsewhere.url(f"/{name}")})[0] == 200
    return name


def trigger(master: Person, elsewhere: Web, kind: str, class_name: str, answer: Any) -> str:
    """A new webhook of a trigger, and its path."""
    path = f"/{kind}/{class_name}"
    elsewhere.on[path] = answer
    assert master.call("POST", "/hooks/triggers", {"className": class_name, "triggerName": kind, "url": elsewhere.url(path)})[0] == 200
    return path


def test_a_function_is_sent_who_asks_and_what(server: TestServer, master: Person, elsewhere: Web) -> None:
    name = function(master, elsewhere, {"success": {"sum": 3}})
    person = Person.signed_up(server)
    assert person.call("POST", f"/functions/{name}", {"a": 1, "b": [2]}, {"X-Parse-Installation-Id": "phone"}) == (
        200,
        {"result": {"sum": 3}},
    )
    [received] = elsewhere.to(f"/{name}")
    body = received.body
    assert received.headers["X-Parse-Webhook-Key"] == "hook"
    assert (body["functionName"], body["params"], body["master"], body["installationId"]) == (name, {"a": 1, "b": [2]}, False, "phone")
    assert body["user"]["objectId"] == person.id
    assert person.headers["X-Parse-Session-Token"] not in str(body)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"success": None}, (200, {})),
        ({}, (200, {})),
        ({"success": 0}, (200, {"result": 0})),
        ({"error": "no"}, (400, {"code": 141, "error": "no"})),
        ({"error": {"message": "nor this", "code": 5}}, (400, {"code": 141, "error": "nor this"})),
        ({"error": {"code": 1337, "error": "odd"}}, (400, {"code": 141, "error": {"code": 1337, "error": "odd"}})),
    ],
)
def test_what_a_function_answers_is_told(master: Person, public: Person, elsewhere: Web, answer: Any, told: Any) -> None:
    assert public.call("POST", f"/functions/{function(master, elsewhere, answer)}", {}) == told


def moved(to: BaseHTTPRequestHandler, body: Any) -> None:
    respond(to, 302, b"", Location="http://169.254.169.254/latest/meta-data")


def endless(to: BaseHTTPRequestHandler, body: Any) -> None:
    """500 MB, unless nobody reads on."""
    to.send_response(200)
    to.send_header("Content-Length", str(500_000_000))
    to.end_headers()
    try:
        for _ in range(500):
            to.wfile.write(b"x" * 1_000_000)
    except OSError:
        pass


def compressed(to: BaseHTTPRequestHandler, body: Any) -> None:
    respond(to, 200, b"\x1f\x8b", **{"Content-Encoding": "gzip"})


def nonsense(to: BaseHTTPRequestHandler, body: Any) -> None:
    to.wfile.write(b"what?\r\n\r\n")


def silent(to: BaseHTTPRequestHandler, body: Any) -> None:
    """No answer, until the caller goes."""
    to.rfile.read()


BAD = {
    moved: "The webhook of {} failed: its answer has the status 302.",
    endless: "The webhook of {} failed: its answer is too long.",
    compressed: "The webhook of {} failed: its answer cannot be read.",
    nonsense: "The webhook of {} failed: its answer cannot be read.",
    silent: "The webhook of {} failed: it did not answer in time.",
}


@pytest.mark.parametrize("answer", BAD, ids=lambda answer: str(answer.__name__))
def test_a_bad_answer_is_an_error_that_names_the_webhook(master: Person, public: Person, elsewhere: Web, answer: Any) -> None:
    name = fresh("Bad")
    trigger(master, elsewhere, "beforeSave", name, answer)
    assert public.call("POST", f"/classes/{name}", {"a": 1}) == (400, {"code": 141, "error": BAD[answer].format(name)})
    assert master.find(name) == []


def test_an_address_that_may_not_be_called_is_not(master: Person, public: Person) -> None:
    for url in ("http://10.0.0.1/", "https://localhost/", "https://169.254.169.254/", "https://2130706433/", "https://[::1]/", "file:///x"):
        name = fresh("fn")
        master.call("POST", "/hooks/functions", {"functionName": name, "url": url})
        text = f"The webhook of {name} failed: its address may not be called."
        assert public.call("POST", f"/functions/{name}", {}) == (400, {"code": 141, "error": text})


def test_a_webhook_that_is_down_says_nothing_of_the_network(master: Person, public: Person) -> None:
    name = fresh("fn")
    master.call("POST", "/hooks/functions", {"functionName": name, "url": "http://127.0.0.1:9/x"})
    text = f"The webhook of {name} failed: it cannot be reached."
    assert public.call("POST", f"/functions/{name}", {}) == (400, {"code": 141, "error": text})


def test_before_save_may_change_what_is_saved(master: Person, public: Person, elsewhere: Web) -> None:
    """What it leaves as it is stays the operator that it was; what it leaves out is not written."""

    def changed(to: BaseHTTPRequestHandler, body: Any) -> None:
        shown = dict(body["object"])
        shown.pop("dropped", None)
        respond(to, 200, json.dumps({"success": {**shown, "title": shown["title"].upper()}}).encode())

    name = fresh()
    path = trigger(master, elsewhere, "beforeSave", name, changed)
    status, made = public.call("POST", f"/classes/{name}", {"title": "a", "hits": {"__op": "Increment", "amount": 2}, "dropped": 1})
    assert (status, made["title"]) == (201, "A")
    shown = public.call("GET", f"/classes/{name}/{made['objectId']}")[1]
    assert (shown["title"], shown["hits"], "dropped" in shown) == ("A", 2, False)
    public.change(name, made["objectId"], {"hits": {"__op": "Increment", "amount": 1}, "deep.key": 5, "title": "b"})
    assert public.call("GET", f"/classes/{name}/{made['objectId']}")[1]["hits"] == 3
    first, second = elsewhere.bodies(path)
    assert (first["object"]["hits"], "original" in first, first["object"]["className"]) == (2, False, name)
    assert (second["object"]["hits"], second["original"]["hits"], second["original"]["title"]) == (3, 2, "A")


def test_before_save_refuses(master: Person, public: Person, elsewhere: Web) -> None:
    name = fresh()
    trigger(master, elsewhere, "beforeSave", name, {"error": "not like this"})
    assert public.call("POST", f"/classes/{name}", {"a": 1}) == (400, {"code": 141, "error": "not like this"})
    assert master.find(name) == []


def test_what_says_nothing_changes_nothing(master: Person, public: Person, elsewhere: Web) -> None:
    for answer in list[Any]([{}, {"success": {}}, {"success": True}, {"success": None}]):
        name = fresh()
        trigger(master, elsewhere, "beforeSave", name, answer)
        made = public.save(name, {"a": 1})
        assert public.call("GET", f"/classes/{name}/{made['objectId']}")[1]["a"] == 1


def test_after_save_before_delete_and_finds(master: Person, public: Person, elsewhere: Web) -> None:
    name = fresh()
    saved = trigger(master, elsewhere, "afterSave", name, {"success": {"own": "answer"}})
    status, told = public.call("POST", f"/classes/{name}", {"a": 1})
    assert (status, told) == (201, {"own": "answer"})
    [body] = elsewhere.bodies(saved)
    object_id = body["object"]["objectId"]
    trigger(master, elsewhere, "beforeDelete", name, {"error": "kept"})
    assert public.call("DELETE", f"/classes/{name}/{object_id}") == (400, {"code": 141, "error": "kept"})
    found = trigger(master, elsewhere, "afterFind", name, {"success": [{"objectId": "x", "a": 2}]})
    [row] = public.call("GET", f"/classes/{name}")[1]["results"]
    assert (row["objectId"], row["a"]) == ("x", 2)
    assert elsewhere.bodies(found)[0]["objects"][0]["objectId"] == object_id
    asked = trigger(master, elsewhere, "beforeFind", name, {"error": "no finding"})
    assert public.call("GET", f"/classes/{name}")[1] == {"code": 141, "error": "no finding"}
    assert elsewhere.bodies(asked)[0]["query"]["where"] == {}


def test_a_sign_up_keeps_its_password_and_tells_nobody(server: TestServer, master: Person, elsewhere: Web) -> None:
    def tagged(to: BaseHTTPRequestHandler, body: Any) -> None:
        respond(to, 200, json.dumps({"success": {**body["object"], "tag": "new"}}).encode())

    path = trigger(master, elsewhere, "beforeSave", "_User", tagged)
    try:
        name = fresh("user")
        status, made = Person(server).call("POST", "/users", {"username": name, "password": "geheim"})
        assert (status, made["tag"]) == (201, "new")
        assert Person(server).call("POST", "/login", {"username": name, "password": "geheim"})[0] == 200
        assert "geheim" not in str(elsewhere.bodies(path))
    finally:
        assert master.call("PUT", "/hooks/triggers/_User/beforeSave", {"__op": "Delete"}) == (200, {})


def test_only_the_master_key_declares(server: TestServer, public: Person) -> None:
    person, hook = Person.signed_up(server), {"functionName": "x", "url": "https://example.com/"}
    for method, path in (("GET", "/functions"), ("POST", "/functions"), ("GET", "/triggers"), ("PUT", "/functions/x")):
        for anyone in (public, person):
            status, told = anyone.call(method, f"/hooks{path}", hook if method != "GET" else None)
            assert (status, set(told)) == (403, {"error"})
    assert public.call("POST", "/classes/_Hooks", hook)[1]["code"] == 119


def test_webhooks_outlive_the_server(server: TestServer, master: Person, elsewhere: Web) -> None:
    name = function(master, elsewhere, {"success": 1})
    server.kill()
    server.start()
    assert Person(server).call("POST", f"/functions/{name}", {}) == (200, {"result": 1})
    assert {"functionName": name, "url": elsewhere.url(f"/{name}")} in master.call("GET", "/hooks/functions")[1]
