"""A circuit breaker: who fails again and again is left alone for a while, and then asked once whether it is well."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 30.0
_ENOUGH, _SHARE = 20, 0.5
"""It opens when this share of at least so many calls in the window failed…"""
_IN_A_ROW = 5
"""… or so many one after the other could not even be made."""
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0


class Breaker:
    """The state of one partner's environment in this process. `now` tells seconds of a clock that only goes forward."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._calls: deque[tuple[float, bool]] = deque()
        self._unreachable = 0
        self._pause = _FIRST_PAUSE
        self._until: float | None = None
        """When the next probe may be made; None while it is closed."""
        self._probing = False

    def wait(self) -> float:
        """Seconds until a call may be made; 0: now. Whoever is told 0 makes one and tells how it went."""
        if self._until is None:
            return 0.0
        if self._probing:
            return self._pause
        if (left := self._until - self._now()) > 0:
            return left
        self._probing = True
        return 0.0

    def went(self, *, well: bool, reached: bool) -> None:
        """A call ended. `reached`: an answer came, whatever it was."""
        now = self._now()
        self._unreachable = 0 if reached else self._unreachable + 1
        if self._until is not None:
            if not self._probing:
                # It was begun before the breaker opened, which has taken account of such as it.
                return
            self._probing = False
            if well:
                self._until, self._pause = None, _FIRST_PAUSE
                self._calls.clear()
            else:
                self._pause = min(self._pause * 2, _LONGEST_PAUSE)
                self._until = now + self._pause
            return
        self._calls.append((now, well))
        while self._calls and self._calls[0][0] < now - _WINDOW_SECONDS:
            self._calls.popleft()
        failed = sum(not good for _, good in self._calls)
        if self._unreachable >= _IN_A_ROW or (len(self._calls) >= _ENOUGH and failed >= _SHARE * len(self._calls)):
            self._until = now + self._pause
