"""Who of an audience is sent what, where and when, and who is not and why: for a run that finds its devices, and for a dry run alike.

The push of a campaign's run has `campaign`: `id`, `version`, `category`, `audience`, `variants`, `control`, `quietHours`, `caps`,
`perSecond`, `zone`, `past`, and for a test `test`, with the `variant` and the `locale` that it is of. A test of a play has `kind`, which
says so, and `beside`, what its texts show besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import from_iso
from mbaas.kernel.values import Json, Object
from mbaas_push import local_time
from mbaas_push.addresses import address_of, type_of
from mbaas_push.campaigns import content
from mbaas_push.campaigns.definition import paths
from mbaas_push.campaigns.quiet_hours import QuietHours
from mbaas_push.campaigns.templates import Missing, value_at
from mbaas_push.deliveries import Delivery, key_of
from mbaas_push.events import user_of
from mbaas_push.transports.port import Address

_DAY_MS = 86_400_000
_SHARES = 1 << 32
UNKNOWN_ZONE = "unknown"


@dataclass(slots=True)
class Recipient:
    """An installation of the audience. `reason` is why it is not sent anything, empty if it is; `detail` says more of that."""

    installation: Object
    address: Address | None
    subject: str
    due: int
    zone: str
    locale: str
    variant: str
    values: Object = field(default_factory=dict)
    reason: str = ""
    detail: str = ""

    def delivery(self, run: str) -> Delivery:
        """Its row of a run, without a badge."""
        value: Object = {"state": "pending" if not self.reason else "skipped", "type": type_of(self.installation)}
        to = self.address
        value["to"] = [to.provider, to.value, to.kind, to.app, to.sandbox] if to is not None else None
        value |= {
            "installation": self.installation["objectId"],
            "seen": from_iso(self.installation.get("updatedAt", "")) or 0,
            "subject": self.subject,
        }
        value |= {"zone": self.zone, "locale": self.locale, "variant": self.variant}
        told = {"values": self.values, "reason": self.reason, "detail": self.detail}
        return Delivery(key_of(run, self.due, place_of(self.installation)), value | {name: said for name, said in told.items() if said})

    def told(self) -> Object:
        """What is said of it before anything is sent."""
        named = {"installation": self.installation["objectId"], "subject": self.subject, "platform": type_of(self.installation)}
        told: Object = {**named, "zone": self.zone, "locale": self.locale, "variant": self.variant}
        return told | {name: said for name, said in (("reason", self.reason), ("detail", self.detail)) if said}


class Recipients:
    """The recipients of one run."""

    def __init__(self, app: App, push: Object) -> None:
        self._app, self._push, self._campaign = app, push, push["campaign"]
        self._said = content.Said(self._campaign["variants"])
        self._paths = paths(self._campaign)
        self._quiet = QuietHours.of(self._campaign.get("quietHours"))
        self._test = bool(self._campaign.get("test"))

    async def of(self, installations: Iterable[Object], beside: Mapping[str, Object] = MappingProxyType({})) -> list[Recipient]:
        """What becomes of installations of the audience. `beside` is what texts may show besides, by subject: more roots of paths."""
        page = list(installations)
        users = await self._users(page)
        return [self._recipient(installation, users.get(user_of(installation), {}), beside) for installation in page]

    async def _users(self, page: list[Object]) -> dict[str, Object]:
        if not any(path.startswith("user.") for path in self._paths):
            return {}
        ids = sorted({user for installation in page if (user := user_of(installation))})
        found = await find_objects(self._app, MASTER, "_User", FindOptions(where={"objectId": {"$in": ids}}, limit=len(ids))) if ids else []
        return {user["objectId"]: user for user in found}

    def _recipient(self, installation: Object, user: Object, beside: Mapping[str, Object]) -> Recipient:
        campaign, subject = self._campaign, subject_of(installation)
        name = campaign["variant"] if self._test else assigned(campaign["id"], subject, campaign["variants"])
        locale = campaign.get("locale") or self._said.locale(name, installation.get("localeIdentifier"))
        named = installation.get("timeZone")
        zone = str(named) if local_time.known(named) else UNKNOWN_ZONE
        due, late = self._due(zone)
        found = Recipient(installation, address_of(installation), subject, due, zone, locale, name)
        roots = {"user": user, "installation": installation, **campaign.get("beside", {}), **beside.get(subject, {})}
        found.values = {path: value for path in self._paths if (value := value_at(roots, path)) is not None}
        found.reason = self._why_not(found, late)
        return found

    def _why_not(self, found: Recipient, late: bool) -> str:
        campaign = self._campaign
        if found.address is None:
            return "no_address"
        if not self._test:
            if opted_out(found.installation, campaign["category"]):
                return "opted_out"
            if share(campaign["id"], "control", found.subject) * 100 < campaign.get("control", 0):
                return "control"
            if late:
                return "passed"
        try:
            data = self._said.data(found.variant, found.locale, found.values)
        except Missing as missing:
            found.detail = missing.path
            return "missing_field"
        found.detail = content.too_long(data, found.address.provider)
        if found.detail:
            return "too_long"
        if self._quiet is not None and not self._test:
            due = max(found.due, self._push["asked"])
            awake = self._quiet.over(due, clock_of(found.zone, campaign))
            if awake > due and self._quiet.then == "skip":
                return "quiet_hours"
            found.due = awake if awake > due else found.due
        return ""

    def _due(self, zone: str) -> tuple[int, bool]:
        """When a device is to get it, and whether that has passed for good."""
        at: int = self._push["at"] or 0
        if not self._push["local"]:
            return at, False
        clock, asked = clock_of(zone, self._campaign), self._push["asked"]
        due = local_time.instant(at, clock)
        past = self._campaign.get("past", "skip") if due < asked else ""
        while past == "next_day" and due < asked:
            at += max(1, (asked - due) // _DAY_MS) * _DAY_MS
            due = local_time.instant(at, clock)
        return due, past == "skip"


def subject_of(installation: Object) -> str:
    """The person that an installation counts as: its user, or itself where it has none."""
    user = user_of(installation)
    return f"user:{user}" if user else f"installation:{installation['objectId']}"


def place_of(installation: Object) -> str:
    """What the row of an installation is named by: its address, or itself where it has none."""
    token = installation.get("deviceToken")
    return token if isinstance(token, str) and token else f"installation {installation['objectId']}"


def opted_out(installation: Object, category: str) -> bool:
    """True if the installation's column `optOuts` names the category, or all of them by `*`."""
    listed: Json = installation.get("optOuts")
    return isinstance(listed, list) and (category in listed or "*" in listed)


def clock_of(zone: str, campaign: Object) -> str:
    """The zone by which a device lives: its own, or the campaign's where that is not known."""
    return str(campaign["zone"]) if zone == UNKNOWN_ZONE else zone


def share(campaign: str, what: str, subject: str) -> float:
    """Where somebody stands from 0 to 1: the same in every run of a campaign, and another place for each thing asked."""
    digest = blake2b(f"{campaign}|{what}|{subject}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / _SHARES


def assigned(campaign: str, subject: str, variants: list[Object]) -> str:
    """The variant that somebody is sent, by the variants' weights; the same one always."""
    left = share(campaign, "variant", subject) * sum(variant["weight"] for variant in variants)
    for variant in variants:
        left -= variant["weight"]
        if left < 0:
            break
    return str(variant["name"])
