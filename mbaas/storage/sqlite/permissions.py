"""Access lists inside the database: kept so that SQLite can search them as plain text, and cheaply.

A list is a JSON array of strings in which quotes, backslashes and commas inside a name are written `\\u00xx`. So the
quoted name occurs in the text exactly where the name is an element, and `instr` decides membership.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import orjson

_MANY = 12


@lru_cache(maxsize=8192)
def quoted(name: str) -> str:
    """The name as it stands in a list."""
    return '"' + "".join(f"\\u{ord(c):04x}" if c in '"\\,' or c < " " else c for c in name) + '"'


def as_text(names: Iterable[str] | None) -> str | None:
    """The list as it is kept."""
    return None if names is None else "[" + ",".join(map(quoted, names)) + "]"


@lru_cache(maxsize=8192)
def as_set(text: str) -> frozenset[str]:
    """The names of a kept list."""
    return frozenset(orjson.loads(text))


@lru_cache(maxsize=8192)
def readable(readers: frozenset[str]) -> tuple[str, tuple[str, ...]]:
    """The SQL condition that one of `readers` may read the row, and its arguments."""
    names = sorted(readers)
    if len(names) <= _MANY:
        return "(rperm IS NULL" + " OR instr(rperm, ?)" * len(names) + ")", tuple(map(quoted, names))
    listed = "EXISTS(SELECT 1 FROM json_each(rperm) WHERE value IN (SELECT value FROM json_each(?)))"
    return f"(rperm IS NULL OR {listed})", (orjson.dumps(names).decode(),)
