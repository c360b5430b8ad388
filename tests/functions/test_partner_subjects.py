"""People whom partners know by ids of their own: with their consent, for as long as they give it, and not otherwise."""

from __future__ import annotations

import json
from typing import Any

import httpx

from mbaas.data import objects, schemas
from mbaas.kernel.caller import MASTER
from tests.functions.partnership import KEYS, Partnership
from tests.waiting import until

MANIFEST: dict[str, Any] = {
    "operations": {
        "card": {"subject": "member", "params": {"type": "object", "required": ["member"], "properties": {"member": {"type": "string"}}}},
        "offer": {"subject": "member"},
    }
}


class Member:
    """A user, and what she does."""

    def __init__(self, partners: Partnership, user_id: str, token: str) -> None:
        self._partners, self.id = partners, user_id
        self.headers = {**KEYS, "X-Parse-Session-Token": token}

    @classmethod
    async def new(cls, partners: Partnership, name: str) -> Member:
        made = (await partners.ask("POST", "/parse/users", {"username": name, "password": "right"}, KEYS)).json()
        return cls(partners, made["objectId"], made["sessionToken"])

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._partners.ask(method, path, body, self.headers)

    async def consents(self, partner: str = "taxi") -> str:
        """The code by which the partner may link her."""
        answer = await self.ask("POST", f"/api/v1/consents/{partner}", {})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["code"])

    async def card(self) -> httpx.Response:
        return await self.ask("POST", "/parse/functions/taxi.card", {})


async def desk_of(partners: Partnership, name: str = "taxi") -> Any:
    """A partner's own side."""
    await partners.partner(name, manifest=MANIFEST)
    made = await partners.desk("POST", f"/{name}/keys", {"environment": "live", "scopes": {"rights": ["subjects"]}})
    headers = {"Authorization": f"Bearer {made['key']}"}

    async def ask(method: str, path: str, body: Any = None) -> httpx.Response:
        return await partners.ask(method, f"/api/v1/partner{path}", body, headers)

    return ask


async def test_a_user_who_consents_is_known_by_the_partners_own_id(partners: Partnership) -> None:
    taxi, ann = await desk_of(partners), await Member.new(partners, "ann")
    assert (await ann.card()).json()["error"] == "card needs the user's consent to be known to taxi."
    assert (await ann.ask("POST", "/parse/functions/taxi.offer", {})).status_code == 200
    linked = await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-1"})
    assert (linked.status_code, linked.json()) == (200, {})
    assert (await ann.card()).status_code == 200
    assert (await ann.ask("POST", "/parse/functions/taxi.offer", {"to": "home"})).status_code == 200
    assert (await ann.ask("POST", "/parse/functions/taxi.card", {"member": "M-2"})).json()["code"] == 142
    assert [each.body for each in partners.elsewhere.received] == [{}, {"member": "M-1"}, {"to": "home", "member": "M-1"}]
    assert not any(ann.id in str(each) for each in partners.elsewhere.received)
    [consent] = (await ann.ask("GET", "/api/v1/consents")).json()["results"]
    assert (consent["partner"], consent["environment"], consent["status"], "externalId" in consent) == ("taxi", "live", "granted", False)


async def test_consent_that_is_withdrawn_is_so_at_once(partners: Partnership) -> None:
    taxi, ann = await desk_of(partners), await Member.new(partners, "ann")
    await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-1"})
    subjects = partners.functions.partners.subjects
    assert await subjects.user("taxi", "live", "M-1") == ann.id
    assert (await ann.ask("DELETE", "/api/v1/consents/taxi")).status_code == 200
    assert (await ann.card()).json()["code"] == 142
    assert await subjects.user("taxi", "live", "M-1") is None
    assert (await ann.ask("DELETE", "/api/v1/consents/bus")).status_code == 404
    await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-1"})
    assert (await ann.card()).status_code == 200
    assert (await taxi("DELETE", "/subjects/M-1")).json() == {}
    assert (await ann.card()).json()["code"] == 142


async def test_an_id_that_is_not_linked_is_counted_and_told_like_any_other(partners: Partnership) -> None:
    taxi, ann = await desk_of(partners), await Member.new(partners, "ann")
    await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-1"})
    answers = [await taxi("DELETE", f"/subjects/{external}") for external in ("M-1", "nobody")]
    assert [(each.status_code, each.json()) for each in answers] == [(200, {})] * 2
    subjects = partners.functions.partners.subjects
    for external in ("M-1", "nobody", "nobody"):
        assert await subjects.user("taxi", "live", external) is None
    told = await partners.desk("GET", "/taxi/subjects")
    assert (told["granted"], told["withdrawn"], [each["count"] for each in told["unlinked"]]) == (0, 1, [3])


async def test_what_partners_call_her_is_told_with_her_data_and_goes_with_her_account(partners: Partnership) -> None:
    taxi, ann = await desk_of(partners), await Member.new(partners, "ann")
    await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-1"})
    told = [json.loads(line) for line in (await ann.ask("GET", "/api/v1/users/me/data")).text.splitlines()]
    [consent] = [each["object"] for each in told if each["kind"] == "consent"]
    assert (consent["partner"], consent["status"]) == ("taxi", "granted")
    assert (await ann.ask("DELETE", "/parse/users/me")).status_code == 200
    assert (await partners.desk("GET", "/taxi/subjects"))["granted"] == 0


