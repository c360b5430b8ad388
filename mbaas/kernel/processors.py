"""How many processors this process may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use: microseconds of processor time in each period, or "max" (Linux, Control Group v2, "cpu.max")."""


def processors(quota: Path = _QUOTA) -> int:
    """Whole processors, at least 1: those that the scheduler may choose from, or fewer where a container's quota says so."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        allowed, period = quota.read_text().split()
        count = min(count, int(allowed) // int(period))
    return max(1, count)
