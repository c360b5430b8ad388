"""A clock that stands still until a test moves it."""

from __future__ import annotations

START = 1_769_850_300_123
"""2026-01-31T09:05:00.123Z."""


class FakeClock:
    """A `Clock` whose now is set by hand."""

    def __init__(self, now: int = START) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self._now += ms
