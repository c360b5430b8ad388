"""What the pages do, over HTTP: writing, launching, stopping and reading campaigns; audiences; a copy to one's own phone."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from urllib.parse import quote

from mbaas.testing.process import TestServer
from tests.admin.conftest import campaign
from tests.admin.test_roles import FORM
from tests.admin.visitor import Visitor, joined, keys
from tests.waiting import PATIENT_SECONDS, PAUSE_SECONDS


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENT_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(PAUSE_SECONDS)
    return found


def saved(visitor: Visitor, **more: Any) -> Any:
    status, made = visitor.ask("/console/compose/ask/save", {"form": {**deepcopy(FORM), **more}})
    assert (status, "problems" in made) == (200, False), made
    return made


def live(visitor: Visitor, campaign_id: str) -> Any:
    answer = visitor.get(f"/console/campaigns/{campaign_id}/live")
    assert answer.status_code == 200
    return answer.json()


def test_what_the_review_foretells_is_what_the_report_says(server: TestServer, marketer: Visitor) -> None:
    variants = [{"name": name, "weight": 1, "texts": {"default": {"title": name}, "de": {"title": f"{name} auf Deutsch"}}} for name in "AB"]
    made = saved(marketer, variants=variants, control=20)
    form = {**FORM, "variants": variants, "control": 20}
    _, review = marketer.ask("/console/compose/ask/review", {"id": made["id"], "form": form})
    assert review["audience"] == review["looked"] == review["sends"] + sum(review["suppressed"].values())
    status, _ = marketer.ask(f"/console/campaigns/{made['id']}/launch", {"updatedAt": made["updatedAt"]})
    assert status == 200
    until(lambda: live(marketer, made["id"])["state"] == "completed")
    told = live(marketer, made["id"])["run"]
    assert told["counts"] == {
        "audience": review["audience"],
        "sent": review["sends"],
        "failed": 0,
        "suppressed": sum(review["suppressed"].values()),
        "pending": 0,
    }
    assert {each["reason"]: each["count"] for each in told["held"]} == review["suppressed"]
    rows = list(csv.DictReader(io.StringIO(marketer.get(f"/console/campaigns/{made['id']}/report.csv").text)))
    by = {(row["by"], row["key"]): int(row["sent"]) for row in rows}
    assert by["total", ""] == review["sends"]
    assert {key: sent for (of, key), sent in by.items() if of == "variant" and sent} == review["variants"]
    assert {key: sent for (of, key), sent in by.items() if of == "locale" and sent} == review["locales"]
    page = marketer.get(f"/console/campaigns/{made['id']}/report?device=nobody").text
    assert "No installation is known of this person." in page


def test_only_what_was_reviewed_is_launched(server: TestServer, marketer: Visitor) -> None:
    """Two have the same draft open: who saves second is told, and so is who launches what another one has changed."""
    other = joined(server, "developer")
    made = saved(marketer)
    change = {"id": made["id"], "updatedAt": made["updatedAt"], "form": {**FORM, "name": "Changed"}}
    assert other.ask("/console/compose/ask/save", change)[0] == 200
    status, answer = marketer.ask("/console/compose/ask/save", change)
    assert (status, "Somebody else" in answer["error"]) == (409, True)
    for unknown in (None, "yesterday", 7):
        assert marketer.ask("/console/compose/ask/save", {**change, "updatedAt": unknown})[0] == 400
    status, answer = marketer.ask(f"/console/campaigns/{made['id']}/launch", {"updatedAt": made["updatedAt"]})
    assert (status, "Somebody else" in answer["error"]) == (409, True)
    assert live(marketer, made["id"])["state"] == "draft"
    assert marketer.ask(f"/console/campaigns/{made['id']}/launch", {})[0] == 400


def test_a_moment_that_has_passed_is_neither_reviewed_nor_launched(marketer: Visitor) -> None:
    schedule = {"when": "zone", "date": "2020-01-01", "time": "09:00", "zone": "Europe/Paris"}
    _, review = marketer.ask("/console/compose/ask/review", {"form": {**FORM, "schedule": schedule}})
    assert review == {"problems": {"schedule.date": "That moment has passed; choose a later one."}}
    made = saved(marketer, schedule=schedule)
    status, _ = marketer.ask(f"/console/campaigns/{made['id']}/launch", {"updatedAt": made["updatedAt"]})
    assert (status, live(marketer, made["id"])["state"]) == (400, "draft")


def test_a_message_that_is_too_long_is_told_where_and_by_how_much(marketer: Visitor) -> None:
    variants = [{"name": "A", "weight": 1, "texts": {"default": {"title": "x"}, "de": {"body": "y" * 4090}}}]
    _, answer = marketer.ask("/console/compose/ask/save", {"form": {**FORM, "variants": variants}})
    assert list(answer["problems"]) == ["variants.A.de.body"]
    assert "4,096 bytes" in str(answer) or "3,993 bytes" in str(answer)


def test_a_campaign_is_paused_resumed_cancelled_copied_and_deleted(server: TestServer, marketer: Visitor) -> None:
    schedule = {"when": "zone", "date": "2090-01-01", "time": "09:00", "zone": "Europe/Paris"}
    made = saved(marketer, name="Far away", schedule=schedule)
    path = f"/console/campaigns/{made['id']}"
    marketer.ask(f"{path}/launch", {"updatedAt": made["updatedAt"]})
    for order, state, said in (
        ("pause", "paused", "until you resume"),
        ("resume", "scheduled", "Resumed"),
        ("cancel", "cancelled", "Cancelled"),
    ):
        assert marketer.post(f"{path}/orders/{order}").status_code == 303
        assert (live(marketer, made["id"])["state"], said in marketer.get(path).text) == (state, True)
    marketer.post(f"{path}/orders/resume")
    assert "cannot be told to resume" in marketer.get(path).text
    assert marketer.get(f"/console/compose/{made['id']}").status_code == 409
    copy = marketer.post(f"{path}/orders/duplicate").headers["location"]
    assert "Far away (copy)" in marketer.get(copy).text
    assert marketer.post(f"{path}/orders/delete").headers["location"] == "/console/"
    assert marketer.get(path).status_code == 404
    assert marketer.get(f"/console/progress?id={made['id']}&id={copy.rpartition('/')[2]}").json().keys() == {copy.rpartition("/")[2]}
    history = server.call("GET", f"/api/v1/campaigns/{made['id']}/audit", headers=keys("first"))[1]["results"]
    assert {each["person"] for each in history} == {marketer.email}
    assert marketer.post(f"{path}/orders/explode").status_code in (404, 400)


def test_what_has_not_failed_is_not_sent_again(server: TestServer, marketer: Visitor) -> None:
    made = campaign(server)
    for order in ("approve", "schedule"):
        assert server.call("POST", f"/api/v1/campaigns/{made}/{order}", headers=keys("first"))[0] == 200
    until(lambda: live(marketer, made)["state"] == "completed")
    assert "orders/requeue" not in marketer.get(f"/console/campaigns/{made}/report").text
    marketer.post(f"/console/campaigns/{made}/orders/requeue")
    assert "Nothing of it can be sent again." in marketer.get(f"/console/campaigns/{made}").text
    assert live(marketer, made)["state"] == "completed"


def test_a_copy_goes_to_ones_own_phone_and_is_no_part_of_the_report(server: TestServer, marketer: Visitor) -> None:
    phone = server.call("GET", "/parse/installations", headers=keys("first"))[1]["results"][0]["objectId"]
    made = saved(marketer)
    path = f"/console/campaigns/{made['id']}"
    status, sent = marketer.ask(f"{path}/test", {"device": phone, "variant": "A"})
    assert status == 200
    until(lambda: marketer.get(f"{path}/tests/{sent['run']}").json()["counts"]["sent"] == 1)
    assert phone in marketer.get("/console/compose").text
    assert (live(marketer, made["id"])["run"], live(marketer, made["id"])["state"]) == (None, "draft")
    for device, said in (("", "Fill in"), ("nothing", "None of them"), (7, "Fill in")):
        status, answer = marketer.ask(f"{path}/test", {"device": device})
        assert (status in (400, 404), said in answer["error"]) == (True, True)
    others = campaign(server, "other")
    assert marketer.get(f"/console/campaigns/{others}/tests/{sent['run']}").status_code == 404
    assert marketer.get(f"/console/campaigns/{campaign(server)}/tests/{sent['run']}").status_code == 404


def test_an_audience_has_a_name_here_and_in_parse_dashboard(server: TestServer, marketer: Visitor) -> None:
    rows = [{"of": "user", "field": "city", "op": "is", "value": "Rome"}]
    _, kept = marketer.ask("/console/audiences/new/save", {"name": "Romans", "rows": rows})
    events = [{"of": "event", "field": "Bought", "op": "atmost", "value": 0, "days": 7}]
    _, never = marketer.ask("/console/audiences/new/save", {"name": "Not yet", "rows": events})
    made = {each["objectId"]: each for each in server.call("GET", "/parse/push_audiences", headers=keys("first"))[1]["results"]}
    queries = [quote(json.dumps(made[each["id"]]["query"])) for each in (kept, never)]
    found = [server.call("GET", f"/parse/installations?where={query}", headers=keys("first"))[1] for query in queries]
    assert [len(each["results"]) for each in found] == [1, 0]
    assert marketer.ask("/console/audiences/count", {"rows": rows})[1]["size"] == 1
    assert marketer.ask("/console/audiences/count", {"rows": events})[1]["size"] == 4
    page = marketer.get(f"/console/audiences/{kept['id']}").text
    assert ("Romans" in page, '"value": "Rome"' in page) == (True, True)
    assert marketer.ask("/console/audiences/new/save", {"name": " ", "rows": []})[1] == {"problems": {"name": "Give the audience a name."}}
    server.call("POST", "/parse/push_audiences", {"name": "By the dashboard", "query": '{"deviceType": "android"}'}, keys("first"))
    server.call("POST", "/parse/push_audiences", {"name": "Broken", "query": "{"}, keys("first"))
    assert all(name in marketer.get("/console/audiences").text for name in ("By the dashboard", "Broken"))
    assert "By the dashboard" in marketer.get("/console/compose").text
    assert marketer.post(f"/console/audiences/{kept['id']}/delete").status_code == 303
    assert marketer.get(f"/console/audiences/{kept['id']}").status_code == 404
