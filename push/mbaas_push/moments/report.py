"""What became of a play: fired → audience → eligible → sent → opened → converted, by partner too, and how old it was when it was sent.

It is counted from the same deliveries and receipts as a campaign's, whenever it is asked for.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Self

from mbaas.data.app import App
from mbaas.kernel.values import Object
from mbaas_push.campaigns.report import Report
from mbaas_push.deliveries import Delivery
from mbaas_push.moments.working import FIRES
from mbaas_push.receipts import Told

_PAGE = 1000
_AGES_MS = (100, 250, 1000, 5000, 30_000, 60_000, 300_000, 900_000)
_NOT_ELIGIBLE = ("no_address", "opted_out", "control", "unregistered")


class PlayReport(Report):
    """The counts of one play."""

    BY: ClassVar[tuple[str, ...]] = (*Report.BY, "partner")

    def __init__(self) -> None:
        super().__init__()
        self._fired = 0
        self._ages: list[int] = []
        self._asked: dict[str, Counter[str]] = {}
        self._worth = {"sent": 0.0, "late": 0.0}
        self._last: tuple[str, set[str]] = "", set()

    @classmethod
    async def of_play(cls, app: App, play_id: str) -> Self:
        """The report of all that set it off, as long as that is kept."""
        report = await cls.of(app, [f"{play_id}_"])
        after = ""
        while rows := await app.store.rows.scan(FIRES, after, _PAGE, f"{play_id}|"):
            report._fired += len(rows)
            after = rows[-1].key
        return report

    def add(self, delivery: Delivery, told: Told | None) -> None:
        super().add(delivery, told)
        value = delivery.value
        worth = float(value.get("worth", 0))
        if delivery.state == "sent":
            self._ages.append(max(0, value["at"] - value["occurred"]))
            self._worth["sent"] += worth
        elif value.get("reason") in ("expired", "min_value"):
            self._worth["late"] += worth
        run = delivery.key.partition(":")[0]
        if self._last[0] != run:
            self._last = run, set()
        if value.get("subject") not in self._last[1]:
            # Functions are asked once for all devices of a person.
            self._last[1].add(value.get("subject", ""))
            for name, how in value.get("offers", {}).items():
                self._asked.setdefault(name, Counter())[how] += 1

    def told(self) -> Object:
        total = self.total.counts
        eligible = total["audience"] - sum(self.reasons["suppressed"].get(reason, 0) for reason in _NOT_ELIGIBLE)
        functions = {name: {how: asked[how] for how in ("answered", "timeout", "failed")} for name, asked in sorted(self._asked.items())}
        return {
            "fired": self._fired,
            "eligible": eligible,
            **super().told(),
            "functions": functions,
            "age": self._age(),
            "worth": self._worth,
        }

    def _age(self) -> Object:
        """How old it was, in ms, when a provider accepted it: half of all were younger than `p50`; and how many were up to so old."""
        ages = sorted(self._ages)
        if not ages:
            return {"p50": None, "p99": None, "most": None, "upTo": {}}
        places = {f"p{percent}": ages[min(len(ages) - 1, len(ages) * percent // 100)] for percent in (50, 99)}
        return {**places, "most": ages[-1], "upTo": {str(most): sum(age <= most for age in ages) for most in _AGES_MS}}
