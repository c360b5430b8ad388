"""The way to live: whose the partner's server is, what it lacks, and who decided what on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.functions.partnership import TAXI, WAY, Partnership
from tests.functions.web import Web, respond

PLACE = "/.well-known/mbaas-partner"
LIMITS = {"perMinute": 60, "perMonth": 1000, "concurrency": 4, "readsPerMinute": 60}


def elsewhere_url(partners: Partnership, path: str = "/taxi") -> str:
    """A URL by a name that nobody vouches for."""
    return f"http://taxi.test:{partners.elsewhere.port}{path}"


class Good:
    """A partner's server as it is to be; `lacks` says what it does not do."""

    def __init__(self, partners: Partnership, made: dict[str, Any], path: str = "/taxi") -> None:
        self._web: Web = partners.elsewhere
        self._secret, self._challenge = made["secrets"]["live"], made["challenge"]
        self.lacks: set[str] = set()
        self._web.on[f"{path}{PLACE}"] = self._answer
        self._web.on[f"{path}/health"] = lambda to, body: respond(to, 503 if "health" in self.lacks else 204, b"")

    def _answer(self, to: BaseHTTPRequestHandler, body: Any) -> None:
        if to.command == "GET":
            text = "something else" if "ownership" in self.lacks else f"{self._challenge}\n"
            respond(to, 200, text.encode())
            return
        raw = self._web.received[-1].raw
        headers = {name.lower(): value for name, value in to.headers.items()}
        # Its own clock is that of the test.
        signed = Webhook(self._secret).sign(headers["webhook-id"], _when(headers["webhook-timestamp"]), raw.decode())
        if "signature" not in self.lacks and signed not in headers["webhook-signature"].split(" "):
            respond(to, 401, b"")
            return
        try:
            json.loads(raw)
        except ValueError:
            respond(to, 500 if "errors" in self.lacks else 400, b"")
            return
        respond(to, 200, b"{}")


