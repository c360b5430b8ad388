"""From a push to its deliveries: the installations that it finds, page by page in the order of their ids.

A page's deliveries, the badges that it raises and the place where the next one begins are one commit under the fence of
the run, so that a server that is killed goes on where it was, and no badge is raised twice.
"""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.jobs.queue import Task
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ops import Increment, Set, Unset
from mbaas.kernel.values import Json, Object, date, is_number, js_text
from mbaas.query.ast import EVERYTHING, Equals, both
from mbaas.storage.ports import Step, Update
from mbaas_push import local_time
from mbaas_push.addresses import address_of, type_of
from mbaas_push.deliveries import Delivery, key_of
from mbaas_push.message import LOCALIZED, Badge, badge_of, in_locale, locales_of

CLASS = "_Installation"
_PAGE = 500
_TRIES = 5
_DEFAULT_ZONE = "UTC"
"""Where a device is taken to be that does not say."""


async def materialise(task: Task) -> None:
    """Write the deliveries of a run, from the page at which it is."""
    app = task.app
    push = task.value["push"]
    where = _reachable(push["where"])
    while task.value["state"] == "materialising":
        for attempt in range(_TRIES):
            page = await find_objects(app, MASTER, CLASS, _after(where, task.value["cursor"]))
            value = {**task.value, "cursor": page[-1]["objectId"]} if page else {**task.value, "state": "sending"}
            try:
                await task.keep(value, _steps(app, task.key, push, page))
                break
            except ParseError as error:
                # An installation whose badge is to be raised has been deleted meanwhile.
                if error.code != Code.OBJECT_NOT_FOUND or attempt == _TRIES - 1:
                    raise


async def forget(app: App, delivery: Delivery, since: int | None) -> None:
    """Take a dead address from its installation, unless that has been registered anew: after `since`, or since it was read."""
    seen: int = delivery.value["seen"]
    if since is not None and seen > since:
        return
    schema = app.classes.known_or_blank(CLASS)
    as_read = both(Equals(("deviceToken",), delivery.address.value), Equals(("updatedAt",), date(seen)))
    changes = (Unset(("deviceToken",)), Set(("updatedAt",), iso(app.clock.now())))
    try:
        await app.store.documents.commit([Update(schema, delivery.value["installation"], changes, guard=as_read)])
    except ParseError as error:
        if error.code != Code.OBJECT_NOT_FOUND:
            raise


def _reachable(where: Json) -> Object:
    if not isinstance(where, dict):
        raise ParseError(Code.INVALID_QUERY, f"a push needs a query of installations, not {js_text(where)}")
    return where if "deviceToken" in where else {**where, "deviceToken": {"$exists": True}}


def _after(where: Object, cursor: str) -> FindOptions:
    narrowed: Object = {"$and": [where, {"objectId": {"$gt": cursor}}]} if cursor else where
    return FindOptions(where=narrowed, order=(("objectId", False),), limit=_PAGE)


def _steps(app: App, run: str, push: Object, page: list[Object]) -> list[Step]:
    now = app.clock.now()
    data: Object = push["data"]
    badge, locales, plain = badge_of(data), locales_of(data), in_locale(data, (), None)
    steps: list[Step] = []
    for installation in page:
        address = address_of(installation)
        if address is None:
            continue
        number = None
        if badge is not None:
            number, step = _raised(app, installation, badge, now)
            steps.append(step)
        due, zone = _due(push, installation)
        value: Object = {
            "state": "pending",
            "to": [address.provider, address.value, address.kind, address.app, address.sandbox],
            "type": type_of(installation),
            "installation": installation["objectId"],
            "seen": from_iso(installation["updatedAt"]) if number is None else now,
        }
        if locales and (spoken := in_locale(data, locales, installation.get("localeIdentifier"))) != plain:
            value["locale"] = {name: spoken[name] for name in LOCALIZED if name in spoken}
        if number is not None:
            value["badge"] = number
        if zone is not None:
            value["offset"] = _offset(push["at"], due)
        if push["local"] and due < push["asked"]:
            value |= {"state": "skipped", "reason": "passed"}
        steps.append(Delivery(key_of(run, due, address.value), value).step(now))
    return steps


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
