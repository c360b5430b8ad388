"""Before a play is live: what would be sent if something happened, to whom, and why not; and a copy to one's own phone.

A dry run decides as the real thing does, and takes no turn, no place of a cap and no answer of a function that it was not told to ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import iso
from mbaas.kernel.values import Json, Object, is_number
from mbaas_push.campaigns import content
from mbaas_push.campaigns.content import wrong
from mbaas_push.campaigns.recipients import Recipient, Recipients
from mbaas_push.campaigns.rehearsal import Rehearsed, Test
from mbaas_push.campaigns.segments import CLASS, after
from mbaas_push.campaigns.store import Kept
from mbaas_push.moments import definition
from mbaas_push.moments.definition import FALLBACK, said
from mbaas_push.moments.judging import Bid, Judging
from mbaas_push.moments.moments import Moments
from mbaas_push.moments.offers import Offer, Offers
from mbaas_push.moments.push import Fire, push_of
from mbaas_push.moments.rules import Live
from mbaas_push.runs import Runs


class _Supposed(Offers):
    """Answers for the functions of one play, without asking them; those of others have not answered in time."""

    def __init__(self, app: App, functions: list[Object], reply: Object | None) -> None:
        super().__init__(app)
        self._functions, self._reply = functions, reply

    async def ask(self, functions: list[Object], user_id: str, roots: Mapping[str, Object]) -> list[Offer]:
        if functions is not self._functions or self._reply is None:
            return [Offer(function["name"], "timeout") for function in functions]
        worth = self._reply.get(functions[0].get("worth", ""))
        return [Offer(functions[0]["name"], "answered", self._reply, float(worth) if is_number(worth) else None)]


async def dry_run(app: App, room: Moments, play: Kept, given: Object, limit: int) -> Object:
    """What would be sent for an event, `{subject, occurredAt?, props?}`, and why not, of up to so many devices each.

    `offer` is what a function would have answered; with `"ask": true` they are asked.
    """
    # What may be asked and shown may have changed since it was written: nobody reads here what it would no longer be started with.
    definition.check(app, play.definition)
    live, offer = Live.of(app, play), _offer(given)
    if not isinstance(given.get("ask", False), bool):
        raise wrong("ask is true or false")
    fire = await room.firing.supposed(live, {name: value for name, value in given.items() if name not in ("offer", "ask")})
    offers = Offers(app) if given.get("ask") else _Supposed(app, live.definition["functions"], offer)
    every = {**await room.rules.live(), play.id: live}
    judging = Judging(app, fire, [every[each] for each in fire.plays], offers)
    reasons: Counter[str] = Counter()
    rendered: list[Object] = []
    suppressions: list[Object] = []
    devices = 0
    async for one, bid in _each(app, live, fire, judging):
        devices += 1
        listed = rendered if one.data is not None else suppressions
        if len(listed) < limit:
            listed.append(_told(app, one, bid))
        if one.data is None:
            reasons[one.recipient.reason] += 1
    sends = devices - reasons.total()
    told: Object = {"state": play.state, "fits": live.fits_props(fire.props), "devices": devices, "sends": sends}
    return {**told, "suppressed": dict(reasons), "rendered": rendered, "suppressions": suppressions}


async def send_test(app: App, room: Moments, runs: Runs, play: Kept, given: Object) -> str:
    """Send it to some devices now, whatever holds them back otherwise, and without counting it; the id of the run.

    Besides what a campaign's test has there are `props` and `offer`, which its texts show; `variant` may be `fallback`.
    """
    definition.check(app, play.definition)
    props, offer = given.get("props", {}), _offer(given)
    if not isinstance(props, dict):
        raise wrong("props is an object")
    # A test is of what is said with an offer, unless it says otherwise: the fallback, which is first where there is one, comes last.
    spoken = sorted(said(play.definition), key=lambda variant: variant["name"] == FALLBACK)
    test = Test.of(given, spoken, "props", "offer")
    now, live = app.clock.now(), Live.of(app, play)
    fire = Fire("test", "test", now, {}, False, "", [play.id], props)
    push = {**push_of(live, fire, now), "interval": None}
    # It waits with campaigns: moments are not to wait for it.
    del push["lane"]
    push["campaign"] |= {**test.marks, "kind": "play", "beside": {"moment": props, "offer": offer or {}}}
    return await test.send(app, runs, room.plays.store, play, push)


async def _each(app: App, play: Live, fire: Fire, judging: Judging) -> AsyncIterator[tuple[Rehearsed, Bid | None]]:
    """The devices of an event, in the order of their ids."""
    cursor, spoken = "", content.Said(said(play.definition))
    fits = play.fits_props(fire.props)
    while page := await find_objects(app, MASTER, CLASS, after(fire.where, cursor)):
        cursor = page[-1]["objectId"]
        # Of what does not set it off no function is asked.
        bids = [bid for bid in await judging.judged(page) if bid.play is play] if fits else []
        whose = {one.installation["objectId"]: (one, bid) for bid in bids for one in bid.recipients}
        for one in await _all(app, play, fire, page):
            recipient, bid = whose.get(one.installation["objectId"], (one, None))
            if bid is None:
                recipient.reason, recipient.detail = "audience" if fits else "filter", ""
            data = None if recipient.reason else spoken.data(recipient.variant, recipient.locale, recipient.values)
            yield Rehearsed(recipient, data), bid


async def _all(app: App, play: Live, fire: Fire, page: Sequence[Object]) -> list[Recipient]:
    """Everybody of a page, also whom the play does not fit."""
    return await Recipients(app, push_of(play, fire, app.clock.now())).of(page)


def _told(app: App, one: Rehearsed, bid: Bid | None) -> Object:
    told = one.told()
    if one.data is None or bid is None:
        return told
    told["due"] = iso(max(one.recipient.due, app.clock.now()))
    return told | ({"partner": bid.best.name} if bid.best is not None else {})


def _offer(given: Object) -> Object | None:
    offer: Json = given.get("offer")
    if offer is not None and not isinstance(offer, dict):
        raise wrong("offer is an object, as a function answers it")
    return offer
