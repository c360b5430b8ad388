"""From a push to its deliveries: the installations that it finds, page by page in the order of their ids.

A page's deliveries, the badges that it raises and the place where the next one begins are one commit under the fence of
the run, so that a server that is killed goes on where it was, and no badge is raised twice. Of several installations with one address
the first has a delivery: whoever finds the devices of a run knows which addresses have one, and nobody else can write any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.jobs.queue import Task
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ops import Increment, Set, Unset
from mbaas.kernel.schema import Field
from mbaas.kernel.values import Json, Object, date, is_number, js_text
from mbaas.observe.logs import get_logger
from mbaas.query.ast import EVERYTHING, Equals, both
from mbaas.storage.ports import Step, Update
from mbaas_push import local_time
from mbaas_push.addresses import ENVIRONMENT, PRODUCTION, SANDBOX, address_of, type_of
from mbaas_push.campaigns.recipients import Recipients, clock_of
from mbaas_push.campaigns.segments import Belongs, after, belonging, query_of
from mbaas_push.deliveries import TABLE, Delivery, address_in, beside_others, key_beside, key_of
from mbaas_push.message import LOCALIZED, Badge, badge_of, in_locale, locales_of

CLASS = "_Installation"
_TRIES = 5
_PAGE = 1000
_AT_A_TIME = 100
"""Deliveries that are made up without letting anything else run."""
_DEFAULT_ZONE = "UTC"
"""Where a device is taken to be that does not say."""


async def materialise(task: Task, turn: Callable[[], Awaitable[int]]) -> None:
    """Write the deliveries of a run, from the page at which it is. Before each page it waits for its `turn`, which says of how many."""
    app = task.app
    push = task.value["push"]
    campaign = push.get("campaign")
    if push.get("to"):
        await _to_topics(task)
        return
    where = reachable(push["where"]) if campaign is None else query_of(campaign["audience"])
    write = _Plain(app, task.key, push) if campaign is None else await _OfCampaign.prepared(app, task.key, push)
    reached = await _reached(task)
    while task.value["state"] == "materialising":
        most = await turn()
        for attempt in range(_TRIES):
            page = await find_objects(app, MASTER, CLASS, after(where, task.value["cursor"], most))
            value = {**task.value, "cursor": page[-1]["objectId"]} if page else {**task.value, "state": "sending"}
            there = await _not_yet(write, page, reached)
            deliveries = [delivery for delivery, _ in there.values()]
            badges = [badge for _, badge in there.values() if badge is not None]
            value["counts"] = _with_skipped(task.value["counts"], deliveries)
            value["found"] = task.value.get("found", 0) + len(deliveries)
            now = app.clock.now()
            try:
                await task.keep(value, [*badges, *(delivery.step(now) for delivery in deliveries)])
                reached.update(there)
                break
            except ParseError as error:
                # An installation whose badge is to be raised has been deleted meanwhile.
                if error.code != Code.OBJECT_NOT_FOUND or attempt == _TRIES - 1:
                    raise


async def _to_topics(task: Task) -> None:
    """Write the one delivery of a push to topics."""
    push = task.value["push"]
    if task.value["state"] != "materialising":
        return
    [(kind, value)] = push["to"].items()
    told: Object = {"state": "pending", "to": ["fcm", value, kind, "", False], "type": "topic"}
    delivery = Delivery(key_of(task.key, push["at"] or 0, value), told)
    await task.keep({**task.value, "state": "sending", "found": 1}, [delivery.step(task.app.clock.now())])


async def _not_yet(write: _Plain | _OfCampaign, page: list[Object], reached: set[str]) -> dict[str, tuple[Delivery, Step | None]]:
    """By address the deliveries of a page, each with the step that stores its badge, without those to addresses that have one."""
    found: dict[str, tuple[Delivery, Step | None]] = {}
    for first in range(0, len(page), _AT_A_TIME):
        await asyncio.sleep(0)
        for delivery, badge in await write.deliveries(page[first : first + _AT_A_TIME]):
            if (address := address_in(delivery.key)) not in reached:
                found.setdefault(address, (delivery, badge))
    return found


async def _reached(task: Task) -> set[str]:
    """The addresses that have a delivery of the run from before, as `address_in` tells them apart."""
    found: set[str] = set()
    rows, after = task.app.store.rows, ""
    while task.value["cursor"] and (page := await rows.scan(TABLE, after, _PAGE, f"{task.key}:")):
        after = page[-1].key
        found.update(address_in(row.key) for row in page)
    return found


async def forget(app: App, installation: str, token: str, seen: int, since: int | None = None) -> None:
    """Take a dead address from its installation, unless that has been registered anew: after `since`, or since it was read (`seen`)."""
    if since is not None and seen > since:
        return
    schema = app.classes.known_or_blank(CLASS)
    as_read = both(Equals(("deviceToken",), token), Equals(("updatedAt",), date(seen)))
    changes = (Unset(("deviceToken",)), Set(("updatedAt",), iso(app.clock.now())))
    try:
        await app.store.documents.commit([Update(schema, installation, changes, guard=as_read)])
    except ParseError as error:
        if error.code != Code.OBJECT_NOT_FOUND:
            raise


async def remember(app: App, delivery: Delivery, *, sandbox: bool) -> None:
    """Keep with its installation in which of Apple's environments an address is good, if it is still that address."""
    as_sent = Equals(("deviceToken",), delivery.address.value)
    try:
        schema = await app.classes.grow(CLASS, {ENVIRONMENT: Field("String")})
        changes = (Set((ENVIRONMENT,), SANDBOX if sandbox else PRODUCTION), Set(("updatedAt",), iso(app.clock.now())))
        await app.store.documents.commit([Update(schema, delivery.value["installation"], changes, guard=as_sent)])
    except ParseError as error:
        # It was deleted, or has another token; or the app has a column of that name and another type.
        get_logger(__name__).info("the environment of an address is not kept", reason=error.message)


