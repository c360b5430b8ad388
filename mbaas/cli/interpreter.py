"""The settings of the interpreter and of its memory for a process that serves."""

from __future__ import annotations

import ctypes
import gc
import sys

_GARBAGE = 20_000
"""Allocations between two searches for unreachable cycles. At Python's 700 they take a tenth of a busy server's time."""
_TURN_SECONDS = 0.001
"""How long a thread may go on in Python while another waits: the loop must hear of a commit before 5 ms, Python's own, are over."""
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
"""Parameters of mallopt(3)."""
_LARGE_BYTES = 1 << 20
_ARENAS = 2


def tune_interpreter() -> None:
    """What is loaded stays for good, and need not be looked through at all; a thread that has written to disk is heard soon; memory
    that was needed once is given back."""
    _tune_memory()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 50)
    gc.enable()
    sys.setswitchinterval(_TURN_SECONDS)


def _tune_memory() -> None:
    """Where the C library is glibc: large blocks are given back when they are freed, which it stops doing once a password has been
    hashed (its threshold follows what is freed), and threads share their heaps, each of which keeps the most that it ever held."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_ARENA_MAX, _ARENAS)
