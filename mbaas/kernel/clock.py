"""Time as the server reads it: injected, so that expiry and schedules are tested with a fake clock.

Instants are integers, milliseconds since 1970-01-01T00:00:00Z; on the wire they are ISO 8601 with
milliseconds and `Z`, the one form that Parse sends.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?$")
_FORM = len("2026-01-31T09:05:00.123Z")


class Clock(Protocol):
    """The source of now."""

    def now(self) -> int:
        """Milliseconds since the epoch."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


@lru_cache(maxsize=1024)
def iso(ms: int) -> str:
    """`2026-01-31T09:05:00.123Z` for milliseconds since the epoch."""
    seconds, millis = divmod(ms, 1000)
    return f"{_to_the_second(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"


def from_iso(text: str) -> int | None:
    """Milliseconds since the epoch for an ISO 8601 date or date-time, or None if it is not one.

    A time without an offset is UTC; digits beyond milliseconds are cut, as JavaScript's `Date` does.
    """
    if len(text) == _FORM and text[10] == "T" and text[19] == "." and text[23] == "Z":
        # The form in which all is stored, in less than half the time; what else it may be is looked at below.
        with suppress(ValueError):
            return _since_epoch(datetime.fromisoformat(text))
    found = _ISO.match(text)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
    except ValueError:
        return None
    if zone and zone != "Z":
        sign = 1 if zone[0] == "+" else -1
        digits = zone[1:].replace(":", "")
        try:
            moment -= sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        except OverflowError:
            return None
    millis = int(((fraction or "") + "000")[:3])
    return _since_epoch(moment) + millis


def _since_epoch(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
