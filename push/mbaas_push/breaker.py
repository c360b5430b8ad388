"""A campaign that mostly fails is stopped before it has failed for everybody: a wrong key or the wrong environment looks like dead devices.

Whoever resumes it has seen why it was stopped, and it goes on to its end.
"""

from __future__ import annotations

from collections.abc import Mapping

LEAST = 100
"""Outcomes before which nothing is concluded."""
SHARE = 0.2
"""What may fail of them: dead addresses are a few of a hundred."""
_REASON = "failed.reason."


class Breaker:
    """That of one run, from its counts when this process began to send it."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._overruled = bool(_failing(counts))

    def tripped(self, counts: Mapping[str, int]) -> str:
        """Why the run is to be stopped, in a sentence; empty if it is to go on."""
        return "" if self._overruled else _failing(counts)


def _failing(counts: Mapping[str, int]) -> str:
    failed, sent = counts.get("failed", 0), counts.get("sent", 0)
    if failed + sent < LEAST or failed <= SHARE * (failed + sent):
        return ""
    reasons = {name.removeprefix(_REASON): count for name, count in counts.items() if name.startswith(_REASON)}
    commonest = max(reasons, key=lambda reason: reasons[reason], default="")
    return f"{failed} of the first {failed + sent} have failed, most of them with {commonest}."
