"""Search terms in FTS5's language."""

from __future__ import annotations

import apsw
from hypothesis import given
from hypothesis import strategies as st

from mbaas.storage.sqlite.text import match_text

TERMS = st.text(st.sampled_from("ab \"-*()^:+{}'\\\x00\né") | st.characters(codec="utf-8"), max_size=20)


@given(TERMS)
def test_every_term_is_well_formed(term: str) -> None:
    index = apsw.Connection(":memory:")
    index.execute("CREATE VIRTUAL TABLE t USING fts5(c0)")
    index.execute("INSERT INTO t VALUES('a b ab')")
    index.execute("SELECT * FROM t WHERE t MATCH ?", (match_text(term),)).fetchall()


def test_words_are_alternatives_phrases_are_required() -> None:
    assert match_text("a b") == '"a" OR "b"'
    assert match_text('x "a b" "c"') == '"a b" AND "c"'
    assert match_text('a -b -"c d"') == '("a") NOT ("b" OR "c d")'
    assert match_text("-b") == '""'
    assert match_text("e\u0301te\u0301") == '"été"'
