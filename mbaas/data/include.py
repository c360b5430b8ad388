"""Following pointers: the objects that `include` names take the place of the pointers to them.

One query per path and class, whatever the number of rows. A pointer whose object is gone, or may not be read,
disappears; in a list it is left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from mbaas.data.options import FindOptions
from mbaas.kernel.values import Json, Object
from mbaas.query.ast import Path

Fetch = Callable[[str, FindOptions], Awaitable[list[Object]]]
"""Finds objects of a class as the caller may see them, under the class's `get` permission."""


async def include(rows: list[Object], paths: tuple[Path, ...], options: FindOptions, fetch: Fetch) -> None:
    """Replace pointers in the rows, in place; paths come shortest first."""
    for path in paths:
        wanted: dict[str, dict[str, None]] = {}
        for at in _pointers(rows, path):
            wanted.setdefault(at["className"], {})[at["objectId"]] = None
        if not wanted:
            continue
        found: dict[tuple[str, str], Object] = {}
        for class_name, ids in wanted.items():
            where: Object = {"objectId": {"$in": list(ids)}}
            for body in await fetch(class_name, replace(_below(options, path), where=where, limit=len(ids))):
                body.update({"__type": "Object", "className": class_name})
                found[class_name, body["objectId"]] = body
        for row in rows:
            _replace(row, path, found)


def _is_pointer(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and value.get("__type") == "Pointer"
        and isinstance(value.get("className"), str)
        and isinstance(value.get("objectId"), str)
    )


def _pointers(value: Json, path: Path) -> Iterator[Object]:
    """Every pointer at the path, through lists on the way."""
    if isinstance(value, list):
        for item in value:
            yield from _pointers(item, path)
    elif isinstance(value, dict):
        if path:
            yield from _pointers(value.get(path[0]), path[1:])
        elif _is_pointer(value):
            yield value


def _replace(value: Json, path: Path, found: dict[tuple[str, str], Object]) -> Json:
    """The value with its pointers at the path replaced; None for a pointer to nothing."""
    if isinstance(value, list):
        replaced = [(item, _replace(item, path, found)) for item in value]
        return [new for item, new in replaced if new is not None or item is None]
    if not isinstance(value, dict):
        return value
    if not path:
        return found.get((value["className"], value["objectId"])) if _is_pointer(value) else value
    if value.get(path[0]) is not None:
        new = _replace(value[path[0]], path[1:], found)
        if new is None:
            del value[path[0]]
        else:
            value[path[0]] = new
    return value


def _below(options: FindOptions, path: Path) -> FindOptions:
    """The keys and excludeKeys that speak of the objects at the path."""

    def inside(names: tuple[str, ...] | None, leaf_only: bool) -> tuple[str, ...]:
        split = [tuple(name.split(".")) for name in names or ()]
        return tuple(
            dict.fromkeys(
                key[len(path)]
                for key in split
                if key[: len(path)] == path and len(key) > len(path) and not (leaf_only and len(key) > len(path) + 1)
            )
        )

    keys = inside(options.keys, leaf_only=False)
    always = ("objectId", "createdAt", "updatedAt", "ACL")
    return replace(FindOptions(), keys=(*keys, *always) if keys else None, exclude_keys=inside(options.exclude_keys, leaf_only=True))
