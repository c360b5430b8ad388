"""MongoDB's `$search` terms in the language of FTS5, whose syntax no user can reach: every word is quoted.

Words are alternatives, "phrases" must all occur, a -word must not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from mbaas.kernel.errors import Code, ParseError
from mbaas.query.ast import Text
from mbaas.query.reach import leaves

_TOKEN = re.compile(r'(-?)"([^"]*)"?|(\S+)')
_WORD = re.compile(r"\w+")
_MOST_TERMS = 50
"""A search in the index cannot be interrupted, and each word makes it longer."""


def _terms(term: str) -> tuple[list[str], list[str], list[str]]:
    """(words, phrases, negated) of a search term."""
    words: list[str] = []
    phrases: list[str] = []
    negated: list[str] = []
    for minus, phrase, word in _TOKEN.findall(unicodedata.normalize("NFC", term)):
        if not word:
            if _WORD.search(phrase):
                (negated if minus else phrases).append(phrase)
        elif word.startswith("-"):
            negated.extend(_WORD.findall(word))
        else:
            words.extend(_WORD.findall(word))
    distinct = [list(dict.fromkeys(group)) for group in (words, phrases, negated)]
    if sum(map(len, distinct)) > _MOST_TERMS:
        raise ParseError(Code.INVALID_QUERY, f"A text search has no more than {_MOST_TERMS} different words")
    return distinct[0], distinct[1], distinct[2]


def _quoted(text: str) -> str:
    # FTS5 reads a query up to the first NUL.
    return '"' + text.replace('"', '""').replace("\x00", " ") + '"'


def match_text(term: str) -> str:
    """The FTS5 expression for a search term; it may match nothing, but is always well formed."""
    words, phrases, negated = _terms(term)
    if not words and not phrases:
        return '""'
    found = " AND ".join(map(_quoted, phrases)) if phrases else " OR ".join(map(_quoted, words))
    if negated:
        return f"({found}) NOT ({' OR '.join(map(_quoted, negated))})"
    return found


def strict_words(node: Text, columns: tuple[str, ...]) -> Callable[[dict[str, Any]], bool]:
    """A predicate for searches that mind case or accents, which the index does not: asked of what the index found."""
    words, phrases, negated = _terms(node.term)

    def form(text: str) -> str:
        if node.diacritic_sensitive:
            text = unicodedata.normalize("NFC", text)
        else:
            text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
        return " ".join(_WORD.findall(text if node.case_sensitive else text.casefold()))

    wanted, required, refused = ([f" {form(t)} " for t in group] for group in (words, phrases, negated))

    def holds(body: dict[str, Any]) -> bool:
        texts = (leaf for name in columns for leaf in leaves(body, (name,)))
        parts = [part for text in texts for part in (text if isinstance(text, list) else [text]) if isinstance(part, str)]
        found = " ; ".join(f" {form(part)} " for part in parts)
        if any(t in found for t in refused):
            return False
        return all(t in found for t in required) if required else any(t in found for t in wanted)

    return holds
