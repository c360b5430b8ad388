"""Why did this person not get it? For each of her devices what a run did with it, or why it was never in the audience."""

from __future__ import annotations

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object, pointer
from mbaas.storage.ports import Row
from mbaas_push.addresses import digest_of
from mbaas_push.campaigns import segments
from mbaas_push.campaigns.recipients import place_of
from mbaas_push.campaigns.store import VERSIONS, Store
from mbaas_push.deliveries import TABLE, Delivery, address_in, place_in
from mbaas_push.receipts import told_of

_PAGE, _MOST_DEVICES = 1000, 100
SAYS = {
    "sent": "The provider has accepted it for this device.",
    "pending": "It waits for its time, or is about to be sent.",
    "again": "It waits: the provider refused it for now, or it is in the device's quiet hours.",
    "failed": "The provider refused it for good.",
    "unknown": "It may have been sent: the server, or the line, broke off meanwhile, and the campaign sends nothing twice.",
    "no_address": "The installation has no token, or is of a kind that no provider reaches.",
    "opted_out": "The device has opted out of this category (optOuts).",
    "control": "The person is in the control group, which is sent nothing.",
    "passed": "The time had already passed where the device is.",
    "missing_field": "The text needs a field that is not known of this person, and the campaign is strict.",
    "too_long": "The text with this person's fields is longer than the provider takes.",
    "quiet_hours": "It came due in the device's quiet hours.",
    "capped": "The person has been sent as many of this category as the caps allow.",
    "expired": "It could not be sent before it expired.",
    "cancelled": "The campaign was cancelled before its turn came.",
    "unregistered": "The installation was deleted before its turn came.",
    "no_device": "No installation is known of this person.",
    "registered_later": "The installation was made after the run had begun.",
    "not_in_query": "The installation, or its user, does not match the audience's queries (as they are now).",
    "not_by_events": "What the person has done does not match the audience's events.",
    "not_listed": "The audience fits now, but it did not when the run looked; or the run has not come to it yet.",
}
"""What each state and reason means, in a sentence."""


async def why(app: App, campaign_id: str, run_id: str, *, user: str | None, installation: str | None) -> list[Object]:
    """An answer for each device of a user, or for one installation: `{"installation", "state", "reason", "says", …}`."""
    store = Store(app)
    run = next((each for each in await store.runs(campaign_id) if each["id"] == run_id), None)
    if run is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "The campaign has no such run.")
    where: Object = {"user": pointer("_User", user)} if user is not None else {"objectId": installation}
    devices = await find_objects(app, MASTER, segments.CLASS, FindOptions(where=where, limit=_MOST_DEVICES))
    if not devices:
        return [_answer(None, "unlisted", "no_device")]
    return [await _of_device(app, campaign_id, run, device) for device in devices]


async def _of_device(app: App, campaign_id: str, run: Object, device: Object) -> Object:
    row = await _row(app, run["id"], from_iso(run["at"]) or 0, device)
    if row is None:
        return _answer(device["objectId"], "unlisted", await _unlisted(app, campaign_id, run, device))
    delivery = Delivery.of(row)
    receipts = (await told_of(app, f"{run['id']}:", row.key, row.key)).get(row.key)
    told = {name: value for name, value in delivery.told().items() if name not in ("installation", "state", "reason")}
    reason = str(delivery.value.get("reason", ""))
    answer = _answer(device["objectId"], delivery.state, reason)
    return {**answer, **told, "receipts": sorted(receipts.kinds) if receipts else []}


async def _row(app: App, run: str, asked: int, device: Object) -> Row | None:
    """The device's row of a run: under the times of the run, which are few, or else anywhere in it, if its address has changed."""
    rows, after = app.store.rows, f"{run}:"
    digest = address_in(digest_of(place_of(device)))
    while first := await rows.scan(TABLE, after, 1, f"{run}:"):
        due = Delivery.of(first[0]).due
        found = await rows.get(TABLE, place_in(run, due, device["objectId"]) + digest)
        if found is not None and found.value["installation"] == device["objectId"]:
            return found
        after = f"{run}:{due:014d}:~"
    if (from_iso(device.get("updatedAt", "")) or 0) < asked:
        # Its address is what it was.
        return None
    after = ""
    while page := await rows.scan(TABLE, after, _PAGE, f"{run}:"):
        for row in page:
            if row.value["installation"] == device["objectId"]:
                return row
        after = page[-1].key
    return None


async def _unlisted(app: App, campaign_id: str, run: Object, device: Object) -> str:
    asked = from_iso(run["at"]) or 0
    if (from_iso(device.get("createdAt", "")) or 0) > asked:
        return "registered_later"
    version = await app.store.rows.get(VERSIONS, f"{campaign_id}|{run['version']:08d}")
    audience: Object = {} if version is None else version.value["definition"].get("audience", {})
    where = {"$and": [{"objectId": device["objectId"]}, segments.query_of(audience)]}
    if not await find_objects(app, MASTER, segments.CLASS, FindOptions(where=where, limit=1)):
        return "not_in_query"
    belongs = await segments.belonging(app, audience, asked)
    return "not_listed" if belongs(device) else "not_by_events"


def _answer(installation: str | None, state: str, reason: str) -> Object:
    says = SAYS[state] if state in SAYS and state != "skipped" else SAYS.get(reason, reason)
    return {"installation": installation, "state": state, "reason": reason or None, "says": says}
