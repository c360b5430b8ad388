"""Partner services: how they are registered, what may be called when, what they are sent, and what a bad one costs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook

from mbaas.testing.process import TestServer
from tests.functions.conftest import on_either
from tests.functions.test_hooks import compressed, endless, moved, nonsense, silent
from tests.functions.web import Web, respond
from tests.wire.people import Person, fresh
from tests.workers.asking import soon

OFFER: dict[str, Any] = {
    "params": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"], "additionalProperties": False},
    "reply": {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]},
    "examples": [{"params": {"to": "home"}, "reply": {"price": 12}}, {"reply": {"price": 30}}],
}


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """Registers partners with the master key."""
    yield from on_either(request, tmp_path_factory.mktemp(request.param), outbound_allow="127.0.0.1")


class Desk:
    """Registers partners with the master key."""

    def __init__(self, server: TestServer, elsewhere: Web) -> None:
        self.master, self.public, self.elsewhere = Person.master(server), Person(server), elsewhere

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return self.master.server.call(method, f"/api/v1/partners{path}", body, self.master.headers)

    def registered(self, operations: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """A new partner on the web server elsewhere, in draft; a path of its own."""
        name = fresh("p").lower()
        manifest = {"operations": operations or {"offer": OFFER}}
        status, made = self("POST", "", {"name": name, "manifest": manifest, "live": {"url": self.elsewhere.url(f"/{name}")}, **more})
        assert status == 201, made
        found: dict[str, Any] = made
        return found

    def live(self, operations: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """One that the app may call."""
        made = self.registered(operations, **more)
        for state in ("sandbox", "submitted", "approved", "live"):
            assert self("POST", f"/{made['name']}/state", {"state": state})[0] == 200
        assert self("PUT", f"/{made['name']}/grant", {"environment": "live"})[0] == 200
        return made

    def answers(self, partner: dict[str, Any], answer: Any, operation: str = "offer") -> str:
        """What the partner answers; the path."""
        path = f"/{partner['name']}/{operation}"
        self.elsewhere.on[path] = answer
        return path

    def run(self, partner: dict[str, Any], params: Any = None, operation: str = "offer") -> tuple[int, Any]:
        return self.public.call("POST", f"/functions/{partner['name']}.{operation}", {"to": "home"} if params is None else params)


@pytest.fixture
def desk(server: TestServer, elsewhere: Web) -> Desk:
    return Desk(server, elsewhere)


def test_a_mobile_app_just_calls_the_function(desk: Desk) -> None:
    partner = desk.live()
    path = desk.answers(partner, {"price": 9.5, "currency": "EUR"})
    assert desk.run(partner) == (200, {"result": {"price": 9.5, "currency": "EUR"}})
    [received] = desk.elsewhere.to(path)
    assert (received.method, received.body) == ("POST", {"to": "home"})
    assert 0 < int(received.headers["X-Deadline-Ms"]) <= 10_000


def test_what_is_sent_is_signed_as_standard_webhooks(desk: Desk) -> None:
    """Both published packages verify it, before, during and after a rotation."""
    partner = desk.live()
    path, secrets = desk.answers(partner, {"price": 1}), [partner["secrets"]["live"]]
    for _ in range(2):
        assert desk.run(partner)[0] == 200
        received = desk.elsewhere.to(path)[-1]
        for secret in secrets:
            headers = {name.lower(): value for name, value in received.headers.items()}
            assert StandardWebhook(secret).verify(received.raw.decode(), headers) == {"to": "home"}
            # Raises if it is not so.
            SvixWebhook(secret).verify(received.raw.decode(), headers)
        status, rotated = desk("POST", f"/{partner['name']}/secrets", {"environment": "live"})
        assert status == 200
        secrets.append(rotated["secret"])


def test_an_asymmetric_signature_is_verified_with_the_public_key(desk: Desk) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    partner = desk.live()
    path = desk.answers(partner, {"price": 1})
    key = desk("POST", f"/{partner['name']}/secrets", {"environment": "live", "scheme": "v1a"})[1]["publicKey"]
    assert desk.run(partner)[0] == 200
    headers = {name.lower(): value for name, value in desk.elsewhere.to(path)[-1].headers.items()}
    [signature] = [each for each in headers["webhook-signature"].split(" ") if each.startswith("v1a,")]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + desk.elsewhere.to(path)[-1].raw
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    public.verify(base64.b64decode(signature.removeprefix("v1a,")), signed)


def test_no_secret_is_told_twice(desk: Desk) -> None:
    partner = desk.registered()
    shown = json.dumps([desk("GET", "")[1], desk("GET", f"/{partner['name']}")[1]])
    assert not any(secret in shown for secret in partner["secrets"].values())


def test_only_one_way_leads_to_live(desk: Desk) -> None:
    partner = desk.registered()
    name = partner["name"]
    assert desk.run(partner)[1]["error"] == f"The partner {name} is not enabled."
    assert desk("PUT", f"/{name}/grant", {"environment": "live"})[1]["code"] == 142
    for wrong in ("live", "approved", "suspended", "draft", None, 5):
        assert desk("POST", f"/{name}/state", {"state": wrong})[1]["code"] == 142
    for state in ("sandbox", "submitted", "approved", "live", "suspended"):
        assert desk("POST", f"/{name}/state", {"state": state})[1]["state"] == state
        if state == "live":
            assert desk("PUT", f"/{name}/grant", {"environment": "live"})[0] == 200
    assert desk.run(partner)[1]["error"] == f"The partner {name} is suspended."
    assert desk("POST", f"/{name}/state", {"state": "retired"})[0] == 200
    assert desk("POST", f"/{name}/state", {"state": "live"})[1]["code"] == 142
    assert desk.run(partner)[1]["error"] == f"The partner {name} is retired."


def test_a_sandbox_answers_from_examples_with_trouble_on_request(desk: Desk) -> None:
    partner = desk.registered()
    desk("POST", f"/{partner['name']}/state", {"state": "sandbox"})
    assert desk("PUT", f"/{partner['name']}/grant", {"environment": "sandbox"})[0] == 200
    assert desk.run(partner) == (200, {"result": {"price": 12}})
    assert desk.run(partner, {"to": "elsewhere"}) == (200, {"result": {"price": 30}})
    told = desk.run(partner, {"to": "home", "$sandbox": {"status": 503, "latencyMs": 1}})
    assert told == (400, {"code": 141, "error": "offer failed: the answer has the status 503."})
    assert desk.elsewhere.to(f"/{partner['name']}/offer") == []


def test_params_that_do_not_meet_the_schema_go_nowhere(desk: Desk) -> None:
    partner = desk.live()
    path = desk.answers(partner, {"price": 1})
    for wrong in ({}, {"to": 1}, {"to": "home", "more": 1}):
        assert desk.run(partner, wrong)[1]["code"] == 142
    assert desk.elsewhere.to(path) == []


def failing(to: BaseHTTPRequestHandler, body: Any) -> None:
    respond(to, 500, b'{"secret": "inside"}')


def text(to: BaseHTTPRequestHandler, body: Any) -> None:
    respond(to, 200, b"hello")


BAD = {
    moved: "its answer has the status 302",
    failing: "its answer has the status 500",
    endless: "its answer is too long",
    compressed: "its answer cannot be read",
    nonsense: "its answer cannot be read",
    silent: "it did not answer in time",
    text: "its answer is not JSON",
}


@pytest.mark.parametrize("answer", BAD, ids=lambda answer: str(answer.__name__))
def test_a_bad_partner_is_an_error_that_says_so_and_no_more(desk: Desk, answer: Any) -> None:
    partner = desk.live({"offer": {**OFFER, "timeout": 1 if answer is silent else 10}})
    desk.answers(partner, answer)
    assert desk.run(partner) == (400, {"code": 141, "error": f"{partner['name']}.offer failed: {BAD[answer]}."})
    assert desk.public.call("GET", "/health") == (200, {"status": "ok"})


def test_an_answer_that_is_not_what_was_declared(desk: Desk) -> None:
    partner = desk.live()
    desk.answers(partner, {"price": "free"})
    assert desk.run(partner)[1]["error"] == f"{partner['name']}.offer failed: its answer is not what it declares."


def test_only_an_idempotent_operation_is_tried_again_under_the_same_id(desk: Desk) -> None:
    partner = desk.live({"once": {"timeout": 5}, "twice": {"timeout": 5, "idempotent": True}})

    def unavailable(to: BaseHTTPRequestHandler, body: Any) -> None:
        respond(to, 503, b"")

    for operation, count in (("once", 1), ("twice", 2)):
        path = desk.answers(partner, unavailable, operation)
        assert desk.run(partner, {}, operation)[0] == 400
        ids = [{n.lower(): v for n, v in each.headers.items()}["webhook-id"] for each in desk.elsewhere.to(path)]
        assert (len(ids), len(set(ids))) == (count, 1)


def test_a_partner_that_is_down_is_left_alone(desk: Desk) -> None:
    partner = desk.registered()
    desk("PUT", f"/{partner['name']}", {"live": {"url": "http://127.0.0.1:9"}})
    for state in ("sandbox", "submitted", "approved", "live"):
        desk("POST", f"/{partner['name']}/state", {"state": state})
    desk("PUT", f"/{partner['name']}/grant", {"environment": "live"})
    told = [desk.run(partner) for _ in range(8)]
    assert [status for status, _ in told] == [400] * 5 + [429] * 3
    assert told[0][1]["error"] == f"{partner['name']}.offer failed: it cannot be reached."
    assert told[-1][1]["error"].startswith(f"The partner {partner['name']} does not answer at present. Try again in ")


def test_a_slow_partner_takes_no_more_than_its_places(desk: Desk) -> None:
    partner = desk.live({"offer": {**OFFER, "timeout": 3}})
    desk("PUT", f"/{partner['name']}", {"live": {"url": desk.elsewhere.url(f"/{partner['name']}"), "limits": {"concurrency": 2}}})
    desk.answers(partner, silent)
    with ThreadPoolExecutor(8) as pool:
        told = [status for status, _ in pool.map(lambda _: desk.run(partner), range(8))]
    assert (told.count(400), told.count(429)) == (2, 6)


def test_quotas_are_kept_and_told(desk: Desk) -> None:
    partner = desk.live()
    desk("PUT", f"/{partner['name']}", {"live": {"url": desk.elsewhere.url(f"/{partner['name']}"), "limits": {"perMonth": 3}}})
    desk.answers(partner, {"price": 1})
    told = [desk.run(partner) for _ in range(5)]
    assert [status for status, _ in told] == [200] * 3 + [429] * 2
    assert told[-1][1]["error"].startswith(f"The partner {partner['name']} may be called 3 times a month. Try again in ")


def test_usage_is_counted_and_exported(desk: Desk) -> None:
    partner = desk.live()
    desk.answers(partner, {"price": 1})
    for _ in range(3):
        desk.run(partner)
    desk.answers(partner, failing)
    desk.run(partner)
    [row] = desk("GET", f"/{partner['name']}/usage")[1]["results"]
    assert (row["operation"], row["calls"], row["ok"], row["failed"], row["unreachable"]) == ("offer", 4, 3, 1, 0)
    assert (row["sent"], row["received"]) == (4 * len(b'{"to":"home"}'), 3 * len(b'{"price": 1}') + len(b'{"secret": "inside"}'))
    header, line = desk("GET", f"/{partner['name']}/usage?format=csv")[1].splitlines()
    assert header == "partner,environment,hour,operation,calls,ok,failed,unreachable,ms,sent,received"
    assert line.startswith(f"{partner['name']},live,{row['hour']},offer,4,3,1,0,")
    assert desk("GET", f"/{partner['name']}/usage?format=ndjson")[1]["calls"] == 4
    assert desk("GET", f"/{partner['name']}/usage?from=2099-01-01T00")[1] == {"results": []}
    score = desk("GET", f"/{partner['name']}/score")[1]
    assert (score["calls"], score["successRate"], score["availability"]) == (4, 0.75, 1.0)


def test_an_openapi_document_is_a_manifest(desk: Desk) -> None:
    ride = {"type": "object", "properties": {"seats": {"type": "integer"}, "note": {"type": "string"}}, "required": ["seats"]}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Taxi", "version": "1"},
        "components": {"schemas": {"Ride": ride}},
        "paths": {
            "/rides/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "get": {
                    "operationId": "ride",
                    "parameters": [{"name": "lang", "in": "query", "schema": {"type": "string"}}],
                    "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ride"}}}}},
                },
                "put": {
                    "operationId": "book",
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ride"}}}},
                    "responses": {"204": {"description": "booked"}},
                },
            }
        },
    }
    partner = desk.live(manifest=document)
    name = partner["name"]
    desk.elsewhere.on[f"/{name}/rides/a%2F..%2Fb"] = {"seats": 2}
    assert desk.run(partner, {"id": "a/../b", "lang": "de"}, "ride") == (200, {"result": {"seats": 2}})
    [received] = desk.elsewhere.to(f"/{name}/rides/a%2F..%2Fb")
    assert (received.method, received.path.partition("?")[2], received.raw) == ("GET", "lang=de", b"")
    desk.elsewhere.on[f"/{name}/rides/7"] = lambda to, body: respond(to, 204, b"")
    assert desk.run(partner, {"id": "7", "seats": 2}, "book") == (200, {"result": None})
    assert desk.elsewhere.to(f"/{name}/rides/7")[0].body == {"seats": 2}
    for wrong in (
        {"seats": 2},
        {"id": "7"},
        {"id": "7", "seats": "two"},
        {"id": "..", "seats": 1},
        {"id": "", "seats": 1},
        {"id": ["7"], "seats": 1},
    ):
        assert desk.run(partner, wrong, "book")[1]["code"] == 142


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({}, "neither"),
        ({"operations": {}}, "0 operations"),
        ({"operations": {"bad name": {}}}, "name of an operation"),
        ({"operations": {"a": {"path": "//evil.example/x"}}}, "path"),
        ({"operations": {"a": {"path": "/x?y"}}}, "path"),
        ({"operations": {"a": {"path": "/x/../y"}}}, "path"),
        ({"operations": {"a": {"method": "TRACE"}}}, "method"),
        ({"operations": {"a": {"timeout": 300}}}, "timeout"),
        ({"operations": {"a": {"params": {"type": "nothing"}}}}, "schema"),
        ({"operations": {"a": {"params": {"$ref": "http://127.0.0.1:9/schema"}}}}, "schema"),
        ({"operations": {"a": {"reply": {"type": "string"}, "examples": [{"reply": 1}]}}}, "example"),
        ({"operations": {"a": {"secret": 1}}}, "unknown key"),
        ({"openapi": "2.0", "paths": {}}, "OpenAPI 3"),
        ({"openapi": "3.0.0", "paths": {"/x": {"get": {}}}}, "operationId"),
        ({"openapi": "3.0.0", "paths": {"/x": {"get": {"operationId": "a", "parameters": [{"$ref": "other.yaml"}]}}}}, "document itself"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(desk: Desk, manifest: Any, why: str) -> None:
    status, told = desk("POST", "", {"name": fresh("p").lower(), "manifest": manifest})
    assert (status, told["code"]) == (400, 111)
    assert why in told["error"]


def test_what_makes_no_sense_is_refused(desk: Desk) -> None:
    partner = desk.registered()
    good = {"name": fresh("p").lower(), "manifest": {"operations": {"offer": OFFER}}}
    assert desk("POST", "", {**good, "name": partner["name"]})[1]["code"] == 137
    for wrong in (
        {"name": "Bad"}, {"name": "a" * 40}, {"name": 5}, {"kind": "odd"}, {"manifest": 5}, {"contact": 5}, {"live": 5},
        {"live": {"key": 1}},
        {"live": {"url": "http://10.0.0.1/"}}, {"live": {"url": "https://x.example/?a"}}, {"live": {"limits": {"perMinute": -1}}},
        {"kind": "internal", "live": {"url": "https://example.com/"}},
    ):  # fmt: skip
        status, told = desk("POST", "", {**good, **wrong})
        assert (status, told["code"]) == (400, 142), wrong
    assert desk("GET", "/nobody")[1]["code"] == 101
    assert desk("PUT", "/nobody", {})[1]["code"] == 101
    assert desk("POST", "/nobody/state", {"state": "live"})[1]["code"] == 101


def test_only_the_master_key_opens_the_desk(desk: Desk, server: TestServer) -> None:
    person = Person.signed_up(server)
    for anyone in (desk.public, person):
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/x"), ("PUT", "/x"), ("PUT", "/x/grant"), ("GET", "/x/usage")):
            assert server.call(method, f"/api/v1/partners{path}", {}, anyone.headers)[0] == 403


def test_a_partner_is_told_of_changes(desk: Desk) -> None:
    partner, class_name = desk.live(), fresh("Ride")
    name = partner["name"]
    made = desk.public.save(class_name, {"city": "Oslo"})
    assert desk("PUT", f"/{name}/grant", {"environment": "live", "classes": {class_name: ["city"]}})[0] == 200
    status, subscription = desk("POST", f"/{name}/subscriptions", {"className": class_name, "where": {"city": "Oslo"}})
    assert (status, desk("GET", f"/{name}/subscriptions")[1]["results"]) == (201, [subscription])
    for city in ("Oslo", "Bergen", "Oslo"):
        desk.public.change(class_name, made["objectId"], {"city": city, "secret": 1})
    desk.master.call("DELETE", f"/classes/{class_name}/{made['objectId']}")
    path = f"/{name}/events"
    soon(lambda: len(desk.elsewhere.to(path)) == 4)
    events = desk.elsewhere.bodies(path)
    assert [event["type"].removeprefix(class_name) for event in events] == [".updated", ".deleted", ".created", ".deleted"]
    assert set(events[0]["data"]["object"]) == {"objectId", "createdAt", "updatedAt", "city"}
    assert "object" not in events[1]["data"]
    assert len({{n.lower(): v for n, v in each.headers.items()}["webhook-id"] for each in desk.elsewhere.to(path)}) == 4
    assert desk("DELETE", f"/{name}/subscriptions/{subscription['id']}") == (200, {})
    assert desk("DELETE", f"/{name}/subscriptions/{subscription['id']}")[1]["code"] == 101
    assert desk("GET", f"/{name}/dead") == (200, {"results": []})


def test_a_partner_is_a_principal_of_access_lists_and_permissions(desk: Desk) -> None:
    class_name = fresh("Kept")
    permissions = {"find": {"partner:taxi": True}, "get": {"partner:taxi": True}, "protectedFields": {"partner:taxi": ["a"], "*": []}}
    wanted = {"fields": {"a": {"type": "String"}}, "classLevelPermissions": permissions}
    status, made = desk.master.call("POST", f"/schemas/{class_name}", wanted)
    assert (status, made["classLevelPermissions"]["find"]) == (200, {"partner:taxi": True})
    assert desk.public.call("GET", f"/classes/{class_name}")[1]["code"] == 119


def test_a_subscription_that_makes_no_sense_is_refused(desk: Desk) -> None:
    partner, class_name = desk.registered(), fresh("Ride")
    desk.public.save(class_name, {"a": 1})
    for wrong in (
        {}, {"className": 5}, {"className": class_name, "events": []}, {"className": class_name, "events": ["fly"]},
        {"className": class_name, "path": "http://x"}, {"className": class_name, "path": "/../x"}, {"className": class_name, "where": []},
    ):  # fmt: skip
        status, told = desk("POST", f"/{partner['name']}/subscriptions", wrong)
        assert (status, told["code"]) == (400, 142), wrong
    assert desk("POST", f"/{partner['name']}/subscriptions", {"className": class_name, "where": {"$relative": 1}})[1]["code"] == 105
    assert desk("POST", f"/{partner['name']}/subscriptions", {"className": "_Session"})[0] == 401
    assert desk("POST", f"/{partner['name']}/replay", {"event": "nothing"})[1]["code"] == 101
    assert desk("POST", f"/{partner['name']}/replay", {}) == (200, {"replayed": 0})
