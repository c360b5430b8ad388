"""When something recurs, as wall times: a cron expression, or a subset of RFC 5545's rules.

Of a rule: FREQ (DAILY, WEEKLY, MONTHLY), INTERVAL, COUNT, UNTIL, BYDAY (`MO,WE`; monthly `1MO`, `-1FR`) and BYMONTHDAY (`15`, `-1`).
The time of day, and what a rule leaves open, are those of the first occurrence. Wall times are ms as if they were UTC's; which instants
they are is said by `local_time`, gaps and repeated hours included.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from cronsim import CronSim, CronSimError

from mbaas.kernel.clock import from_iso
from mbaas_push.campaigns.content import wrong

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BY_DAY = re.compile(r"([+-]?\d)?(MO|TU|WE|TH|FR|SA|SU)")
_KNOWN = frozenset(("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY"))
_UNTIL = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)Z?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST = 20_000
"""How many times a rule's interval is looked at for the next occurrence, or for the one with the number COUNT."""
_LAST = date(3000, 1, 1)
_SHORTEST, _LONGEST = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 28}, {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 31}
"""Days."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that has been read. `days`: (which one of the month, or 0 for all; weekday from 0)."""

    frequency: str
    interval: int = 1
    count: int | None = None
    until: int | None = None
    days: tuple[tuple[int, int], ...] = ()
    month_days: tuple[int, ...] = ()


def check(text: str) -> None:
    """ParseError 142 unless it is a rule, or a cron expression."""
    if _is_rule(text):
        read_rule(text)
        return
    try:
        CronSim(text, datetime(2026, 1, 1))  # noqa: DTZ001
    except CronSimError as error:
        raise wrong(f"repeat: {text[:80]!r} is neither a rule (FREQ=…) nor a cron expression: {error}") from error


def next_wall(text: str, first: int, after: int | None) -> int | None:
    """The occurrence after a wall time (None: the first of all), of what recurs from `first` on; None if there is none any more."""
    begin = first - 1 if after is None else max(after, first - 1)
    if not _is_rule(text):
        found = next(CronSim(text, _naive(begin - begin % 1000)), None)
        return None if found is None else _ms(found)
    rule, start = read_rule(text), _naive(first)
    # Without a number to count to, what has been long before need not be gone through.
    before = 0 if rule.count is not None else (_naive(begin).date() - start.date()).days // (_LONGEST[rule.frequency] * rule.interval) - 1
    for number, moment in enumerate(_occurrences(rule, start, max(0, before))):
        wall = _ms(moment)
        if (rule.count is not None and number >= rule.count) or (rule.until is not None and wall > rule.until):
            return None
        if wall > begin:
            return wall
    return None


def read_rule(text: str) -> Rule:
    """Read a rule. ParseError 142 names what of it is not known here."""
    parts = dict(part.partition("=")[::2] for part in text.upper().removeprefix("RRULE:").split(";") if part)
    if unknown := sorted(set(parts) - _KNOWN):
        raise wrong(f"repeat: {unknown[0]} is none of {', '.join(sorted(_KNOWN))}")
    frequency = parts["FREQ"]
    if frequency not in ("DAILY", "WEEKLY", "MONTHLY"):
        raise wrong("repeat: FREQ is DAILY, WEEKLY or MONTHLY")
    days = [_BY_DAY.fullmatch(part) for part in parts.get("BYDAY", "").split(",") if part]
    found = tuple((int(day[1] or 0), _DAYS.index(day[2])) for day in days if day is not None)
    if len(found) < len(days) or (frequency != "MONTHLY" and any(which for which, _ in found)):
        raise wrong("repeat: BYDAY is MO,WE…; for MONTHLY also 1MO (the first) and -1FR (the last)")
    month_days = tuple(_number(part, "BYMONTHDAY", -31, 31) for part in parts.get("BYMONTHDAY", "").split(",") if part)
    if month_days and (frequency != "MONTHLY" or found):
        raise wrong("repeat: BYMONTHDAY goes with FREQ=MONTHLY, and without BYDAY")
    count = _number(parts["COUNT"], "COUNT", 1, 10_000) if "COUNT" in parts else None
    interval = _number(parts.get("INTERVAL", "1"), "INTERVAL", 1, 1000)
    return Rule(frequency, interval, count, _until(parts["UNTIL"]) if "UNTIL" in parts else None, found, month_days)


def _is_rule(text: str) -> bool:
    return text.upper().startswith(("FREQ=", "RRULE:FREQ="))


def _occurrences(rule: Rule, first: datetime, skip: int) -> Iterator[datetime]:
    for day in _days(rule, first.date(), skip):
        if day >= first.date():
            yield datetime.combine(day, first.timetz())


def _days(rule: Rule, first: date, skip: int) -> Iterator[date]:
    """The days of a rule, without those of its first intervals; some may be before the first day."""
    weekdays = {weekday for _, weekday in rule.days}
    end = (_LAST - first).days // (_SHORTEST[rule.frequency] * rule.interval)
    for step in range(skip, min(skip + _MOST, end)):
        if rule.frequency == "DAILY":
            day = first + timedelta(days=step * rule.interval)
            if not weekdays or day.weekday() in weekdays:
                yield day
        elif rule.frequency == "WEEKLY":
            monday = first - timedelta(days=first.weekday()) + timedelta(weeks=step * rule.interval)
            yield from (monday + timedelta(days=weekday) for weekday in sorted(weekdays or {first.weekday()}))
        else:
            year, month = divmod(first.year * 12 + first.month - 1 + step * rule.interval, 12)
            yield from _of_month(rule, year, month + 1, first.day)


def _of_month(rule: Rule, year: int, month: int, usual: int) -> list[date]:
    length = calendar.monthrange(year, month)[1]
    every = [date(year, month, number) for number in range(1, length + 1)]
    if rule.days:
        found: set[date] = set()
        for which, weekday in rule.days:
            same = [day for day in every if day.weekday() == weekday]
            found.update(same if not which else same[which - 1 : which] if which > 0 else same[len(same) + which : len(same) + which + 1])
        return sorted(found)
    wanted = {number if number > 0 else length + 1 + number for number in rule.month_days or (usual,)}
    return [day for day in every if day.day in wanted]


def _until(text: str) -> int:
    found = _UNTIL.fullmatch(text)
    year, month, day, hour, minute, second = found.groups() if found else ("", "", "", None, None, None)
    at = from_iso(f"{year}-{month}-{day}T{hour or '23'}:{minute or '59'}:{second or '59'}") if found else None
    if at is None:
        raise wrong("repeat: UNTIL is a date, as 20261231 or 20261231T235959")
    return at


def _number(text: str, name: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?\d{1,5}", text) or not least <= int(text) <= most or int(text) == 0:
        raise wrong(f"repeat: {name} is a number from {least} to {most}")
    return int(text)


def _naive(wall: int) -> datetime:
    return (_EPOCH + timedelta(milliseconds=wall)).replace(tzinfo=None)


def _ms(moment: datetime) -> int:
    return (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
