"""What partners were called: counted per hour and operation, read as totals, as a score, and line by line for invoices.

A row per (partner, environment, hour, operation) counts calls by how they ended, bytes, and times by class, from which the 95th
percentile is told to within its class.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from mbaas.data.app import App
from mbaas.kernel.errors import TooMany
from mbaas.kernel.values import Object
from mbaas.storage.ports import Row
from mbaas_functions.partners.registry import Environment, Partner

_TABLE, _QUOTAS = "partner_usage", "partner_quotas"
_CLASSES_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)
_KEPT_MS = 400 * 24 * 3600 * 1000
COLUMNS = ("partner", "environment", "hour", "operation", "calls", "ok", "failed", "unreachable", "ms", "sent", "received")


@dataclass(frozen=True, slots=True)
class Called:
    """One call that was made, and how it ended."""

    ok: bool
    reached: bool
    ms: int
    sent: int
    received: int


class Usage:
    """The counters of one app."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def reserve(self, partner: Partner, environment: Environment) -> None:
        """Use up one call of the minute's and the month's quota. TooMany names the one that is used up."""
        now = datetime.fromtimestamp(self._app.clock.now() / 1000, UTC)
        month = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        minute_left, month_left = 60 - now.second, round((month - now).total_seconds())
        for name, span, left in (("perMinute", f"{now:%Y-%m-%dT%H:%M}", minute_left), ("perMonth", f"{now:%Y-%m}", month_left)):
            most = partner.limit(environment, name)
            expires = self._app.clock.now() + (left + 60) * 1000
            if await self._app.store.rows.count_up(_QUOTAS, f"{partner.name}|{environment}|{name}|{span}", expires=expires) > most:
                text = f"The partner {partner.name} may be called {most} times {_SPAN[name]}. Try again in {left} s."
                raise TooMany(text, left, f'"{partner.name} {name}"; q={most}; w={60 if name == "perMinute" else 2592000}')

    async def add(self, partner: str, environment: Environment, operation: str, called: Called) -> None:
        """Count a call."""
        now = self._app.clock.now()
        key = f"{partner}|{environment}|{_hour(now)}|{operation}"

        def counted(row: Row | None) -> Row:
            value: Object = dict(row.value) if row else dict.fromkeys(("calls", "ok", "failed", "unreachable", "ms", "sent", "received"), 0)
            value["calls"] += 1
            value["ok" if called.ok else "failed"] += 1
            value["unreachable"] += not called.reached
            for name, amount in (("ms", called.ms), ("sent", called.sent), ("received", called.received)):
                value[name] += amount
            times = list(value.get("times") or [0] * (len(_CLASSES_MS) + 1))
            times[sum(called.ms > limit for limit in _CLASSES_MS)] += 1
            return Row(key, {**value, "times": times}, expires=now + _KEPT_MS)

        await self._app.store.rows.alter(_TABLE, key, counted)

    async def read(self, partner: str, since: str = "", until: str = "~") -> list[Object]:
        """The counters of a partner, one for each environment, hour (`2026-01-31T09`) and operation."""
        found: list[Object] = []
        after = ""
        while rows := await self._app.store.rows.scan(_TABLE, after, prefix=f"{partner}|"):
            for row in rows:
                name, environment, hour, operation = row.key.split("|")
                if since <= hour <= until:
                    found.append({"partner": name, "environment": environment, "hour": hour, "operation": operation, **row.value})
            after = rows[-1].key
        return found

    async def score(self, partner: str) -> Object:
        """How the live partner did in the last day: what an app's developer chooses by. Shares are None while there were no calls."""
        since = _hour(self._app.clock.now() - 24 * 3600 * 1000)
        rows = [each for each in await self.read(partner, since) if each["environment"] == "live"]
        calls = sum(each["calls"] for each in rows)
        times = [sum(column) for column in zip(*(each["times"] for each in rows), strict=True)]
        return {
            "calls": calls,
            "successRate": sum(each["ok"] for each in rows) / calls if calls else None,
            "availability": 1 - sum(each["unreachable"] for each in rows) / calls if calls else None,
            "latencyMs": round(sum(each["ms"] for each in rows) / calls, 1) if calls else None,
            "p95Ms": _percentile(times, 0.95) if calls else None,
        }


def as_csv(rows: Iterable[Object]) -> str:
    """Counters as CSV with a header."""
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def as_ndjson(rows: Iterable[Object]) -> bytes:
    """Counters as one JSON object a line."""
    return b"".join(orjson.dumps({name: row[name] for name in COLUMNS}) + b"\n" for row in rows)


_SPAN = {"perMinute": "a minute", "perMonth": "a month"}


def _hour(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H}"


def _percentile(times: list[int], share: float) -> int:
    """The upper bound of the class in which the percentile is; for the last one, its lower."""
    left = share * sum(times)
    for count, limit in zip(times, (*_CLASSES_MS, _CLASSES_MS[-1]), strict=True):
        left -= count
        if left <= 0:
            return limit
    return _CLASSES_MS[-1]
