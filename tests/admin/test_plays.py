"""Plays at the console: what their pages show and do, who may, and that a form is the play that it was made of."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mbaas.admin.play_composition import play_form_of, play_of
from mbaas.admin.play_sentences import rule
from mbaas.kernel.schema import Field
from mbaas.testing.process import TestServer
from tests.admin.visitor import Visitor, keys

PLAY: dict[str, Any] = {
    "name": "Taxi at the airport",
    "trigger": {"moment": "landed"},
    "content": {"title": "Welcome to {{moment.city}}", "locales": {"de": {"title": "Willkommen in {{moment.city}}"}}},
    "validFor": "10m",
}
FORM: dict[str, Any] = {
    "name": "Taxi",
    "category": "travel",
    "audience": {"rows": []},
    "variants": [{"name": "A", "weight": 1, "texts": {"default": {"title": "A taxi for {{offer.price}}"}}, "rest": {}}],
    "trigger": {"kind": "moment", "moment": "landed"},
    "validFor": {"count": "10", "unit": "m"},
    "value": {"amount": "5", "curve": "step", "count": 2, "unit": "m", "share": "50"},
    "function": {"name": "taxi.offer", "budgetMs": 300, "worth": "price", "tells": "city", "otherwise": "fallback"},
    "fallback": {"texts": {"default": {"title": "Taxis are at exit B"}}, "rest": {}},
    "cooldown": {"count": 6, "unit": "h"},
    "cancelOn": "boarded, taxi.ordered",
}
PAGES = ("plays", "plays?state=live&q=taxi", "plays/{id}", "plays/{id}/results")
FORMS = ("compose-play", "compose-play/{id}")
CHANGES = (
    "compose-play/ask/save",
    "plays/{id}/dry-run",
    "plays/{id}/test",
    *(f"plays/{{id}}/orders/{order}" for order in ("start", "pause", "resume", "retire", "duplicate", "delete")),
)


def play(server: TestServer, app: str = "first", **more: object) -> dict[str, Any]:
    status, made = server.call("POST", "/api/v1/plays", {**PLAY, **more}, keys(app))
    assert status == 201, made
    return dict(made)


def told(server: TestServer, play_id: str, app: str = "first") -> Any:
    status, found = server.call("GET", f"/api/v1/plays/{play_id}", headers=keys(app))
    assert status == 200, found
    return found


@pytest.fixture(scope="module")
def taxi(server: TestServer) -> str:
    return str(play(server)["id"])


def test_a_play_is_written_started_fired_and_read(server: TestServer, marketer: Visitor) -> None:
    form = {**FORM, "trigger": {"kind": "moment", "moment": "touched.down"}}
    _, asked = marketer.ask("/console/compose-play/ask/rule", {"form": form})
    assert "“touched.down” happens to somebody" in asked["sentences"][0]
    assert "for 10 minutes, worth 5 at first, 50% of it from 2 minutes on, and nothing after" in asked["sentences"][0]
    _, made = marketer.ask("/console/compose-play/ask/save", {"form": form})
    path = f"/console/plays/{made['id']}"
    assert "Start" in marketer.get(path).text
    assert marketer.post(f"{path}/orders/start", updatedAt=made["updatedAt"]).status_code == 303
    person = server.call("GET", "/parse/users", headers=keys("first"))[1]["results"][0]["objectId"]
    event = {"eventId": "e1", "subject": {"user": person}, "props": {"city": "Berlin"}}
    assert server.call("POST", "/api/v1/moments/touched.down/fire?sync=1", event, keys("first"))[0] == 200
    assert marketer.get(f"{path}/results").json() == {"fired": 1, "sent": 1, "opened": 0, "converted": 0, "value": {}}
    page = marketer.get(path).text
    counts = dict(re.findall(r'data-step="(\w+)".*?data-count>(\d+)<', page, re.DOTALL))
    assert counts == {"fired": "1", "eligible": "1", "sent": "1", "opened": "0", "converted": "0"}
    assert ("taxi.offer" in page, "Half of them were sent within" in page) == (True, True)
    assert "Taxi" in marketer.get("/console/plays?state=live").text
    for order, state, said in (
        ("pause", "paused", "until you resume"),
        ("resume", "live", "Resumed"),
        ("retire", "retired", "nothing any more"),
    ):
        assert marketer.post(f"{path}/orders/{order}").status_code == 303
        assert (told(server, made["id"])["state"], said in marketer.get(path).text) == (state, True)
    history = server.call("GET", f"/api/v1/plays/{made['id']}/audit", headers=keys("first"))[1]["results"]
    assert {each["person"] for each in history} == {marketer.email}
    marketer.post(f"{path}/orders/resume")
    assert "cannot be told to resume" in marketer.get(path).text
    assert marketer.get(f"/console/compose-play/{made['id']}").status_code == 409
    copy = marketer.post(f"{path}/orders/duplicate").headers["location"]
    assert "Taxi (copy)" in marketer.get(copy).text
    assert marketer.post(f"{path}/orders/explode").status_code == 404
    assert marketer.post(f"{path}/orders/delete").headers["location"] == "/console/plays"
    assert marketer.get(path).status_code == 404


def test_only_what_was_seen_is_started_and_written_over(server: TestServer, marketer: Visitor) -> None:
    made = play(server)
    page = marketer.get(f"/console/compose-play/{made['id']}").text
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    changed = {**data, "form": {**data["form"], "name": "Changed"}}
    assert marketer.ask("/console/compose-play/ask/save", changed)[0] == 200
    status, answer = marketer.ask("/console/compose-play/ask/save", changed)
    assert (status, "Somebody else" in answer["error"]) == (409, True)
    marketer.post(f"/console/plays/{made['id']}/orders/start", updatedAt=made["updatedAt"])
    assert "Somebody else" in marketer.get(f"/console/plays/{made['id']}").text
    now = told(server, made["id"])
    assert (now["state"], now["name"], now["variants"]) == ("draft", "Changed", made["variants"])


@pytest.mark.parametrize("path", PAGES)
def test_who_only_reads_sees_what_there_is(reader: Visitor, taxi: str, path: str) -> None:
    answer = reader.get(f"/console/{path.format(id=taxi)}")
    assert (answer.status_code, "New play" in answer.text, "/orders/" in answer.text) == (200, False, False)


@pytest.mark.parametrize("path", [*CHANGES, "compose-play/ask/rule", "compose-play/ask/preview"])
def test_who_only_reads_changes_nothing(server: TestServer, reader: Visitor, taxi: str, path: str) -> None:
    before = told(server, taxi)
    status, answer = reader.ask(f"/console/{path.format(id=taxi)}", {"id": taxi, "form": FORM, "updatedAt": before["updatedAt"]})
    assert (status, "role" in str(answer) or "403" in str(answer)) == (403, True)
    assert told(server, taxi) == before


def test_forms_are_for_those_who_may_write(server: TestServer, reader: Visitor, marketer: Visitor, taxi: str) -> None:
    for path in (*PAGES, *FORMS):
        where = f"/console/{path.format(id=taxi)}"
        assert marketer.get(where).status_code == 200
        assert reader.get(where).status_code == (403 if path in FORMS else 200)
        assert Visitor(server).get(where).headers["location"].split("?")[0] == f"{server.url}/console/login"


def test_another_apps_plays_are_not_there(server: TestServer, marketer: Visitor) -> None:
    others = play(server, "other")
    for path in (*PAGES[2:], FORMS[1]):
        assert marketer.get(f"/console/{path.format(id=others['id'])}").status_code == 404
    assert marketer.post(f"/console/plays/{others['id']}/orders/start").status_code == 404
    assert marketer.ask("/console/compose-play/ask/save", {"id": others["id"], "updatedAt": others["updatedAt"], "form": FORM})[0] == 404
    assert told(server, others["id"], "other") == others


def test_what_another_site_asks_for_is_refused(server: TestServer, marketer: Visitor, taxi: str) -> None:
    path, token = f"/console/plays/{taxi}/orders/start", marketer.http.cookies["starlette_admin_csrftoken"]
    refused = [
        marketer.http.post(path),
        marketer.http.post(path, data={"csrftoken": "made-up"}),
        marketer.http.post(path, data={"csrftoken": token}, headers={"Sec-Fetch-Site": "cross-site"}),
        marketer.http.post("/console/compose-play/ask/save", json={"form": FORM}),
    ]
    assert [answer.status_code for answer in refused] == [403] * 4
    assert told(server, taxi)["state"] == "draft"


def test_what_somebody_typed_is_text_wherever_it_is_shown(server: TestServer, marketer: Visitor) -> None:
    evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
    made = play(server, name=evil, content={"title": evil, "body": evil, "locales": {"de": {"title": evil}}})
    for path in ("plays", f"plays?q={evil}", f"plays/{made['id']}", f"compose-play/{made['id']}"):
        answer = marketer.get(f"/console/{path}")
        nonce = re.search(r"'nonce-([^']+)'", answer.headers["content-security-policy"])
        assert nonce is not None
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        inline = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", answer.text)
        assert all("application/json" in tag or f'nonce="{nonce[1]}"' in tag for tag in inline)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": " "}, "name"),
        ({"trigger": {"kind": "moment", "moment": "two words"}}, "trigger.moment"),
        ({"trigger": {"kind": "geofence", "latitude": "91", "longitude": 0, "radius": 5}}, "trigger.latitude"),
        ({"trigger": {"kind": "geofence", "latitude": "nan", "longitude": "inf", "radius": "nan"}}, "trigger.radius"),
        ({"trigger": {"kind": "change", "className": "_Session"}}, "trigger.className"),
        ({"trigger": {"kind": "change", "className": "_User", "field": "email", "value": "x"}}, "trigger.value"),
        ({"trigger": {"kind": "change", "className": ["_User"], "field": {}}}, "trigger.className"),
        ({"trigger": {"kind": "kept", "kept": {"change": {"className": "_User", "where": {"email": "x"}}}}}, ""),
        ({"trigger": []}, "trigger.moment"),
        ({"validFor": {"count": 8, "unit": "d"}}, "validFor"),
        ({"value": {"amount": "nan"}}, "value.amount"),
        ({"value": {"amount": 5, "curve": "halfLife", "count": "", "unit": "m"}}, "value.count"),
        ({"value": {"amount": 5, "curve": "step", "count": 1, "unit": "m", "share": 101}}, "value.share"),
        ({"minValue": "inf"}, "minValue"),
        ({"function": {**FORM["function"], "name": "no name"}}, "function.name"),
        ({"fallback": {}}, "variants.fallback.default.body"),
        ({"function": None}, ""),
        ({"cooldown": {"count": 31, "unit": "d"}}, "cooldown"),
        ({"cancelOn": "two words"}, "cancelOn"),
        ({"variants": [{"name": "A", "weight": 1, "texts": {"default": {"body": "y" * 4090}}}]}, "variants.A.default.body"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(marketer: Visitor, changes: dict[str, Any], where: str) -> None:
    status, answer = marketer.ask("/console/compose-play/ask/save", {"form": {**FORM, **changes}})
    assert (status, where in answer["problems"]) == (200, True), answer


FIELDS = {"installation": {"appVersion": Field("String")}, "user": {"city": Field("String")}}
CLASSES: dict[str, Any] = {"Order": {"subjects": ["user"], "columns": {"status": "String", "late": "Boolean", "total": "Number"}}}
KEPT: dict[str, Any] = {
    "name": "Taxi",
    "category": "general",
    "zone": "UTC",
    "audience": {"users": {"city": "Rome"}},
    "filter": {"gate": "B"},
    "trigger": {"moment": "landed"},
    "validFor": "10m",
    "value": {"amount": 5, "curve": "constant"},
    "variants": [{"name": "A", "weight": 1, "content": {"title": "x", "locales": {"de": {"title": "y"}}}}],
    "functions": [],
    "onTimeout": "skip",
    "cancelOn": [],
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"trigger": {"geofence": {"on": "enter", "center": {"latitude": 1, "longitude": 2.5}, "radius": 9}},
         "cancelOn": [{"geofence": "exit"}]},
        {"trigger": {"geofence": {"on": "exit", "polygon": [{"latitude": n, "longitude": n * n} for n in range(3)]}}},
        {"trigger": {"change": {"className": "Order", "on": ["enter"], "where": {"status": "late"}, "subject": "user"}}},
        {"trigger": {"change": {"className": "Order", "on": ["create"], "where": {"late": True}, "subject": "user"}}},
        {"trigger": {"change": {"className": "Order", "on": ["update"], "where": {"total": 7}, "subject": "user"}}},
        {"trigger": {"change": {"className": "Order", "on": ["create", "enter"], "where": {"total": {"$gt": 7}}, "subject": "user"}}},
        {"value": {"amount": 5, "curve": "halfLife", "halfLife": "90s"}, "minValue": 2, "cooldown": "6h"},
        {"value": {"amount": 5, "curve": "step", "steps": [{"after": "2m", "share": 0.07}]}},
        {"value": {"amount": 5, "curve": "step", "steps": [{"after": "2m", "share": 0.5}, {"after": "4m", "share": 0}]}},
        {"functions": [{"name": "a.b", "budgetMs": 9, "params": {"city": "{{moment.city}}"}, "worth": "price"}]},
        {"functions": [{"name": "a", "budgetMs": 9, "params": {"x": 1}, "concurrency": 3}, {"name": "b"}], "onTimeout": "fallback",
         "fallback": {"body": "z", "sound": "ding", "locales": {"de": {"body": "w"}}}},
        {"caps": [{"count": 2, "hours": 24}, {"count": 5, "hours": 100}], "control": 5,
         "quietHours": {"from": "22:00", "to": "08:00", "then": "hold"}},
        {"cancelOn": [{"moment": "boarded"}, {"moment": "taxi.ordered"}]},
    ],
)  # fmt: skip
def test_a_form_is_the_play_that_it_was_made_of(more: dict[str, Any]) -> None:
    definition = {**KEPT, **more}
    made = play_of(play_form_of(definition, FIELDS, CLASSES), FIELDS, CLASSES)
    assert {"functions": [], "onTimeout": "skip", **made} == definition
    assert all(sentence.endswith(".") for sentence in rule(definition))


def test_a_play_is_tried_before_it_is_live(server: TestServer, marketer: Visitor) -> None:
    content = {"body": "{{moment.city}}: a taxi for {{offer.price}}"}
    asks: dict[str, Any] = {"functions": [{"name": "taxi.offer"}], "fallback": {"body": "Exit B"}}
    made = play(server, content=content, filter={"delay": {"$gt": 5}}, **asks)["id"]
    path = f"/console/plays/{made}"
    page = marketer.get(path).text
    tries = json.loads(re.findall(r'id="tries">(.*?)</script>', page)[0])
    assert tries["places"] == {"functions": True, "moment": ["city", "delay"], "offer": ["price"]}
    phone: dict[str, Any] = {"device": "unknown", "props": {"city": "Rome", "delay": 9}, "offer": {"price": 7}}
    assert marketer.ask(f"{path}/dry-run", phone)[1]["devices"] == 0
    phone["device"] = server.call("GET", "/parse/users", headers=keys("first"))[1]["results"][0]["objectId"]
    _, seen = marketer.ask(f"{path}/dry-run", phone)
    assert (seen["sends"], seen["rendered"][0]["data"]["alert"]) == (1, "Rome: a taxi for 7")
    assert "private-token" not in str(seen)
    _, held = marketer.ask(f"{path}/dry-run", {**phone, "props": {"delay": 1}})
    assert (held["sends"], held["held"][0]["says"]) == (0, "for whom what happened does not meet the play's conditions")
    status, sent = marketer.ask(f"{path}/test", phone)
    assert (status, marketer.get(f"{path}/tests/{sent['run']}").status_code) == (200, 200)
    assert marketer.get(f"{path}/tests/of-another").status_code == 404
    assert phone["device"] in marketer.get(path).text
    assert marketer.ask(f"{path}/test", {"device": " "})[0] == 400
    assert marketer.get(f"{path}/results").json()["sent"] == 0


def test_plays_are_tried_by_requests(server: TestServer, taxi: str) -> None:
    who = {"subject": {"where": {"deviceType": "android"}}, "props": {"city": "Rome"}}
    status, seen = server.call("POST", f"/api/v1/plays/{taxi}/dry-run?limit=1", who, keys("first"))
    assert (status, seen["devices"], len(seen["rendered"])) == (200, 4, 1)
    assert server.call("POST", f"/api/v1/plays/{taxi}/test", {"users": ["nobody"]}, keys("first"))[0] == 404
    assert server.call("POST", "/api/v1/plays/nothing/dry-run", who, keys("first"))[0] == 404
