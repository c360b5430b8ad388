"""The page of memory that server and worker share: which calls the worker has begun, and which the server has taken back.

A worker whose loop is held up answers nothing, yet it must be known whether a call that waits there may be given to another one.
The worker writes a call's number down before it looks whether the call was taken back; the server takes it back before it looks
whether it was begun. So they never both go on with it.
"""

from __future__ import annotations

import struct
import threading
from mmap import mmap

PLACES = 256
"""How many calls a worker may have: each has a place for as long as the worker has it."""
_NUMBER = struct.Struct("=Q")
PAGE_BYTES = 2 * PLACES * _NUMBER.size


class Page:
    """One side's view of it. Numbers of calls grow, so that what an earlier call left in a place says nothing of a later one."""

    def __init__(self, memory: mmap) -> None:
        self._memory = memory
        self._barrier = threading.Lock()

    def begin(self, place: int, number: int) -> bool:
        """The worker's: write down that a call begins. False if the server has taken it back, or another one that had its place since."""
        if self._at(PLACES + place) >= number:
            return False
        _NUMBER.pack_into(self._memory, place * _NUMBER.size, number)
        self._fence()
        return self._at(PLACES + place) < number

    def begun(self, place: int, number: int) -> bool:
        """The server's: whether the worker has begun a call."""
        return self._at(place) == number

    def take_back(self, place: int, number: int) -> bool:
        """The server's: whether a call can be had back that has not been begun."""
        _NUMBER.pack_into(self._memory, (PLACES + place) * _NUMBER.size, number)
        self._fence()
        return self._at(place) != number

    def close(self) -> None:
        """Let it go."""
        self._memory.close()

    def _at(self, place: int) -> int:
        return int(_NUMBER.unpack_from(self._memory, place * _NUMBER.size)[0])

    def _fence(self) -> None:
        """What was written is seen by the other side before what is read next: taking a lock is a barrier for the processor."""
        with self._barrier:
            pass
