"""Keys of partners: told once, kept as hashes, good for what they were made for and for as long, and for nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from mbaas.data import schemas
from mbaas_functions.partners import keys
from mbaas_functions.partners.dead_letters import DeadLetters
from tests.functions.partnership import KEYS, MASTER, Partnership

ALL = {"rights": list(keys.RIGHTS)}
HOUR = 3_600_000


async def key(partners: Partnership, name: str = "taxi", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = await partners.desk("POST", f"/{name}/keys", {"environment": "live", "scopes": ALL, **more})
    return made


async def status(partners: Partnership, token: str, path: str = "", **headers: str) -> int:
    answer = await partners.ask("GET", f"/api/v1/partner{path}", headers={"Authorization": f"Bearer {token}", **headers})
    return answer.status_code


async def test_a_key_says_who_it_is(partners: Partnership) -> None:
    await partners.partner(classes={"Ride": ["city"]})
    made = await key(partners, scopes={"rights": ["find", "usage"]}, label="reports")
    assert re.fullmatch(r"pk_live_taxi_[A-Za-z0-9]{33}", made["key"])
    answer = await partners.ask("GET", "/api/v1/partner", headers={"Authorization": f"Bearer {made['key']}"})
    told = answer.json()
    assert (answer.status_code, told["name"], told["environment"], told["rights"]) == (200, "taxi", "live", ["find", "usage"])
    assert told["classes"] == {"Ride": ["city"]}


async def test_a_key_is_told_once_and_kept_as_a_hash(partners: Partnership) -> None:
    await partners.partner()
    token = (await key(partners))["key"]
    assert await status(partners, token) == 200
    rows = await partners.app.store.rows.scan("partner_keys")
    shown = json.dumps([(await partners.desk("GET", "/taxi/keys")), (await partners.desk("GET", "/taxi")), [str(row) for row in rows]])
    assert token not in shown
    assert token[-29:] not in shown
    assert token[:17] in shown


async def test_what_is_no_key_opens_nothing(partners: Partnership) -> None:
    await partners.partner()
    token = (await key(partners))["key"]
    other = token[:-7] + ("A" if token[-7] != "A" else "B") + token[-6:]
    forged = token[:13] + "A" * 27
    forged += keys._checksum("a", forged)  # right, but never made
    for wrong in (
        "",
        "x",
        token[:-1],
        token + "A",
        other,
        token.replace("live", "test"),
        token.replace("taxi", "bus"),
        forged,
        token.lower(),
    ):
        assert await status(partners, wrong) == 401, wrong
    for header in ({}, {"Authorization": token}, {"Authorization": f"Basic {token}"}, {"X-Parse-Master-Key": token, **KEYS}):
        assert (await partners.ask("GET", "/api/v1/partner", headers=header)).status_code == 401
    assert not keys.belongs(token, "b"), "it names its app"


async def test_a_key_is_good_for_its_rights_alone(partners: Partnership) -> None:
    await partners.partner(classes={"Ride": ["*"]})
    await partners.ask("POST", "/parse/classes/Ride", {"city": "Oslo"})
    paths = {
        "find": "/classes/Ride",
        "changes": "/changes?className=Ride",
        "usage": "/usage",
        "events": "/dead",
    }
    for right in paths:
        token = (await key(partners, scopes={"rights": [right]}))["key"]
        assert {name: await status(partners, token, path) for name, path in paths.items()} == {
            name: 200 if name == right else 403 for name in paths
        }
        assert await status(partners, token, "/classes/Ride?count=1&limit=0") == 403
        assert await status(partners, token, "/classes/Ride/nothing") == 403


async def test_no_key_makes_a_key_nor_passes_for_another_one(partners: Partnership) -> None:
    """Wherever it is put, it opens the partner's own routes and no others; beside the master key it does not add to it."""
    await partners.partner()
    token = (await key(partners))["key"]
    headers = {"Authorization": f"Bearer {token}"}
    for method, path in (
        ("GET", "/api/v1/partners"), ("POST", "/api/v1/partners/taxi/keys"), ("DELETE", "/api/v1/partners/taxi/keys/x"),
        ("PUT", "/api/v1/partners/taxi/grant"), ("POST", "/api/v1/partner/keys"), ("POST", "/parse/schemas/X"),
    ):  # fmt: skip
        for more in ({}, KEYS):
            answer = await partners.ask(method, path, {"environment": "live", "scopes": ALL}, {**headers, **more})
            assert answer.status_code in {403, 404}, (path, answer.text)
    for wrong in ({"X-Parse-Master-Key": token}, {"X-Parse-REST-API-Key": token}):
        assert (await partners.ask("GET", "/api/v1/partners", headers={**KEYS, **wrong})).status_code == 403
    batch = {"requests": [{"method": "GET", "path": "/api/v1/partner/usage"}]}
    assert (await partners.ask("POST", "/parse/batch", batch, {**MASTER, **headers})).status_code == 400


