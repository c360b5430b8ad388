"""What a partner reads with its key: what its principal may find, of what the app shares with it, by whatever way it asks."""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import Any

import httpx
import pytest

from mbaas.data import objects, schemas
from mbaas.kernel.caller import MASTER
from tests.functions.partnership import Partnership

OBJECTS = int(os.environ.get("MBAAS_TEST_OBJECTS", "500"))
"""Of the random ones, 50 in a class; `make nightly` asks for a thousand."""
SEED = 20261122
FIELDS = ("a", "b", "c", "d")
PLAIN = {"objectId", "createdAt", "updatedAt"}
OPEN: dict[str, Any] = {name: {"*": True} for name in ("find", "get", "count", "create", "update", "delete", "addField")}


class Reader:
    """A partner with a key for everything that is shared with it."""

    def __init__(self, partners: Partnership, token: str) -> None:
        self._partners, self._token = partners, token

    @classmethod
    async def of(cls, partners: Partnership, name: str, **scopes: Any) -> Reader:
        rights = {"rights": ["find", "get", "count", "changes"], **scopes}
        made = await partners.desk("POST", f"/{name}/keys", {"environment": "live", "scopes": rights})
        return cls(partners, made["key"])

    async def ask(self, path: str, **params: Any) -> httpx.Response:
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
        return await self._partners.ask("GET", f"/api/v1/partner{path}", headers={"Authorization": f"Bearer {self._token}"}, **texts)

    async def found(self, class_name: str, **params: Any) -> list[dict[str, Any]]:
        answer = await self.ask(f"/classes/{class_name}", limit="1000", **params)
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results


async def made_class(partners: Partnership, name: str, fields: dict[str, Any], **permissions: Any) -> None:
    await schemas.create(partners.app, name, {"fields": fields})
    await schemas.change(partners.app, name, {"classLevelPermissions": {**OPEN, **permissions}})


async def saved(partners: Partnership, class_name: str, fields: dict[str, Any]) -> str:
    return str((await objects.create(partners.app, MASTER, class_name, fields)).answer["objectId"])


