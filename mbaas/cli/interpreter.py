"""The interpreter's settings for a process that serves."""

from __future__ import annotations

import gc
import sys

_GARBAGE = 20_000
"""Allocations between two searches for unreachable cycles. At Python's 700 they take a tenth of a busy server's time."""
_TURN_SECONDS = 0.001
"""How long a thread may go on in Python while another waits: the loop must hear of a commit before 5 ms, Python's own, are over."""


def tune_interpreter() -> None:
    """What is loaded stays for good, and need not be looked through at all; a thread that has written to disk is heard soon."""
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 50)
    gc.enable()
    sys.setswitchinterval(_TURN_SECONDS)
