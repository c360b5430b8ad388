"""Hours of the day in which a device is not disturbed, by its own clock: what is due in them waits until they are over, or is not sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mbaas.kernel.values import Json, Object
from mbaas_push import local_time
from mbaas_push.campaigns.content import wrong

_DAY_MS = 86_400_000
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From and to in ms of the day; `to` before `since` is on the next day."""

    since: int
    to: int
    then: Literal["hold", "skip"]

    @classmethod
    def of(cls, kept: Object | None) -> QuietHours | None:
        """Those of a definition that was checked."""
        return None if kept is None else cls(_of_day(kept["from"]), _of_day(kept["to"]), kept.get("then", "hold"))

    def over(self, moment: int, zone: str) -> int:
        """When the device may be disturbed: the moment itself, or the end of the hours that it is in."""
        wall = local_time.wall(moment, zone)
        day, time = wall - wall % _DAY_MS, wall % _DAY_MS
        if self.since <= self.to:
            quiet, end = self.since <= time < self.to, day + self.to
        else:
            quiet, end = time >= self.since or time < self.to, day + self.to + (_DAY_MS if time >= self.since else 0)
        return max(local_time.instant(end, zone), moment) if quiet else moment


def check(given: Json) -> Object:
    """Quiet hours as they are kept: `{"from": "22:00", "to": "08:00", "then": "hold" | "skip"}`. ParseError 142."""
    known = isinstance(given, dict) and set(given) <= {"from", "to", "then"} and given.get("then", "hold") in ("hold", "skip")
    if not known or not all(isinstance(given.get(name), str) and _TIME.fullmatch(given[name]) for name in ("from", "to")):
        raise wrong('quietHours is {"from": "22:00", "to": "08:00", "then": "hold"}, or "skip"')
    if given["from"] == given["to"]:
        raise wrong("quietHours has an end that is not its beginning")
    return dict(given)


def _of_day(text: str) -> int:
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000
