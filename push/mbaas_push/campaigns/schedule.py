"""When a campaign is sent: now, at a time, at each device's own time of day, once or again and again.

    {"at": "now"}                                                          as soon as it is scheduled
    {"at": "2026-02-01T09:00:00Z"}                                         at an instant
    {"at": "2026-02-01T09:00:00", "zone": "Europe/Paris"}                  when the clocks of a zone show it
    {"at": "2026-02-01T09:00:00", "local": true, "past": "next_day"}       when each device's clock does
    {"at": …, "repeat": "FREQ=WEEKLY;BYDAY=MO" or "0 9 * * 1", "times": 4, "until": "2026-12-31"}

`past` says what becomes, of a local time, of devices where it has passed already: `skip`, `send` or `next_day`. `late` is how late it may
be begun at all, after the server was down or the campaign paused: five minutes unless given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mbaas.kernel.clock import from_iso
from mbaas.kernel.values import Json, Object
from mbaas_push import local_time
from mbaas_push.campaigns import recurrence
from mbaas_push.campaigns.content import wrong

_KNOWN = frozenset(("at", "zone", "local", "past", "late", "repeat", "times", "until"))
_ZONED = re.compile(r".+(Z|[+-]\d\d:?\d\d)")
_DURATION = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_YEARS = range(1970, 3000)
"""Those that a schedule may name. Beyond them there are times that no clock can show."""
_LATEST_MS = 12 * 3_600_000
"""How much later than UTC's the last zone's clocks show a time."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that was checked. `first` and `until` are wall times in ms; `first` None: as soon as it is scheduled."""

    first: int | None
    zone: str
    local: bool
    past: str
    late_ms: int
    repeat: str | None
    times: int | None
    until: int | None

    @classmethod
    def of(cls, kept: Object) -> Schedule:
        """That of a definition."""
        at, late = kept["at"], kept.get("late", "5m")
        until = kept.get("until")
        return cls(
            None if at == "now" else from_iso(at),
            kept.get("zone", "UTC"),
            kept.get("local", False),
            kept.get("past", "skip"),
            duration_ms(late, "late"),
            kept.get("repeat"),
            kept.get("times"),
            None if until is None else _end(until),
        )

    def begun(self, now: int) -> int:
        """The wall time from which it recurs, of what is scheduled now."""
        return now if self.first is None else self.first

    def following(self, first: int, after: int | None, done: int) -> int | None:
        """The occurrence after a wall time, of which so many have been; None if it was the last."""
        if self.times is not None and done >= self.times:
            return None
        if self.repeat is None:
            return first if after is None else None
        found = recurrence.next_wall(self.repeat, first, after)
        return None if found is None or (self.until is not None and found > self.until) else found

    def upcoming(self, first: int, now: int, launched: int | None = None) -> int | None:
        """The first occurrence that it is not too late for; None if there is none. Of what recurs none up to the one that was `launched`
        last: who edits it and has it scheduled anew within the time that it may be late does not have it sent a second time."""
        if self.repeat is None:
            return None if self.missed(first, now) else first
        # All that the clocks showed before this has been missed. What is after may have been, too, in an hour that they show twice.
        since = now - self.late_ms
        wall = self.following(first, (since - _LATEST_MS if self.local else local_time.wall(since - 1, self.zone)) - 1, 0)
        while wall is not None and (self.missed(wall, now) or (launched is not None and self.due(wall) <= launched)):
            wall = self.following(first, wall, 0)
        return wall

    def due(self, wall: int) -> int:
        """The instant at which the devices of an occurrence are to be found: for local time, when the first clocks show it."""
        return wall - local_time.EARLIEST_MS if self.local else local_time.instant(wall, self.zone)

    def missed(self, wall: int, now: int) -> bool:
        """True if it is too late to begin."""
        return now > (wall + _LATEST_MS if self.local else self.due(wall)) + self.late_ms


def check(given: Json) -> Object:
    """A schedule as it is kept. ParseError 142 says what of it cannot be."""
    if not isinstance(given, dict) or not set(given) <= _KNOWN:
        raise wrong(f"schedule is an object of {', '.join(sorted(_KNOWN))}")
    kept = dict(given)
    at, local, zone = given.get("at"), given.get("local", False), given.get("zone")
    if not isinstance(at, str) or (at != "now" and not _is_time(at)):
        raise wrong('schedule.at is "now" or a time, as 2026-02-01T09:00:00 or 2026-02-01T09:00:00Z')
    if not isinstance(local, bool) or (zone is not None and not local_time.known(zone)):
        raise wrong("schedule.local is true or false; schedule.zone is the name of a time zone, as Europe/Paris")
    zoned = at == "now" or _ZONED.fullmatch(at) is not None
    if zoned == (local or zone is not None):
        raise wrong("schedule: a time with Z or an offset is an instant; one without needs zone, or local: true, and not both")
    if local and zone is not None:
        raise wrong("schedule: local is each device's own zone; zone is one for all")
    if given.get("past", "skip") not in ("skip", "send", "next_day"):
        raise wrong("schedule.past is skip, send or next_day")
    duration_ms(given.get("late", "5m"), "schedule.late")
    _check_repeat(given)
    return kept


def _check_repeat(given: Object) -> None:
    repeat, times, until = given.get("repeat"), given.get("times"), given.get("until")
    if repeat is None and (times is not None or until is not None):
        raise wrong("schedule: times and until are for what repeats")
    if repeat is not None:
        if not isinstance(repeat, str) or given["at"] == "now":
            raise wrong("schedule.repeat is a rule or a cron expression, and begins at a time")
        recurrence.check(repeat)
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or not 0 < times <= 10_000):
        raise wrong("schedule.times is a number from 1 to 10000")
    if until is not None and not _is_time(until):
        raise wrong("schedule.until is a date")


def _is_time(given: Json) -> bool:
    return isinstance(given, str) and from_iso(given) is not None and int(given[:4]) in _YEARS


def duration_ms(given: Json, name: str) -> int:
    """Milliseconds of `90s`, `5m`, `4h`, `7d`. ParseError 142."""
    found = _DURATION.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise wrong(f"{name} is a duration, as 5m or 4h")
    return int(found[1]) * _MS[found[2]]


def _end(text: str) -> int | None:
    """A wall time; of a date its end."""
    at = from_iso(text)
    return at if at is None or len(text) > len("2026-12-31") else at + 86_400_000 - 1