def reachable(where: Json) -> Object:
    """The query for those of them that can be sent anything. ParseError 102 if it is none."""
    if not isinstance(where, dict):
        raise ParseError(Code.INVALID_QUERY, f"a push needs a query of installations, not {js_text(where)}")
    return where if "deviceToken" in where else {**where, "deviceToken": {"$exists": True}}


def _with_skipped(counts: Object, deliveries: list[Delivery]) -> Object:
    """The counts of a run with those who are not sent anything from the first."""
    found = dict(counts)
    for delivery in deliveries:
        if delivery.state == "skipped":
            name = f"skipped.{delivery.value['reason']}"
            found[name] = found.get(name, 0) + 1
    return found


class _Plain:
    """The deliveries of a push without a campaign."""

    def __init__(self, app: App, run: str, push: Object) -> None:
        self._app, self._run, self._push = app, run, push
        data: Object = push["data"]
        self._badge, self._locales, self._plain = badge_of(data), locales_of(data), in_locale(data, (), None)

    async def deliveries(self, page: list[Object]) -> list[tuple[Delivery, Step | None]]:
        """Those of a page, each with the step that stores the badge it raises."""
        found: list[tuple[Delivery, Step | None]] = []
        for installation in page:
            address = address_of(installation)
            if address is None:
                continue
            due, zone = _due(self._push, installation)
            value: Object = {
                "state": "pending",
                "to": [address.provider, address.value, address.kind, address.app, address.sandbox],
                "type": type_of(installation),
                "installation": installation["objectId"],
                "seen": from_iso(installation.get("updatedAt", "")) or 0,
            }
            badge = None if self._badge is None else _show_badge(self._app, installation, self._badge, value)
            spoken = in_locale(self._push["data"], self._locales, installation.get("localeIdentifier")) if self._locales else self._plain
            if spoken != self._plain:
                value["locale"] = {name: spoken[name] for name in LOCALIZED if name in spoken}
            if zone is not None:
                value["offset"] = _offset(self._push["at"], due)
            if self._push["local"] and due < self._push["asked"]:
                value |= {"state": "skipped", "reason": "passed"}
            key = key_beside(self._run, due, installation["objectId"], address.value)
            found.append((Delivery(key, value), badge))
        return found


class _OfCampaign:
    """The deliveries of a campaign's run: everybody in the audience has one, also who is not sent anything."""

    def __init__(self, app: App, run: str, push: Object, belongs: Belongs) -> None:
        self._app, self._run, self._push, self._belongs = app, run, push, belongs
        self._recipients = Recipients(app, push)
        variants: list[Object] = push["campaign"]["variants"]
        self._badges = {variant["name"]: badge_of(variant["content"]) for variant in variants}

    @classmethod
    async def prepared(cls, app: App, run: str, push: Object) -> _OfCampaign:
        """With what everybody had done when the run was asked for."""
        return cls(app, run, push, await belonging(app, push["campaign"]["audience"], push["asked"]))

    async def deliveries(self, page: list[Object]) -> list[tuple[Delivery, Step | None]]:
        """Those of a page, each with the step that stores the badge it raises."""
        found: list[tuple[Delivery, Step | None]] = []
        for recipient in await self._recipients.of(filter(self._belongs, page)):
            delivery = beside_others(recipient.delivery(self._run))
            badge, shown = self._badges[recipient.variant], None
            if badge is not None and not recipient.reason:
                shown = _show_badge(self._app, recipient.installation, badge, delivery.value)
            if self._push["local"]:
                clock = clock_of(recipient.zone, self._push["campaign"])
                delivery.value["offset"] = _offset(local_time.wall(recipient.due, clock), recipient.due)
            found.append((delivery, shown))
        return found


def _show_badge(app: App, installation: Object, badge: Badge, value: Object) -> Step:
    """Have a delivery show the badge, and the step that stores it with the installation."""
    now = app.clock.now()
    value["badge"], step = _raised(app, installation, badge, now)
    value["seen"] = now
    return step


def _raised(app: App, installation: Object, badge: Badge, now: int) -> tuple[Json, Step]:
    """The badge that a device is to show, and the step that stores it."""
    schema = app.classes.known_or_blank(CLASS)
    known = installation.get("badge")
    number = badge.amount if not badge.adds else (known if is_number(known) else 0) + badge.amount
    change = Increment(("badge",), badge.amount) if badge.adds else Set(("badge",), badge.amount)
    return number, Update(schema, installation["objectId"], (change, Set(("updatedAt",), iso(now))), {}, None, EVERYTHING)


def _due(push: Object, installation: Object) -> tuple[int, str | None]:
    """When the device is to get it, and the zone that says so."""
    at: int = push["at"] or 0
    if not push["local"]:
        return at, None
    named = installation.get("timeZone")
    zone = str(named) if local_time.known(named) else _DEFAULT_ZONE
    return local_time.instant(at, zone), zone


def _offset(wall: int, due: int) -> str:
    """The zone's distance from UTC at that time, in hours, as `_PushStatus` counts by it."""
    return f"{(wall - due) / 3_600_000:g}"