async def test_a_partner_reads_what_its_principal_may_and_the_grant_names(partners: Partnership) -> None:
    """Random grants, access lists, class permissions, protected fields and scopes, against a few lines that say what is to be seen."""
    chance = random.Random(SEED)
    seen = refused = 0
    # What is tried on one store hides nothing that the other one shows, and SecantusDB takes its time.
    of_each = 50 if partners.app.options.database_url is None else 10
    for n in range(OBJECTS // 50):
        name, class_name = f"taxi{n}", f"Class{n}"
        who = f"partner:{name}"
        anybody = ("*", who, "partner:other", "role:x")
        permissions = {op: {each: True for each in anybody if chance.random() < 0.5} for op in ("find", "get", "count")}
        protects = {each: chance.sample(FIELDS, chance.randrange(3)) for each in ("*", who, "partner:other") if chance.random() < 0.6}
        await made_class(partners, class_name, {f: {"type": "String"} for f in FIELDS}, **permissions, protectedFields=protects)
        shared = chance.choice([["*"], ["*", "ACL"], chance.sample(FIELDS, chance.randrange(0, 4))])
        granted, opened = chance.random() < 0.85, chance.random() < 0.85
        await partners.partner(name, {class_name: shared} if granted else {"Other": ["*"]})
        reader = await Reader.of(partners, name, classes=["*"] if opened else ["Other"])

        groups = [set(protects[each]) for each in ("*", who) if each in protects]
        hidden = set.intersection(*groups) if groups else set()
        shown = PLAIN | {f for f in (*FIELDS, "ACL") if f not in hidden and (f in shared or ("*" in shared and f != "ACL"))}
        may = {op: granted and opened and bool({"*", who} & set(permissions[op])) for op in permissions}
        lists = [{each: {"read": True} for each in (*anybody, "someone") if chance.random() < 0.25} for _ in range(of_each)]
        values = {field: f"{n}{field}" for field in FIELDS}
        ids = [await saved(partners, class_name, {**values, "ACL": acl}) for acl in lists]
        visible = {one for one, acl in zip(ids, lists, strict=True) if {"*", who} & set(acl)}
        answers = await asyncio.gather(*(reader.ask(f"/classes/{class_name}/{one}") for one in ids))
        for one, answer in zip(ids, answers, strict=True):
            assert (answer.status_code == 200) == (may["get"] and one in visible), answer.text
            assert answer.status_code != 200 or set(answer.json()) == shown
        answer = await reader.ask(f"/classes/{class_name}", limit="1000")
        assert (answer.status_code == 200) == may["find"], answer.text
        if may["find"]:
            found = answer.json()["results"]
            assert ({each["objectId"] for each in found}, {frozenset(each) for each in found} - {frozenset(shown)}) == (visible, set())
            seen += len(found)
            for field in FIELDS:
                # What may not be seen may not be asked for either, nor be told by the order.
                ways: list[dict[str, Any]] = [{"where": {field: f"{n}{field}"}}, {"order": f"-{field}"}]
                expected = 200 if field in shown else 403
                assert [(await reader.ask(f"/classes/{class_name}", **way)).status_code for way in ways] == [expected] * 2
                refused += expected == 403
        counted = await reader.ask(f"/classes/{class_name}", count="1", limit="0")
        assert (counted.status_code == 200) == may["count"], counted.text
        if may["count"]:
            assert counted.json()["count"] == len(visible)
    assert seen > OBJECTS * of_each // 500
    assert refused > OBJECTS // 200


@pytest.fixture
async def rides(partners: Partnership) -> Partnership:
    """Rides with drivers: of a ride the city and the driver are shared, of a driver nothing."""
    await made_class(partners, "Driver", {"phone": {"type": "String"}})
    columns = {
        "city": {"type": "String"},
        "note": {"type": "String"},
        "driver": {"type": "Pointer", "targetClass": "Driver"},
        "stops": {"type": "Relation", "targetClass": "Driver"},
    }
    await made_class(partners, "Ride", columns)
    driver = await saved(partners, "Driver", {"phone": "555"})
    pointer = {"__type": "Pointer", "className": "Driver", "objectId": driver}
    stops = {"__op": "AddRelation", "objects": [pointer]}
    await saved(partners, "Ride", {"city": "Oslo", "note": "secret", "driver": pointer, "stops": stops})
    await partners.partner(classes={"Ride": ["city", "driver"]})
    return partners


async def test_no_way_around_leads_to_what_is_not_shared(rides: Partnership) -> None:
    """Includes, subqueries, relations, orders and projections, each of which would answer 200 if it were shared."""
    reader = await Reader.of(rides, "taxi")
    [ride] = await reader.found("Ride")
    assert set(ride) == PLAIN | {"city", "driver"}
    assert ride["driver"]["__type"] == "Pointer"
    driver = {"className": "Driver", "where": {"phone": "555"}}
    owner = {"__type": "Pointer", "className": "Ride", "objectId": ride["objectId"]}
    ways: tuple[dict[str, Any], ...] = (
        {"include": "driver"},
        {"include": "*"},
        {"where": {"driver": {"$inQuery": driver}}},
        {"where": {"driver": {"$notInQuery": driver}}},
        {"where": {"city": {"$select": {"query": driver, "key": "phone"}}}},
        {"where": {"city": {"$dontSelect": {"query": {"className": "Ride", "where": {"note": "secret"}}, "key": "city"}}}},
        {"where": {"$or": [{"note": "secret"}, {"city": "x"}]}},
        {"where": {"$nor": [{"note": {"$regex": "^s"}}]}},
        {"where": {"note.x": 1}},
        {"where": {"stops": {"__type": "Pointer", "className": "Driver", "objectId": "x"}}},
        {"where": {"ACL": {}}},
        {"where": {"_rperm": "x"}},
        {"where": {"note": {"$text": {"$search": {"$term": "secret"}}}}},
        {"order": "-note"},
        {"order": "city,note"},
        {"redirectClassNameForKey": "stops"},
    )
    for params in ways:
        answer = await reader.ask("/classes/Ride", **params)
        assert answer.status_code in (400, 403), (params, answer.text)
        assert "secret" not in answer.text.replace('"secret"', "")
    for path in (
        "/classes/Driver",
        f"/classes/Driver/{ride['driver']['objectId']}",
        "/classes/_User",
        "/classes/_Session",
        "/classes/_Hooks",
    ):
        assert (await reader.ask(path)).status_code in (400, 401, 403, 404), path
    related = {"$relatedTo": {"object": owner, "key": "stops"}}
    assert (await reader.ask("/classes/Driver", where=related)).status_code == 403
    assert [set(each) for each in await reader.found("Ride", keys="note,stops")] == [PLAIN]
    assert [set(each) for each in await reader.found("Ride", excludeKeys="city")] == [PLAIN | {"driver"}]
    select = {"city": {"$select": {"query": {"className": "Ride"}, "key": "city"}}}
    assert [each["city"] for each in await reader.found("Ride", where=select)] == ["Oslo"]


async def test_what_becomes_shared_is_read_and_what_is_taken_back_is_not(rides: Partnership) -> None:
    reader = await Reader.of(rides, "taxi")
    await rides.desk("PUT", "/taxi/grant", {"environment": "live", "classes": {"Ride": ["*"], "Driver": ["phone"]}})
    [ride] = await reader.found("Ride", include="driver", where={"note": "secret"}, order="note")
    assert set(ride) == PLAIN | {"city", "note", "driver", "stops"}
    assert ride["driver"]["phone"] == "555"
    await rides.desk("PUT", "/taxi/grant", {"environment": "live", "classes": {"Ride": []}})
    assert [set(each) for each in await reader.found("Ride")] == [PLAIN]
    await rides.desk("DELETE", "/taxi/grant")
    assert (await reader.ask("/classes/Ride")).status_code == 403


async def test_a_key_for_some_classes_opens_those(rides: Partnership) -> None:
    await rides.desk("PUT", "/taxi/grant", {"environment": "live", "classes": {"Ride": ["*"], "Driver": ["*"]}})
    reader = await Reader.of(rides, "taxi", classes=["Driver"])
    assert len(await reader.found("Driver")) == 1
    assert (await reader.ask("/classes/Ride")).status_code == 403
    assert (await reader.ask("/classes/Driver", where={"objectId": {"$inQuery": {"className": "Ride", "where": {}}}})).status_code == 403


async def test_changes_are_those_of_what_is_shared(rides: Partnership) -> None:
    """Whoever keeps what she is told starts again when something else is shared."""
    reader = await Reader.of(rides, "taxi")
    place = (await reader.ask("/changes", className="Ride")).json()["next"]
    [ride] = await reader.found("Ride")
    await objects.update(rides.app, MASTER, "Ride", ride["objectId"], {"note": "another"})
    [change] = (await reader.ask("/changes", className="Ride", since=place)).json()["results"]
    assert (change["op"], set(change["object"])) == ("update", PLAIN | {"city", "driver"})
    assert (await reader.ask("/changes", className="Ride", where={"note": "another"}, since=place)).status_code == 403
    assert (await reader.ask("/changes", className="Driver")).status_code == 403
    await rides.desk("PUT", "/taxi/grant", {"environment": "live", "classes": {"Ride": ["*"]}})
    assert (await reader.ask("/changes", className="Ride", since=place)).status_code == 410


async def test_an_apps_own_trigger_shares_nothing_by_itself(rides: Partnership) -> None:
    """What it makes of the objects found is narrowed as they were."""
    reader = await Reader.of(rides, "taxi")
    given = {"className": "Ride", "triggerName": "afterFind", "url": rides.elsewhere.url("/after")}
    assert (await rides.ask("POST", "/parse/hooks/triggers", given)).status_code == 200
    [ride] = (await rides.ask("GET", "/parse/classes/Driver")).json()["results"]
    made = {"objectId": "x", "className": "Ride", "city": "Rome", "note": "secret", "ACL": {"*": {"read": True}}, "more": ride}
    rides.elsewhere.on["/after"] = {"success": [made, "secret"]}
    assert [set(each) for each in await reader.found("Ride")] == [{"objectId", "city"}]
    assert set((await reader.ask("/classes/Ride/x")).json()) == {"objectId", "city"}
    shown = (await rides.ask("GET", "/parse/classes/Ride")).json()["results"][0]
    assert shown["note"] == "secret", "others are shown what it makes"
    [asked, *_] = rides.elsewhere.bodies("/after")
    assert "note" not in asked["objects"][0], "nor is it asked in the partner's name about more than is shared"
