"""How often somebody is sent campaigns of a category: a row for each (category, person) with the runs of the last weeks.

A place is taken before the device is sent anything, by run: a second device of the same person, and a second attempt, take none. It is
given back when all that was sent for it has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mbaas.data.app import App
from mbaas.kernel.errors import Conflict, Duplicate
from mbaas.kernel.values import Object
from mbaas.storage.ports import ChangeRow, PutRow, Row, Step

_TABLE = "push caps"
_HOUR_MS = 3_600_000
_KEPT_MS = 30 * 24 * _HOUR_MS


@dataclass(frozen=True, slots=True)
class Caps:
    """The caps of a campaign, `{"count", "hours"}` each, on what its category sends a person."""

    app: App
    category: str
    limits: tuple[Object, ...]

    async def full(self, subject: str, run: str, now: int) -> bool:
        """True if the person has been sent as many as she may be, apart from this run."""
        row = await self.app.store.rows.get(_TABLE, self._key(subject))
        return row is not None and self._full(row.value, run, now)

    async def take(self, wanted: Mapping[str, Sequence[str]], run: str, now: int) -> set[str]:
        """Take places for the deliveries of persons, in one commit; who has none left."""
        while True:
            found = await asyncio.gather(*(self.app.store.rows.get(_TABLE, self._key(subject)) for subject in wanted))
            full: set[str] = set()
            unchanged: list[Step] = []
            taken: list[Step] = []
            for (subject, deliveries), row in zip(wanted.items(), found, strict=True):
                runs: Object = {} if row is None else {name: used for name, used in row.value.items() if used["at"] > now - _KEPT_MS}
                if self._full(runs, run, now):
                    full.add(subject)
                    continue
                used = runs.get(run, {"at": now, "for": []})
                every = sorted({*used["for"], *deliveries})
                if every == used["for"]:
                    continue
                # What is put raises the fence, by which another process sees that what it has read is no longer so.
                unchanged += [] if row is None else [ChangeRow(_TABLE, row)]
                value = {**runs, run: {"at": used["at"], "for": every}}
                taken.append(PutRow(_TABLE, self._key(subject), value, expires=now + _KEPT_MS, if_absent=row is None))
            try:
                if taken:
                    await self.app.store.documents.commit([*unchanged, *taken])
                return full
            except (Conflict, Duplicate):
                continue

    async def give_back(self, subject: str, run: str, delivery: str) -> None:
        """Nothing was sent for it."""

        def change(row: Row | None) -> Row:
            runs: Object = {} if row is None else dict(row.value)
            if run in runs:
                left = [name for name in runs[run]["for"] if name != delivery]
                runs = {**runs, run: {**runs[run], "for": left}} if left else {name: used for name, used in runs.items() if name != run}
            return Row(self._key(subject), runs, expires=self.app.clock.now() + _KEPT_MS)

        await self.app.store.rows.alter(_TABLE, self._key(subject), change)

    def _full(self, runs: Object, run: str, now: int) -> bool:
        if run in runs:
            return False
        times = [used["at"] for used in runs.values()]
        return any(sum(at > now - cap["hours"] * _HOUR_MS for at in times) >= cap["count"] for cap in self.limits)

    def _key(self, subject: str) -> str:
        return f"{self.category}|{subject}"
