"""From the change feed into the queue: which partner is to be told of which entry."""

from __future__ import annotations

from urllib.parse import quote

from mbaas.data.app import App
from mbaas.data.changes import ChangesView
from mbaas.kernel.errors import MbaasError, ParseError
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Entry, PutRow, Step
from mbaas_functions.partners.deliveries import DELIVERIES
from mbaas_functions.partners.principals import watcher
from mbaas_functions.partners.subscriptions import Subscriptions


class Matching:
    """Asks every subscription about every entry of its class."""

    def __init__(self, app: App, subscriptions: Subscriptions) -> None:
        self._app, self._subscriptions = app, subscriptions

    async def steps(self, entries: list[Entry], number: int) -> list[Step]:
        """The deliveries of a page of the feed, whose first entry has this number."""
        views: dict[str, list[tuple[str, Object, ChangesView]]] = {}
        classes = {entry.class_name for entry in entries}
        async for partner, subscription in self._subscriptions.all():
            if subscription["className"] in classes and (view := self._view(partner, subscription)) is not None:
                views.setdefault(subscription["className"], []).append((partner, subscription, view))
        found: list[Step] = []
        for at, entry in enumerate(entries):
            for partner, subscription, view in views.get(entry.class_name, ()):
                if (step := self._step(partner, subscription, view, entry, number + at)) is not None:
                    found.append(step)
        return found

    def _view(self, partner: str, subscription: Object) -> ChangesView | None:
        try:
            return ChangesView(self._app, watcher(partner), subscription["className"], subscription["where"])
        except MbaasError as error:
            # The class's permissions are others by now.
            get_logger(__name__).warning("a partner may not be told", partner=partner, reason=error.message, **_about(subscription))
            return None

    def _step(self, partner: str, subscription: Object, view: ChangesView, entry: Entry, number: int) -> Step | None:
        try:
            change = view.change(entry)
        except ParseError as error:
            get_logger(__name__).warning("an event cannot be judged", partner=partner, reason=error.message, **_about(subscription))
            return None
        if change is None or change["op"] not in subscription["events"]:
            return None
        key = f"{partner}|{subscription['id']}|{quote(entry.object_id, safe='')}|{number:016d}"
        value: Object = {
            "subscription": subscription["id"],
            "className": entry.class_name,
            "objectId": entry.object_id,
            "op": change["op"],
            "at": entry.at,
            "attempts": 0,
            # As it was then, with all that it held: what of it may be told is found out when it is sent.
            "state": entry.after.body if entry.after is not None else None,
        }
        if "subject" in subscription:
            value["about"] = _user(entry, subscription["subject"])
        return PutRow(DELIVERIES, key, value, due=self._app.clock.now())


def _user(entry: Entry, column: str) -> str | None:
    """The id of the user whom an object is, or was, about."""
    state = entry.after or entry.before
    found = state.body.get(column) if state is not None else None
    if isinstance(found, dict):
        found = found.get("objectId")
    return found if isinstance(found, str) else None


def _about(subscription: Object) -> dict[str, str]:
    return {"subscription": subscription["id"], "class_name": subscription["className"]}
