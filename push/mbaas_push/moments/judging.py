"""From something that happened to deliveries: which plays fit whom, what each would be worth to her, and which one she is sent.

Everybody whom a play fits has a row, also who is sent nothing, with the reason. Of several plays for one person the one that is worth
most is sent; the others are `outranked`. A row is sent only while the push is worth something: `until` then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER
from mbaas.kernel.values import Object
from mbaas_push.campaigns.recipients import Recipient, Recipients, subject_of
from mbaas_push.deliveries import Delivery
from mbaas_push.events import user_of
from mbaas_push.moments.definition import FALLBACK
from mbaas_push.moments.gate import PlayGate
from mbaas_push.moments.offers import Offer, Offers
from mbaas_push.moments.push import Fire, push_of, run_of
from mbaas_push.moments.rules import Live

_OF_OFFER = "missing_field"


@dataclass(slots=True)
class Bid:
    """What a play has for one person: her devices, what it is worth now, and why she is not sent it, empty if she may be."""

    play: Live
    subject: str
    recipients: list[Recipient]
    amount: float
    reason: str = ""
    detail: str = ""
    offers: list[Offer] = field(default_factory=list)
    best: Offer | None = None

    @property
    def open(self) -> bool:
        """True if she may still be sent it."""
        return not self.reason and any(not recipient.reason for recipient in self.recipients)


class Judging:
    """Decides about one thing that happened."""

    def __init__(self, app: App, fire: Fire, plays: Sequence[Live], offers: Offers) -> None:
        self._app, self._fire, self._plays, self._offers = app, fire, plays, offers

    async def page(self, installations: Sequence[Object]) -> dict[str, list[Delivery]]:
        """The rows of some installations, by play. All devices of a person, who is to be sent one play, are among them, or the plays
        that ask nothing of functions find the same for each."""
        found: dict[str, list[Delivery]] = {}
        for bid in await self.judged(installations):
            found.setdefault(bid.play.id, []).extend(self._deliveries(bid))
        return found

    async def judged(self, installations: Sequence[Object]) -> list[Bid]:
        """What each play has for each person whom it fits, and what becomes of it."""
        users = await self._users(installations)
        bids: list[Bid] = []
        for play in self._plays:
            fitting = [one for one in installations if self._fits(play, one, users.get(user_of(one)))]
            bids += await self._bids(play, fitting, users)
        _arbitrate(bids, self._elapsed())
        for bid in bids:
            self._settle(bid)
        return bids

    def _elapsed(self) -> int:
        return self._app.clock.now() - self._fire.at

    async def _users(self, installations: Sequence[Object]) -> dict[str, Object]:
        """The users whom plays ask about. Those whose fields a text shows are read where it is filled in."""
        if not any(play.fits_user is not None or play.definition["functions"] for play in self._plays):
            return {}
        ids = sorted({user for one in installations if (user := user_of(one))})
        found = await find_objects(self._app, MASTER, "_User", FindOptions(where={"objectId": {"$in": ids}}, limit=len(ids))) if ids else []
        return {user["objectId"]: user for user in found}

    def _fits(self, play: Live, installation: Object, user: Object | None) -> bool:
        if play.fits_user is not None and (user is None or not play.fits_user(user)):
            return False
        return play.fits_installation(installation)

    async def _bids(self, play: Live, installations: Sequence[Object], users: dict[str, Object]) -> list[Bid]:
        push = push_of(play, self._fire, self._app.clock.now())
        moment = {"moment": self._fire.props}
        subjects = {subject_of(one) for one in installations}
        recipients = await Recipients(self._app, push).of(installations, dict.fromkeys(subjects, moment))
        bids = [Bid(play, subject, each, play.worth.amount) for subject, each in _by_subject(recipients).items()]
        if self._elapsed() >= play.worth.lasts:
            for bid in bids:
                bid.reason = "expired"
            return bids
        gate = PlayGate(self._app, run_of(play.id, self._fire.id), push)
        asks = bool(play.definition["functions"])
        wanted = [bid for bid in bids if bid.open or (asks and any(one.reason == _OF_OFFER for one in bid.recipients))]
        for bid, reason in zip(wanted, await asyncio.gather(*(gate.why_not(bid.subject) for bid in wanted)), strict=True):
            bid.reason = reason
        if asks:
            await asyncio.gather(*(self._ask(bid, push, users) for bid in wanted if not bid.reason))
        for bid in wanted:
            if not bid.reason and play.worth.useful(bid.amount) <= self._elapsed():
                bid.reason = "min_value" if self._elapsed() < play.worth.lasts else "expired"
        return bids

    async def _ask(self, bid: Bid, push: Object, users: dict[str, Object]) -> None:
        """Have functions make offers for somebody; the best one fills the texts."""
        definition, first = bid.play.definition, bid.recipients[0].installation
        moment: Object = {"moment": self._fire.props}
        roots = {"user": users.get(user_of(first), {}), "installation": first, **moment}
        bid.offers = await self._offers.ask(definition["functions"], user_of(first), roots)
        answered = [offer for offer in bid.offers if offer.how == "answered"]
        if answered:
            bid.best = max(answered, key=lambda offer: bid.amount if offer.worth is None else offer.worth)
            bid.amount = bid.amount if bid.best.worth is None else bid.best.worth
            beside = {bid.subject: {**moment, "offer": bid.best.reply or {}}}
        elif definition["onTimeout"] == FALLBACK:
            said = [variant for variant in push["campaign"]["variants"] if variant["name"] == FALLBACK]
            push, beside = {**push, "campaign": {**push["campaign"], "variants": said}}, {bid.subject: moment}
        else:
            bid.reason = "function_timeout" if any(offer.how == "timeout" for offer in bid.offers) else "function_failed"
            return
        bid.recipients = await Recipients(self._app, push).of([one.installation for one in bid.recipients], beside)

    def _settle(self, bid: Bid) -> None:
        """Say of each device why it is not sent what its person is not."""
        late = self._fire.at + bid.play.worth.useful(bid.amount)
        for recipient in bid.recipients:
            if not recipient.reason or (bid.reason and recipient.reason == _OF_OFFER and bid.play.definition["functions"]):
                recipient.reason, recipient.detail = bid.reason, bid.detail
            if not recipient.reason and recipient.due >= late:
                recipient.reason = "quiet_hours"

    def _deliveries(self, bid: Bid) -> list[Delivery]:
        found: list[Delivery] = []
        worth, at = bid.play.worth, self._fire.at
        useful = worth.useful(bid.amount)
        # Of what came too late it is told what it would have been worth.
        share = 1.0 if bid.reason in ("expired", "min_value") else worth.share(self._elapsed())
        more: Object = {"occurred": at, "until": at + useful, "worth": round(bid.amount * share, 6)}
        if useful < worth.lasts:
            more["late"] = "min_value"
        if bid.best is not None:
            more["partner"] = bid.best.name
        if bid.offers:
            more["offers"] = {offer.name: offer.how for offer in bid.offers}
        for recipient in bid.recipients:
            delivery = recipient.delivery(run_of(bid.play.id, self._fire.id))
            delivery.value |= more
            found.append(delivery)
        return found


def _by_subject(recipients: Iterable[Recipient]) -> dict[str, list[Recipient]]:
    found: dict[str, list[Recipient]] = {}
    for recipient in recipients:
        found.setdefault(recipient.subject, []).append(recipient)
    return found


def _arbitrate(bids: Iterable[Bid], elapsed: int) -> None:
    """Leave each person the play that is worth most to her now; of several such the one whose id comes first."""
    best: dict[str, Bid] = {}
    rivals = sorted((bid for bid in bids if bid.open), key=lambda bid: (-bid.amount * bid.play.worth.share(elapsed), bid.play.id))
    for bid in rivals:
        winner = best.setdefault(bid.subject, bid)
        if winner is not bid:
            bid.reason, bid.detail = "outranked", winner.play.id
