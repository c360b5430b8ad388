"""`$relativeTime`: "3 days ago", "in 1 hour 20 minutes", "now". Source: Parse Server's relative dates."""

from __future__ import annotations

import re

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json

_SECOND = 1000
_UNITS = {
    "yr": 365 * 86400 * _SECOND,
    "year": 365 * 86400 * _SECOND,
    "wk": 7 * 86400 * _SECOND,
    "week": 7 * 86400 * _SECOND,
    "d": 86400 * _SECOND,
    "day": 86400 * _SECOND,
    "hr": 3600 * _SECOND,
    "hour": 3600 * _SECOND,
    "min": 60 * _SECOND,
    "minute": 60 * _SECOND,
    "sec": _SECOND,
    "second": _SECOND,
}
_LIMIT = 100_000 * 365 * 86400 * _SECOND


def instant(text: Json, operator: str, now: int) -> int:
    """Milliseconds since the epoch that the text means at `now`. Raises 107 with what is wrong."""

    def wrong(info: str) -> ParseError:
        return ParseError(Code.INVALID_JSON, f"bad $relativeTime ({operator}) value. {info}")

    if not isinstance(text, str):
        raise wrong("Time should be a string")
    parts = re.split(r"\s+", text.strip().lower())
    if parts == ["now"]:
        return now
    future, past = parts[0] == "in", parts[-1] == "ago"
    if not future and not past:
        raise wrong("Time should either start with 'in' or end with 'ago'")
    if future and past:
        raise wrong("Time cannot have both 'in' and 'ago'")
    parts = parts[1:] if future else parts[:-1]
    if len(parts) % 2 or not parts:
        raise wrong("Invalid time string. Dangling unit or number.")
    total = 0
    for number, unit in zip(parts[::2], parts[1::2], strict=True):
        if not re.fullmatch(r"\d{1,9}", number):
            raise wrong(f"'{number}' is not an integer.")
        size = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
        if size is None:
            raise wrong(f"Invalid interval: '{unit}'")
        total += int(number) * size
    if total > _LIMIT:
        raise wrong("The time is too far away.")
    return now + total if future else now - total
