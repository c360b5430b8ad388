"""Before a campaign is sent: how many it is for, what each of them would be sent or why not, and a copy to one's own phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, pointer
from mbaas_push.addresses import address_of
from mbaas_push.campaigns import content, definition, segments
from mbaas_push.campaigns.campaigns import Campaigns
from mbaas_push.campaigns.caps import Caps
from mbaas_push.campaigns.content import wrong
from mbaas_push.campaigns.launching import push_of
from mbaas_push.campaigns.recipients import Recipient, Recipients
from mbaas_push.campaigns.schedule import Schedule
from mbaas_push.campaigns.store import Kept, Store
from mbaas_push.events import user_of
from mbaas_push.runs import Runs

_MOST_TESTED = 20


@dataclass(slots=True)
class Rehearsed:
    """One of the audience: what she would be sent, None if nothing."""

    recipient: Recipient
    data: Object | None

    def told(self) -> Object:
        """With its size in bytes for the provider that it would go to."""
        told = self.recipient.told()
        if self.data is None or self.recipient.address is None:
            return told
        provider = self.recipient.address.provider
        return {**told, "data": self.data, "provider": provider, "bytes": content.sizes(self.data)[provider]}


async def preview(campaigns: Campaigns, given: Object, sample: int) -> Object:
    """How many installations an audience has now, and some of them: `{"size", "sample"}`."""
    if set(given) != {"audience"}:
        raise wrong("a preview is of an audience")
    app, audience = campaigns.app, segments.shape(given["audience"])
    segments.check(app, audience)
    now, found = app.clock.now(), list[Object]()
    async for page in segments.pages(app, audience, now):
        found += page[: sample - len(found)]
        if len(found) >= sample:
            break
    shown = [
        {
            "installation": each["objectId"],
            "user": user_of(each) or None,
            **{name: each.get(name) for name in ("deviceType", "localeIdentifier", "timeZone", "appVersion")},
            "reachable": address_of(each) is not None,
        }
        for each in found
    ]
    return {"size": await segments.size(app, audience, now), "sample": shown}


async def rehearse(campaigns: Campaigns, campaign: Kept) -> AsyncIterator[Rehearsed]:
    """Everybody in the audience as it is now, as if the campaign were begun at its time, or now if it has none.

    ParseError 119 for one that shows what not everybody is shown: whoever reads this has written no more than its text.
    """
    app, now = campaigns.app, campaigns.app.clock.now()
    definition.check_shown(app, campaign.definition)
    schedule = Schedule.of(campaign.definition["schedule"])
    first = schedule.begun(now)
    wall = schedule.upcoming(first, now) or first
    at = None if schedule.first is None else wall if schedule.local else schedule.due(wall)
    asked = max(now, schedule.due(wall))
    push = push_of(campaign, asked, at, local=schedule.local)
    recipients, told = Recipients(app, push), push["campaign"]
    everything = content.Said(told["variants"])
    caps = Caps(app, told["category"], tuple(told.get("caps", ())))
    async for page in segments.pages(app, told["audience"], now):
        for recipient in await recipients.of(page):
            if not recipient.reason and caps.limits and await caps.full(recipient.subject, "", asked):
                recipient.reason = "capped"
            said = None if recipient.reason else everything.data(recipient.variant, recipient.locale, recipient.values)
            yield Rehearsed(recipient, said)


async def dry_run(campaigns: Campaigns, campaign: Kept, limit: int) -> Object:
    """Counts of everybody, and up to so many of those who would be sent it and of those who would not, with the reasons."""
    reasons: dict[str, int] = {}
    rendered: list[Object] = []
    suppressions: list[Object] = []
    audience = 0
    async for one in rehearse(campaigns, campaign):
        audience += 1
        listed = rendered if one.data is not None else suppressions
        if len(listed) < limit:
            listed.append(one.told())
        if one.data is None:
            reasons[one.recipient.reason] = reasons.get(one.recipient.reason, 0) + 1
    sends = audience - sum(reasons.values())
    return {"audience": audience, "sends": sends, "suppressed": reasons, "rendered": rendered, "suppressions": suppressions}


async def send_test(campaigns: Campaigns, campaign: Kept, given: Object) -> str:
    """Send it to some devices now, whatever holds them back otherwise, and without counting it; the id of the run.

    `installations` and `users` are ids; `variant` and `locale` say which of its contents: the first one, in the device's language.
    """
    app = campaigns.app
    definition.check_shown(app, campaign.definition)
    test = Test.of(given, campaign.definition["variants"])
    push = push_of(campaign, app.clock.now(), None, **test.marks)
    return await test.send(app, campaigns.runs, campaigns.store, campaign, push)


@dataclass(frozen=True, slots=True)
class Test:
    """A copy to some devices: which, of which content."""

    where: Object
    variant: str
    locale: str | None

    @classmethod
    def of(cls, given: Object, said: list[Object], *more: str) -> Test:
        """As it is asked for; `more` may be in it besides. 142 for what cannot be."""
        where = _named(given, *more)
        variants = {variant["name"]: variant["content"] for variant in said}
        variant, locale = given.get("variant", next(iter(variants))), given.get("locale")
        if not isinstance(variant, str) or variant not in variants:
            raise wrong(f"variant is one of {', '.join(variants)}")
        if locale is not None and locale not in (content.DEFAULT, *variants[variant].get("locales", {})):
            raise wrong("locale is one of the content's")
        return cls(where, variant, locale)

    @property
    def marks(self) -> Object:
        """What its push is marked with."""
        return {"test": True, "variant": self.variant, "locale": self.locale}

    async def send(self, app: App, runs: Runs, store: Store, kept: Kept, push: Object) -> str:
        """Have it sent; the id of the run. 101 for devices that nobody knows, 142 for too many."""
        found = await find_objects(app, MASTER, segments.CLASS, FindOptions(where=self.where, limit=_MOST_TESTED + 1))
        if not found or len(found) > _MOST_TESTED:
            text = "None of them is a device that is known." if not found else f"A test goes to {_MOST_TESTED} devices at most."
            raise ParseError(Code.OBJECT_NOT_FOUND if not found else Code.VALIDATION_ERROR, text)
        run = app.ids.object_id()
        push["campaign"]["audience"] = push["where"] = {"where": self.where}
        await app.store.documents.commit([store.note_run(kept, run, test=True), runs.launch(run, push)])
        runs.wake()
        return run


def _named(given: Object, *more: str) -> Object:
    """The query of the devices that a test names."""
    if unknown := sorted(set(given) - {"installations", "users", "variant", "locale", *more}):
        raise wrong(f"a test has no {unknown[0][:40]}")
    installations, users = given.get("installations", []), given.get("users", [])
    for ids in (installations, users):
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise wrong("installations and users are lists of ids")
    if not installations and not users:
        raise wrong("a test names installations or users")
    pointed: Json = {"$in": [pointer("_User", user) for user in users]}
    return {"$or": [{"objectId": {"$in": installations}}, {"user": pointed}]}
