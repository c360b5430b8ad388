"""The list of what has gone wrong elsewhere, by its rows: 1 to 76 and a1 to a8. A test says in its name whose rows it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

ROWS = frozenset([str(number) for number in range(1, 77)] + [f"a{number}" for number in range(1, 9)])
ELSEWHERE = {
    "64": "markup in names: no page of these servers shows any but those of mails, row 49; the console's pages are looked at in tests/e2e",
    "a7": "two advisories that are rows 8 and 15 again",
}
"""Rows without a test of their own, and why."""
_NAMED = re.compile(r"\btest_rows?_(a?\d+(?:_and_a?\d+)*)_")


def rows_in(names: Iterable[str]) -> set[str]:
    """The rows that these names of tests speak of."""
    return {row for name in names for found in _NAMED.findall(name) for row in found.split("_and_")}