async def test_a_key_of_the_sandbox_is_good_in_the_sandbox_alone(partners: Partnership) -> None:
    await partners.partner()
    test = await key(partners, environment="sandbox")
    live = await key(partners)
    assert test["key"].startswith("pk_test_taxi_")
    assert (await status(partners, test["key"]), await status(partners, live["key"])) == (403, 200)
    await partners.desk("PUT", "/taxi/grant", {"environment": "sandbox"})
    assert (await status(partners, test["key"]), await status(partners, live["key"])) == (200, 403)
    await partners.desk("DELETE", "/taxi/grant")
    assert (await status(partners, test["key"]), await status(partners, live["key"])) == (403, 403)


async def test_a_revoked_key_opens_nothing_from_then_on(partners: Partnership) -> None:
    await partners.partner()
    made = await key(partners)
    assert await status(partners, made["key"]) == 200
    await partners.desk("DELETE", f"/taxi/keys/{made['id']}")
    assert await status(partners, made["key"]) == 401
    assert await partners.refused("DELETE", f"/taxi/keys/{made['id']}") == (404, 101)
    assert (await partners.desk("GET", "/taxi/keys"))["results"] == []


async def test_a_key_ends_when_it_was_to(partners: Partnership) -> None:
    await partners.partner()
    for wrong in ("tomorrow", "2001-01-01T00:00:00Z", 5):
        assert (await partners.refused("POST", "/taxi/keys", {"environment": "live", "scopes": ALL, "expiresAt": wrong}))[1] == 142
    from mbaas.kernel.clock import iso

    made = await key(partners, expiresAt=iso(partners.clock.now() + HOUR))
    assert await status(partners, made["key"]) == 200
    partners.clock.advance(HOUR)
    assert await status(partners, made["key"]) == 401


async def test_of_a_rotated_key_two_are_good_for_a_while(partners: Partnership) -> None:
    await partners.partner()
    first = await key(partners, scopes={"rights": ["usage"], "classes": ["Ride"]})
    second = await partners.desk("POST", f"/taxi/keys/{first['id']}/rotate", {})
    assert second["scopes"] == first["scopes"]
    assert [await status(partners, each["key"], "/usage") for each in (first, second)] == [200, 200]
    assert await partners.refused("POST", f"/taxi/keys/{first['id']}/rotate", {}) == (400, 142)
    third = await partners.desk("POST", f"/taxi/keys/{second['id']}/rotate", {"overlapHours": 1})
    assert [await status(partners, each["key"], "/usage") for each in (first, second, third)] == [401, 200, 200]
    partners.clock.advance(HOUR)
    assert [await status(partners, each["key"], "/usage") for each in (first, second, third)] == [401, 401, 200]
    fourth = await partners.desk("POST", f"/taxi/keys/{third['id']}/rotate", {"overlapHours": 0})
    assert [await status(partners, each["key"]) for each in (third, fourth)] == [401, 200]


async def test_a_key_comes_from_where_it_may(partners: Partnership) -> None:
    await partners.partner()
    here, there = await key(partners, addresses=["127.0.0.0/8"]), await key(partners, addresses=["198.51.100.7"])
    assert (await status(partners, here["key"]), await status(partners, there["key"])) == (200, 401)


