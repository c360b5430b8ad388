"""Addresses of Unix sockets in a folder. An address has about a hundred bytes at most, and the path of a data folder may have more."""

from __future__ import annotations

import sys
from pathlib import Path


def address_in(folder: Path, descriptor: int, name: str) -> str:
    """The address of the socket `name`; `descriptor` is the folder, opened. Only Linux knows a short way through it."""
    return f"/proc/self/fd/{descriptor}/{name}" if sys.platform == "linux" else str(folder / name)
