"""Events to partners: everything arrives after an outage, in order and signed, and nothing that a partner may not read."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook

from mbaas.app import open_app
from mbaas.data import objects, schemas
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.outbound.calls import Outbound
from mbaas.outbound.reach import Reach
from mbaas.services import Services
from mbaas.storage.ports import Row
from mbaas.testing.clock import FakeClock
from mbaas_functions.partners.deliveries import DELIVERIES
from mbaas_functions.room import Functions, opened
from mbaas_functions.zygote import Zygote
from tests.functions.web import Web, respond, web
from tests.waiting import until

MINUTE = 60_000
EVENTS = int(os.environ.get("MBAAS_TEST_EVENTS", "100"))
"""Of the outage; 1,000 in `make nightly`."""
SEED = 20261122


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """By which those who verify what is sent go, too."""
    made = FakeClock()

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Now:
            return cls.fromtimestamp(made.now() / 1000, tz)

    for package in ("standardwebhooks", "svix"):
        monkeypatch.setattr(f"{package}.webhooks.datetime", Now)
    return made


@pytest.fixture
def partner() -> Any:
    with web() as running:
        yield running


@pytest.fixture
async def app(tmp_path: Path, clock: FakeClock) -> AsyncIterator[App]:
    services = Services(ServerOptions(), {}, clock=clock, outbound=Outbound(Reach(open=True)))
    options = AppOptions(app_id="a", master_key="m", data_dir=tmp_path, new_class_permissions="public")
    made = await open_app(options, services)
    yield made
    await made.close()
    await services.outbound.close()


@pytest.fixture
async def functions(app: App) -> AsyncIterator[Functions]:
    zygote = Zygote()
    async with opened(app, zygote, lambda declared: ()) as running:
        yield running
    await zygote.close()


async def ride(app: App) -> None:
    await schemas.create(app, "Ride", {"fields": {"n": {"type": "Number"}}})


async def live(functions: Functions, url: str, classes: dict[str, list[str]], name: str = "taxi") -> str:
    """A partner that is live and enabled; its secret."""
    registry = functions.partners.registry
    given = {"name": name, "manifest": {"operations": {"offer": {}}}, "live": {"url": url}}
    _, secrets = await registry.register(given)
    for state in ("sandbox", "submitted", "approved", "live"):
        await registry.move(name, state)
    await registry.enable(name, {"environment": "live", "classes": classes})
    return str(secrets["live"])


class Waiting:
    """The events that are on their way, and the time that passes for them."""

    def __init__(self, app: App, clock: FakeClock, functions: Functions) -> None:
        self._app, self._clock, self._functions = app, clock, functions

    async def rows(self) -> list[Row]:
        return await self._app.store.rows.scan(DELIVERIES, limit=2000)

    async def none(self) -> bool:
        return not await self.rows()

    async def pass_time(self) -> None:
        """Until the next one is due. No time passes while one is under way: leases would run out that nobody can renew so fast."""
        if self._functions.events.resting and (rows := await self.rows()) and self._functions.events.resting:
            self._clock.advance(max(0, min(row.due or 0 for row in rows) - self._clock.now()))
            self._functions.events.wake()

    async def advance(self, ms: int) -> None:
        """Let so much time pass."""
        await until(lambda: self._functions.events.resting)
        self._clock.advance(ms)
        self._functions.events.wake()


@pytest.fixture
def waiting(app: App, clock: FakeClock, functions: Functions) -> Waiting:
    return Waiting(app, clock, functions)


async def test_an_outage_of_ten_minutes(app: App, functions: Functions, partner: Web, waiting: Waiting) -> None:
    """A partner is down for all of them: afterwards it has had each, in order for each object, signed."""
    await ride(app)
    secret = await live(functions, partner.url(""), {"Ride": ["*"]})
    await functions.events.subscribe("taxi", {"className": "Ride"})
    down = True
    taken: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def receive(to: Any, body: Any) -> None:
        if down:
            respond(to, 503, b"")
            return
        headers = {name.lower(): value for name, value in to.headers.items()}
        raw = next(each.raw for each in reversed(partner.received) if each.headers["webhook-id"] == headers["webhook-id"]).decode()
        StandardWebhook(secret).verify(raw, headers)
        SvixWebhook(secret).verify(raw, headers)
        taken[body["data"]["objectId"]].append({"id": headers["webhook-id"], **body})
        respond(to, 200, b"{}")

    partner.on["/events"] = receive
    ids = [(await objects.create(app, MASTER, "Ride", {"n": 0})).answer["objectId"] for _ in range(EVENTS // 20)]
    for n in range(1, 20):
        for object_id in ids:
            await objects.update(app, MASTER, "Ride", object_id, {"n": n})
        await waiting.advance(MINUTE // 2)
    await waiting.advance(MINUTE // 2)
    await until(lambda: bool(partner.received), waiting.pass_time)
    assert not taken
    down = False

    await until(lambda: sum(len({each["id"] for each in events}) for events in list(taken.values())) == EVENTS, waiting.pass_time)
    for object_id in ids:
        seen = [event["data"]["object"]["n"] for event in taken[object_id]]
        assert seen == sorted(seen)
        assert taken[object_id][0]["type"] == "Ride.created"
        assert list(dict.fromkeys(seen)) == list(range(20))
    assert await functions.events.dead("taxi") == []


async def test_a_partner_that_never_answers_leaves_a_list_that_can_be_replayed(
    app: App, functions: Functions, partner: Web, waiting: Waiting
) -> None:
    await ride(app)
    await live(functions, partner.url(""), {"Ride": ["*"]})
    await functions.events.subscribe("taxi", {"className": "Ride", "events": ["create"]})
    partner.on["/events"] = lambda to, body: respond(to, 400, b"")
    await objects.create(app, MASTER, "Ride", {"n": 0})

    await until(lambda: bool(partner.received))
    await until(waiting.none, waiting.pass_time)
    dead = await functions.events.dead("taxi")
    assert (len(partner.received), dead[0]["attempts"], dead[0]["reason"]) == (10, 10, "status 400")
    assert "state" not in dead[0]
    partner.on["/events"] = {}
    assert await functions.events.replay("taxi", dead[0]["id"]) == 1
    await until(lambda: len(partner.received) == 11)
    assert await functions.events.dead("taxi") == []
    with pytest.raises(ParseError):
        await functions.events.replay("taxi", dead[0]["id"])


async def test_what_is_taken_back_goes_nowhere_even_if_it_waited(app: App, functions: Functions, partner: Web, waiting: Waiting) -> None:
    await ride(app)
    await live(functions, partner.url(""), {"Ride": ["*"]})
    await functions.events.subscribe("taxi", {"className": "Ride"})
    partner.on["/events"] = lambda to, body: respond(to, 503, b"")
    await objects.create(app, MASTER, "Ride", {"n": 0})
    await until(lambda: len(partner.received) == 1)
    await functions.partners.registry.disable("taxi")
    partner.on["/events"] = {}
    await until(waiting.none, waiting.pass_time)
    assert len(partner.received) == 1


async def test_a_partner_says_that_it_wants_no_more(app: App, functions: Functions, partner: Web) -> None:
    await ride(app)
    await live(functions, partner.url(""), {"Ride": ["*"]})
    await functions.events.subscribe("taxi", {"className": "Ride"})
    partner.on["/events"] = lambda to, body: respond(to, 410, b"")
    await objects.create(app, MASTER, "Ride", {"n": 0})
    await until(lambda: len(partner.received) == 1)

    async def over() -> bool:
        return not await functions.events.subscriptions("taxi")

    await until(over)


async def test_a_partner_is_told_what_its_principal_may_read_and_the_grant_names(
    app: App, functions: Functions, partner: Web, waiting: Waiting
) -> None:
    """1,000 objects under random grants, access lists, class permissions and protected fields."""
    chance = random.Random(SEED)
    partner.on["/events"] = {}
    fields = ["a", "b", "c", "d"]
    wanted: dict[str, set[str]] = {}
    for n in range(20):
        class_name = f"Class{n}"
        may_find = chance.random() < 0.7
        grants = [who for who, use in (("*", chance.random() < 0.4), ("partner:taxi", chance.random() < 0.6), ("role:x", True)) if use]
        find = dict.fromkeys(grants, True) if not may_find or chance.random() < 0.5 else {"*": True}
        readable = "*" in find or "partner:taxi" in find
        hidden_from_all = set(chance.sample(fields, chance.randrange(3)))
        hidden_from_it = set(chance.sample(fields, chance.randrange(3)))
        protects = {"*": sorted(hidden_from_all), **({"partner:taxi": sorted(hidden_from_it)} if chance.random() < 0.5 else {})}
        hidden = hidden_from_all & hidden_from_it if "partner:taxi" in protects else hidden_from_all
        granted = chance.choice([["*"], chance.sample(fields, chance.randrange(1, 4))])
        await schemas.create(app, class_name, {"fields": {name: {"type": "String"} for name in fields}})
        permissions: dict[str, Any] = {
            "find": find,
            "get": {"*": True},
            "count": {},
            "create": {},
            "update": {},
            "delete": {},
            "addField": {},
        }
        name = f"taxi{n}" if n else "taxi"
        principal = f"partner:{name}"
        permissions["find"] = {(principal if who == "partner:taxi" else who): True for who in find}
        permissions["protectedFields"] = {(principal if who == "partner:taxi" else who): them for who, them in protects.items()}
        await live(functions, partner.url(f"/{name}"), {class_name: granted} if chance.random() < 0.9 else {}, name)
        partner.on[f"/{name}/events"] = {}
        in_grant = class_name in ((await functions.partners.registry.get(name)).grant or {})["classes"]
        await functions.events.subscribe(name, {"className": class_name, "events": ["create"]})
        await schemas.change(app, class_name, {"classLevelPermissions": permissions})
        for _ in range(50):
            lists = [who for who in ("*", principal, "partner:other", "role:x", "someone") if chance.random() < 0.3]
            acl = {who: {"read": True} if chance.random() < 0.8 else {"write": True} for who in lists}
            values = {field: f"secret-{n}-{field}" for field in fields}
            made = await objects.create(app, MASTER, class_name, {**values, "ACL": acl})
            sees = any(acl.get(who, {}).get("read") for who in ("*", principal))
            if readable and sees and in_grant:
                shown = {field for field in fields if field not in hidden and (granted == ["*"] or field in granted)}
                wanted[made.answer["objectId"]] = shown

    await until(lambda: len(partner.received) >= len(wanted), waiting.pass_time)
    await until(waiting.none, waiting.pass_time)
    told = [each.body["data"]["object"] for each in partner.received]
    got = {each["objectId"]: set(each) - {"objectId", "createdAt", "updatedAt"} for each in told}
    assert 200 < len(wanted) < 900
    assert got == wanted
