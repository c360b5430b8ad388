"""What a client is told when SQLite fails: never SQLite's own words."""

from __future__ import annotations

import apsw

from mbaas.kernel.errors import Code, MbaasError, ParseError


def told(error: BaseException) -> MbaasError:
    """The error as it may leave the store; the original stays as its cause."""
    if isinstance(error, MbaasError):
        return error
    if isinstance(error, (apsw.TooBigError, UnicodeEncodeError)) or _too_complex(error):
        answer = ParseError(Code.INVALID_QUERY, "the query is too large")
    else:
        answer = ParseError(Code.INTERNAL_SERVER_ERROR, "Internal server error.")
    answer.__cause__ = error
    return answer


def _too_complex(error: BaseException) -> bool:
    if not isinstance(error, apsw.SQLError):
        return False
    text = str(error)
    return "too large" in text or "too many SQL variables" in text or "parser stack overflow" in text


def timed_out() -> ParseError:
    """124, for a search beyond its limit."""
    return ParseError(Code.TIMEOUT, "The query took too long.")
