"""One entry of the feed as its watchers see it: which event it is for whom, and its frame, encoded once for all alike."""

from __future__ import annotations

from typing import Literal, NamedTuple

import orjson

from mbaas.data.address import shown_to
from mbaas.data.sight import Sight
from mbaas.kernel.values import Json, Object
from mbaas.query.compare import canonical
from mbaas.storage.ports import Entry

ALWAYS = ("objectId", "createdAt", "updatedAt", "ACL")
"""Columns that an event shows whatever its `keys`."""
_KEPT = ("objectId", "createdAt", "updatedAt")
"""What no trigger changes."""


Op = Literal["create", "enter", "update", "leave", "delete"]


class Event(NamedTuple):
    """`op` is the event's name; `now` and `then` say which states are shown as `object` and `original` (`after`, `before`)."""

    op: Op
    now: str
    then: str | None


class Counters:
    """What the hub counts, for metrics: entries read, queries matched against one, rights checked, frames sent."""

    def __init__(self) -> None:
        self.entries = self.matches = self.checks = self.frames = 0


class View:
    """One entry as one group of callers sees it. `encoded` holds the frames' common parts, each made at first use."""

    def __init__(self, entry: Entry, sight: Sight) -> None:
        self._entry, self.sight = entry, sight
        self._states = {"before": entry.before, "after": entry.after}
        self._sees = {name: state is not None and sight.sees(state.body) for name, state in self._states.items()}
        self._shown: dict[tuple[str, str | None], Object] = {}
        self._encoded: dict[tuple[Event, tuple[str, ...], str | None], str] = {}

    def event(self, before: bool, after: bool) -> Event | None:
        """What happened to a query that matched the object before, after, or both; None for nothing that may be told.

        To lose the right to read an object is to see it leave, as it was; to gain it is to see it enter.
        """
        was, is_now = before and self._sees["before"], after and self._sees["after"]
        if self._entry.op == "delete":
            return Event("delete", "before", None) if was else None
        if was and is_now:
            return Event("update", "after", "before")
        if was:
            return Event("leave", "after" if self._sees["after"] else "before", "before")
        if is_now:
            return Event("enter" if self._entry.before else "create", "after", "before" if self._sees["before"] else None)
        return None

    def changed(self, names: tuple[str, ...]) -> bool:
        """True if one of the columns has another value than before."""
        before, after = (state.body if state is not None else {} for state in self._states.values())
        return any((name in before) != (name in after) or canonical(before.get(name)) != canonical(after.get(name)) for name in names)

    def members(self, event: Event, keys: tuple[str, ...], origin: str | None) -> str:
        """The `object` and `original` of an event's frame, as JSON text, for those who came by this scheme and host."""
        place = origin if self.sight.shows_files else None
        made = self._encoded.get((event, keys, place))
        if made is None:
            made = f'"object":{self._text(event.now, keys, place)}'
            if event.then is not None:
                made += f',"original":{self._text(event.then, keys, place)}'
            self._encoded[event, keys, place] = made
        return made

    def _text(self, state: str, keys: tuple[str, ...], origin: str | None) -> str:
        shown = self._shown.get((state, origin))
        if shown is None:
            document = self._states[state]
            assert document is not None
            with shown_to(origin):
                shown = {**self.sight.announced(document.body), "className": self._entry.class_name}
            self._shown[state, origin] = shown
        return _selected(shown, keys)

    def changed_members(self, event: Event, keys: tuple[str, ...], origin: str | None, now: Json, then: Json) -> str:
        """The same of an event whose objects a trigger has changed; those that are None it has not."""
        with shown_to(origin):
            made = f'"object":{self._changed_text(event.now, keys, origin, now)}'
            return made if event.then is None else f'{made},"original":{self._changed_text(event.then, keys, origin, then)}'

    def _changed_text(self, state: str, keys: tuple[str, ...], origin: str | None, changed: Json) -> str:
        """Nothing is shown of a field that is hidden in the stored object, nor of one that is hidden in the changed one."""
        document = self._states[state]
        if document is None or not isinstance(changed, dict):
            return self._text(state, keys, origin)
        stored = document.body
        hidden = stored.keys() - self.sight.announced(stored).keys()
        kept = {name: stored[name] for name in _KEPT if name in stored}
        shown = {name: value for name, value in self.sight.announced({**changed, **kept}).items() if name not in hidden}
        return _selected({**shown, "className": self._entry.class_name}, keys)


def _selected(shown: Object, keys: tuple[str, ...]) -> str:
    if keys:
        shown = {name: value for name, value in shown.items() if name in keys or name in ALWAYS or name == "className"}
    return orjson.dumps(shown).decode()