async def test_a_code_is_good_once_and_soon_and_for_its_partner(partners: Partnership) -> None:
    taxi, bus, ann = await desk_of(partners), await desk_of(partners, "bus"), await Member.new(partners, "ann")
    code = await ann.consents()
    assert (await bus("POST", "/subjects", {"code": code, "externalId": "B-1"})).status_code == 404
    assert [(await taxi("POST", "/subjects", {"code": code, "externalId": "M-1"})).status_code for _ in range(2)] == [200, 404]
    late = await ann.consents()
    partners.clock.advance(600_000)
    for wrong in (late, "x", None, 5):
        assert (await taxi("POST", "/subjects", {"code": wrong, "externalId": "M-1"})).status_code == 404
    for wrong in ("", None, 5, "a b", "ä", "x" * 201):
        assert (await taxi("POST", "/subjects", {"code": "x", "externalId": wrong})).json()["code"] == 142
    assert (await partners.ask("POST", "/api/v1/consents/taxi", {}, KEYS)).json()["code"] == 209
    assert (await partners.ask("GET", "/api/v1/consents", headers=KEYS)).json()["code"] == 209


async def test_an_id_is_one_users_and_a_user_has_one_id(partners: Partnership) -> None:
    taxi = await desk_of(partners)
    ann, bob = await Member.new(partners, "ann"), await Member.new(partners, "bob")
    subjects = partners.functions.partners.subjects
    await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-1"})
    await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-2"})
    assert [await subjects.user("taxi", "live", external) for external in ("M-1", "M-2")] == [None, ann.id]
    await taxi("POST", "/subjects", {"code": await bob.consents(), "externalId": "M-2"})
    assert await subjects.user("taxi", "live", "M-2") == bob.id
    assert ((await ann.card()).status_code, (await bob.card()).status_code) == (400, 200)


async def test_who_has_deleted_her_account_is_nobody_to_partners(partners: Partnership) -> None:
    taxi, ann = await desk_of(partners), await Member.new(partners, "ann")
    await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-1"})
    subjects = partners.functions.partners.subjects
    assert await subjects.user("taxi", "live", "M-1") == ann.id
    assert (await ann.ask("DELETE", f"/parse/users/{ann.id}")).status_code == 200
    assert await subjects.user("taxi", "live", "M-1") is None
    assert (await partners.desk("GET", "/taxi/subjects"))["granted"] == 0
    assert await subjects.consents(ann.id) == []


async def test_the_app_links_those_whose_consent_it_has(partners: Partnership) -> None:
    await desk_of(partners)
    ann = await Member.new(partners, "ann")
    await partners.desk("PUT", "/taxi/subjects/M%2F1", {"userId": ann.id})
    assert (await ann.card()).status_code == 200
    assert partners.elsewhere.received[-1].body == {"member": "M/1"}
    await partners.desk("DELETE", "/taxi/subjects/M%2F1")
    assert (await ann.card()).status_code == 400
    assert await partners.refused("PUT", "/taxi/subjects/M-2", {"userId": "nobody"}) == (404, 101)
    assert await partners.refused("PUT", "/taxi/subjects/M-2", {}) == (400, 142)


async def test_events_about_somebody_are_sent_with_her_consent_alone(partners: Partnership) -> None:
    taxi = await desk_of(partners)
    ann, bob = await Member.new(partners, "ann"), await Member.new(partners, "bob")
    columns = {"rider": {"type": "Pointer", "targetClass": "_User"}, "city": {"type": "String"}}
    await schemas.create(partners.app, "Ride", {"fields": columns})
    await partners.desk("PUT", "/taxi/grant", {"environment": "live", "classes": {"Ride": ["city"]}})
    for wrong in ("city", "nothing", 5, "objectId"):
        given = {"className": "Ride", "subject": wrong}
        assert await partners.refused("POST", "/taxi/subscriptions", given) == (400, 142)
    await partners.desk("POST", "/taxi/subscriptions", {"className": "Ride", "subject": "rider"})
    await taxi("POST", "/subjects", {"code": await ann.consents(), "externalId": "M-1"})

    async def ride(city: str, rider: Member | None) -> str:
        pointer = {"rider": {"__type": "Pointer", "className": "_User", "objectId": rider.id}} if rider else {}
        return str((await objects.create(partners.app, MASTER, "Ride", {"city": city, **pointer})).answer["objectId"])

    for city, rider in (("a", bob), ("b", None), ("c", ann)):
        last = await ride(city, rider)
    await objects.delete(partners.app, MASTER, "Ride", last)

    def events() -> list[dict[str, Any]]:
        return [each["data"] for each in partners.elsewhere.bodies("/taxi/events")]

    await until(lambda: len(events()) == 2)
    assert [(event["subject"], event.get("object", {}).get("city")) for event in events()] == [("M-1", "c"), ("M-1", None)]
    assert not any(who.id in str(event) for event in events() for who in (ann, bob))
    await ann.ask("DELETE", "/api/v1/consents/taxi")
    await ride("d", ann)
    await taxi("POST", "/subjects", {"code": await bob.consents(), "externalId": "M-2"})
    await ride("e", bob)
    await until(lambda: len(events()) == 3)
    assert (events()[2]["subject"], events()[2]["object"]["city"]) == ("M-2", "e")
