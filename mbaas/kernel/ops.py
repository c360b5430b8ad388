"""The update operators: what a client asks of a field, as values, and what they do to a document.

They are values so that each store can apply them at commit, under its own write lock, to the document as it then
is: concurrent increments add up and nothing is lost. Source: the Parse REST guide (`__op`), Parse Server 9.10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, is_number, same

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


Op = Set | Unset | Increment | Add | AddUnique | Remove


def apply(ops: Iterable[Op], document: Object) -> Object:
    """The document after the operators, in order. The argument is left as it was (copied where it changes).

    Raises ParseError 111 where an operator meets a value that it cannot work on.
    """
    after = dict(document)
    for op in ops:
        holder = _descend(after, op.path)
        if holder is not None:
            _APPLY[type(op)](op, holder, op.path[-1])
        elif not isinstance(op, Unset):
            raise _mismatch(op.path, "an object")
    return after


def _descend(root: Object, path: Path) -> Object | None:
    """The object that holds the last key of the path, copied on the way so that `root`'s original stays whole."""
    at = root
    for key in path[:-1]:
        below = at.get(key)
        if below is None:
            below = {}
        elif not isinstance(below, dict):
            return None
        else:
            below = dict(below)
        at[key] = below
        at = below
    return at


def _set(op: Set, at: Object, key: str) -> None:
    at[key] = op.value


def _unset(op: Unset, at: Object, key: str) -> None:
    at.pop(key, None)


def _increment(op: Increment, at: Object, key: str) -> None:
    before = at.get(key)
    if before is not None and not is_number(before):
        raise _mismatch(op.path, "a number")
    at[key] = (before or 0) + op.amount


def _list(op: Add | AddUnique | Remove, at: Object, key: str) -> list[Json]:
    before = at.get(key)
    if before is not None and not isinstance(before, list):
        raise _mismatch(op.path, "an array")
    return list(before or ())


def _add(op: Add, at: Object, key: str) -> None:
    at[key] = [*_list(op, at, key), *op.values]


def _add_unique(op: AddUnique, at: Object, key: str) -> None:
    found = _list(op, at, key)
    for value in op.values:
        if not any(same(value, other) for other in found):
            found.append(value)
    at[key] = found


def _remove(op: Remove, at: Object, key: str) -> None:
    if at.get(key) is None:
        return
    at[key] = [v for v in _list(op, at, key) if not any(same(v, gone) for gone in op.values)]


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
