"""Wall time in time zones: the instant at which clocks of a zone show a time.

A time that a zone's clocks leave out is the first instant after the gap; of one that they show twice it is the first.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mbaas.kernel.values import Json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
EARLIEST_MS = 14 * 3_600_000
"""How much earlier than UTC's the first zone's clocks show a time."""


@lru_cache(maxsize=4096)
def instant(wall: int, zone: str) -> int:
    """The instant, in ms, at which the zone's clocks show the wall time, given in ms as if it were UTC."""
    clock = ZoneInfo(zone)
    naive = (_EPOCH + timedelta(milliseconds=wall)).replace(tzinfo=None)
    found = _ms(naive.replace(tzinfo=clock))
    if _shown(found, clock) == wall:
        return found
    # Clocks jump over it: the instant of the jump is the first one that shows a later time.
    low, high = found - _DAY_MS, found + _DAY_MS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _shown(middle, clock) >= wall else (middle, high)
    return high


def wall(moment: int, zone: str) -> int:
    """What the zone's clocks show at an instant, in ms as if it were UTC."""
    return _shown(moment, ZoneInfo(zone))


def known(zone: Json) -> bool:
    """True for the IANA name of a time zone."""
    return isinstance(zone, str) and zone != "" and _is_zone(zone)


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _shown(moment: int, clock: ZoneInfo) -> int:
    return _ms((_EPOCH + timedelta(milliseconds=moment)).astimezone(clock).replace(tzinfo=UTC))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
