"""Tests on one's own phone, of campaigns and of plays: which device that is, how far a run is, and what became of a test."""

from __future__ import annotations

from mbaas.admin import sentences
from mbaas.admin.visit import Visit
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object
from mbaas_auth.staff.people import people_of
from mbaas_push.campaigns.store import Store
from mbaas_push.room import runs_of


def device_of(given: Object) -> str:
    """What was filled in: the id of an installation, or of a user. 142 for nothing."""
    device = given.get("device")
    if not isinstance(device, str) or not device.strip():
        raise ParseError(Code.VALIDATION_ERROR, "Fill in the id of your installation, or of your user in the app.")
    return device.strip()


async def note(visit: Visit, kind: str, about: str, device: str, run: str) -> Object:
    """Remember her phone, and that a test was sent there; what the page asks on with."""
    await people_of(visit.app).note_phone(visit.person, device)
    await visit.note(f"{kind} test", about, run=run)
    return {"run": run}


async def tested(visit: Visit, store: Store, about: str, run: str) -> Object:
    """What became of a test. 101 for a run that is not of this campaign or play."""
    seen = await progress(visit, await run_of(store, about, run))
    return {"counts": seen["counts"], "failed": seen["failed"], "held": seen["held"]}


async def run_of(store: Store, about: str, run: str) -> str:
    """The id of a run, which is one of that campaign or play. 101."""
    if not any(each["id"] == run for each in await store.runs(about)):
        raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such run of it.")
    return run


async def progress(visit: Visit, run: str) -> Object:
    """How far a run is: counts, and for what reasons some are held back or have failed."""
    try:
        seen = await runs_of(visit.app).told(run)
    except ParseError:
        # It has been launched, and nobody has begun with it.
        seen = {"status": "pending", "counts": {}, "failures": {}, "found": 0}
    counts: dict[str, int] = seen["counts"]
    held = {name.partition(".")[2]: count for name, count in counts.items() if name.startswith("skipped.")}
    sent, failed, suppressed = counts.get("sent", 0), counts.get("failed", 0), sum(held.values())
    ended = sent + failed + suppressed + counts.get("unknown", 0)
    total = max(seen.get("found", ended), ended)
    told = {"audience": total, "sent": sent, "failed": failed, "suppressed": suppressed, "pending": total - ended}
    return {
        "status": seen["status"],
        "counts": told,
        "held": sentences.reasons(held, sentences.HELD),
        "failed": sentences.reasons(seen["failures"], sentences.FAILED),
    }
