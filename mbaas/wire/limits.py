"""What and how often: Parse Server's options `routeAllowList` and `rateLimit`, and the server's own limits on what guesses at accounts.

Every entrance asks here: a plain request, one whose method a body overrides, each part of a batch. What cannot be made up
is counted: the address, or the session that was looked up; never a token or an id as it was sent. Counts are in `mbaas.data.uses`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mbaas.data.uses import Uses
from mbaas.kernel.addresses import network_of
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import forbidden
from mbaas.kernel.ids import token_hash
from mbaas.kernel.options import AppOptions, RateLimit
from mbaas.kernel.paths import path_pattern
from mbaas.kernel.values import Json, Object

Kind = Literal["sign-in", "sign-up", "mail"]


@dataclass(frozen=True, slots=True)
class Own:
    """One of the server's own limits, as production has it: uses in a window by address, and of each account by one address.

    `crowd`: so many of an account from anywhere within `CROWD_S` are a flood; 0 asks nothing of that. `spare` is what each address
    has of the account meanwhile: whoever comes from another address than the flood still gets in. None: nothing at all.
    """

    window_s: int
    by_account: int
    by_address: int
    crowd: int = 0
    spare: int | None = None


CROWD_S = 900
OWN: dict[Kind, Own] = {
    "sign-in": Own(60, 10, 60, crowd=30, spare=3),
    "sign-up": Own(60, 10, 60),
    "mail": Own(600, 5, 30, crowd=10),
}
"""A right password gives its account's sign-ins back; addresses get nothing back, or a guesser would mix in her own account."""
TRACKED_S, TRACKED = 60, 3000
"""How much apps may tell from one address, behind which there may be many phones, in a window: requests with events or receipts."""


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

    def __init__(self, options: AppOptions, uses: Uses) -> None:
        self._uses = uses
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
                await self._uses.use(
                    rule.name, rule.who(caller), given.request_count, given.request_time_window, given.error_response_message
                )

    async def attempt(self, kind: Kind, caller: Caller, arguments: Json) -> Attempt | None:
        """Count an attempt by address, and then by each account that it names; None if it is not counted."""
        if not self._factor or caller.omnipotent:
            return None
        own, address = OWN[kind], network_of(caller.ip)
        names = accounts_of(arguments) if isinstance(arguments, dict) else ()
        await self._own(f"{kind}-address", address, own.by_address, own.window_s, f"Too many {kind} attempts from this address.")
        for name in names:
            text = f"Too many {kind} attempts for this account."
            await self._own(f"{kind}-account", f"{name} {address}", own.by_account, own.window_s, text)
            if own.crowd and own.spare is None:
                await self._own(f"{kind}-crowd", name, own.crowd, CROWD_S, text)
            elif own.spare is not None and await self._uses.used(f"{kind}-crowd", name) >= own.crowd * self._factor:
                await self._own(f"{kind}-spare", f"{name} {address}", own.spare, CROWD_S, text)
        return Attempt(self._uses, kind, address, names)

    async def _own(self, limit: str, who: str, most: int, window_s: int, text: str) -> None:
        await self._uses.use(limit, who, most * self._factor, window_s * 1000, text, tell=True)

    async def track(self, caller: Caller) -> None:
        """Count a request that leaves events or receipts on disk, by its address."""
        if self._factor and not caller.omnipotent:
            await self._own("tracking-address", network_of(caller.ip), TRACKED, TRACKED_S, "Too many events from this address.")

    async def read(self, partner: str, most: int) -> tuple[str, str]:
        """Count a request that a partner makes with its key; what `RateLimit-Policy` and `RateLimit` say of that."""
        return await self._uses.use(f"{partner} reads", partner, most, 60_000, "Too many requests of this partner.", tell=True)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted, and the accounts that it was counted for."""

    uses: Uses
    kind: Kind
    address: str
    names: tuple[str, ...]

    async def failed(self) -> None:
        """It was wrong: it counts for what its accounts are asked for from anywhere."""
        if OWN[self.kind].spare is None:
            return
        for name in self.names:
            await self.uses.count(f"{self.kind}-crowd", name, CROWD_S * 1000)

    async def forgive(self) -> None:
        """It was right: its accounts start from nothing again, for this address and as a whole."""
        for name in self.names:
            await self.uses.forget(f"{self.kind}-account", f"{name} {self.address}")
            if await self.uses.used(f"{self.kind}-crowd", name):
                await self.uses.forget(f"{self.kind}-crowd", name)
                await self.uses.forget(f"{self.kind}-spare", f"{name} {self.address}")


def accounts_of(arguments: Object) -> tuple[str, ...]:
    """The accounts that arguments name, by name or address; only hashes are remembered."""
    given = (arguments.get("username"), arguments.get("email"))
    return tuple(dict.fromkeys(account_name(text) for text in given if isinstance(text, str) and text))


def account_name(text: str) -> str:
    """The hash of a name or an address, spelled in one way."""
    return token_hash(text.strip().casefold())
