"""The lane: many requests at once to a few hosts over HTTP/2. Two do that: one of its own (`h2_lane.py`), and libcurl
(`curl_lane.py`).

A line that breaks is told apart: before the body had left nothing can have been accepted, after that nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from mbaas.kernel.options import PushOptions
from mbaas_push.transports.port import Outcome

CONNECTIONS = 8
"""Connections to one host: what a provider opens streams for on one is 100 to 1,000, and more connections gain little."""
CONNECT_SECONDS, SECONDS = 10, 30
MOST_BYTES = 65_536
"""No answer of a provider is longer; of one that is, its status counts."""

Own = Sequence[tuple[str, str]]
"""Headers that one request alone has: their names, in lower case, and values."""
Check = Callable[[str], None]
"""Refuses, by an exception, an address that must not be connected to."""


class Broken(Exception):
    """No answer. `left`: the body had left, so that it may have been taken."""

    def __init__(self, reason: str, *, left: bool) -> None:
        super().__init__(reason)
        self.reason, self.left = reason, left

    def outcome(self) -> Outcome:
        """What that makes of a parcel."""
        return Outcome("unknown" if self.left else "again", self.reason)


@dataclass(slots=True)
class Reply:
    """An answer. `retry_after_s` is what the provider asks for, or 0."""

    status: int
    body: bytes
    retry_after_s: int

    def told(self) -> dict[str, Any]:
        """The JSON object of the body; empty if it is none."""
        try:
            told = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return told if isinstance(told, dict) else {}


class Lane(Protocol):
    """Requests to providers."""

    async def ask(self, method: str, url: str, headers: tuple[str, ...], body: bytes, own: Own = ()) -> Reply:
        """Send a request, and wait for its answer. Broken if there is none.

        `headers` are lines that other requests have, too: what is made of them is kept.
        """
        ...

    async def close(self) -> None:
        """End what is under way, and let go of the connections."""
        ...


def lane(options: PushOptions, check: Check | None = None) -> Lane:
    """The one that is set. With `check` every address is looked at when it is about to be dialled, for hosts that devices name."""
    if options.lane == "h2":
        from mbaas_push.transports.h2_lane import H2Lane

        return H2Lane(options.ca_file, check)
    from mbaas_push.transports.curl_lane import CurlLane

    return CurlLane(options.ca_file, check)
