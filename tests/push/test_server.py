"""A server and a mock started as a user starts them: a push over HTTP, what is told of it, and what is refused."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.mock_provider import mock_provider, received

MASTER = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`mbaas push mock`; the settings that it prints."""
    with mock_provider(tmp_path_factory.mktemp("mock") / "keys") as settings:
        yield settings


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mock: dict[str, str]) -> Iterator[TestServer]:
    settings = {**mock, "preset": "development"}
    with TestServer(tmp_path_factory.mktemp("server"), settings=settings) as running:
        yield running


@pytest.fixture
def api(server: TestServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=MASTER) as client:
        yield client


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def receipts(mock: dict[str, str], token: str) -> int:
    """How often the mock was sent something for an address."""
    return sum((receipt["provider"], receipt["token"]) == ("fcm", token) for receipt in received(mock))


def registered(api: httpx.Client, token: str) -> None:
    body = {"deviceType": "android", "deviceToken": token, "installationId": f"i-{token}"}
    assert api.post("/parse/installations", json=body).status_code == 201


def ended(api: httpx.Client, push: str) -> Any:
    def over() -> Any:
        told = api.get(f"/api/v1/push/{push}").json()
        return told if told["status"] in ("succeeded", "failed") else None

    return until(over)


def test_a_push_is_sent_once_however_often_it_is_asked_for(api: httpx.Client, mock: dict[str, str]) -> None:
    registered(api, "once")
    body = {"where": {"deviceToken": "once"}, "data": {"alert": "x"}}
    answers = [api.post("/api/v1/push", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    [push] = {answer.json()["id"] for answer in answers}
    assert ended(api, push)["counts"] == {"sent": 1}
    assert api.post("/api/v1/push", json=body, headers={"Idempotency-Key": "k1"}).json()["id"] == push
    other = api.post("/api/v1/push", json={**body, "data": {"alert": "y"}}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (422, 159)
    assert api.post("/api/v1/push", json=body, headers={"Idempotency-Key": "x" * 256}).status_code == 400
    assert receipts(mock, "once") == 1
    [delivery] = api.get(f"/api/v1/push/{push}/deliveries").json()["results"]
    assert (delivery["state"], delivery["provider"], delivery["type"]) == ("sent", "fcm", "android")
    assert "once" not in str(delivery)


def test_a_scheduled_push_is_paused_resumed_and_cancelled(api: httpx.Client, mock: dict[str, str]) -> None:
    registered(api, "later")
    body = {"where": {"deviceToken": "later"}, "data": {"alert": "x"}, "push_time": "2099-01-01T00:00:00Z"}
    push = api.post("/api/v1/push", json=body).json()["id"]
    assert api.get(f"/api/v1/push/{push}").json()["status"] == "scheduled"
    assert api.post(f"/api/v1/push/{push}/pause").json()["status"] == "paused"
    assert api.post(f"/api/v1/push/{push}/resume").json()["status"] == "scheduled"
    assert api.post(f"/api/v1/push/{push}/cancel").status_code == 200
    ended(api, push)
    assert receipts(mock, "later") == 0


def test_what_has_failed_is_sent_again_when_somebody_says_so(api: httpx.Client, mock: dict[str, str]) -> None:
    """As docs/push.md has it."""
    registered(api, "refused")
    with httpx.Client(verify=ssl.create_default_context(cafile=mock["push_ca_file"]), http2=True) as client:
        replies = [{"status": 400, "reason": "INVALID_ARGUMENT"}, {}]
        assert client.put(f"{mock['fcm_endpoint']}/mock/script", json={"tokens": {"refused": replies}}).status_code == 200
    push = api.post("/api/v1/push", json={"where": {"deviceToken": "refused"}, "data": {"alert": "x"}}).json()["id"]
    assert ended(api, push)["counts"] == {"failed": 1}
    [dead] = api.get(f"/api/v1/push/{push}/dead-letters?state=failed").json()["results"]
    assert (dead["state"], dead["reason"].startswith("INVALID_ARGUMENT")) == ("failed", True)
    one = {"deliveries": [dead["delivery"]]}
    assert api.post(f"/api/v1/push/{push}/dead-letters/requeue", json={"state": "sent"}).status_code == 400
    answer = api.post(f"/api/v1/push/{push}/dead-letters/requeue", json=one)
    assert (answer.status_code, answer.json()) == (202, {"requeued": 1, "expired": 0, "more": False})
    until(lambda: api.get(f"/api/v1/push/{push}").json()["counts"] == {"sent": 1})
    assert api.get(f"/api/v1/push/{push}/dead-letters").json() == {"results": [], "next": None}


def test_a_message_to_a_topic_reaches_whom_the_server_subscribed(api: httpx.Client, mock: dict[str, str]) -> None:
    """As docs/push.md has it, by both doors."""
    registered(api, "reader")
    registered(api, "writer")
    asked = {"where": {"deviceToken": {"$in": ["reader", "writer"]}}}
    answer = api.post("/api/v1/push/topics/news%2520de/subscribe", json=asked)
    assert (answer.status_code, answer.json()) == (200, {"subscribed": 2, "failed": {}, "next": None})
    answer = api.post("/api/v1/push/topics/news%2520de/unsubscribe", json={"where": {"deviceToken": "writer"}})
    assert answer.json() == {"unsubscribed": 1, "failed": {}, "next": None}
    by_parse = api.post("/parse/push", json={"topic": "news%20de", "data": {"alert": "x"}})
    assert ended(api, by_parse.headers["X-Parse-Push-Status-Id"])["counts"] == {"sent": 1}
    body = {"condition": "'news%20de' in topics || 'x' in topics", "data": {"alert": "y"}}
    pushes = {api.post("/api/v1/push", json=body, headers={"Idempotency-Key": "t1"}).json()["id"] for _ in range(2)}
    assert [ended(api, push)["counts"] for push in pushes] == [{"sent": 1}]
    reached = [receipt for receipt in received(mock) if receipt["provider"] == "fcm topics"]
    assert [(receipt["token"], json.loads(receipt["message"]["data"]["data"])["alert"]) for receipt in reached] == [
        ("reader", "x"),
        ("reader", "y"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/v1/push/topics/news/subscribe", {}, 400),
        ("POST", "/api/v1/push/topics/news/subscribe", {"where": {"a": {"$no": 1}}}, 400),
        ("POST", "/api/v1/push/topics/news/subscribe", {"where": {}, "cursor": "x"}, 400),
        ("POST", "/api/v1/push/topics/news/unsubscribe", {"where": {}, "channels": []}, 400),
        ("POST", "/api/v1/push/topics/two words/unsubscribe", {"where": {}}, 400),
        ("POST", "/api/v1/push", {"topic": "a", "where": {}}, 400),
        ("POST", "/parse/push", {"topic": "a b"}, 400),
        ("POST", "/api/v1/push", {"data": {}}, 400),
        ("POST", "/api/v1/push", {"where": {}, "data": {}, "on_ambiguous": "maybe"}, 400),
        ("GET", "/api/v1/push/nobody/dead-letters?state=sent", None, 400),
        ("POST", "/api/v1/push/nobody/dead-letters/requeue", {}, 404),
        ("POST", "/api/v1/push/nobody/dead-letters/requeue", {"limit": "x"}, 400),
        ("POST", "/api/v1/push", {"where": {}, "push_time": "soon"}, 400),
        ("GET", "/api/v1/push/nobody", None, 404),
        ("GET", "/api/v1/push/nobody/deliveries?state=lost", None, 400),
        ("POST", "/api/v1/push/nobody/pause", None, 404),
        ("POST", "/api/v1/push/nobody/stop", None, 400),
        ("POST", "/api/v1/campaigns", {"name": "x"}, 400),
        ("POST", "/api/v1/campaigns", {"name": "x", "content": {"body": "{{user.email}}"}}, 403),
        ("GET", "/api/v1/campaigns/nobody", None, 404),
        ("POST", "/api/v1/campaigns/nobody/approve", None, 404),
        ("POST", "/api/v1/campaigns/nobody/launch", None, 400),
        ("GET", "/api/v1/campaigns/nobody/report", None, 404),
        ("GET", "/api/v1/campaigns/nobody/runs/x/why", None, 400),
        ("POST", "/api/v1/receipts", {"receipts": [{"receipt": "x", "kind": "opened"}]}, 400),
        ("POST", "/parse/events/%20", {}, 400),
        ("GET", "/api/v1/events/counts", None, 400),
        ("GET", "/api/v1/events?from=soon", None, 400),
        ("GET", "/api/v1/events?to=0001-01-01", None, 400),
        ("GET", "/api/v1/events/actives?to=9999-12-31T23:59:59Z", None, 400),
        ("GET", "/api/v1/events/counts?name=x&from=0001-01-01", None, 400),
        ("GET", "/api/v1/campaigns/nobody/audit", None, 404),
        ("GET", "/api/v1/campaigns/nobody/versions", None, 404),
        ("POST", "/api/v1/campaigns/audience/preview", {"where": {}}, 400),
        ("POST", "/api/v1/plays", {"name": "x"}, 400),
        ("GET", "/api/v1/plays/nobody", None, 404),
        ("GET", "/api/v1/plays/nobody/report", None, 404),
        ("GET", "/api/v1/plays/nobody/fires", None, 404),
        ("POST", "/api/v1/plays/nobody/start", {}, 404),
        ("POST", "/api/v1/plays/nobody/launch", {}, 400),
        ("GET", "/api/v1/moments/nobody", None, 404),
        ("POST", "/api/v1/moments/two words/fire", {"eventId": "x", "subject": {"user": "x"}}, 400),
        ("POST", "/api/v1/moments/landed/fire", {"eventId": "x"}, 400),
        ("POST", "/api/v1/geofences", {"eventId": "x", "transition": "enter"}, 403),
        ("GET", "/api/v1/partner/moments", None, 404),
    ],
)
def test_what_makes_no_sense_is_refused(api: httpx.Client, method: str, path: str, body: Any, status: int) -> None:
    answer = api.request(method, path, json=body)
    assert (answer.status_code, sorted(answer.json())) == (status, ["code", "error"])


_CLOSED = (
    "push",
    "push/x/cancel",
    "push/topics/x/subscribe",
    "campaigns",
    "campaigns/x/test",
    "campaigns/audience/preview",
    "events",
    "plays",
    "plays/x/start",
)
_OF_MOMENTS = ("moments/landed/fire", "moments/x/fire?sync=1")


@pytest.mark.parametrize("path", ["/parse/push", *(f"/api/v1/{path}" for path in (*_CLOSED, *_OF_MOMENTS))])
def test_a_client_sends_nothing(server: TestServer, path: str) -> None:
    answer = httpx.post(server.url + path, json={"where": {}, "data": {}}, headers={"X-Parse-Application-Id": APP_ID})
    assert answer.status_code == 403


def test_a_campaign_goes_from_a_draft_to_its_report(api: httpx.Client, server: TestServer, mock: dict[str, str]) -> None:
    """As docs/campaigns.md has it; the app posts events and receipts with its own keys."""
    for token in ("c1", "c2", "c3"):
        registered(api, token)
        client = {"X-Parse-Application-Id": APP_ID, "X-Parse-Installation-Id": f"i-{token}"}
        opened = httpx.post(f"{server.url}/parse/events/AppOpened", json={"dimensions": {"from": "x"}}, headers=client)
        assert (opened.status_code, opened.json()) == (200, {})
    assert api.get("/api/v1/events/counts?name=AppOpened&of=installation").json()["subjects"] == 3
    assert api.get("/api/v1/events/actives?of=installation&days=1").json()["results"][0]["daily"] == 3
    assert len(api.get("/api/v1/events?name=AppOpened").text.splitlines()) == 3
    audience = {"where": {"deviceToken": {"$in": ["c1", "c2"]}}, "events": [{"name": "AppOpened", "atLeast": 1, "days": 7}]}
    assert api.post("/api/v1/campaigns/audience/preview", json={"audience": audience}).json()["size"] == 2
    body = {"name": "Spring", "audience": audience, "content": {"body": "Hi"}}
    made, again = [api.post("/api/v1/campaigns", json=body, headers={"Idempotency-Key": "spring"}) for _ in range(2)]
    assert made.json() == again.json()
    assert (made.status_code, made.json()["state"], made.json()["version"]) == (201, "draft", 1)
    one = f"/api/v1/campaigns/{made.json()['id']}"
    stale = {"If-Match": f'"{made.json()["updatedAt"]}"'}
    assert api.put(one, json={**body, "content": {"body": "Hello"}}, headers=stale).json()["version"] == 2
    assert api.put(one, json=body, headers=stale).status_code == 409
    assert api.post(f"{one}/schedule").status_code == 409
    assert api.post(f"{one}/dry-run").json()["sends"] == 2
    assert len(api.post(f"{one}/dry-run?format=ndjson").text.splitlines()) == 2
    assert [api.post(f"{one}/{order}").status_code for order in ("approve", "schedule")] == [200, 200]
    until(lambda: api.get(one).json()["state"] == "completed")
    with httpx.Client(verify=ssl.create_default_context(cafile=mock["push_ca_file"]), http2=True) as client_of_mock:
        log = [json.loads(line) for line in client_of_mock.get(f"{mock['fcm_endpoint']}/mock/receipts").text.splitlines()]
    [sent] = [json.loads(each["message"]["data"]["data"]) for each in log if each["token"] == "c1"]
    told = {"receipts": [{"receipt": sent["receipt"], "kind": "opened"}]}
    posted = httpx.post(f"{server.url}/api/v1/receipts", json=told, headers={"X-Parse-Application-Id": APP_ID})
    assert (posted.status_code, posted.json()) == (200, {"kept": 1, "known": 0, "unknown": 0})
    report = api.get(f"{one}/report").json()
    assert (report["total"]["audience"], report["total"]["sent"], report["total"]["opened"]) == (2, 2, 1)
    assert api.get(f"{one}/report?format=csv").text.startswith("by,key,audience,")
    assert len(api.get(f"{one}/report?format=ndjson").text.splitlines()) > 3
    [run] = api.get(f"{one}/runs").json()["results"]
    assert api.get(f"/api/v1/push/{run['id']}").json()["counts"] == {"sent": 2}
    [c3] = api.get("/parse/installations", params={"where": '{"deviceToken": "c3"}'}).json()["results"]
    [why] = api.get(f"{one}/runs/{run['id']}/why?installation={c3['objectId']}").json()["results"]
    assert why["reason"] == "not_in_query"
    assert [entry["what"] for entry in api.get(f"{one}/audit").json()["results"]][:3] == ["created", "edited", "approved"]
    assert len(api.get(f"{one}/versions").json()["results"]) == 2
    assert made.json()["id"] in [each["id"] for each in api.get("/api/v1/campaigns").json()["results"]]
    copy = api.post(f"{one}/duplicate").json()
    assert (copy["name"], copy["state"]) == ("Spring (copy)", "draft")
    assert api.delete(f"/api/v1/campaigns/{copy['id']}").status_code == 200
    assert api.get(f"/api/v1/campaigns/{copy['id']}").status_code == 404


def test_a_play_goes_from_a_draft_to_its_report(api: httpx.Client, mock: dict[str, str]) -> None:
    """As docs/moments.md has it."""
    registered(api, "p1")
    [device] = api.get("/parse/installations", params={"where": '{"deviceToken": "p1"}'}).json()["results"]
    body = {"name": "Landed", "trigger": {"moment": "landed"}, "content": {"body": "Welcome to {{moment.city}}"}, "validFor": "10m"}
    made, again = [api.post("/api/v1/plays", json=body, headers={"Idempotency-Key": "landed"}) for _ in range(2)]
    assert made.json() == again.json()
    assert (made.status_code, made.json()["state"], made.json()["version"]) == (201, "draft", 1)
    one = f"/api/v1/plays/{made.json()['id']}"
    stale = {"If-Match": f'"{made.json()["updatedAt"]}"'}
    assert api.put(one, json={**body, "cooldown": "1h"}, headers=stale).json()["version"] == 2
    assert api.post(f"{one}/start", headers=stale).status_code == 409
    assert api.post(f"{one}/start").json()["state"] == "live"
    assert api.put(one, json=body).status_code == 409
    happened = {"eventId": "e1", "subject": {"installation": device["objectId"]}, "props": {"city": "Berlin"}}
    told = api.post("/api/v1/moments/landed/fire?sync=1", json=happened)
    assert (told.status_code, told.json()["plays"]) == (200, [{"play": made.json()["id"], "sent": 1}])
    same = api.post("/api/v1/moments/landed/fire", json=happened)
    assert (same.status_code, same.json()) == (202, {"id": told.json()["id"]})
    assert receipts(mock, "p1") == 1
    [fired] = api.get(f"{one}/fires").json()["results"]
    assert (fired["id"], fired["devices"]) == (told.json()["id"], 1)
    [delivery] = api.get(f"/api/v1/push/{fired['run']}/deliveries").json()["results"]
    assert (delivery["state"], delivery["occurred"] < delivery["until"]) == ("sent", True)
    report = api.get(f"{one}/report").json()
    assert (report["fired"], report["eligible"], report["total"]["sent"]) == (1, 1, 1)
    assert api.get(f"{one}/report?format=csv").text.startswith("by,key,audience,")
    assert [each["what"] for each in api.get(f"{one}/audit").json()["results"]] == ["created", "edited", "started"]
    assert len(api.get(f"{one}/versions").json()["results"]) == 2
    assert api.post(f"{one}/duplicate").json()["state"] == "draft"
    assert len(api.get("/api/v1/plays?limit=1").json()["results"]) == 1
    assert api.delete(one).status_code == 409
    assert [api.post(f"{one}/{order}").status_code for order in ("pause", "retire")] == [200, 200]
    assert api.delete(one).status_code == 200


def test_the_mock_refuses_what_is_no_script(mock: dict[str, str]) -> None:
    with httpx.Client(verify=ssl.create_default_context(cafile=mock["push_ca_file"]), http2=True) as client:
        for wrong in (b"{nope", b"[]", b'{"tokens": 5}', b'{"tokens": {"x": [{"sta": 1}]}}'):
            assert client.put(f"{mock['fcm_endpoint']}/mock/script", content=wrong).status_code == 400
        assert client.put(f"{mock['fcm_endpoint']}/mock/script", content=b"{}").status_code == 200


def test_the_server_says_that_it_sends(api: httpx.Client) -> None:
    assert api.get("/parse/serverInfo").json()["features"]["push"]["immediatePush"] is True


def test_a_wrong_key_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "none.p8").write_text("no key")
    wrong = {"apns_key": tmp_path / "none.p8", "apns_key_id": "a", "apns_team_id": "b"}
    with pytest.raises(RuntimeError, match="MBAAS_APNS_KEY"):
        TestServer(tmp_path, settings=wrong).start()
