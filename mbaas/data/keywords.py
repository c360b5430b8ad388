"""Keys and values that clients may not send: Parse's `requestKeywordDenylist`, against prototype pollution and its like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.query.regex import compiled

Rule = Mapping[str, Any]
_OF_PLACES = "0123456789.\\[(*?^$"
"""A pattern without any of these matches no number."""
_MOST, _LONGEST = 4096, 100
"""How many keys are remembered, and how long they may be: no client fills the memory with names that it makes up."""


class Keywords:
    """An app's denylist.

    A rule's `key` and `value` are equal to what is there or, for text, a regular expression that occurs in it; either may be left out.
    """

    def __init__(self, denylist: Iterable[Rule]) -> None:
        self._denylist = tuple(denylist)
        self._in_lists = any("key" not in rule or not set(rule["key"]).isdisjoint(_OF_PLACES) for rule in self._denylist)
        """True if a rule may name an element of a list, whose key is its place."""
        self._harmless: set[str] = set()
        """Keys that every rule rules out: the same columns are written again and again."""

    def refuse(self, value: Object | list[Json]) -> None:
        """105 if there is, anywhere in an object or a list that a client sent, a key and a value that a rule names."""
        stack: list[Json] = [value]
        while stack:
            at = stack.pop()
            if isinstance(at, dict):
                if not at.keys() <= self._harmless:
                    self._look(at)
                at = at.values()
            elif self._in_lists:
                self._look({str(place): item for place, item in enumerate(at)})
            stack += [inner for inner in at if type(inner) in (dict, list)]

    def _look(self, held: Object) -> None:
        for key, value in held.items():
            rules = [rule for rule in self._denylist if "key" not in rule or compiled(rule["key"]).found(key)]
            for rule in rules:
                if "value" not in rule or _is_meant(rule["value"], value):
                    text = orjson.dumps(dict(rule)).decode()
                    raise ParseError(Code.INVALID_KEY_NAME, f"Prohibited keyword in request data: {text}.")
            if not rules and len(key) <= _LONGEST:
                self._remember(key)

    def _remember(self, key: str) -> None:
        if len(self._harmless) >= _MOST:
            self._harmless.clear()
        self._harmless.add(key)


def _is_meant(wanted: Json, value: Json) -> bool:
    return compiled(str(wanted)).found(value) if isinstance(value, str) else type(value) is type(wanted) and value == wanted
