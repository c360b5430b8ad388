"""What would become of a campaign if it were begun now: how many people, when and in which zones, how many held back and why.

It is a rehearsal that keeps no recipient: of an audience that is larger than what may be looked at, the first part is, and that is said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mbaas.kernel.clock import iso
from mbaas.kernel.values import Object
from mbaas_push.campaigns import segments
from mbaas_push.campaigns.campaigns import Campaigns
from mbaas_push.campaigns.rehearsal import Rehearsed, rehearse
from mbaas_push.campaigns.store import Kept

MOST = 100_000
"""How many are looked at: some seconds' work."""


@dataclass(slots=True)
class Forecast:
    """Counts of those who were looked at, as it was `now`. `due`: by instant (ms, 0 for at once) and zone."""

    now: int
    audience: int
    looked: int = 0
    suppressed: Counter[str] = field(default_factory=Counter)
    due: dict[int, Counter[str]] = field(default_factory=dict)
    variants: Counter[str] = field(default_factory=Counter)
    locales: Counter[str] = field(default_factory=Counter)
    platforms: Counter[str] = field(default_factory=Counter)
    people: set[str] = field(default_factory=set)

    def add(self, one: Rehearsed) -> None:
        """Count one."""
        recipient = one.recipient
        self.looked += 1
        if one.data is None:
            self.suppressed[recipient.reason] += 1
            return
        due = recipient.due if recipient.due > self.now else 0
        self.due.setdefault(due, Counter())[recipient.zone] += 1
        self.variants[recipient.variant] += 1
        self.locales[recipient.locale] += 1
        self.platforms[recipient.told()["platform"]] += 1
        self.people.add(recipient.subject)

    def told(self) -> Object:
        """`sends` are devices, `people` whose they are; a `timeline` of instants (null: at once), each with its zones."""
        timeline = [
            {"at": iso(at) if at else None, "devices": sum(zones.values()), "zones": dict(zones.most_common())}
            for at, zones in sorted(self.due.items())
        ]
        named = {"variants": self.variants, "locales": self.locales, "platforms": self.platforms, "suppressed": self.suppressed}
        told: Object = {name: dict(sorted(counts.items())) for name, counts in named.items()}
        sends = self.looked - sum(self.suppressed.values())
        return {**told, "audience": self.audience, "looked": self.looked, "sends": sends, "people": len(self.people), "timeline": timeline}


async def forecast(campaigns: Campaigns, definition: Object, campaign_id: str = "", most: int = MOST) -> Forecast:
    """Of a definition that was checked, whether or not it is kept; by the campaign's id people have their variants."""
    app, now = campaigns.app, campaigns.app.clock.now()
    found = Forecast(now, await segments.size(app, definition["audience"], now))
    async for one in rehearse(campaigns, Kept(campaign_id, {"definition": definition, "version": 0})):
        found.add(one)
        if found.looked >= most:
            break
    return found
