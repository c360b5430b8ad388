"""Why a text is not JSON, in the words that Parse clients know: the messages of V8's `JSON.parse` and of body-parser.

`unkept` tells of JSON that this server cannot keep. The rest runs only after the fast decoder has refused a text: one pass,
no recursion; accepts what JavaScript accepts.
"""

from __future__ import annotations

import re

from mbaas.kernel.values import DEEPEST

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(r"[0-9]+")
_WORDS = ("true", "false", "null")
_CONTEXT = 10
_END = "Unexpected end of JSON input"


_UNKEPT = {
    "infinity": "The JSON holds a number that is too large: the largest is 1.8e308.",
    "surrogate in string": "The JSON holds a text with half of a surrogate pair, which is no character.",
    "depth limit": f"The JSON nests deeper than {DEEPEST} levels.",
    "nested too deeply": f"The JSON nests deeper than {DEEPEST} levels.",
}
"""What of the decoder's words says that a text is JSON, but cannot be kept."""


class _Wrong(Exception):
    """Carries the message out of the scanner."""


def unkept(error: ValueError) -> str | None:
    """What JSON holds that cannot be kept, by the decoder's error; None where it is another mistake."""
    return next((text for sign, text in _UNKEPT.items() if sign in str(error)), None)


def why(text: str) -> str | None:
    """The message for a request body, or None if JavaScript would have read it. A body must be an object or a list."""
    start = _skip(text, 0)
    if start < len(text) and text[start] not in "{[":
        return f"Unexpected token '{text[start]}', {_context(text, start)} is not valid JSON"
    try:
        _scan(text, start)
    except _Wrong as wrong:
        return str(wrong)
    return None


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _scan(text: str, at: int) -> None:
    """Walk one document; `closers` holds what ends each open list or object."""
    closers: list[str] = []
    while True:
        at = _skip(text, at)
        opener = text[at : at + 1]
        if opener and opener in "{[":
            closer = "}" if opener == "{" else "]"
            inside = _skip(text, at + 1)
            if text[inside : inside + 1] == closer:
                at = inside + 1
            else:
                closers.append(closer)
                at = _key(text, inside, first=True) if closer == "}" else inside
                continue
        else:
            at = _scalar(text, at)
        at, more = _after_value(text, at, closers)
        if not more:
            return


def _after_value(text: str, at: int, closers: list[str]) -> tuple[int, bool]:
    """Past the commas and closers that follow a value; False when the document is complete."""
    while closers:
        at = _skip(text, at)
        mark = text[at : at + 1]
        if mark == ",":
            at = _skip(text, at + 1)
            return (_key(text, at, first=False) if closers[-1] == "}" else at), True
        if mark != closers[-1]:
            what = "'}' after property value" if closers[-1] == "}" else "']' after array element"
            raise _Wrong(f"Expected ',' or {what} in JSON at position {at}")
        closers.pop()
        at += 1
    at = _skip(text, at)
    if at < len(text):
        raise _Wrong(f"Unexpected non-whitespace character after JSON at position {at}")
    return at, False


def _key(text: str, at: int, *, first: bool) -> int:
    """Past a property name and its colon."""
    if text[at : at + 1] != '"':
        what = "property name or '}'" if first else "double-quoted property name"
        raise _Wrong(f"Expected {what} in JSON at position {at}")
    at = _skip(text, _string(text, at))
    if text[at : at + 1] == ":":
        return at + 1
    if first:
        raise _Wrong(f"Expected ':' after property name in JSON at position {at}")
    raise _unexpected(text, at)


def _scalar(text: str, at: int) -> int:
    mark = text[at : at + 1]
    if mark == '"':
        return _string(text, at)
    if mark == "-" or (mark.isascii() and mark.isdigit()):
        return _number(text, at)
    for word in _WORDS:
        if mark == word[0]:
            for offset, letter in enumerate(word):
                if text[at + offset : at + offset + 1] != letter:
                    raise _unexpected(text, at + offset)
            return at + len(word)
    raise _unexpected(text, at)


def _string(text: str, at: int) -> int:
    at += 1
    while True:
        found = _PLAIN.match(text, at)
        at = found.end() if found else at
        if at == len(text):
            raise _Wrong(f"Unterminated string in JSON at position {at}")
        if text[at] == '"':
            return at + 1
        if text[at] != "\\":
            raise _Wrong(f"Bad control character in string literal in JSON at position {at}")
        at = _escape(text, at + 1)


def _escape(text: str, at: int) -> int:
    if at == len(text):
        raise _Wrong(_END)
    if text[at] == "u":
        for place in range(at + 1, at + 5):
            if not re.match(r"[0-9a-fA-F]", text[place : place + 1]):
                raise _Wrong(f"Bad Unicode escape in JSON at position {place}")
        return at + 5
    if text[at] not in '"\\/bfnrt':
        raise _Wrong(f"Bad escaped character in JSON at position {at}")
    return at + 1


def _number(text: str, at: int) -> int:
    if text[at] == "-":
        at += 1
        if not _DIGITS.match(text, at):
            raise _Wrong(f"No number after minus sign in JSON at position {at}")
    if text[at] == "0":
        at += 1
        if _DIGITS.match(text, at):
            raise _Wrong(f"Unexpected number in JSON at position {at}")
    else:
        at = _digits(text, at, "")
    if text[at : at + 1] == ".":
        at = _digits(text, at + 1, "Unterminated fractional number")
    if text[at : at + 1] in ("e", "E"):
        at += 2 if text[at + 1 : at + 2] in ("+", "-") else 1
        at = _digits(text, at, "Exponent part is missing a number")
    return at


def _digits(text: str, at: int, complaint: str) -> int:
    found = _DIGITS.match(text, at)
    if not found:
        raise _Wrong(f"{complaint} in JSON at position {at}")
    return found.end()


def _unexpected(text: str, at: int) -> _Wrong:
    if at >= len(text):
        return _Wrong(_END)
    if text[at] in '"-0123456789':
        kind = "string" if text[at] == '"' else "number"
        return _Wrong(f"Unexpected {kind} in JSON at position {at}")
    return _Wrong(f"Unexpected token '{text[at]}', {_context(text, at)} is not valid JSON")


def _context(text: str, at: int) -> str:
    """The text around a position, shortened as V8 does."""
    if len(text) <= 2 * _CONTEXT:
        return f'"{text}"'
    start, end = max(0, at - _CONTEXT), min(len(text), at + _CONTEXT)
    before = "..." if at >= _CONTEXT else ""
    after = "..." if at < len(text) - _CONTEXT else ""
    return f'{before}"{text[start:end]}"{after}'
