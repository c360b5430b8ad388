"""What and how often: Parse Server's options `routeAllowList` and `rateLimit`, and the server's own limits on what guesses at accounts.

Every entrance asks here: a plain request, one whose method a body overrides, each part of a batch. What cannot be made up
is counted: the address, or the session that was looked up; never a token or an id as it was sent.
"""

from __future__ import annotations

import ipaddress
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import TooMany, forbidden
from mbaas.kernel.ids import token_hash
from mbaas.kernel.options import AppOptions, RateLimit
from mbaas.kernel.paths import path_pattern
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Row, Rows

Kind = Literal["sign-in", "sign-up", "mail"]
_REMEMBERED = 10_000
_TABLE = "limits"


class Counters(Protocol):
    """Where uses are counted. The memory of one process is one such place; several processes may share another."""

    async def hit(self, limit: str, who: str, window_ms: float, now: int) -> tuple[int, int]:
        """Count one more use in the running window, or in a new one. How many they are, and when (ms) the window ends."""
        ...

    async def forget(self, limit: str, who: str) -> None:
        """Count from nothing again."""
        ...


class MemoryCounters:
    """Counters of this process. Windows of one limit end in the order in which they began, so the oldest go first."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._windows: dict[str, OrderedDict[str, tuple[int, int]]] = {}

    async def hit(self, limit: str, who: str, window_ms: float, now: int) -> tuple[int, int]:
        windows = self._windows.setdefault(limit, OrderedDict())
        while windows and (next(iter(windows.values()))[1] <= now or (len(windows) >= self._most and who not in windows)):
            windows.popitem(last=False)
        count, ends = windows.get(who, (0, now + int(window_ms)))
        windows[who] = count + 1, ends
        return count + 1, ends

    async def forget(self, limit: str, who: str) -> None:
        if limit in self._windows:
            self._windows[limit].pop(who, None)

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))


class StoredCounters:
    """Counters of all processes, in the store."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def hit(self, limit: str, who: str, window_ms: float, now: int) -> tuple[int, int]:
        key = _key(limit, who)

        def count(row: Row | None) -> Row:
            if row is None or row.expires is None:
                return Row(key, 1, expires=now + int(window_ms))
            return replace(row, value=row.value + 1)

        counted = await self._rows.alter(_TABLE, key, count)
        return counted.value, counted.expires or now

    async def forget(self, limit: str, who: str) -> None:
        await self._rows.drop(_TABLE, _key(limit, who))


def _key(limit: str, who: str) -> str:
    return f"{limit} {who}"


@dataclass(frozen=True, slots=True)
class Own:
    """One of the server's own limits, as production has it: uses in a window by account, and by address."""

    window_s: int
    by_account: int
    by_address: int


OWN: dict[Kind, Own] = {"sign-in": Own(60, 10, 60), "sign-up": Own(60, 10, 60), "mail": Own(600, 5, 30)}
"""A right password gives its account's sign-ins back; addresses get nothing back, or a guesser would mix in her own account."""


class Rule:
    """One entry of `rateLimit`, ready to be asked."""

    def __init__(self, position: int, given: RateLimit) -> None:
        self.given = given
        self.name = f"{position} {given.request_path}"
        self._path = path_pattern(given.request_path)
        methods = given.request_methods
        self._method = re.compile(methods) if isinstance(methods, str) else None
        self._methods = None if methods is None or isinstance(methods, str) else frozenset(methods)
        self.needs_session = given.zone in ("session", "user")

    def applies(self, methods: Iterable[str], path: str, caller: Caller) -> bool:
        """True if a request counts: by its path, by any of the methods, and by who asks."""
        if caller.omnipotent and not self.given.include_master_key:
            return False
        if caller.ip == "127.0.0.1" and not self.given.include_internal_requests:
            return False
        if self._methods is not None and not self._methods.intersection(methods):
            return False
        if self._method is not None and not any(map(self._method.search, methods)):
            return False
        return self._path.match(path) is not None

    def who(self, caller: Caller) -> str:
        """Under which name a caller's uses are counted."""
        zone = self.given.zone
        if zone == "global":
            return ""
        if zone == "session" and caller.session_id is not None:
            return f"session {caller.session_id}"
        if zone == "user" and caller.user_id is not None:
            return f"user {caller.user_id}"
        return network_of(caller.ip)


