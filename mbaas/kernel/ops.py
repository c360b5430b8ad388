"""The update operators: what a client asks of a field, as values, and what they do to a document.

They are values so that each store can apply them at commit, under its own write lock, to the document as it then
is: concurrent increments add up and nothing is lost. Source: the Parse REST guide (`__op`), Parse Server 9.10.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, is_number, value_key

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Set:
    """Put a value at the path, making the objects on the way."""

    path: Path
    value: Json


@dataclass(frozen=True, slots=True)
class Unset:
    """Take the key away."""

    path: Path


@dataclass(frozen=True, slots=True)
class Increment:
    """Add a number; an absent or null value counts as 0."""

    path: Path
    amount: float


@dataclass(frozen=True, slots=True)
class Add:
    """Append the values to a list."""

    path: Path
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class AddUnique:
    """Append those values that the list does not hold yet."""

    path: Path
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Remove:
    """Take every element that equals one of the values out of a list."""

    path: Path
    values: tuple[Json, ...]


_LARGEST = sys.float_info.max
_MOST_PADDED = 1000
"""How far behind the end of a list an element may be put."""

Op = Set | Unset | Increment | Add | AddUnique | Remove


def apply(ops: Iterable[Op], document: Object) -> Object:
    """The document after the operators, in order. The argument is left as it was (copied where it changes).

    Raises ParseError 111 where an operator meets a value that it cannot work on.
    """
    after = dict(document)
    for op in ops:
        if isinstance(op, (Unset, Remove)) and _ends_before(after, op.path):
            continue
        holder = _descend(after, op.path)
        if type(holder) is list:
            _apply_in_list(op, holder)
        elif isinstance(holder, dict):
            _APPLY[type(op)](op, holder, op.path[-1])
        elif not isinstance(op, Unset):
            raise _mismatch(op.path, "an object")
    return after


def _ends_before(root: Object, path: Path) -> bool:
    """True if there is nothing on the way to the path's last key, from where something could be taken."""
    at: Json = root
    for key in path[:-1]:
        if isinstance(at, dict):
            at = at.get(key)
        elif isinstance(at, list) and _is_place(at, key) and int(key) < len(at):
            at = at[int(key)]
        if at is None:
            return True
    return False


def _descend(root: Object, path: Path) -> Object | list[Json] | None:
    """What holds the last key of the path, copied on the way so that `root`'s original stays whole; a number is a place in a list."""
    at: Object | list[Json] = root
    for key in path[:-1]:
        below = at.get(key) if isinstance(at, dict) else at[int(key)] if _is_place(at, key) and int(key) < len(at) else None
        if below is None:
            below = {}
        elif isinstance(below, dict):
            below = dict(below)
        elif isinstance(below, list):
            below = list(below)
        else:
            return None
        if isinstance(at, dict):
            at[key] = below
        elif _is_place(at, key):
            _place(at, int(key), below)
        else:
            return None
        at = below
    return at if isinstance(at, dict) or _is_place(at, path[-1]) else None


def _is_place(at: list[Json], key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 9 and int(key) < len(at) + _MOST_PADDED


def _place(at: list[Json], place: int, value: Json) -> None:
    at.extend([None] * (place + 1 - len(at)))
    at[place] = value


def _apply_in_list(op: Op, at: list[Json]) -> None:
    """The operator on an element: a place that is taken out stays as null, and what lies between the end and a new one is null."""
    key = op.path[-1]
    place = int(key)
    element: Object = {key: at[place]} if place < len(at) else {}
    _APPLY[type(op)](op, element, key)
    if key in element or place < len(at):
        _place(at, place, element.get(key))


def _set(op: Set, at: Object, key: str) -> None:
    at[key] = op.value


def _unset(op: Unset, at: Object, key: str) -> None:
    at.pop(key, None)


def _increment(op: Increment, at: Object, key: str) -> None:
    before = at.get(key)
    if before is not None and not is_number(before):
        raise _mismatch(op.path, "a number")
    total = (before or 0) + op.amount
    if not -_LARGEST <= total <= _LARGEST:
        raise ParseError(Code.INCORRECT_TYPE, f"the number at {'.'.join(op.path)} would be too large")
    at[key] = total


def _list(op: Add | AddUnique | Remove, at: Object, key: str) -> list[Json]:
    before = at.get(key)
    if before is not None and not isinstance(before, list):
        raise _mismatch(op.path, "an array")
    return list(before or ())


def _add(op: Add, at: Object, key: str) -> None:
    at[key] = [*_list(op, at, key), *op.values]


def _add_unique(op: AddUnique, at: Object, key: str) -> None:
    found = _list(op, at, key)
    known = set(map(value_key, found))
    for value in op.values:
        mine = value_key(value)
        if mine not in known:
            known.add(mine)
            found.append(value)
    at[key] = found


def _remove(op: Remove, at: Object, key: str) -> None:
    if at.get(key) is None:
        return
    gone = set(map(value_key, op.values))
    at[key] = [v for v in _list(op, at, key) if value_key(v) not in gone]


_APPLY: dict[type[Any], Callable[[Any, Object, str], None]] = {
    Set: _set,
    Unset: _unset,
    Increment: _increment,
    Add: _add,
    AddUnique: _add_unique,
    Remove: _remove,
}


def _mismatch(path: Path, wanted: str) -> ParseError:
    return ParseError(Code.INCORRECT_TYPE, f"the value at {'.'.join(path)} is not {wanted}")
