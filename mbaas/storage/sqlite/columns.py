"""Where in a class's table a path lies: the SQL expression that its indexes and its conditions share, letter for letter.

Only names of letters, digits and underscores become part of SQL; every other path has no column and is judged in memory.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mbaas.kernel.schema import ClassSchema
from mbaas.query.ast import Path

_SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
SCALARS = frozenset({"String", "Number", "Boolean", "Date", "Pointer"})


class Column(NamedTuple):
    """A path that SQL can name. `kind` is the column's type, or `Any`; `expr` its scalar; `json` the arguments of json_type."""

    kind: str
    expr: str
    json: str
    target: str | None = None


def column(schema: ClassSchema, path: Path) -> Column | None:
    """The column at a path whose type the schema knows."""
    field = schema.fields.get(path[0])
    return None if field is None else _typed(path, field.type, field.target)


@lru_cache(maxsize=8192)
def _typed(path: Path, kind: str, target: str | None) -> Column | None:
    if path == ("objectId",):
        return Column("String", "id", "doc,'$.objectId'")
    if not _SAFE.match(path[0]) or path[0].startswith("_"):
        return None
    json = f"doc,'$.{path[0]}'"
    if len(path) == 1:
        if path[0] in ("createdAt", "updatedAt"):
            return Column("Date", f"doc->>'$.{path[0]}'", json)
        tail = {"Date": ".iso", "Pointer": ".objectId"}.get(kind, "")
        return Column(kind, f"doc->>'$.{path[0]}{tail}'", json, target)
    if path[1:] == ("objectId",) and kind == "Pointer":
        return Column("String", f"doc->>'$.{path[0]}.objectId'", f"doc,'$.{path[0]}.objectId'")
    return None


@lru_cache(maxsize=1024)
def untyped(path: Path) -> Column | None:
    """The expression of a hidden field or of a path into an object, as indexes use it."""
    if not all(map(_SAFE.match, path)):
        return None
    holder = "hidden" if path[0].startswith("_") else "doc"
    dotted = ".".join(path)
    return Column("Any", f"{holder}->>'$.{dotted}'", f"{holder},'$.{dotted}'")


def listed(path: Path) -> str:
    """The condition that some value on the way to the end of a path is a list, whose elements the plain expression misses."""
    return " OR ".join(f"json_type(doc,'$.{'.'.join(path[: n + 1])}')='array'" for n in range(len(path)))


def safe(name: str) -> bool:
    """Whether a name may stand in SQL text."""
    return _SAFE.match(name) is not None
