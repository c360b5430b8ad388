"""How often a partner may be called: a minute and a month, shared by all processes.

Both counters are in one row. Those who ask while it is being written are counted together by the next write, so that the row
is no bottleneck. A call is counted, durably, before it is made; one that is refused is not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from mbaas.data.app import App
from mbaas.kernel.errors import TooMany
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Row
from mbaas_functions.partners.environments import Environment
from mbaas_functions.partners.registry import Partner

_TABLE = "partner_quotas"
_SPARE_MS = 60_000
_TOLD = (0.8, 1.0)
"""Shares of a month's calls whose use the log is told of."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one quota: `remaining` of `most` for so many seconds. `window_s` is how long it is as a whole."""

    name: str
    most: int
    remaining: int
    seconds: int
    window_s: int
    words: str

    @property
    def policy(self) -> str:
        """As the header `RateLimit-Policy` names it (draft-ietf-httpapi-ratelimit-headers)."""
        return f'"{self.name}"; q={self.most}; w={self.window_s}'

    @property
    def state(self) -> str:
        """As the header `RateLimit` tells it."""
        return f'"{self.name}"; r={self.remaining}; t={self.seconds}'


Turn = asyncio.Future[tuple[Left, ...]]


class Quotas:
    """The quotas of one app's partners."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._asked: dict[str, list[Turn]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}

    async def reserve(self, partner: Partner, environment: Environment) -> tuple[Left, ...]:
        """Use up one call of the minute's and the month's quota; what is left of each. TooMany names the one that is used up."""
        key = f"{partner.name}|{environment}"
        turn: Turn = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key, []).append(turn)
        if key not in self._writing:
            self._writing[key] = asyncio.create_task(self._write(key, partner, environment))
        return await turn

    async def _write(self, key: str, partner: Partner, environment: Environment) -> None:
        try:
            while turns := [turn for turn in self._asked.pop(key, ()) if not turn.done()]:
                try:
                    before, spans = await self._take(key, partner, environment, len(turns))
                except Exception as error:
                    _each(turns, error)
                    continue
                for place, turn in enumerate(turns, 1):
                    _settle(turn, partner.name, [_left(span, before[span.name] + place) for span in spans])
        finally:
            del self._writing[key]

    async def _take(self, key: str, partner: Partner, environment: Environment, count: int) -> tuple[dict[str, int], list[_Span]]:
        """Count so many calls, or as many as there are left; how many had been counted before, by quota."""
        now = self._app.clock.now()
        spans = _spans(partner, environment, now)
        before: dict[str, int] = {}

        def counted(row: Row | None) -> Row:
            known: Object = row.value if row is not None else {}
            for span in spans:
                at, used = known.get(span.name, ("", 0))
                before[span.name] = used if at == span.text else 0
            taken = max(0, min(count, *(span.most - before[span.name] for span in spans)))
            value = {span.name: [span.text, before[span.name] + taken] for span in spans}
            return Row(key, value, expires=now + max(span.seconds for span in spans) * 1000 + _SPARE_MS)

        row = await self._app.store.rows.alter(_TABLE, key, counted)
        for span in spans:
            if span.name == "perMonth":
                _warn(span, before[span.name], row.value[span.name][1])
        return before, spans


@dataclass(frozen=True, slots=True)
class _Span:
    """The minute or the month that it is, and how long it goes on."""

    partner: str
    name: str
    text: str
    most: int
    seconds: int


_WINDOWS = {"perMinute": (60, "a minute"), "perMonth": (30 * 24 * 3600, "a month")}


def _spans(partner: Partner, environment: Environment, at: int) -> list[_Span]:
    now = datetime.fromtimestamp(at / 1000, UTC)
    month = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    ends = {"perMinute": (f"{now:%Y-%m-%dT%H:%M}", 60 - now.second), "perMonth": (f"{now:%Y-%m}", round((month - now).total_seconds()))}
    return [_Span(partner.name, name, text, partner.limit(environment, name), seconds) for name, (text, seconds) in ends.items()]


def _left(span: _Span, used: int) -> Left:
    """What is left after so many calls; less than nothing for those that came too late."""
    window_s, words = _WINDOWS[span.name]
    return Left(f"{span.partner} {span.name}", span.most, span.most - used, span.seconds, window_s, words)


def _warn(span: _Span, before: int, after: int) -> None:
    """Tell the log once when most of a month's calls are used up, and once when all are."""
    for share in _TOLD:
        if before < share * span.most <= after:
            text = "a partner has used up so much of the calls of its month"
            get_logger(__name__).warning(text, partner=span.partner, percent=round(share * 100), calls=span.most)


def _settle(turn: Turn, partner: str, lefts: list[Left]) -> None:
    if turn.done():
        return
    if exceeded := [left for left in lefts if left.remaining < 0]:
        worst = max(exceeded, key=lambda left: left.seconds)
        text = f"The partner {partner} may be called {worst.most} times {worst.words}. Try again in {worst.seconds} s."
        turn.set_exception(TooMany(text, worst.seconds, worst.policy))
    else:
        turn.set_result(tuple(lefts))


def _each(turns: list[Turn], error: Exception) -> None:
    for turn in turns:
        if not turn.done():
            turn.set_exception(error)
