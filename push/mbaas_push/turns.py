"""Which of the runs of a process goes first: moments before other pushes, and these before campaigns.

A run waits with its next window while one that is more urgent is under way, for a second at most, and for a tenth of one where that is a
moment: so nothing is held up for good, and orders are heeded. For some seconds after a moment others have less on the wire at a time: the
next one finds the process with little to do before it. Of the places of the queue campaigns take no more than half, so that there is one
for a push at any time; where more of them are under way they take turns, or a few that go out slowly would hold up all others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from mbaas.kernel.values import Object

Lane = Literal["campaign", "transactional", "moment"]
_ORDER: dict[Lane, int] = {"campaign": 0, "transactional": 1, "moment": 2}
_LONGEST_SECONDS, _LONGEST_FOR_MOMENTS_SECONDS = 1.0, 0.1
_CROWDED_SECONDS = 10.0
MOST_CAMPAIGNS = 4
SLICE_SECONDS = 5.0
"""How long a campaign has its place, where another one waits for it."""


def lane_of(push: Object) -> Lane:
    """Which lane a push is in: its own, or that of campaigns or of pushes."""
    lane: Lane = push.get("lane") or ("campaign" if "campaign" in push else "transactional")
    return lane


class Turns:
    """The runs that are under way here: that find their devices, or are being sent."""

    def __init__(self) -> None:
        self._sending: Counter[Lane] = Counter()
        self._refused = False
        self._last_moment = -_CROWDED_SECONDS
        self._ended = asyncio.Event()

    @contextmanager
    def taking_part(self, lane: Lane) -> Iterator[None]:
        """While a run is sent."""
        self._sending[lane] += 1
        try:
            yield
        finally:
            self._sending[lane] -= 1
            self._ended.set()
            if lane == "moment":
                self._last_moment = asyncio.get_running_loop().time()

    def crowded(self, lane: Lane) -> bool:
        """True if moments come, and the lane is to leave them room."""
        if lane == "moment":
            return False
        return self._sending["moment"] > 0 or asyncio.get_running_loop().time() - self._last_moment < _CROWDED_SECONDS

    def full(self, lane: Lane) -> bool:
        """True if no more runs of the lane are to be begun; one of them gives way then."""
        full = lane == "campaign" and self._sending[lane] >= MOST_CAMPAIGNS
        self._refused = self._refused or full
        return full

    def gives_way(self, lane: Lane, seconds: float) -> bool:
        """True if a run that has been sent for so long is to leave its place to another one."""
        gives = self._refused and lane == "campaign" and seconds > SLICE_SECONDS
        self._refused = self._refused and not gives
        return gives

    async def wait(self, lane: Lane) -> None:
        """Until nothing more urgent is being sent, or as long as that is waited for."""
        begun = asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            while ahead := {other for other, count in self._sending.items() if count and _ORDER[other] > _ORDER[lane]}:
                longest = _LONGEST_FOR_MOMENTS_SECONDS if ahead == {"moment"} else _LONGEST_SECONDS
                async with asyncio.timeout_at(begun + longest):
                    self._ended.clear()
                    await self._ended.wait()
