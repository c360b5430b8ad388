"""What somebody at the console may not do: by her role, by another app, without a session, for another site, with somebody's secrets."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.admin.conftest import campaign
from tests.admin.visitor import Visitor, joined, keys

FORM: dict[str, Any] = {
    "name": "Sale",
    "category": "promo",
    "audience": {"rows": []},
    "variants": [{"name": "A", "weight": 1, "texts": {"default": {"title": "Hello"}}, "rest": {}}],
    "schedule": {"when": "now"},
}
PAGES = ("", "campaigns/{id}", "campaigns/{id}/report", "campaigns/{id}/live", "campaigns/{id}/report.csv", "audiences", "progress?id={id}")
CHANGES = (
    "compose/ask/save",
    "compose/ask/review",
    "campaigns/{id}/launch",
    "campaigns/{id}/test",
    "campaigns/{id}/orders/pause",
    "campaigns/{id}/orders/cancel",
    "campaigns/{id}/orders/requeue",
    "campaigns/{id}/orders/duplicate",
    "campaigns/{id}/orders/delete",
    "audiences/new/save",
    "audiences/x/delete",
)


@pytest.fixture(scope="module")
def sale(server: TestServer) -> str:
    return campaign(server)


def told(server: TestServer, campaign_id: str, app: str = "first") -> Any:
    status, found = server.call("GET", f"/api/v1/campaigns/{campaign_id}", headers=keys(app))
    assert status == 200, found
    return found


@pytest.mark.parametrize("path", PAGES)
def test_who_only_reads_sees_what_there_is(reader: Visitor, sale: str, path: str) -> None:
    assert reader.get(f"/console/{path.format(id=sale)}").status_code == 200


@pytest.mark.parametrize("path", CHANGES)
def test_who_only_reads_changes_nothing(server: TestServer, reader: Visitor, sale: str, path: str) -> None:
    before = told(server, sale)
    status, answer = reader.ask(
        f"/console/{path.format(id=sale)}", {"form": FORM, "name": "x", "rows": [], "updatedAt": before["updatedAt"]}
    )
    assert (status, "role" in str(answer) or "403" in str(answer)) == (403, True)
    assert told(server, sale) == before


@pytest.mark.parametrize("path", ["compose", "compose/{id}", "audiences/new", "people"])
def test_who_only_reads_has_no_forms(reader: Visitor, sale: str, path: str) -> None:
    assert reader.get(f"/console/{path.format(id=sale)}").status_code == 403


@pytest.mark.parametrize("role", ["marketer", "developer", "read-only"])
def test_only_owners_say_who_may_use_the_console(server: TestServer, owner: Visitor, role: str) -> None:
    visitor = joined(server, role)
    assert visitor.get("/console/people").status_code == 403
    assert visitor.post("/console/people", role="owner").status_code == 403
    assert visitor.post("/console/people/remove", email=owner.email).status_code == 403
    assert owner.get("/console/people").status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "compose", "people", "audiences/new"])
def test_who_is_not_signed_in_is_shown_the_way_in(server: TestServer, sale: str, path: str) -> None:
    answer = Visitor(server).get(f"/console/{path.format(id=sale)}")
    assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, f"{server.url}/console/login")


@pytest.mark.parametrize("path", [*PAGES[1:4], "compose/{id}"])
def test_another_apps_campaigns_are_not_there(server: TestServer, marketer: Visitor, path: str) -> None:
    others = campaign(server, "other")
    assert marketer.get(f"/console/{path.format(id=others)}").status_code == 404
    status, _ = marketer.ask(f"/console/campaigns/{others}/launch", {"updatedAt": told(server, others, "other")["updatedAt"]})
    assert status == 404
    assert marketer.post(f"/console/campaigns/{others}/orders/cancel").status_code == 404
    assert told(server, others, "other")["state"] == "draft"


@pytest.mark.parametrize(
    "path",
    ["/api/v1/campaigns", "/api/v1/audit", "/api/v1/console/people", "/api/v1/secrets", "/parse/schemas", "/parse/users", "/parse/config"],
)
def test_a_session_of_the_console_opens_no_route_of_the_api(marketer: Visitor, path: str) -> None:
    for app in ("", "first"):
        answer = marketer.get(path, headers={"X-Parse-Application-Id": app} if app else {})
        assert answer.status_code in (401, 403) or (path in ("/parse/users", "/parse/config") and "private" not in answer.text), answer.text


def test_no_page_shows_a_key_a_token_or_a_private_field(marketer: Visitor, sale: str) -> None:
    pages = [*PAGES, "compose", "compose/{id}", "audiences/new"]
    shown = "".join(marketer.get(f"/console/{path.format(id=sale)}").text for path in pages)
    shown += str(marketer.ask("/console/audiences/count", {"rows": []}))
    for secret in ("master-key", "private-token", "ann@private.example", "password", "authData", "sessionToken", "deviceToken"):
        assert secret not in shown


@pytest.mark.parametrize(
    "audience",
    [
        {"users": {"email": "ann@private.example"}},
        {"users": {"password": {"$exists": True}}},
        {"users": {"$or": [{"authData": {"$exists": True}}]}},
        {"where": {"user": {"$inQuery": {"className": "_User", "where": {"email": {"$regex": "^a"}}}}}},
        {"where": {"user": {"$inQuery": {"className": "_Session", "where": {}}}}},
    ],
)
def test_an_audience_cannot_ask_for_what_is_private(marketer: Visitor, audience: dict[str, Any]) -> None:
    status, answer = marketer.ask("/console/audiences/count", {"kept": audience})
    assert (status >= 400, "size" in answer) == (True, False)
    status, answer = marketer.ask("/console/compose/ask/audience", {"category": "x", "audience": {"kept": audience}})
    assert (status >= 400, "sends" in answer) == (True, False)
    assert marketer.ask("/console/audiences/new/save", {"name": "x", "kept": audience})[0] >= 400
    status, answer = marketer.ask("/console/compose/ask/save", {"form": {**FORM, "audience": {"kept": audience}}})
    assert "problems" in answer


@pytest.mark.parametrize("field", ["email", "sessionToken", "password", "authData"])
def test_no_row_and_no_text_names_what_is_private(marketer: Visitor, field: str) -> None:
    row = {"of": "user", "field": field, "op": "is", "value": "ann@private.example"}
    assert marketer.ask("/console/audiences/count", {"rows": [row]})[1] == {"problems": {"audience.0": "Choose what is asked."}}
    texts = {"default": {"title": f"{{{{user.{field}}}}}"}}
    _, seen = marketer.ask("/console/compose/ask/preview", {"variants": [{"name": "A", "texts": texts}], "known": True})
    assert "error" in seen["variants"]["A"]["default"]
    form = {**FORM, "variants": [{"name": "A", "weight": 1, "texts": texts}]}
    for path in ("save", "review"):
        assert "problems" in marketer.ask(f"/console/compose/ask/{path}", {"form": form})[1]


def test_a_preview_shows_nobodys_values(marketer: Visitor) -> None:
    texts = {"default": {"title": "{{user.city | x}}"}}
    _, seen = marketer.ask("/console/compose/ask/preview", {"variants": [{"name": "A", "texts": texts}], "known": True})
    assert seen["variants"]["A"]["default"]["data"]["title"] == "‹city›"


def test_what_another_site_asks_for_is_refused(server: TestServer, marketer: Visitor, sale: str) -> None:
    path, token = f"/console/campaigns/{sale}/orders/cancel", marketer.http.cookies["starlette_admin_csrftoken"]
    refused = [
        marketer.http.post(path),
        marketer.http.post(path, data={"csrftoken": "made-up"}),
        marketer.http.post(path, data={"csrftoken": Visitor(server).get("/console/login").cookies["starlette_admin_csrftoken"]}),
        marketer.http.post(path, data={"csrftoken": token}, headers={"Sec-Fetch-Site": "cross-site"}),
        marketer.http.post("/console/compose/ask/save", json={"form": FORM}),
        marketer.http.post("/console/login", data={"email": marketer.email, "password": "x"}),
    ]
    assert [answer.status_code for answer in refused] == [403] * 6
    assert told(server, sale)["state"] == "draft"


def test_every_page_says_which_scripts_may_run(marketer: Visitor, sale: str) -> None:
    nonces = set()
    for path in (*PAGES, "compose", "login", "join/x?app=first", "nothing", "static/page.js"):
        answer = marketer.get(f"/console/{path.format(id=sale)}")
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert "unsafe" not in policy["script-src"]
        assert (policy["default-src"], policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'", "'none'")
        nonce = re.search(r"'nonce-([^']+)'", policy["script-src"])
        assert nonce is not None
        nonces.add(nonce[1])
        if "html" in answer.headers["content-type"]:
            inline = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", answer.text)
            assert all("application/json" in tag or f'nonce="{nonce[1]}"' in tag for tag in inline)
            assert not re.search(r"\son\w+=|https?://(?!127\.0\.0\.1)[\w.]*(cdn|rsms)", answer.text)
    assert len(nonces) == len(PAGES) + 5


def test_what_somebody_typed_is_text_wherever_it_is_shown(server: TestServer, marketer: Visitor) -> None:
    evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
    text = {"title": evil, "body": evil, "link": evil, "locales": {"de": {"title": evil}}}
    made = campaign(server, name=evil, content=text)
    marketer.ask("/console/audiences/new/save", {"name": evil[:100], "rows": [{"of": "user", "field": "city", "op": "is", "value": evil}]})
    pages = ["", f"?q={evil}", f"campaigns/{made}", f"campaigns/{made}/report?device={evil}", f"compose/{made}", "compose", "audiences"]
    for path in pages:
        shown = marketer.get(f"/console/{path}").text
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown


def test_what_no_page_sends_is_not_read(marketer: Visitor) -> None:
    assert marketer.ask("/console/compose/ask/save", {"form": "x" * 1_100_000})[0] == 413
    upload = {"content-type": "multipart/form-data; boundary=a"}
    assert marketer.http.post("/console/login", content=b"no part", headers=upload).status_code == 415


DEEP: Any = {"x": 1}
for _ in range(300):
    DEEP = {"x": DEEP}


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"form": []},
        {"form": {"variants": [1], "audience": [], "schedule": 7}},
        {"form": {"audience": {"rows": {}}}},
        {"form": {**FORM, "variants": [{**FORM["variants"][0], "rest": {"data": DEEP}}]}},
    ],
)
@pytest.mark.parametrize("path", ["audience", "preview", "review", "save"])
def test_what_no_form_sends_is_an_answer_and_no_fault(marketer: Visitor, path: str, body: Any) -> None:
    status, answer = marketer.ask(f"/console/compose/ask/{path}", body)
    assert status < 500, answer


def test_the_providers_are_asked_by_who_may_change_something(server: TestServer, marketer: Visitor, reader: Visitor) -> None:
    assert "Check now" in marketer.get("/console/providers").text
    page = marketer.post("/console/providers").text
    assert ("Not set up" in page, "MBAAS_FCM_CREDENTIALS" in page, "Check again" in page) == (True, True, True)
    assert (reader.get("/console/providers").status_code, reader.post("/console/providers").status_code) == (403, 403)
    status, told = server.call("POST", "/api/v1/providers/check", {}, keys("first"))
    assert (status, {each["state"] for each in told["results"]}) == (200, {"absent"})
    assert server.call("POST", "/api/v1/providers/check", {}, {"X-Parse-Application-Id": "first"})[0] == 403
