"""Something that happened, and the push that a play makes of it, as runs hold it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from mbaas.kernel.values import Object
from mbaas_push.campaigns.schedule import duration_ms
from mbaas_push.moments.definition import said
from mbaas_push.moments.rules import Live

_OF_DEFINITION = ("category", "control", "quietHours", "caps", "perSecond", "zone")


@dataclass(frozen=True, slots=True)
class Fire:
    """One thing that happened, at `at`.

    `where` is the query of the installations that it is about, `single` says that these are one person's, who is `subject` where she is
    known. `plays` are the ids of those that it sets off, and `cancels` of those that it takes back from many.
    """

    id: str
    name: str
    at: int
    where: Object
    single: bool
    subject: str
    plays: list[str]
    props: Object = field(default_factory=dict)
    cancels: list[str] = field(default_factory=list)

    def stored(self) -> Object:
        """As a task holds it."""
        return asdict(self)


def run_of(play_id: str, fire_id: str) -> str:
    """The run of a play for something that happened: those of a play lie side by side."""
    return f"{play_id}_{fire_id}"


def push_of(play: Live, fire: Fire, now: int) -> Object:
    """The push of such a run."""
    definition = play.definition
    campaign: Object = {"id": play.id, "version": play.kept.value["version"], "variants": said(definition)}
    campaign |= {name: definition[name] for name in _OF_DEFINITION if name in definition}
    if "cooldown" in definition:
        campaign["cooldown"] = duration_ms(definition["cooldown"], "cooldown")
    return {
        "where": fire.where,
        "data": {},
        "at": None,
        "local": False,
        "expires": fire.at + play.worth.lasts,
        "lasts": None,
        "asked": now,
        "occurred": fire.at,
        "pushTime": None,
        "lane": "moment",
        "campaign": campaign,
    }
