"""What partners were called: counted per hour and operation, read by hour, day or month, as a score, and line by line for invoices.

A row per (partner, environment, hour, operation) counts calls by how they ended, bytes, and times by class, from which the 95th
percentile is told to within its class. Counts are gathered in memory and written by one writer, once a second at most; what was
gathered since is lost when the process is killed. How often a partner was called at all is counted before each call (`quotas`).
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal, get_args

import orjson

from mbaas.data.app import App
from mbaas.kernel.tasks import end
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Row
from mbaas_functions.partners.environments import Environment

By = Literal["hour", "day", "month"]
_LENGTH: dict[By, int] = {"hour": len("2026-01-31T09"), "day": len("2026-01-31"), "month": len("2026-01")}
_TABLE = "partner_usage"
_CLASSES_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)
_KEPT_MS = 400 * 24 * 3600 * 1000
_GATHER_SECONDS = 1.0
_COUNTS = ("calls", "ok", "failed", "unreachable", "ms", "sent", "received")


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
        self._gathered: dict[str, Object] = {}
        self._turn = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None

    def add(self, partner: str, environment: Environment, operation: str, called: Called) -> None:
        """Count a call."""
        key = f"{partner}|{environment}|{_hour(self._app.clock.now())}|{operation}"
        times = [0] * (len(_CLASSES_MS) + 1)
        times[sum(called.ms > limit for limit in _CLASSES_MS)] = 1
        counts = (1, called.ok, not called.ok, not called.reached, called.ms, called.sent, called.received)
        self._gather(key, {**dict(zip(_COUNTS, map(int, counts), strict=True)), "times": times})
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    def _gather(self, key: str, value: Object) -> None:
        self._gathered[key] = _sum(self._gathered[key], value) if key in self._gathered else value

    async def _write(self) -> None:
        try:
            while self._gathered:
                # What has been begun is written, even when the server stops.
                await asyncio.shield(self.flush())
                await asyncio.sleep(_GATHER_SECONDS)
        finally:
            self._writer = None

    async def flush(self) -> None:
        """Write what was gathered. What cannot be written now is kept for the next time."""
        async with self._turn:
            gathered, self._gathered = self._gathered, {}
            for key, more in gathered.items():
                try:
                    await self._app.store.rows.alter(_TABLE, key, partial(self._added, key, more))
                except Exception:
                    get_logger(__name__).exception("what a partner was called cannot be counted; it is tried again", key=key)
                    self._gather(key, more)

    def _added(self, key: str, more: Object, row: Row | None) -> Row:
        return Row(key, more if row is None else _sum(row.value, more), expires=self._app.clock.now() + _KEPT_MS)

    async def close(self) -> None:
        """Write what was gathered."""
        await end([self._writer])
        await self.flush()

    async def read(self, partners: Iterable[str], since: str = "", until: str = "", by: By = "hour") -> list[Object]:
        """The counters of partners, one for each environment, span and operation: `{partner, environment, <by>, operation, calls, …}`.

        `since` and `until` are the first and the last span, as `2026-01`, `2026-01-31` or `2026-01-31T09`.
        """
        await self.flush()
        found: dict[tuple[str, ...], Object] = {}
        for partner in partners:
            for environment in get_args(Environment):
                for hour, operation, value in await self._hours(f"{partner}|{environment}|", since, until):
                    key = partner, environment, hour[: _LENGTH[by]], operation
                    found[key] = _sum(found[key], value) if key in found else value
        return [
            {**dict(zip(("partner", "environment", by, "operation"), key, strict=True)), **_told(value)} for key, value in found.items()
        ]

    async def _hours(self, prefix: str, since: str, until: str) -> list[tuple[str, str, Object]]:
        found: list[tuple[str, str, Object]] = []
        after = prefix + since
        while rows := await self._app.store.rows.scan(_TABLE, after, prefix=prefix):
            for row in rows:
                hour, operation = row.key.removeprefix(prefix).split("|")
                if until and hour[: len(until)] > until:
                    return found
                found.append((hour, operation, row.value))
            after = rows[-1].key
        return found

    async def score(self, partner: str) -> Object:
        """How the live partner did in the last day: what an app's developer chooses by. Shares are None while there were no calls."""
        since = _hour(self._app.clock.now() - 24 * 3600 * 1000)
        rows = [each for each in await self.read([partner], since) if each["environment"] == "live"]
        calls = sum(each["calls"] for each in rows)
        total = _told(_total(rows)) if rows else {"latencyMs": None, "p95Ms": None}
        return {
            "calls": calls,
            "successRate": sum(each["ok"] for each in rows) / calls if calls else None,
            "availability": 1 - sum(each["unreachable"] for each in rows) / calls if calls else None,
            "latencyMs": total["latencyMs"],
            "p95Ms": total["p95Ms"],
        }


def as_csv(rows: Iterable[Object], by: By = "hour") -> str:
    """Counters as CSV with a header."""
    written = io.StringIO()
    writer = csv.DictWriter(written, columns(by), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def as_ndjson(rows: Iterable[Object], by: By = "hour") -> bytes:
    """Counters as one JSON object a line."""
    return b"".join(orjson.dumps({name: row[name] for name in columns(by)}) + b"\n" for row in rows)


def columns(by: By) -> tuple[str, ...]:
    """What an export has of each counter."""
    return ("partner", "environment", by, "operation", *_COUNTS)


def _sum(one: Object, other: Object) -> Object:
    counts = {name: one[name] + other[name] for name in _COUNTS}
    return {**counts, "times": [a + b for a, b in zip(one["times"], other["times"], strict=True)]}


def _total(rows: list[Object]) -> Object:
    total = rows[0]
    for row in rows[1:]:
        total = _sum(total, row)
    return total


def _told(value: Object) -> Object:
    """A counter with the mean and the 95th percentile of its calls' times."""
    return {**value, "latencyMs": round(value["ms"] / value["calls"], 1), "p95Ms": _percentile(value["times"], 0.95)}


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