async def test_a_partner_asks_no_more_often_than_it_may(partners: Partnership) -> None:
    """With whichever of its keys."""
    await partners.partner(live={"url": partners.elsewhere.url("/taxi"), "limits": {"readsPerMinute": 3}})
    tokens = [(await key(partners))["key"] for _ in range(2)]

    async def ask(token: str) -> httpx.Response:
        return await partners.ask("GET", "/api/v1/partner/usage", headers={"Authorization": f"Bearer {token}"})

    answers = [await ask(tokens[n % 2]) for n in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit"].split("; ")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert answers[3].headers["ratelimit-policy"] == '"taxi live reads"; q=3; w=60'
    partners.clock.advance(1000 * int(answers[3].headers["retry-after"]))
    assert (await ask(tokens[0])).status_code == 200


async def test_when_a_key_was_used_is_known_to_the_hour(partners: Partnership) -> None:
    await partners.partner()
    made = await key(partners)
    assert made["lastUsedAt"] is None
    await asyncio.gather(*(status(partners, made["key"]) for _ in range(5)))
    [shown] = (await partners.desk("GET", "/taxi/keys"))["results"]
    assert shown["lastUsedAt"].endswith(":00:00.000Z")
    partners.clock.advance(HOUR)
    await status(partners, made["key"])
    assert (await partners.desk("GET", "/taxi/keys"))["results"][0]["lastUsedAt"] > shown["lastUsedAt"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": None}, {"scopes": {"rights": []}}, {"scopes": {"rights": ["write"]}}, {"scopes": {"rights": "find"}},
        {"scopes": {"rights": ["find"], "more": 1}}, {"scopes": {"rights": ["find"], "classes": "Ride"}}, {"environment": "moon"},
        {"addresses": ["here"]}, {"addresses": "127.0.0.1"}, {"label": 5}, {"scopes": {"rights": [["find"]]}},
    ],
    ids=str,
)  # fmt: skip
async def test_a_key_that_makes_no_sense_is_refused(partners: Partnership, wrong: dict[str, Any]) -> None:
    await partners.partner()
    assert await partners.refused("POST", "/taxi/keys", {"environment": "live", "scopes": ALL, **wrong}) == (400, 142)
    assert await partners.refused("POST", "/nobody/keys", {"environment": "live", "scopes": ALL}) == (404, 101)


async def test_a_partner_sees_its_events_and_nothing_of_the_app_behind_them(partners: Partnership) -> None:
    """What could not be delivered to it, and has it sent again; not by which query, nor about which user, nor where the network failed."""
    await schemas.create(partners.app, "Ride", {"fields": {"rider": {"type": "Pointer", "targetClass": "_User"}}})
    await partners.partner(classes={"Ride": ["*"]})
    subscription = {"className": "Ride", "where": {"vip": {"$exists": False}}, "subject": "rider"}
    await partners.desk("POST", "/taxi/subscriptions", subscription)
    token = (await key(partners, scopes={"rights": ["events"]}))["key"]
    value = {"subscription": "s", "className": "Ride", "objectId": "o", "op": "create", "at": 0, "attempts": 10, "reason": "status 500"}
    left = DeadLetters(partners.app, "partner_deliveries").step("taxi|s|o|1", {**value, "state": {"vip": True}, "about": "user1"})
    await partners.app.store.documents.commit([left])

    async def ask(method: str, path: str) -> Any:
        body: dict[str, Any] | None = {} if method == "POST" else None
        return (await partners.ask(method, f"/api/v1/partner{path}", body, {"Authorization": f"Bearer {token}"})).json()

    [subscribed], [dead] = (await ask("GET", "/subscriptions"))["results"], (await ask("GET", "/dead"))["results"]
    assert set(subscribed) == {"id", "className", "events", "path"}
    assert (dead["objectId"], "vip" in str(dead), "user1" in str(dead)) == ("o", False, False)
    assert await ask("POST", "/replay") == {"replayed": 1}
    assert (await ask("GET", "/dead"))["results"] == []
