"""When something is due, worked out the long way: minute by minute, and day by day. What schedules are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def ms(text: str) -> int:
    """Of `2026-03-29T02:30`, as if it were UTC's."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def text(wall: int) -> str:
    """Back again."""
    return (_EPOCH + timedelta(milliseconds=wall)).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def due(wall: int, zone: str) -> int:
    """The first minute in which the zone's clocks show that time, or a later one since they leave it out."""
    clock = ZoneInfo(zone)
    for moment in range(wall - 16 * HOUR, wall + 40 * HOUR, MINUTE):
        shown = (_EPOCH + timedelta(milliseconds=moment)).astimezone(clock).replace(tzinfo=UTC)
        if (shown - _EPOCH) // timedelta(milliseconds=1) >= wall:
            return moment
    raise AssertionError(f"{zone} has no {text(wall)}")


@dataclass(frozen=True)
class Plan:
    """A schedule, and what of it the long way needs. `repeat`: none, every so many days, on weekdays, or a cron expression's time."""

    zone: str
    first: int
    local: bool = False
    every: int = 0
    weekdays: frozenset[int] = frozenset()
    cron: bool = False
    times: int | None = None
    late: tuple[str, int] = ("5m", 5 * MINUTE)

    def given(self) -> dict[str, object]:
        """As a campaign has it."""
        where: dict[str, object] = {"local": True} if self.local else {"zone": self.zone}
        told: dict[str, object] = {"at": text(self.first), **where, "late": self.late[0]}
        if self.cron:
            moment = datetime.fromisoformat(text(self.first))
            told["repeat"] = f"{moment.minute} {moment.hour} * * *"
        elif self.weekdays:
            told["repeat"] = f"FREQ=WEEKLY;BYDAY={','.join(DAYS[day] for day in sorted(self.weekdays))}"
        elif self.every:
            told["repeat"] = f"FREQ=DAILY;INTERVAL={self.every}"
        return told | ({"times": self.times} if self.times and self.repeats else {})

    @property
    def repeats(self) -> bool:
        return bool(self.cron or self.weekdays or self.every)

    def occurrences(self) -> Iterator[int]:
        """Wall times in their order, for some months."""
        if not self.repeats:
            yield self.first
            return
        for day in range(200):
            wall = self.first + day * DAY
            weekday = datetime.fromisoformat(text(wall)).weekday()
            if (self.weekdays and weekday in self.weekdays) or self.cron or (self.every and day % self.every == 0):
                yield wall

    def after(self, wall: int) -> int | None:
        return next((each for each in self.occurrences() if each > wall), None)

    def due(self, wall: int) -> int:
        """When it is launched: for local time when the first clocks on earth show it."""
        return wall - 14 * HOUR if self.local else due(wall, self.zone)

    def missed(self, wall: int, now: int) -> bool:
        return now > (wall + 12 * HOUR if self.local else self.due(wall)) + self.late[1]


@dataclass
class Timetable:
    """What is to have become of a campaign: its occurrences that were launched, and that were missed, and which one is next."""

    plan: Plan
    next: int | None = None
    done: int = 0
    launched: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    last: int | None = None
    """When the last one that was launched was due, whatever the plan was."""
    sent: int = 0
    """Since it was scheduled."""

    def schedule(self, now: int) -> bool:
        """False if there is nothing left."""
        self.next, self.done, self.sent = None, 0, 0
        for wall in self.plan.occurrences():
            again = self.plan.repeats and self.last is not None and self.plan.due(wall) <= self.last
            if not again and not self.plan.missed(wall, now):
                self.next = wall
                return True
        return False

    def pass_to(self, now: int) -> None:
        """Everything that is due by now, in a campaign that is scheduled."""
        while self.next is not None and self.plan.due(self.next) <= now:
            if self.plan.missed(self.next, now):
                self.missed.append(self.next)
            else:
                self.launched.append(self.next)
                self.last = self.plan.due(self.next)
                self.sent += 1
            self.done += 1
            over = not self.plan.repeats or (self.plan.times is not None and self.done >= self.plan.times)
            self.next = None if over else self.plan.after(self.next)
