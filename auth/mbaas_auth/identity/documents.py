"""What providers publish: the keys that they sign with, and where their endpoints are. Fetched from where the configuration says.

A document is kept for as long as its provider says. Those who come while it is fetched wait for that one call. One that lacks what
is looked for is fetched again at most once a minute, whoever makes up names of keys. While a provider cannot be reached its
documents hold a bounded time longer, and what they lack may be there.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from mbaas.kernel.clock import Clock
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.outbound.calls import Outbound, Reply
from mbaas_auth.identity.asking import decoded, fetch
from mbaas_auth.identity.ports import NotVouched, Unreachable

_LEAST_MS, _USUAL_MS, _MOST_MS = 60_000, 3600_000, 24 * 3600_000
"""How long a document is kept: what `Cache-Control` says, within bounds."""
_STALE_MS = 3600_000
"""How long after that it holds while no other is to be had."""
_LACKING_MS, _AGAIN_MS = 60_000, 10_000
"""How often one that lacks something is fetched, and a provider that did not answer asked again."""
_MOST_KEYS = 100
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d{1,9})(?:[,\s]|$)", re.IGNORECASE)

Read = Callable[[Object], Object]
"""What is kept of a document; nothing of one that is of no use."""


@dataclass(slots=True)
class _Kept:
    value: Object = field(default_factory=dict)
    good_until: int = 0
    asked: int | None = None
    answered: bool = False
    """False where the provider was away when it was asked last."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def due(self, name: str, now: int) -> bool:
        good = now < self.good_until
        if good and name in self.value:
            return False
        # A clock that was put back asks again, too.
        return self.asked is None or not 0 <= now - self.asked < (_LACKING_MS if good and self.answered else _AGAIN_MS)


class Documents:
    """The documents of an app's providers, by their addresses."""

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound, self._clock = outbound, clock
        self._kept: defaultdict[str, _Kept] = defaultdict(_Kept)

    async def key(self, url: str, kid: str) -> Object:
        """A public key for signatures, of the set at that address (RFC 7517). NotVouched if it has none of that name."""
        found: Object = await self._named(url, kid, _keys)
        return found

    async def endpoint(self, issuer: str, name: str) -> str:
        """Where an issuer has its `jwks_uri`, its `token_endpoint` (OpenID Connect Discovery). NotVouched if it has none."""

        def its_own(document: Object) -> Object:
            return document if document.get("issuer") == issuer else {}

        return str(await self._named(f"{issuer.rstrip('/')}/.well-known/openid-configuration", name, its_own))

    async def _named(self, url: str, name: str, read: Read) -> Object:
        """One part of a document. Unreachable if it cannot be had."""
        kept = self._kept[url]
        if kept.due(name, self._clock.now()):
            async with kept.turn:
                if kept.due(name, self._clock.now()):
                    await self._renew(url, kept, read)
        if self._clock.now() >= kept.good_until + _STALE_MS:
            raise Unreachable(f"nothing is known from {url}")
        if name not in kept.value:
            # While a provider is away nobody knows what it has published since.
            raise NotVouched(f"{url} has no such name") if kept.answered else Unreachable(f"nothing new is known from {url}")
        found: Object = kept.value[name]
        return found

    async def _renew(self, url: str, kept: _Kept, read: Read) -> None:
        try:
            reply = await fetch(self._outbound, url)
            found = read(decoded(reply) or {}) if reply.status == 200 else {}
            if not found:
                raise Unreachable(f"{url} answered {reply.status}, with nothing of use")
        except Unreachable as error:
            kept.answered = False
            get_logger(__name__).warning("what an identity provider publishes cannot be fetched", reason=str(error))
            return
        finally:
            # Not before: whoever comes meanwhile is to wait for this call.
            kept.asked = self._clock.now()
        kept.answered, kept.value, kept.good_until = True, found, self._clock.now() + _kept_ms(reply)


def _keys(document: Object) -> Object:
    listed = document.get("keys")
    keys: Object = {}
    for key in listed[:_MOST_KEYS] if isinstance(listed, list) else ():
        if isinstance(key, dict) and key.get("kty") in ("RSA", "EC") and key.get("use", "sig") == "sig" and isinstance(key.get("kid"), str):
            keys.setdefault(key["kid"], key)
    return keys


def _kept_ms(reply: Reply) -> int:
    said = _MAX_AGE.search(reply.headers.get("Cache-Control", ""))
    return max(_LEAST_MS, min(int(said[1]) * 1000, _MOST_MS)) if said else _USUAL_MS
