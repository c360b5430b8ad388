"""The line to partners: one signed attempt at a time, counted whatever comes of it, through a breaker for each partner's environment."""

from __future__ import annotations

import time

from mbaas.data.app import App
from mbaas.observe.logs import get_logger
from mbaas.outbound.calls import Failed, Outbound, Reply
from mbaas_functions.partners import credentials, signatures
from mbaas_functions.partners.breaker import Breaker
from mbaas_functions.partners.environments import Environment
from mbaas_functions.partners.registry import Partner
from mbaas_functions.partners.usage import Called, Usage

_MOST_BYTES = 1_000_000
_OURS = frozenset({"authorization", "connection", "content-length", "cookie", "host", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers that no param of an operation can set."""

Sent = tuple[str, str, bytes, dict[str, str]]
"""Method, URL, body and headers of a request."""


class Line:
    """The line to partners: signed attempts, each counted, and the breakers that they are made through."""

    def __init__(self, app: App, outbound: Outbound, usage: Usage) -> None:
        self._app, self._outbound, self._usage = app, outbound, usage
        self._breakers: dict[tuple[str, Environment], Breaker] = {}

    def wait(self, partner: Partner, environment: Environment) -> float:
        """Seconds until an attempt may be made; 0: now, and whoever is told so makes one."""
        return self._breaker(partner, environment).wait()

    def _breaker(self, partner: Partner, environment: Environment) -> Breaker:
        return self._breakers.setdefault((partner.name, environment), Breaker(self._seconds))

    def _seconds(self) -> float:
        return self._app.clock.now() / 1000

    async def send(
        self, partner: Partner, environment: Environment, operation: str, sent: Sent, message_id: str, seconds: float
    ) -> Reply | Failed:
        """One attempt, counted under the operation's name whatever comes of it."""
        method, url, body, headers = sent
        began, now = time.monotonic(), self._app.clock.now()
        auth = partner.auth(environment)
        own = {
            "Content-Type": "application/json",
            **credentials.headers(auth),
            **signatures.headers(partner.keys(environment, now), message_id, now // 1000, body),
            "X-Deadline-Ms": str(max(0, round(seconds * 1000))),
        }
        taken = _OURS.union(name.lower() for name in own)
        headers = {**{name: value for name, value in headers.items() if name.lower() not in taken}, **own}
        outcome: Reply | Failed = Failed("late", "the call was given up")
        try:
            shown = credentials.certificate(auth)
            outcome = await self._outbound.send(method, url, body, headers, seconds=seconds, most=_MOST_BYTES, certificate=shown)
        except Failed as error:
            outcome = error
            get_logger(__name__).warning("a partner failed", partner=partner.name, operation=operation, reason=error.detail)
        finally:
            reached = isinstance(outcome, Reply) or outcome.reached
            well = isinstance(outcome, Reply) and outcome.status < 500 and outcome.status != 429
            self._breaker(partner, environment).went(well=well, reached=reached)
        called = Called(
            ok=isinstance(outcome, Reply) and outcome.status < 300,
            reached=reached,
            ms=round((time.monotonic() - began) * 1000),
            sent=len(body),
            received=len(outcome.body) if isinstance(outcome, Reply) else 0,
        )
        self._usage.add(partner.name, environment, operation, called)
        return outcome
