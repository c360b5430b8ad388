"""What happened, as it is told: by the app's server and its functions, by partners, by devices that enter or leave a place, by the feed.

It is on disk, with what is to be done for it, when this answers. An event id is one event of whoever tells of it: however often it comes,
it is one thing that happened, with one answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.values import Json, Object, date_ms, pointer
from mbaas.storage.ports import PutRow, Row, Step
from mbaas_push.campaigns import segments
from mbaas_push.campaigns.content import wrong
from mbaas_push.campaigns.recipients import subject_of
from mbaas_push.deliveries import KEPT_MS
from mbaas_push.moments import rules as asked
from mbaas_push.moments import triggers
from mbaas_push.moments.gate import cancel
from mbaas_push.moments.push import Fire
from mbaas_push.moments.rules import Live, Rules

RECORDS = "moments"
AHEAD_MS = 120_000
"""How much the clock of who tells may be ahead."""
_LONGEST_ID, _MOST_BYTES = 200, 4096
_KNOWN = frozenset(("eventId", "subject", "occurredAt", "props"))
_OF_FENCE = frozenset(("eventId", "transition", "fence", "location", "occurredAt"))
_LOOK_SECONDS, _LONGEST_SECONDS = 0.2, 15.0

Begin = Callable[[str, Object, Sequence[Step]], Awaitable[bool]]
"""Puts a task for what happened, in one commit with the steps, and begins it; False if that is known."""


class Firing:
    """Takes in what happens to the people of one app."""

    def __init__(self, app: App, rules: Rules, begin: Begin) -> None:
        self._app, self._rules, self._begin = app, rules, begin
        self._settled = asyncio.Event()

    async def fire(self, key: str, body: Object, source: str = "server") -> str:
        """A moment, of `{eventId, subject, occurredAt?, props?}`; its id. ParseError 142 for what cannot be."""
        name = triggers.key(key)
        fire_id, at, props = self._read(source, name, body, _KNOWN)
        where, single, subject = await self._subject(body.get("subject"))
        if where is None:
            # Nobody is told that a partner's id is not linked with anybody: it has happened, and sets nothing off.
            await self._accept(Fire(fire_id, name, at, {}, True, "", [], props), [])
            return fire_id
        live = (await self._rules.live()).values()
        plays = [play for play in asked.by_moment(live, name) if play.fits_props(props)]
        taken_back = asked.cancelled_by(live, {"moment": name})
        await self._accept(Fire(fire_id, name, at, where, single, subject, _ids(plays), props), taken_back)
        return fire_id

    async def of_partner(self, partner: str, key: str, body: Object, user: str | None) -> str:
        """A moment that a partner tells of, `<partner>.<key>`: of somebody who has consented, and told alike of all others."""
        given = {name: value for name, value in body.items() if name != "externalId"}
        if "subject" in given:
            raise wrong("a partner names somebody by externalId")
        name, source = f"{partner}.{key}", f"partner:{partner}"
        if user is None:
            return self._read(source, triggers.key(name), given, _KNOWN)[0]
        return await self.fire(name, {**given, "subject": {"user": user}}, source)

    async def geofence(self, caller: Caller, body: Object) -> str:
        """A device enters or leaves a place: `{eventId, transition, fence?, location?, occurredAt?}`; the id of that."""
        device, transition, fence = (caller.installation_id or "").lower(), body.get("transition"), body.get("fence")
        if not device:
            raise ParseError(Code.OPERATION_FORBIDDEN, "Who enters or leaves a place says so with an installation id.", status=403)
        if transition not in ("enter", "exit") or (fence is not None and not isinstance(fence, str)):
            raise wrong("transition is enter or exit; fence is the id of one")
        place = triggers.point(body["location"]) if "location" in body else None
        if fence is None and (place is None or transition == "exit"):
            raise wrong("who enters says which fence, or where that is; who leaves says which fence")
        fire_id, at, _ = self._read(f"installation:{device}", f"geofence:{transition}", body, _OF_FENCE)
        props: Object = {} if place is None else {"location": {"latitude": place[0], "longitude": place[1]}}
        live = (await self._rules.live()).values()
        plays = [play for play in asked.by_fence(live, transition, place, fence) if play.fits_props(props)]
        taken_back = asked.cancelled_by(live, {"geofence": "exit"}, fence) if transition == "exit" else []
        fire = Fire(fire_id, f"geofence:{transition}", at, {"installationId": device}, True, "", _ids(plays), props)
        await self._accept(fire, taken_back)
        return fire_id

    async def supposed(self, play: Live, body: Object) -> Fire:
        """As if this happened, `{subject, occurredAt?, props?}`, and set the play off, with those that rival it. Nothing is kept."""
        trigger = play.definition["trigger"]
        name = trigger.get("moment", next(iter(trigger)))
        fire_id, at, props = self._read("rehearsal", name, {"eventId": "rehearsal", **body}, _KNOWN)
        where, single, subject = await self._subject(body.get("subject"))
        if where is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, "The partner knows nobody by that id.")
        rivals = asked.by_moment((await self._rules.live()).values(), name) if "moment" in trigger else []
        plays = [play, *(each for each in rivals if each.id != play.id and each.fits_props(props))]
        return Fire(fire_id, name, at, where, single, subject, _ids(plays), props)

    async def fences(self) -> list[Object]:
        """The places that a device is to watch for, and what it is to tell of each."""
        found: list[Object] = []
        for play in (await self._rules.live()).values():
            fence = play.definition["trigger"].get("geofence")
            if fence is not None:
                also = {"exit"} if {"geofence": "exit"} in play.definition["cancelOn"] else set()
                found.append({"id": play.id, **fence, "on": sorted({fence["on"], *also})})
        return found

    def steps(self, fire: Fire, task: Callable[[Fire], PutRow]) -> list[Step]:
        """The steps that take in what the feed told, which tells of it once."""
        return [self._record(fire, if_absent=False), task(fire)]

    async def told(self, fire_id: str) -> Object:
        """What became of something that happened. ParseError 101 if nothing is known by that id."""
        row = await self._app.store.rows.get(RECORDS, fire_id)
        if row is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, "Nothing is known by that id.")
        value = row.value
        plays = [{"play": play, **counts} for play, counts in sorted(value["plays"].items())]
        times = {name: iso(value[name]) for name in ("at", "occurredAt")}
        return {"id": fire_id, "moment": value["moment"], "state": value["state"], **times, "plays": plays}

    async def outcome(self, fire_id: str) -> Object:
        """The same once it has been decided and sent, or after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_SECONDS):
                while (told := await self.told(fire_id))["state"] == "accepted":
                    self._settled.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_SECONDS):
                            await self._settled.wait()
                return told
        return await self.told(fire_id)

    def settled(self) -> None:
        """Something has been decided and sent."""
        self._settled.set()

    def _read(self, source: str, name: str, body: Object, known: frozenset[str]) -> tuple[str, int, Object]:
        """The id of an event, when it happened, and its props."""
        if unknown := sorted(set(body) - known):
            raise wrong(f"a moment has no {unknown[0][:40]}")
        event_id, props, now = body.get("eventId"), body.get("props", {}), self._app.clock.now()
        if not isinstance(event_id, str) or not 0 < len(event_id) <= _LONGEST_ID:
            raise wrong(f"eventId is a text of 1 to {_LONGEST_ID} characters")
        if not isinstance(props, dict):
            raise wrong("props is an object")
        if len(orjson.dumps(props)) > _MOST_BYTES:
            raise ParseError(Code.OBJECT_TOO_LARGE, f"The props of a moment have up to {_MOST_BYTES} bytes.")
        at = _moment(body.get("occurredAt"), now)
        if at > now + AHEAD_MS:
            raise wrong("occurredAt is more than two minutes ahead")
        return token_hash(orjson.dumps([source, name, event_id]).decode())[:20], min(at, now), props

    async def _subject(self, given: Json) -> tuple[Object | None, bool, str]:
        """Whom it is about: a query of installations, whether these are one person's, and who that is. No query: nobody."""
        if not isinstance(given, dict):
            raise wrong("subject is an object: user, installation, partner with externalId, or where")
        match sorted(given.items()):
            case [("user", str(user))] if user:
                return {"user": pointer("_User", user)}, True, f"user:{user}"
            case [("installation", str(installation))] if installation:
                return {"objectId": installation}, True, ""
            case [("externalId", external), ("partner", str(partner))]:
                linked = await self._app.functions.linked(partner, external)
                return ({"user": pointer("_User", linked)} if linked else None), True, f"user:{linked}"
            case [("where", dict(where))]:
                segments.check(self._app, {"where": where})
                return where, False, ""
        raise wrong("subject is one of user, installation, partner with externalId, and where")

    async def _accept(self, fire: Fire, taken_back: list[Live]) -> None:
        if not fire.single:
            fire.cancels.extend(_ids(taken_back))
        steps = [self._record(fire), *await self._cancels(fire, taken_back)]
        if fire.plays or fire.cancels:
            await self._begin(fire.id, {"fire": fire.stored(), "asked": self._app.clock.now()}, steps)
            return
        with suppress(Duplicate):
            await self._app.store.documents.commit(steps)

    async def _cancels(self, fire: Fire, taken_back: list[Live]) -> list[PutRow]:
        """What a person does that takes plays back is known to them when it is answered."""
        if not taken_back or not fire.single:
            return []
        subject = fire.subject
        if not subject:
            found = await find_objects(self._app, MASTER, segments.CLASS, FindOptions(where=fire.where, limit=1))
            if not found:
                return []
            subject = subject_of(found[0])
        return [step for play in taken_back for step in await cancel(self._app, play.id, subject, fire.at, play.worth.lasts)]

    def _record(self, fire: Fire, *, if_absent: bool = True) -> PutRow:
        state = "accepted" if fire.plays or fire.cancels else "done"
        row = record(fire, self._app.clock.now(), state, {})
        return PutRow(RECORDS, row.key, row.value, expires=row.expires, if_absent=if_absent)


def record(fire: Fire, at: int, state: str, plays: Object) -> Row:
    """What is kept of something that happened, and was told of `at` that time."""
    value = {"moment": fire.name, "at": at, "occurredAt": fire.at, "state": state, "plays": plays}
    return Row(fire.id, value, expires=at + KEPT_MS)


def _ids(plays: Sequence[Live]) -> list[str]:
    return [play.id for play in plays]


def _moment(given: Json, now: int) -> int:
    at: Any = now if given is None else from_iso(given) if isinstance(given, str) else date_ms(given)
    if at is None or at < 0:
        raise wrong("occurredAt is a date")
    return int(at)
