"""How much a provider is sent a second: as much as there is, until it says that this is more than its quota.

Then half of what it was sent, and from there on a step more each second: additive increase, multiplicative decrease, as TCP has it. In ten
seconds it is where the provider refused, and where that goes well for as long again nothing is held back any more. What `Retry-After` asks
for is waited for first. By a clock that only goes forward: that somebody sets the time changes nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

_LEAST = 10.0
"""A second: less would hold up what is on its way for minutes."""
_BACK_SECONDS = 10
_ONCE_SECONDS = 1.0
"""What is refused so soon after another one had left before anything was held back."""
_FEW = 3
"""Refusals in a second that may be about single devices, where the provider does not say that they are about all."""

Sleep = Callable[[float], Awaitable[None]]


class Rate:
    """That of one provider for one app, in this process. `limit` is 0 where nothing is held back."""

    def __init__(self, now: Callable[[], float], sleep: Sleep = asyncio.sleep) -> None:
        self._now, self._sleep = now, sleep
        self._line, self._front = asyncio.Lock(), asyncio.Lock()
        """Where messages wait, and its front, where one of them is at most: urgent ones come there at once, and are soon sent."""
        self._limit = self._step = self._top = 0.0
        self._raised = self._free = self._rest = 0.0
        """When the limit was raised last, when the next message may leave by it, and by what the provider asked for."""
        self._cut = -math.inf
        self._second, self._sent, self._sent_before = 0, 0, 0
        """The present second, and what was sent in it and in the one before."""
        self._refused_since, self._refused = -math.inf, 0

    @property
    def limit(self) -> float:
        """Messages a second, at most; 0: no limit."""
        self._raise()
        return self._limit

    async def turn(self, *, urgent: bool = False) -> None:
        """Wait until the next message may leave; in the order in which they came, the urgent ones before the others."""
        if self._limit or self._rest > self._now() or self._front.locked():
            async with nullcontext() if urgent else self._line, self._front:
                while (left := self._left()) > 0:
                    await self._sleep(left)
        now = self._now()
        self._note(now)
        if self._limit:
            self._free = max(self._free, now) + 1 / self._limit

    def rest(self, seconds: float) -> None:
        """Send nothing for so long: the provider asks all to wait."""
        self._rest = max(self._rest, self._now() + seconds)

    def refuse(self, *, of_all: bool) -> bool:
        """It was too much, for all or perhaps for one device alone. True if less is sent from now on."""
        now = self._now()
        if now - self._refused_since > _ONCE_SECONDS:
            self._refused_since, self._refused = now, 0
        self._refused += 1
        if (not of_all and self._refused < _FEW) or now - self._cut < _ONCE_SECONDS or now < self._rest:
            return False
        self._raise()
        was = self._lately(now) if not self._limit else min(self._limit, self._lately(now))
        self._limit = max(_LEAST, was / 2)
        self._step, self._top = self._limit / _BACK_SECONDS, self._limit * 4
        self._cut = self._raised = self._free = now
        return True

    def _left(self) -> float:
        """Seconds until something may leave."""
        now = self._now()
        self._raise()
        return max(self._rest, self._free if self._limit else now) - now

    def _raise(self) -> None:
        """Additive increase, for the time in which something may leave."""
        now, since = self._now(), max(self._raised, self._rest)
        if self._limit and now > since:
            self._limit, self._raised = self._limit + self._step * (now - since), now
            if self._limit >= self._top:
                self._limit = 0.0

    def _note(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._sent_before = self._sent if second == self._second + 1 else 0
            self._second, self._sent = second, 0
        self._sent += 1

    def _lately(self, now: float) -> float:
        """What was sent in a second: in this one, or in the one before."""
        gone = int(now) - self._second
        return float(max(self._sent, self._sent_before) if gone == 0 else self._sent if gone == 1 else 0)
