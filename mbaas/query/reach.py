"""What lies at a path in a document, by MongoDB's rules: a number picks an element of a list, any other key goes into
every object of a list; a list of lists is not entered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from mbaas.kernel.values import Json, Object
from mbaas.query.ast import Path


class Missing:
    """The type of ABSENT."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Missing()
"""Stands for a key that is not there. Where a list holds no object, there is not even that."""

_STAMPS = frozenset({"createdAt", "updatedAt"})


def leaves(body: Object, path: Path) -> list[Any]:
    """The values at the path, lists whole; ABSENT where a key is missing."""
    if len(path) == 1:
        key = path[0]
        value = body.get(key, ABSENT)
        if key in _STAMPS and isinstance(value, str):
            # The stamps travel as bare strings but are dates.
            value = {"__type": "Date", "iso": value}
        return [value]
    out: list[Any] = []
    _descend(body, path, 0, out)
    return out


def _descend(value: Json, path: Path, at: int, out: list[Any]) -> None:
    if at == len(path):
        out.append(value)
        return
    key = path[at]
    if isinstance(value, dict):
        if key in value:
            _descend(value[key], path, at + 1, out)
        else:
            out.append(ABSENT)
    elif isinstance(value, list):
        number = key.isascii() and key.isdigit()
        if number and int(key) < len(value):
            _descend(value[int(key)], path, at + 1, out)
        for element in value:
            if isinstance(element, dict) and (key in element or not number):
                _descend(element, path, at, out)
    else:
        out.append(ABSENT)


def candidates(body: Object, path: Path) -> Iterator[Any]:
    """The leaves, and the elements of those that are lists: what a comparison is tried on."""
    for leaf in leaves(body, path):
        yield leaf
        if isinstance(leaf, list):
            yield from leaf


def reaches(path: Path, holds: Callable[[Any], bool]) -> Callable[[Object], bool]:
    """A predicate: some candidate at the path satisfies `holds`."""
    if len(path) == 1 and path[0] not in _STAMPS:
        key = path[0]

        def at_top(body: Object) -> bool:
            value = body.get(key, ABSENT)
            return holds(value) or (isinstance(value, list) and any(map(holds, value)))

        return at_top
    return lambda body: any(map(holds, candidates(body, path)))
