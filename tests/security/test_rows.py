"""Every row of the list has a test, or it is said why it has none. How many hold is printed at the end of a run."""

from __future__ import annotations

from pathlib import Path

from tests.security.rows import ELSEWHERE, ROWS, rows_in

TESTS = Path(__file__).parents[1]


def test_every_row_has_a_test_or_a_reason() -> None:
    tested = rows_in(path.read_text() for folder in ("security", "auth") for path in (TESTS / folder).glob("test_*.py"))
    assert tested - ROWS == set()
    assert ROWS - tested == set(ELSEWHERE), "these rows have neither a test nor a reason"
    assert len(tested) >= 80
