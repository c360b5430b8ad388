"""`_PushStatus`: what clients with the master key see of a push, in Parse Server's columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Duplicate, MbaasError, ParseError
from mbaas.kernel.values import Json, Object

STATUS = "_PushStatus"
_PER = {"type": "Type", "offset": "UTCOffset"}


def fields(push: Object, *, source: str = "rest") -> Object:
    """The row of a push that has been asked for."""
    row: Object = {
        "pushTime": push["pushTime"] or iso(push["asked"]),
        "query": _json(push.get("to") or push["where"]),
        "payload": _json(push["data"]),
        "source": source,
        "expiry": push["expires"],
        "expiration_interval": push["interval"],
        "status": "pending" if push["at"] is None else "scheduled",
        "numSent": 0,
        "pushHash": _hash(push["data"].get("alert")),
        "ACL": {},
    }
    return {name: value for name, value in row.items() if value is not None}


async def begin(app: App, run: str, row: Object) -> None:
    """Write the row, unless it is there."""
    if await app.store.documents.get(app.classes.known_or_blank(STATUS), run) is None:
        with suppress(Duplicate):
            await objects.create(app, MASTER, STATUS, row, object_id=run)


async def tell(app: App, run: str, status: str, counts: Mapping[str, int]) -> None:
    """Say how far a push is."""
    await _update(app, run, {"status": status, **_columns(counts)})


async def fail(app: App, run: str, error: MbaasError) -> None:
    """Say why nothing, or nothing more, is sent."""
    code = getattr(error, "code", Code.INTERNAL_SERVER_ERROR)
    await _update(app, run, {"status": "failed", "errorMessage": {"code": int(code), "message": error.message}})


async def _update(app: App, run: str, changes: Object) -> None:
    try:
        await objects.update(app, MASTER, STATUS, run, changes)
    except ParseError as error:
        # Who deletes a status does not want to be told.
        if error.code != Code.OBJECT_NOT_FOUND:
            raise


def _columns(counts: Mapping[str, int]) -> Object:
    columns: Object = {"numSent": counts.get("sent", 0), "numFailed": counts.get("failed", 0)}
    for name, count in counts.items():
        kind, _, rest = name.partition(".")
        by, _, which = rest.partition(".")
        if kind in ("sent", "failed") and which and by in _PER:
            columns.setdefault(f"{kind}Per{_PER[by]}", {})[_key(which)] = count
    return columns


def _key(which: str) -> str:
    """A zone's distance from UTC, as an object's key can be: `9`, and `5:30` for five hours and a half."""
    hours, point, part = which.partition(".")
    return f"{hours}:{round(float(f'0.{part}') * 60):02}" if point else which


def _hash(alert: Json) -> str:
    text = alert if isinstance(alert, str) else "" if alert is None else _json(alert)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _json(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
