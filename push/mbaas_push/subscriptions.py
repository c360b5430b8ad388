"""Who has subscribed to a topic of Firebase: the devices of a query are subscribed to it, or no longer.

A request goes through the query page by page for some seconds, and says where the next one goes on: nothing of it is kept here, and as
Firebase takes it well to be told twice, whoever is in doubt asks once more.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object
from mbaas_push.addresses import address_of
from mbaas_push.audience import CLASS, forget, reachable
from mbaas_push.campaigns.segments import after
from mbaas_push.topics import is_topic
from mbaas_push.transports.fcm_topics import MOST, FcmTopics

_SECONDS = 10.0
"""A request begins with no page after that."""
_GONE = "UNREGISTERED"
_FOR_NOW = frozenset(
    "RESOURCE_EXHAUSTED QUOTA_EXCEEDED UNAVAILABLE INTERNAL DEADLINE_EXCEEDED UNAUTHENTICATED PERMISSION_DENIED UNKNOWN_ERROR".split()
)
"""What may go well another time, and for others fails as well: there a request ends."""
_CURSOR = "after:"
"""How a cursor begins, so that none is empty."""


class Subscriptions:
    """Those to the topics of one app's project."""

    def __init__(self, app: App, firebase: FcmTopics) -> None:
        self._app, self._firebase = app, firebase

    async def change(self, topic: str, body: Object, *, subscribe: bool) -> Object:
        """Subscribe the devices of `where`, or end that: how many, how many not and why, and where the `next` request begins, if any.

        ParseError 102 for what cannot be.
        """
        where, cursor = _read(topic, body)
        now = asyncio.get_running_loop().time
        until, changed, failed = now() + _SECONDS, 0, Counter[str]()
        following: str | None = cursor
        while following is not None:
            cursor = following
            page = await find_objects(self._app, MASTER, CLASS, after(where, cursor, MOST))
            reasons, reached = await self._change_page(topic, page, subscribe=subscribe)
            changed += reached - len(reasons)
            failed.update(reasons)
            if _FOR_NOW.intersection(reasons):
                break
            following = page[-1]["objectId"] if len(page) == MOST else None
            if now() > until:
                break
        told = {"subscribed" if subscribe else "unsubscribed": changed, "failed": dict(failed)}
        return {**told, "next": None if following is None else f"{_CURSOR}{following}"}

    async def _change_page(self, topic: str, page: list[Object], *, subscribe: bool) -> tuple[list[str], int]:
        """For which reasons it failed, and of how many devices."""
        found = {address.value: one for one in page if (address := address_of(one)) is not None and address.provider == "fcm"}
        if not found:
            return [], 0
        failed = await self._firebase.change(list(found), topic, subscribe=subscribe)
        for token, reason in failed.items():
            if reason == _GONE:
                seen = from_iso(found[token]["updatedAt"])
                assert seen is not None
                await forget(self._app, found[token]["objectId"], token, seen)
        return list(failed.values()), len(found)


def _read(topic: str, body: Object) -> tuple[Object, str]:
    if not is_topic(topic):
        raise ParseError(Code.INVALID_QUERY, "A topic is called by up to 900 of a-z, A-Z, 0-9 and -_.~%.")
    if unknown := sorted(set(body) - {"where", "cursor"}):
        raise ParseError(Code.INVALID_QUERY, f"{unknown[0][:40]} is none of where, cursor.")
    cursor = body.get("cursor", _CURSOR)
    if not isinstance(cursor, str) or not cursor.startswith(_CURSOR):
        raise ParseError(Code.INVALID_QUERY, "cursor is what `next` said.")
    return reachable(body.get("where")), cursor.removeprefix(_CURSOR)
