"""Dead letters: deliveries of an ended push that have failed for good, or of which nobody knows, and how they are sent once more.

What an address that is gone was sent is none of them. They keep their rows, and so their send ids, by which a device that had it all the
same shows it once; and everything is asked anew that is asked before sending: opt-outs, quiet hours, caps, whether it has expired. That
they are to be sent again is one commit with the task that does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mbaas.data.app import App
from mbaas.data.audit import by
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import DropRow, PutRow, Step
from mbaas_push import status
from mbaas_push.campaigns.launching import UNDER_WAY
from mbaas_push.campaigns.store import Store
from mbaas_push.deliveries import KEPT_MS, TABLE, Delivery, expiry_of
from mbaas_push.runs import ENDED, PUSHES, RESULTS, Runs
from mbaas_push.sending import AGAIN

STATES = ("failed", "unknown")
MOST = 1000
"""Deliveries that one request sends again."""
_ROUNDS = "push requeues"
_PAGE = 1000
_KNOWN = frozenset(("state", "reason", "deliveries", "limit"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ones are to be sent again: those with these keys; or those of a `state`, and of a `reason` if one is given."""

    state: str
    reason: str | None
    keys: tuple[str, ...] | None
    limit: int

    @classmethod
    def read(cls, given: Object) -> Wanted:
        """From the body of a request. ParseError 102 says what of it cannot be."""
        if unknown := sorted(set(given) - _KNOWN):
            raise _wrong(f"{unknown[0][:40]} is none of {', '.join(sorted(_KNOWN))}")
        state, reason, keys, limit = given.get("state", "failed"), given.get("reason"), given.get("deliveries"), given.get("limit", MOST)
        if state not in STATES or not isinstance(reason, str | None):
            raise _wrong(f"state is {' or '.join(STATES)}; reason is a text")
        if keys is not None and (not isinstance(keys, list) or len(keys) > MOST or not all(isinstance(key, str) for key in keys)):
            raise _wrong(f"deliveries is a list of up to {MOST}")
        if keys is not None and ("state" in given or reason is not None):
            raise _wrong("it is about deliveries, or about a state and a reason")
        if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= MOST:
            raise _wrong(f"limit is a number from 1 to {MOST}")
        return cls(str(state), reason, None if keys is None else tuple(dict.fromkeys(keys)), limit)

    def take(self, delivery: Delivery) -> bool:
        """True for one of those."""
        if self.keys is not None:
            return dead(delivery)
        return dead(delivery, self.state) and self.reason in (None, delivery.value.get("reason"))


def dead(delivery: Delivery, *states: str) -> bool:
    """True if nothing more becomes of it by itself, and its address may be good."""
    return delivery.state in (states or STATES) and not delivery.value.get("gone")


