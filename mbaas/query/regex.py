r"""Patterns of `$regex`: compiled once for SQL and for matching in memory.

RE2 runs them in linear time. What RE2 refuses (lookaround, backreferences, the flag `x`) runs in the `regex` module
under a time limit; such a pattern says so by `linear = False`, so that a caller can keep it off the event loop.
`\Q…\E`, which every SDK sends for startsWith and the like, is understood by both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2
import regex

from mbaas.kernel.errors import Code, ParseError

SECONDS_PER_VALUE = 0.5
"""How long a pattern that RE2 refused may look at one string."""

_FLAGS = frozenset("imsx")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20
LONGEST = 2000
"""Characters of a pattern, or of all of a query: to compile one takes time, up to some tens of microseconds for each."""
_FUZZY = re.compile(r"(?<!\\[pPN])\{[^}]*[idse<>=][^}]*\}")
"""What the `regex` module takes for approximate matching, of which MongoDB knows nothing and no limit of time is short enough."""
_PUNCTUATION = frozenset(".^$*+?()[]{}|\\/-_'\"#&@!%,;:=<>~` ")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: `found(text)` says whether it occurs."""

    found: Callable[[str], bool]
    linear: bool


@dataclass(frozen=True, slots=True)
class Literal:
    """A pattern that is plain text, perhaps bound to the start or the end of the value."""

    text: str
    start: bool
    end: bool


@lru_cache(maxsize=4096)
def compiled(pattern: str, flags: str = "") -> Pattern:
    """The pattern, from the cache. ParseError 102 if it is none."""
    if not _FLAGS.issuperset(flags):
        raise ParseError(Code.INVALID_QUERY, f"invalid regular expression options: {flags}")
    plain = literal(pattern) if not flags else None
    if plain is not None:
        return Pattern(_plain(plain), True)
    if len(pattern) > LONGEST:
        raise ParseError(Code.INVALID_QUERY, f"a regular expression has no more than {LONGEST} characters")
    if "x" not in flags:
        prefix = f"(?{''.join(sorted(set(flags)))})" if flags else ""
        found = _linear(prefix + pattern)
        if found is not None:
            return Pattern(found, True)
    return Pattern(_guarded(pattern, flags), False)


def _linear(pattern: str) -> Callable[[str], bool] | None:
    """The pattern in RE2, or None if it refuses."""
    # A set of one pattern answers yes or no five times faster than a search that reports where.
    one = re2.Set.SearchSet(_OPTIONS)
    try:
        one.Add(pattern)
        one.Compile()
    except (re2.error, UnicodeEncodeError):
        return None
    search = one.Match
    return lambda text: search(text) is not None


def _plain(plain: Literal) -> Callable[[str], bool]:
    text = plain.text
    if plain.start and plain.end:
        return lambda value: value == text
    if plain.start:
        return lambda value: value.startswith(text)
    if plain.end:
        return lambda value: value.endswith(text)
    return lambda value: text in value


def _guarded(pattern: str, flags: str) -> Callable[[str], bool]:
    """The pattern in the `regex` module, with the time limit."""
    if _FUZZY.search(pattern):
        raise ParseError(Code.INVALID_QUERY, "invalid regular expression")
    bits: Any = regex.VERSION0
    for flag in flags:
        bits |= getattr(regex, flag.upper())
    try:
        search = regex.compile(unquoted(pattern), bits).search
    except (regex.error, RecursionError, OverflowError) as error:
        raise ParseError(Code.INVALID_QUERY, "invalid regular expression") from error

    def found(text: str) -> bool:
        try:
            return search(text, timeout=SECONDS_PER_VALUE, concurrent=True) is not None
        except TimeoutError as error:
            raise ParseError(Code.TIMEOUT, "the regular expression took too long") from error

    return found


def unquoted(pattern: str) -> str:
    r"""The pattern with each `\Q…\E` replaced by its text, escaped."""
    out, at = [], 0
    while at < len(pattern):
        if pattern.startswith("\\Q", at):
            end = pattern.find("\\E", at + 2)
            stop = len(pattern) if end < 0 else end
            out.append(regex.escape(pattern[at + 2 : stop]))
            at = stop + 2
        elif pattern[at] == "\\":
            out.append(pattern[at : at + 2])
            at += 2
        else:
            out.append(pattern[at])
            at += 1
    return "".join(out)


@lru_cache(maxsize=4096)
def literal(pattern: str) -> Literal | None:
    """What the pattern says, if it is plain text (quoted or not) with or without anchors; else None."""
    at, stop, out = 0, len(pattern), []
    start = pattern.startswith("^")
    if start:
        at = 1
    while at < stop:
        char = pattern[at]
        if pattern.startswith("\\Q", at):
            end = pattern.find("\\E", at + 2)
            end = stop if end < 0 else end
            out.append(pattern[at + 2 : end])
            at = min(end + 2, stop)
        elif char == "\\" and at + 1 < stop and pattern[at + 1] in _PUNCTUATION and pattern[at + 1] not in "<>`'":
            out.append(pattern[at + 1])
            at += 2
        elif char == "$" and at == stop - 1:
            return Literal("".join(out), start, True)
        elif char.isalnum() or char in " -_/@:,;=&%!~'\"":
            out.append(char)
            at += 1
        else:
            return None
    return Literal("".join(out), start, False)
