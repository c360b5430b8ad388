"""How often: uses of what is limited, counted in windows of time. The one place where limits on callers are counted.

Where several processes serve the app, the counts are in the store and hold for all of them; else they are in memory. A limit that is
used up is not asked for again within a second, so that a flood costs the store next to nothing.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import TooMany
from mbaas.storage.ports import Row, Rows

_REMEMBERED = 10_000
_TABLE = "limits"
_BELIEVED_MS = 1000
_LATE_MS = 10_000
"""How long a use may wait for the store: when a window has begun meanwhile, the clock was not put back for that."""
_PAGE = 1000
_QUOTED = re.compile(r"[^ !#-\[\]-~]")


@dataclass(frozen=True, slots=True)
class Use:
    """How often somebody has used a limit in the window that ends at `ends` (ms). `key` names the two of them."""

    key: str
    count: int
    ends: int

    @property
    def limit(self) -> str:
        """The name of the limit."""
        return self.key.partition("|")[0]

    @property
    def who(self) -> str:
        """Whose uses they are: an address, the hash of an account's name, or both."""
        return self.key.partition("|")[2]


class Counters(Protocol):
    """Where uses are counted. The memory of one process is one such place; several processes may share another."""

    async def hit(self, key: str, window_ms: float, now: int) -> Use:
        """Count one more use in the running window, or in a new one."""
        ...

    async def get(self, key: str, now: int) -> int:
        """How many uses there are."""
        ...

    async def forget(self, key: str) -> bool:
        """Count from nothing again; False if there was nothing."""
        ...

    async def page(self, after: str, most: int, now: int) -> list[Use]:
        """What is counted, by key."""
        ...


class MemoryCounters:
    """Counters of this process. Windows of one limit end in the order in which they began, so the oldest go first."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._windows: dict[str, OrderedDict[str, tuple[int, int]]] = {}

    async def hit(self, key: str, window_ms: float, now: int) -> Use:
        windows = self._of(key)
        while windows and (next(iter(windows.values()))[1] <= now or (len(windows) >= self._most and key not in windows)):
            windows.popitem(last=False)
        count, ends = windows.get(key, (0, now + int(window_ms)))
        if ends > now + window_ms:  # the clock was put back: nobody is to wait until it is as late again
            windows.pop(key)
            count, ends = 0, now + int(window_ms)
        windows[key] = count + 1, ends
        return Use(key, count + 1, ends)

    async def get(self, key: str, now: int) -> int:
        count, ends = self._of(key).get(key, (0, 0))
        return count if ends > now else 0

    async def forget(self, key: str) -> bool:
        return self._of(key).pop(key, None) is not None

    async def page(self, after: str, most: int, now: int) -> list[Use]:
        every = (Use(key, *counted) for windows in self._windows.values() for key, counted in windows.items() if key > after)
        return sorted((use for use in every if use.ends > now), key=lambda use: use.key)[:most]

    def _of(self, key: str) -> OrderedDict[str, tuple[int, int]]:
        return self._windows.setdefault(key.partition("|")[0], OrderedDict())

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))


class StoredCounters:
    """Counters of all processes, in the store."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def hit(self, key: str, window_ms: float, now: int) -> Use:
        def count(row: Row | None) -> Row:
            if row is None or row.expires is None or row.expires > now + window_ms + _LATE_MS:  # as above
                return Row(key, 1, expires=now + int(window_ms))
            return replace(row, value=row.value + 1)

        return _use(await self._rows.alter(_TABLE, key, count))

    async def get(self, key: str, now: int) -> int:
        row = await self._rows.get(_TABLE, key)
        return row.value if row is not None else 0

    async def forget(self, key: str) -> bool:
        return await self._rows.drop(_TABLE, key)

    async def page(self, after: str, most: int, now: int) -> list[Use]:
        return [_use(row) for row in await self._rows.scan(_TABLE, after, most) if (row.expires or 0) > now]


def _use(row: Row) -> Use:
    return Use(row.key, row.value, row.expires or 0)


class Uses:
    """What callers of one app have used of its limits."""

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self._counters, self._clock = counters, clock
        self._spent: dict[str, tuple[int, int]] = {}
        """Of limits that are used up: when their windows end, and until when that is believed."""

    async def use(self, limit: str, who: str, most: float, window_ms: float, text: str, *, tell: bool = False) -> tuple[str, str]:
        """The policy and the state of a limit after one more use, as headers tell them; TooMany, with `text`, if it is used up.

        `tell`: the text says how long to wait.
        """
        now, key = self._clock.now(), _key(limit, who)
        policy = f'"{_QUOTED.sub("", limit)}"; q={most:g}; w={window_ms / 1000:g}'
        ends, believed = self._spent.get(key, (0, 0))
        count = most + 1
        if now >= min(ends, believed) or believed > now + _BELIEVED_MS:
            found = await self._counters.hit(key, window_ms, now)
            count, ends = found.count, found.ends
        seconds = max(1, -(-(ends - now) // 1000))
        if count > most:
            self._remember(key, ends, now)
            raise TooMany(f"{text} Try again in {seconds} s." if tell else text, seconds, policy)
        return policy, f'"{_QUOTED.sub("", limit)}"; r={most - count:g}; t={seconds}'

    def _remember(self, key: str, ends: int, now: int) -> None:
        if len(self._spent) >= _REMEMBERED:
            self._spent.clear()
        if not now < self._spent.get(key, (0, 0))[1] <= now + _BELIEVED_MS:
            self._spent[key] = ends, now + _BELIEVED_MS

    async def count(self, limit: str, who: str, window_ms: float) -> None:
        """Count one more use, whatever there is left."""
        await self._counters.hit(_key(limit, who), window_ms, self._clock.now())

    async def used(self, limit: str, who: str) -> int:
        """How many uses there are in the running window."""
        return await self._counters.get(_key(limit, who), self._clock.now())

    async def forget(self, limit: str, who: str) -> bool:
        """Count from nothing again; False if there was nothing."""
        return await self.reset(_key(limit, who))

    async def reset(self, key: str) -> bool:
        """The same by what names the limit and whose it is."""
        self._spent.pop(key, None)
        return await self._counters.forget(key)

    async def page(self, after: str, most: int) -> list[Use]:
        """What is counted now, by key."""
        return await self._counters.page(after, most, self._clock.now())

    async def of(self, who: str) -> list[Use]:
        """All that is counted of an address, or of the hash of an account's name."""
        found: list[Use] = []
        after = ""
        while page := await self.page(after, _PAGE):
            found += [use for use in page if who in _parts(use)]
            after = page[-1].key
        return found


def _key(limit: str, who: str) -> str:
    return f"{limit}|{who}"


def _parts(use: Use) -> Iterator[str]:
    yield from use.who.split(" ")