def _when(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


async def draft(partners: Partnership, **more: Any) -> dict[str, Any]:
    live = {"url": elsewhere_url(partners), "limits": LIMITS}
    made: dict[str, Any] = await partners.desk(
        "POST", "", {"name": "taxi", "contact": "a@b.example", "manifest": TAXI, "live": live, **more}
    )
    return made


async def test_nobody_goes_live_on_a_server_that_may_be_somebody_elses(partners: Partnership) -> None:
    made = await draft(partners)
    for state in WAY[:-1]:
        await partners.desk("POST", "/taxi/state", {"state": state})
    assert await partners.refused("POST", "/taxi/state", {"state": "live"}) == (400, 142)
    good = Good(partners, made)
    good.lacks = {"ownership"}
    told = await partners.desk("POST", "/taxi/probes", {})
    assert told["probes"]["ownership"] == {"passed": False, "why": "its answer is not the challenge"}
    assert await partners.refused("POST", "/taxi/state", {"state": "live"}) == (400, 142)
    good.lacks = set()
    told = await partners.desk("POST", "/taxi/probes", {})
    assert (told["missing"], {each["passed"] for each in told["probes"].values()}) == ([], {True})
    assert (await partners.desk("POST", "/taxi/state", {"state": "live"}))["state"] == "live"


async def test_a_live_partner_moves_to_a_server_that_is_its_own(partners: Partnership) -> None:
    made = await draft(partners)
    Good(partners, made)
    await partners.desk("POST", "/taxi/probes", {})
    for state in WAY:
        await partners.desk("POST", "/taxi/state", {"state": state})
    other = elsewhere_url(partners, "/other")
    assert await partners.refused("PATCH", "/taxi", {"live": {"url": other}}) == (400, 142)
    assert (await partners.desk("POST", "/taxi/probes", {"url": other}))["probes"]["ownership"]["passed"] is False
    assert await partners.refused("PATCH", "/taxi", {"live": {"url": other}}) == (400, 142)
    Good(partners, made, "/other")
    await partners.desk("POST", "/taxi/probes", {"url": other})
    assert (await partners.desk("PATCH", "/taxi", {"live": {"url": other}}))["live"]["url"] == other
    await partners.desk("PATCH", "/taxi", {"live": {"limits": {"perMinute": 5}}})
    await partners.desk("POST", "/taxi/state", {"state": "suspended"})
    await partners.desk("PATCH", "/taxi", {"live": {"url": elsewhere_url(partners, "/third")}})
    assert await partners.refused("POST", "/taxi/state", {"state": "live"}) == (400, 142)


async def test_who_the_operator_vouches_for_proves_nothing(partners: Partnership) -> None:
    """Of a host that the operator names it is known whose it is."""
    await partners.partner()
    assert "ownership" not in (await partners.desk("GET", "/taxi/checklist"))["missing"]


@pytest.mark.parametrize("lacks", ["ownership", "health", "signature", "errors"])
async def test_the_checklist_says_what_is_missing(partners: Partnership, lacks: str) -> None:
    good = Good(partners, await draft(partners))
    told = await partners.desk("GET", "/taxi/checklist")
    assert (told["ready"], told["missing"]) == (False, ["ownership", "health", "signature", "errors"])
    assert told["challenge"]["url"] == elsewhere_url(partners) + PLACE
    good.lacks = {lacks}
    await partners.desk("POST", "/taxi/probes", {})
    told = await partners.desk("GET", "/taxi/checklist")
    assert (told["ready"], told["missing"]) == (False, [lacks])
    assert [item["at"] is None for item in told["items"]] == [item["item"] in ("url", "contact", "limits", lacks) for item in told["items"]]
    good.lacks = set()
    await partners.desk("POST", "/taxi/probes", {})
    assert (await partners.desk("GET", "/taxi/checklist"))["ready"] is True


async def test_what_nobody_probes_is_missing_too(partners: Partnership) -> None:
    await partners.desk("POST", "", {"name": "taxi", "manifest": TAXI})
    told = await partners.desk("GET", "/taxi/checklist")
    assert told["missing"] == ["url", "contact", "limits", "ownership", "health", "signature", "errors"]
    assert told["challenge"]["url"] is None
    assert await partners.refused("POST", "/taxi/probes", {}) == (400, 142)
    for wrong in ("http://10.0.0.1/", "ftp://x", 5, "https://x.example/?q"):
        assert await partners.refused("POST", "/taxi/probes", {"url": wrong}) == (400, 142)
    assert await partners.refused("GET", "/nobody/checklist") == (404, 101)


async def test_who_granted_what_to_whom_is_kept(partners: Partnership) -> None:
    """And what was not copied before a process died is there all the same."""
    await partners.partner(classes={"Ride": ["city"]})
    await partners.desk("PUT", "/taxi/grant", {"environment": "live", "classes": {"Ride": ["*"]}})
    key = await partners.desk("POST", "/taxi/keys", {"environment": "live", "scopes": {"rights": ["find"]}})
    await partners.desk("DELETE", f"/taxi/keys/{key['id']}")
    await partners.desk("DELETE", "/taxi/grant")
    told = (await partners.desk("GET", "/taxi/audit"))["results"]
    events = [event["event"] for event in told]
    assert events == ["draft", *WAY, "enabled", "enabled", "key made", "key revoked", "disabled"]
    assert [event["number"] for event in told] == list(range(1, len(events) + 1))
    assert {(event["by"], event["ip"]) for event in told} == {("master", "127.0.0.1")}
    assert [event["grant"]["classes"] for event in told if "grant" in event] == [{"Ride": ["city"]}, {"Ride": ["*"]}, {"Ride": ["*"]}]
    assert (told[7]["key"]["prefix"], key["key"] in json.dumps(told)) == (key["prefix"], False)
    first = await partners.desk("GET", "/taxi/audit?limit=4")
    assert (await partners.desk("GET", f"/taxi/audit?cursor={first['next']}"))["results"] == told[4:]

    last = (await partners.app.store.rows.scan("audit_about"))[-1]
    await partners.app.store.rows.drop("audit_about", last.key)
    assert (await partners.desk("GET", "/taxi/audit"))["results"] == told


async def test_history_goes_further_back_than_a_partners_own_row(partners: Partnership) -> None:
    await partners.partner()
    for _ in range(60):
        await partners.desk("PUT", "/taxi/grant", {"environment": "live"})
        await partners.desk("DELETE", "/taxi/grant")
    assert len((await partners.desk("GET", "/taxi"))["history"]) == 100
    assert len((await partners.desk("GET", "/taxi/audit?limit=1000"))["results"]) == 126


async def test_parts_of_a_partner_and_of_its_grant_are_changed(partners: Partnership) -> None:
    await partners.partner(classes={"Ride": ["city"], "Driver": ["name"]})
    changed = await partners.desk("PATCH", "/taxi/grant", {"classes": {"Driver": None, "Stop": ["*"]}})
    assert (changed["grant"]["classes"], changed["grant"]["environment"]) == ({"Ride": ["city"], "Stop": ["*"]}, "live")
    assert changed["grant"]["version"] == 2
    for wrong in ({"classes": 5}, {"classes": {"Ride": "city"}}, {"environment": "moon"}, {"environment": None}):
        assert await partners.refused("PATCH", "/taxi/grant", wrong) == (400, 142)
    await partners.desk("DELETE", "/taxi/grant")
    assert await partners.refused("PATCH", "/taxi/grant", {"classes": {}}) == (400, 142)
    before = (await partners.desk("GET", "/taxi"))["live"]
    after = await partners.desk("PATCH", "/taxi", {"contact": "c@d.example", "live": {"limits": {"perMinute": 5}}})
    assert (after["contact"], after["live"]["url"], after["live"]["limits"]) == ("c@d.example", before["url"], {"perMinute": 5})
    after = await partners.desk("PATCH", "/taxi", {"live": {"limits": {"perMonth": 7, "perMinute": None}}})
    assert after["live"]["limits"] == {"perMonth": 7}
    never: tuple[Any, ...] = ({"url": None}, 5, {"limits": {"perMinute": -1}}, {"keys": []})
    for live in never:
        assert await partners.refused("PATCH", "/taxi", {"live": live}) == (400, 142)