class DeadLetters:
    """Those of one app's pushes, and of its campaigns' runs. What is worth something for minutes only, as plays, is not sent again."""

    def __init__(self, app: App, runs: Runs) -> None:
        self._app, self._runs = app, runs

    async def page(self, run: str, state: str | None, after: str, limit: int) -> tuple[list[Object], str | None]:
        """Some of them in the order of their keys, and where the next page begins."""
        found: list[Object] = []
        while rows := await self._app.store.rows.scan(TABLE, after, _PAGE, f"{run}:"):
            for row in rows:
                after, delivery = row.key, Delivery.of(row)
                if dead(delivery, *(() if state is None else (state,))):
                    found.append({"delivery": row.key, **delivery.told()})
                    if len(found) == limit:
                        return found, after
        return found, None

    async def requeue(self, run: str, wanted: Wanted, caller: Caller) -> Object:
        """Send some again: how many, how many are left out since they have expired, and whether there are `more` than the limit.

        ParseError 101 if there is no such push or nothing of it is left to send, 119 with HTTP 409 while it is being sent, and for a
        campaign that is paused or cancelled.
        """
        rows = self._app.store.rows
        if await rows.get(PUSHES, run) is not None:
            raise _busy(run)
        ended = await rows.get(ENDED, run)
        if ended is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, f"The push {run[:40]} has no dead letters, or has been cancelled or forgotten.")
        found = await self._found(run, wanted)
        now, push = self._app.clock.now(), ended.value["push"]
        late = [delivery for delivery in found if (expiry := expiry_of(push, delivery)) is not None and expiry <= now]
        sent = [delivery for delivery in found if delivery not in late][: wanted.limit]
        told: Object = {"requeued": len(sent), "expired": len(late), "more": len(found) - len(late) > len(sent)}
        if not sent:
            return told
        value = _begun_anew(ended.value, sent)
        steps = [*await self._noted(run, value, caller, len(sent)), *_marks(sent, now)]
        steps += [DropRow(RESULTS, run), PutRow(PUSHES, run, value, due=now, if_absent=True)]
        try:
            await self._app.store.documents.commit(steps)
        except Duplicate:
            # Somebody else had some sent again, or the campaign was changed, at the same moment.
            raise _busy(run) from None
        await status.tell(self._app, run, "running", value["counts"])
        self._runs.wake()
        return told

    async def requeue_failed(self, runs: Sequence[str], caller: Caller) -> int:
        """Send again what has failed of a campaign's runs that have ended, as many as may be at once of each: how many these are."""
        rows, count = self._app.store.rows, 0
        for run in runs:
            if await rows.get(PUSHES, run) is None and await rows.get(ENDED, run) is not None:
                count += (await self.requeue(run, Wanted.read({}), caller))["requeued"]
        return count

    async def _found(self, run: str, wanted: Wanted) -> list[Delivery]:
        """Those that are wanted, up to one more than the limit that have not expired."""
        rows, found, after = self._app.store.rows, list[Delivery](), ""
        if wanted.keys is not None:
            own = [await rows.get(TABLE, key) for key in wanted.keys if key.startswith(f"{run}:")]
            return [delivery for row in own if row is not None and wanted.take(delivery := Delivery.of(row))]
        while len(found) <= wanted.limit and (page := await rows.scan(TABLE, after, _PAGE, f"{run}:")):
            after = page[-1].key
            found += filter(wanted.take, map(Delivery.of, page))
        return found

    async def _noted(self, run: str, value: Object, caller: Caller, count: int) -> list[Step]:
        """The steps that keep who had how many sent again; the number of the round is taken once only."""
        now, campaign = self._app.clock.now(), value["push"].get("campaign")
        who: Object = {"at": now, "count": count, **by(caller)}
        noted: list[Step] = [PutRow(_ROUNDS, f"{run}|{value['rounds']:08d}", who, expires=now + 2 * KEPT_MS, if_absent=True)]
        if campaign is None or campaign.get("test"):
            return noted
        store = Store(self._app)
        kept = await store.get(campaign["id"])
        if kept.state in ("paused", "cancelled"):
            raise ParseError(Code.OPERATION_FORBIDDEN, f"The campaign is {kept.state}.", status=409)
        changed = store.steps(kept, "requeued", caller, {"run": run, "deliveries": count})
        return [*noted, *changed, PutRow(UNDER_WAY, f"{kept.id}|{run}", {})]


def _begun_anew(ended: Object, sent: Sequence[Delivery]) -> Object:
    """The value of a run that has these to send, whose counts are without them."""
    counts = dict(ended["counts"])
    for delivery in sent:
        for name in delivery.counted(delivery.state):
            if name in counts:
                counts[name] -= 1
    # Nothing of it is in doubt, and whatever waits for its next attempt is found by itself.
    return {**ended, "counts": counts, "settled": ended["started"], "rounds": ended.get("rounds", 0) + 1}


def _marks(sent: Sequence[Delivery], now: int) -> list[Step]:
    steps: list[Step] = []
    for delivery in sent:
        for name in ("reason", "tries"):
            delivery.value.pop(name, None)
        delivery.value.update({"state": "again", "at": now, "requeued": delivery.value.get("requeued", 0) + 1})
        steps += [PutRow(AGAIN, delivery.key, {"at": now, "from": now}), delivery.step(now)]
    return steps


def _busy(run: str) -> ParseError:
    text = f"The push {run[:40]} is being sent; what fails can be sent again when it has ended."
    return ParseError(Code.OPERATION_FORBIDDEN, text, status=409)


def _wrong(text: Json) -> ParseError:
    return ParseError(Code.INVALID_QUERY, f"Dead letters: {text}.")
