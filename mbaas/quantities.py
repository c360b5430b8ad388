"""Durations and sizes as people write them: `24h`, `90m`, `1GiB`, `20mb`."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_MILLISECONDS = {"ms": 1, "": 1000, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def duration_ms(text: str) -> int | None:
    """Milliseconds of `500ms`, `90` or `90s`, `15m`, `24h`, `7d`; None if it is no duration."""
    found = _WRITTEN.fullmatch(text.strip())
    factor = _MILLISECONDS.get(found[2].lower()) if found else None
    return round(float(found[1]) * factor) if found and factor else None


def size_bytes(text: str) -> int | None:
    """Bytes of `1048576`, `20mb`, `1GiB`, always in steps of 1024 (as Parse Server counts them); None if it is no size."""
    found = _WRITTEN.fullmatch(text.strip())
    unit = found[2].lower() if found else ""
    factor = _BYTES.get(unit if unit in _BYTES else re.sub(r"^([kmgt])i?b$", r"\1", unit))
    return round(float(found[1]) * factor) if found and factor else None
