"""What became of a campaign: audience → suppressed → sent → delivered → opened → converted, in all and by what people differ in.

It is counted from the deliveries and the receipts themselves, whenever it is asked for, so that its sums are those of the rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Self

import orjson

from mbaas.data.app import App
from mbaas.kernel.values import Object
from mbaas_push.deliveries import TABLE, Delivery
from mbaas_push.receipts import Told, told_of

COUNTS = ("audience", "suppressed", "pending", "sent", "failed", "unknown", "delivered", "opened", "dismissed", "converted", "conversions")
"""`audience` is the sum of `suppressed`, `pending`, `sent`, `failed` and `unknown`; `converted` are devices, `conversions` how often."""
_PAGE = 500
_STATE = {"skipped": "suppressed", "again": "pending", "pending": "pending", "sent": "sent", "failed": "failed", "unknown": "unknown"}


@dataclass(slots=True)
class Tally:
    """Counts of deliveries."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    value: dict[str, Decimal] = field(default_factory=dict)

    def add(self, delivery: Delivery, told: Told | None) -> None:
        """Count one."""
        self.counts["audience"] += 1
        self.counts[_STATE[delivery.state]] += 1
        if told is None:
            return
        for kind in told.kinds - {"delivered"}:
            self.counts[kind] += 1
        # What was opened was delivered, whether or not anybody said so.
        self.counts["delivered"] += bool(told.kinds & {"delivered", "opened", "dismissed"})
        self.counts["conversions"] += told.conversions
        for currency, amount in told.value.items():
            self.value[currency] = self.value.get(currency, Decimal(0)) + amount

    def told(self) -> Object:
        """The counts, with the value of the conversions by currency."""
        return {**self.counts, "value": {currency: float(amount) for currency, amount in sorted(self.value.items())}}


class Report:
    """The counts of some runs of a campaign, or of a play."""

    BY: ClassVar[tuple[str, ...]] = ("variant", "locale", "zone", "platform", "provider")

    def __init__(self) -> None:
        self.total = Tally()
        self.by: dict[str, dict[str, Tally]] = {name: {} for name in self.BY}
        self.reasons: dict[str, dict[str, int]] = {"suppressed": {}, "failed": {}}

    @classmethod
    async def of(cls, app: App, prefixes: Iterable[str]) -> Self:
        """The report of the deliveries whose keys begin with one of these."""
        report = cls()
        for prefix in prefixes:
            after = ""
            while rows := await app.store.rows.scan(TABLE, after, _PAGE, prefix):
                after = rows[-1].key
                receipts = await told_of(app, prefix, rows[0].key, after)
                for row in rows:
                    report.add(Delivery.of(row), receipts.get(row.key))
        return report

    def add(self, delivery: Delivery, told: Told | None) -> None:
        """Count one."""
        value = delivery.value
        self.total.add(delivery, told)
        which = {"platform": value["type"], "provider": (value["to"] or ["none"])[0]}
        for name in self.BY:
            key = which.get(name) or str(value.get(name, ""))
            self.by[name].setdefault(key, Tally()).add(delivery, told)
        if (kind := _STATE[delivery.state]) in self.reasons:
            reason = str(value.get("reason", ""))
            self.reasons[kind][reason] = self.reasons[kind].get(reason, 0) + 1

    def told(self) -> Object:
        """The report as one object."""
        by = {name: {key: tally.told() for key, tally in sorted(found.items())} for name, found in self.by.items()}
        return {"total": self.total.told(), **{name: dict(sorted(found.items())) for name, found in self.reasons.items()}, "by": by}

    def lines(self) -> Iterator[Object]:
        """The report line by line: `by` and `key` say of what."""
        yield {"by": "total", "key": "", **self.total.told()}
        for name, found in self.by.items():
            yield from ({"by": name, "key": key, **tally.told()} for key, tally in sorted(found.items()))
        for name, reasons in self.reasons.items():
            for reason, count in sorted(reasons.items()):
                yield {"by": f"{name} reason", "key": reason, **dict.fromkeys(COUNTS, 0), "audience": count, name: count, "value": {}}

    def csv(self) -> str:
        """The lines as CSV with a header; a value is `12.5 EUR`, several are separated by semicolons."""
        written = io.StringIO()
        writer = csv.DictWriter(written, ("by", "key", *COUNTS, "value"), lineterminator="\n")
        writer.writeheader()
        for line in self.lines():
            value = "; ".join(f"{amount:g} {currency}" for currency, amount in line["value"].items())
            key = line["key"]
            # A spreadsheet would take what begins so for a formula.
            writer.writerow({**line, "key": f"'{key}" if key[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else key, "value": value})
        return written.getvalue()

    def ndjson(self) -> bytes:
        """The lines as one JSON object each."""
        return b"".join(orjson.dumps(line) + b"\n" for line in self.lines())