class Limits:
    """The limits of one app."""

    def __init__(self, options: AppOptions, clock: Clock, counters: Counters | None = None) -> None:
        self._clock = clock
        self._counters: Counters = counters or MemoryCounters()
        self._factor = options.rate_limit_factor
        allowed = options.route_allow_list
        self._allowed = None if allowed is None else tuple(re.compile(pattern) for pattern in allowed)
        self.renew(options)

    def renew(self, options: AppOptions) -> None:
        """Limit by the app's `rateLimit` as it is now."""
        self.rules = tuple(Rule(position, given) for position, given in enumerate(options.rate_limits, 1))
        self.asks = bool(self.rules) or self._allowed is not None
        """True if a request must be checked before it runs."""

    def admit(self, method: str, path: str, caller: Caller) -> None:
        """119 for a route that is not on the app's list of routes, if it has one."""
        if self._allowed is None or caller.omnipotent:
            return
        if not any(pattern.fullmatch(path.strip("/")) for pattern in self._allowed):
            raise forbidden(f"Route not allowed by routeAllowList: {method} {path.strip('/')}")

    async def check(self, methods: Iterable[str], path: str, caller: Caller, *, signed_in: bool | None = None) -> None:
        """Count a request by the app's `rateLimit`; with `signed_in`, only by the rules that need (or do not need) the session."""
        for rule in self.rules:
            if signed_in in (None, rule.needs_session) and rule.applies(methods, path, caller):
                given = rule.given
                await self._use(rule.name, rule.who(caller), given.request_count, given.request_time_window, given.error_response_message)

    async def attempt(self, kind: Kind, caller: Caller, arguments: Json) -> Accounts | None:
        """Count an attempt by address and then by each account that it names; None if it is not counted."""
        if not self._factor or caller.omnipotent:
            return None
        own = OWN[kind]
        window = own.window_s * 1000
        address = f"Too many {kind} attempts from this address."
        await self._use(f"{kind}-address", network_of(caller.ip), own.by_address * self._factor, window, address, tell=True)
        names = accounts_of(arguments) if isinstance(arguments, dict) else ()
        for name in names:
            account = f"Too many {kind} attempts for this account."
            await self._use(f"{kind}-account", name, own.by_account * self._factor, window, account, tell=True)
        return Accounts(self._counters, f"{kind}-account", names)

    async def read(self, partner: str, most: int) -> tuple[str, str]:
        """Count a request that a partner makes with its key; what `RateLimit-Policy` and `RateLimit` say of that."""
        return await self._use(f"{partner} reads", partner, most, 60_000, "Too many requests of this partner.", tell=True)

    async def _use(self, limit: str, who: str, most: float, window_ms: float, text: str, *, tell: bool = False) -> tuple[str, str]:
        """The policy and the state of a limit after one more use; TooMany if it is used up."""
        now = self._clock.now()
        count, ends = await self._counters.hit(limit, who, window_ms, now)
        seconds = max(1, -(-(ends - now) // 1000))
        policy = f'"{_QUOTED.sub("", limit)}"; q={most:g}; w={window_ms / 1000:g}'
        if count > most:
            raise TooMany(f"{text} Try again in {seconds} s." if tell else text, seconds, policy)
        return policy, f'"{_QUOTED.sub("", limit)}"; r={most - count:g}; t={seconds}'


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts that an attempt was counted for."""

    counters: Counters
    limit: str
    names: tuple[str, ...]

    async def forgive(self) -> None:
        """The attempt was right: its accounts start from nothing again."""
        for name in self.names:
            await self.counters.forget(self.limit, name)


_QUOTED = re.compile(r"[^ !#-\[\]-~]")


def accounts_of(arguments: Object) -> tuple[str, ...]:
    """The accounts that arguments name, by name or address, spelled in one way; only hashes are remembered."""
    given = (arguments.get("username"), arguments.get("email"))
    return tuple(dict.fromkeys(token_hash(text.strip().casefold()) for text in given if isinstance(text, str) and text))


def network_of(ip: str) -> str:
    """What stands for an address: itself, or an IPv6 network of 64 bits, which is one customer's."""
    try:
        found = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
