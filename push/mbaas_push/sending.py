"""Sends the deliveries of a run: a window is marked as started, durably and under the run's fence, and only then put on the wire.

So after a crash a row beyond the mark was surely never sent, and one before it without an outcome is *ambiguous*: it is sent once
more, under the same send id, by which a device shows it once; or it is left, where the push says so (`skip`). Outcomes are written
with the next mark. A process that lost its run can neither start a row nor write what became of one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any

from mbaas.jobs.queue import Lost, Task
from mbaas.kernel.tasks import end
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import DropRow, PutRow, Step
from mbaas_push.audience import forget, remember
from mbaas_push.breaker import Breaker
from mbaas_push.campaigns.gate import Gate, Held
from mbaas_push.deliveries import TABLE, UNSETTLED, Delivery, expiry_of
from mbaas_push.message import SKIP, in_locale
from mbaas_push.transports.port import Outcome, Parcel
from mbaas_push.turns import Turns, lane_of

_WINDOW = 150
"""Rows that are marked as started at a time. No more than that many steps run on the event loop (the embedded store's bound is 200)."""
_IN_FLIGHT = 900
"""Rows on the wire at a time, and no more of them can be ambiguous after a crash."""
_WINDOW_BESIDE, _IN_FLIGHT_BESIDE = 50, 100
"""The same while moments come: what is on the wire is work that a moment finds before it. And where what is ambiguous is left."""
_AT_A_TIME = 20
"""Messages that are made up without letting anything else run."""
_TURNS = 4
"""How many windows a second are sent of a campaign that is to go out slowly."""
_HEEDED_SECONDS = 0.5
"""How often one that waits for its turn looks for orders."""
_LANDING_SECONDS = 3.0
"""How long the end of the server waits for what is on the wire."""
_ATTEMPTS = 5
_FIRST_WAIT_MS, _LONGEST_WAIT_MS = 1000, 300_000
AGAIN = "redeliveries"
"""The table of what waits for its next attempt: when that is `at`, since when it waits (`from`) unless that is for a time of day, and
whether it was `started`."""
_SET_BACK_MS = 60_000
"""By how much the clock was set back at least, where it shows a time before that at which something began to wait."""

Send = Callable[[Parcel], Awaitable[Outcome]]
Told = Callable[[Mapping[str, int]], Awaitable[None]]
"""Tells how far the run is: its counts."""


CONTROL = "push orders"
"""The table of what is ordered of a run by others than the process that has it: `paused` or `cancelled`."""
LOOKS_MS = 5_000
"""How often a run that is paused is looked at: it may have been resumed in the moment in which it was let go."""


_GIVES_WAY, _TRIPPED, _ENDS = "gives way", "tripped", "ends"
_LATER_MS = 1000
"""When one that has given way comes back, at the earliest."""


class _Stopped(Exception):
    """The run is to stop: for an order, because it gives way, or since too much of it fails."""

    def __init__(self, order: str) -> None:
        super().__init__(order)
        self.order = order


async def order_of(task: Task) -> str | None:
    """What is ordered of the run, or of the play whose run it is."""
    found = await task.app.store.rows.get(CONTROL, task.value.get("play", task.key))
    return None if found is None else str(found.value)


class Sending:
    """One run that this process holds. The rows are those of the task's `run`, where it names one, or of its own key."""

    def __init__(self, task: Task, send: Send, told: Told, turns: Turns, gate: Gate | None = None) -> None:
        self._task, self._send, self._told, self._turns = task, send, told, turns
        self._now = task.app.clock.now
        self._flying: set[asyncio.Task[None]] = set()
        self._open: set[str] = set()
        """Keys on the wire, or about to be."""
        self._looked: str | None = None
        """While it recovers: up to where it has been looked for what is in doubt."""
        self._settled: list[Step] = []
        """What became of rows, to be written with the next mark."""
        self._unsent: list[Delivery] = []
        """Those of them that had been begun, and that no device was sent."""
        self._counts: dict[str, int] = dict(task.value["counts"])
        self._moved = asyncio.Event()
        push = task.value["push"]
        self._lane = lane_of(push)
        self._data: Object = in_locale(push["data"], (), None)
        self._leaves_doubtful = push.get("on_ambiguous") == SKIP
        campaign = push.get("campaign")
        self._gate = gate if gate is not None or campaign is None else Gate(task.app, task.key, campaign)
        pace = None if campaign is None else campaign.get("perSecond")
        self._seconds_each = 0.0 if pace is None else 1 / pace
        self._window = _WINDOW_BESIDE if self._leaves_doubtful else _WINDOW
        if pace is not None:
            self._window = max(1, min(self._window, int(pace / _TURNS)))
        self._free = 0.0
        """When, by the event loop's clock, the next window may leave."""
        self._begun = asyncio.get_running_loop().time()
        self._breaker = None if campaign is None or campaign.get("test") else Breaker(self._counts)
        self._ends = False
        """True when nothing more is to leave: the server ends."""
        self.tripped = ""
        """Why it has stopped by itself, if it has."""

    async def run(self) -> int | None:
        """Send what is due. None when nothing of the run is left; else when it is to go on, in ms.

        Where it is told to stop, what is on the wire lands first.
        """
        return await self._to_its_end(self._sent(self._go_through()))

    async def at_once(self, deliveries: Sequence[Delivery], beside: Sequence[Step]) -> int | None:
        """The same for deliveries that are due and have not been written yet: that they are there, and that they are started, is one
        commit with the steps `beside` it."""
        marks = [*beside, *(delivery.step(self._now()) for delivery in deliveries)]
        return await self._to_its_end(self._sent(self._start(deliveries, max(delivery.key for delivery in deliveries), marks)))

    async def _to_its_end(self, sending: Coroutine[Any, Any, int | None]) -> int | None:
        """Where the server ends in order, what is on the wire has some seconds to land: nobody is in doubt of it afterwards."""
        work = asyncio.create_task(sending)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._ends = True
            if self._task.held:
                await asyncio.wait([work], timeout=_LANDING_SECONDS)
            await end([work])
            with suppress(Lost):
                if self._task.held and self._settled:
                    # Others have landed where one has not.
                    await self._keep(self._task.value["started"])
            raise

    async def _go_through(self) -> int | None:
        await self._heed()
        await self._recover()
        return await self._send_pending()

    async def _sent(self, sending: Awaitable[int | None]) -> int | None:
        try:
            later = await sending
            again = await self._send_again()
        except _Stopped as stopped:
            await self._landed()
            if stopped.order == _ENDS:
                return None
            if stopped.order == _GIVES_WAY:
                return self._now() + max(_LATER_MS, int(1000 * (self._free - asyncio.get_running_loop().time())))
            if stopped.order == _TRIPPED:
                return self._now() + LOOKS_MS
            if stopped.order == "paused":
                # It may have been resumed while the last of it landed.
                return self._now() + (LOOKS_MS if await order_of(self._task) is not None else 0)
            await self._withdraw()
            return None
        finally:
            await end(self._flying)
        times = [time for time in (later, again) if time is not None]
        return min(times) if times else None

    async def _recover(self) -> None:
        """Send what may have been on the wire when another process died once more, or leave it."""
        value = self._task.value
        rows, at = self._task.app.store.rows, value["settled"]
        while at < value["started"]:
            self._looked = at
            page = [Delivery.of(row) for row in await rows.scan(TABLE, at, self._window, self._prefix) if row.key <= value["started"]]
            if not page:
                break
            at = page[-1].key
            ambiguous = [delivery for delivery in page if delivery.state == "pending"]
            marks = [self._doubtful(delivery) for delivery in ambiguous]
            if self._leaves_doubtful:
                self._leave(ambiguous)
                await self._keep(value["started"], marks)
            else:
                await self._start(ambiguous, value["started"], marks)
        self._looked = None

    async def _send_pending(self) -> int | None:
        """Go through the rows in their order. When the next of them is due, if one is left."""
        rows = self._task.app.store.rows
        at = self._task.value["started"]
        while page := [Delivery.of(row) for row in await rows.scan(TABLE, at, self._page(), self._prefix)]:
            now = self._now()
            due = [delivery for delivery in page if delivery.due <= now]
            if not due:
                return page[0].due
            at = due[-1].key
            await self._start([delivery for delivery in due if delivery.state == "pending"], at)
        return None

    def _page(self) -> int:
        """How many rows are started at a time now."""
        return min(self._window, _WINDOW_BESIDE) if self._turns.crowded(self._lane) else self._window

    async def _send_again(self) -> int | None:
        """Try what was refused for a while. When the next of it is due, if some is left."""
        await self._landed()
        rows, at, soonest = self._task.app.store.rows, "", None
        while page := await rows.scan(AGAIN, at, self._window, self._prefix):
            at = page[-1].key
            now = self._now()
            due = [row for row in page if _over(row.value, now)]
            waits = [int(row.value["at"]) for row in page if not _over(row.value, now)]
            soonest = min([*waits, *([soonest] if soonest is not None else [])], default=None)
            found = [await rows.get(TABLE, row.key) for row in due]
            deliveries = [Delivery.of(row) for row in found if row is not None]
            marks: list[Step] = [PutRow(AGAIN, row.key, {**row.value, "started": True}) for row in due]
            begun = {row.key for row in due if row.value.get("started")}
            ambiguous = [delivery for delivery in deliveries if delivery.key in begun]
            marks += [self._doubtful(delivery) for delivery in ambiguous]
            if self._leaves_doubtful:
                self._leave(ambiguous)
                deliveries = [delivery for delivery in deliveries if delivery.key not in begun]
            await self._start(deliveries, self._task.value["started"], marks)
        # What is refused once more now waits for the next pass.
        await self._landed()
        if soonest is None and (left := await rows.scan(AGAIN, "", 1, self._prefix)):
            soonest = int(left[0].value["at"])
        return soonest

    def _doubtful(self, delivery: Delivery) -> Step:
        """Note that the provider may have accepted an attempt whose outcome nobody heard."""
        delivery.value["ambiguous"] = delivery.value.get("ambiguous", 0) + 1
        return delivery.step(self._now())

    def _leave(self, ambiguous: Sequence[Delivery]) -> None:
        for delivery in ambiguous:
            self._settle(delivery, {"state": "unknown", "reason": "interrupted"}, "unknown")

    @property
    def _prefix(self) -> str:
        return f"{self._task.value.get('run', self._task.key)}:"

    async def _start(self, deliveries: Sequence[Delivery], started: str, marks: Sequence[Step] = ()) -> None:
        """Mark rows as started, then put them on the wire; wait first where enough is on it."""
        few = self._leaves_doubtful or self._turns.crowded(self._lane)
        while self._open and len(self._open) + len(deliveries) > (_IN_FLIGHT_BESIDE if few else _IN_FLIGHT):
            await self._any_lands()
        await self._wait_turn(len(deliveries))
        await self._heed()
        held = {} if self._gate is None else await self._gate.look([one for one in deliveries if not self._too_late(one)])
        leaving: list[Delivery] = []
        for delivery in deliveries:
            if self._too_late(delivery):
                self._settle(delivery, {"state": "skipped", "reason": delivery.value.get("late", "expired")}, "skipped")
            elif delivery.key in held:
                self._hold(delivery, held[delivery.key])
            else:
                leaving.append(delivery)
                self._open.add(delivery.key)
        await self._keep(started, marks)
        for place, delivery in enumerate(leaving, 1):
            flight = asyncio.create_task(self._fly(delivery))
            self._flying.add(flight)
            flight.add_done_callback(self._flying.discard)
            if place % _AT_A_TIME == 0:
                await asyncio.sleep(0)

    async def _wait_turn(self, count: int) -> None:
        """Wait until so many may leave: until nothing more urgent is being sent, and where the campaign has a pace."""
        await self._turns.wait(self._lane)
        now = asyncio.get_running_loop().time
        while True:
            if self._turns.gives_way(self._lane, now() - self._begun):
                raise _Stopped(_GIVES_WAY)
            if (left := self._free - now()) <= 0:
                break
            await asyncio.sleep(min(left, _HEEDED_SECONDS))
            await self._heed()
        self._free = max(self._free, now()) + count * self._seconds_each

    def _hold(self, delivery: Delivery, held: Held) -> None:
        """What the gate keeps back is skipped, or waits for its time."""
        if held.until is None:
            self._settle(delivery, {"state": "skipped", "reason": held.reason}, "skipped")
            return
        delivery.value.update({"state": "again", "at": held.until, "reason": held.reason})
        self._settled += [PutRow(AGAIN, delivery.key, {"at": held.until}), delivery.step(self._now())]

    async def _heed(self) -> None:
        if self._ends:
            raise _Stopped(_ENDS)
        if (order := await order_of(self._task)) is not None:
            raise _Stopped(order)
        if self._breaker is not None and (why := self._breaker.tripped(self._counts)):
            self.tripped = why
            raise _Stopped(_TRIPPED)

    async def _withdraw(self) -> None:
        """Send nothing more of the run: whatever has no end yet is skipped, what waits for its next attempt included."""
        rows, at = self._task.app.store.rows, self._task.value["settled"]
        while waiting := await rows.scan(AGAIN, "", _WINDOW, self._prefix):
            found = [await rows.get(TABLE, row.key) for row in waiting]
            for delivery in [Delivery.of(row) for row in found if row is not None]:
                self._settle(delivery, {"state": "skipped", "reason": "cancelled"}, "skipped")
            await self._keep(self._task.value["started"], [DropRow(AGAIN, row.key) for row in waiting])
        while page := [Delivery.of(row) for row in await rows.scan(TABLE, at, _WINDOW, self._prefix)]:
            at = page[-1].key
            for delivery in page:
                if delivery.state in UNSETTLED:
                    if delivery.state == "pending" and delivery.key <= self._task.value["started"]:
                        # Another process died with it on the wire.
                        self._doubtful(delivery)
                    self._settle(delivery, {"state": "skipped", "reason": "cancelled"}, "skipped")
            await self._keep(at)

    async def _keep(self, started: str, marks: Sequence[Step] = ()) -> None:
        if self._gate is not None and self._unsent:
            unsent, self._unsent = self._unsent, []
            await self._gate.give_back(unsent)
        steps, self._settled = self._settled, []
        settled = _before(min(self._open)) if self._open else started
        if self._looked is not None:
            settled = min(settled, self._looked)
        value = {**self._task.value, "started": started, "settled": settled, "counts": dict(self._counts)}
        # Steps come last: what has its end now is no longer marked as begun.
        await self._task.keep(value, [*marks, *steps])
        await self._told(self._counts)

    async def _landed(self) -> None:
        """Wait until nothing is on the wire, and write what became of it all."""
        while self._open:
            await self._any_lands()
        if self._settled:
            await self._keep(self._task.value["started"])

    async def _any_lands(self) -> None:
        self._moved.clear()
        await self._moved.wait()
        if len(self._settled) >= _WINDOW:
            await self._keep(self._task.value["started"])

    async def _fly(self, delivery: Delivery) -> None:
        try:
            outcome = await self._send(self._parcel(delivery))
        except Exception as error:
            get_logger(__name__).exception("a push could not be sent", push=self._task.key)
            outcome = Outcome("unknown", f"{type(error).__name__}")
        self._take(delivery, outcome)
        if outcome.verdict == "gone":
            value = delivery.value
            await forget(self._task.app, value["installation"], delivery.address.value, value["seen"], outcome.since)
        if outcome.sandbox is not None:
            await remember(self._task.app, delivery, sandbox=outcome.sandbox)
        self._open.discard(delivery.key)
        self._moved.set()

    def _parcel(self, delivery: Delivery) -> Parcel:
        value = delivery.value
        data = {**self._data, **value.get("locale", {})} if self._gate is None else self._gate.data(delivery)
        if "badge" in value:
            data["badge"] = value["badge"]
        expires = expiry_of(self._task.value["push"], delivery)
        return Parcel(send_id_of(delivery.key), delivery.address, data, expires, urgent=self._lane == "moment")

    def _too_late(self, delivery: Delivery) -> bool:
        expiry = expiry_of(self._task.value["push"], delivery)
        return expiry is not None and expiry <= self._now()

    def _take(self, delivery: Delivery, outcome: Outcome) -> None:
        """What an outcome makes of a row."""
        now, tries = self._now(), int(delivery.value.get("tries", 0)) + 1
        told: Object = {"tries": tries, "reason": outcome.reason}
        if outcome.verdict == "unknown":
            told["ambiguous"] = delivery.value.get("ambiguous", 0) + 1
        if outcome.verdict == "sent":
            self._settle(delivery, {**told, "state": "sent", "id": outcome.provider_id, "at": now}, "sent")
        elif outcome.verdict == "unknown" and self._leaves_doubtful:
            self._settle(delivery, {**told, "state": "unknown"}, "unknown")
        elif outcome.verdict in ("again", "unknown") and tries < _ATTEMPTS:
            wait = outcome.wait_ms
            if wait is None:
                # Full jitter, so that who was refused together does not come back together.
                wait = random.randint(_FIRST_WAIT_MS // 2, min(_FIRST_WAIT_MS << tries, _LONGEST_WAIT_MS))  # noqa: S311
            self._settled.append(PutRow(AGAIN, delivery.key, {"at": now + wait, "from": now}))
            delivery.value.update({**told, "state": "again", "at": now + wait})
            self._settled.append(delivery.step(now))
        else:
            self._settle(delivery, {**told, "state": "failed", "gone": outcome.verdict == "gone"}, "failed")

    def _settle(self, delivery: Delivery, told: Object, count: str) -> None:
        """A row has its end."""
        was_again = delivery.state == "again"
        if (count == "failed" or (was_again and count != "sent")) and not told.get("ambiguous", delivery.value.get("ambiguous")):
            self._unsent.append(delivery)
        delivery.value.update({name: value for name, value in told.items() if value not in ("", None, False)})
        if was_again:
            self._settled.append(DropRow(AGAIN, delivery.key))
        self._settled.append(delivery.step(self._now()))
        for place in delivery.counted(count if count != "skipped" else f"skipped.{told['reason']}"):
            self._counts[place] = self._counts.get(place, 0) + 1


def send_id_of(key: str) -> str:
    """The UUID of a delivery, the same for every attempt: version 8 (RFC 9562), whose bits are ours to choose."""
    bits = blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{bits[:8]}-{bits[8:12]}-8{bits[13:16]}-8{bits[17:20]}-{bits[20:]}"


def _over(waits: Object, now: int) -> bool:
    """True if nothing is waited for any more: the time has come, or the clock has been set back, and nobody knows when that would be."""
    return bool(waits["at"] <= now or now < waits.get("from", 0) - _SET_BACK_MS)


def _before(key: str) -> str:
    """A text that sorts just before a delivery's key, and after those before it."""
    return key[:-1] + chr(ord(key[-1]) - 1) + "~"
