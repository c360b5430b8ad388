"""What a client is told when SQLite fails: never SQLite's own words. An operator is told them, and what to do."""

from __future__ import annotations

from pathlib import Path

import apsw

from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.observe.logs import get_logger

_DROPPED = "no such table: o_"
"""SQLite's words for the table of a class that goes while somebody is on her way to it."""


def told(error: BaseException) -> MbaasError:
    """The error as it may leave the store; the original stays as its cause."""
    if isinstance(error, MbaasError):
        return error
    if isinstance(error, (apsw.TooBigError, UnicodeEncodeError)) or _too_complex(error):
        answer = ParseError(Code.INVALID_QUERY, "the query is too large")
    elif isinstance(error, apsw.SQLError) and _DROPPED in str(error):
        answer = ParseError(Code.INVALID_CLASS_NAME, "The class was deleted meanwhile.")
    else:
        get_logger(__name__).error("the database failed", reason=_reason(error))
        answer = ParseError(Code.INTERNAL_SERVER_ERROR, "Internal server error.")
    answer.__cause__ = error
    return answer


def _reason(error: BaseException) -> str:
    """What an operator should know; one that only a programmer understands is told as it is."""
    if isinstance(error, apsw.FullError):
        return "the disk is full: make room in the data folder"
    if isinstance(error, (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError)):
        return "the data folder cannot be written to: look at its owner and its permissions"
    if isinstance(error, apsw.IOError):
        return f"the disk fails ({error}): look at what the system's log says of it"
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return "the database file is damaged: restore a copy of it"
    return repr(error)


def _too_complex(error: BaseException) -> bool:
    if not isinstance(error, apsw.SQLError):
        return False
    text = str(error)
    return "too large" in text or "too many SQL variables" in text or "parser stack overflow" in text


def unopened(file: Path, error: OSError | apsw.Error) -> MbaasError:
    """Why the store does not open, and what an operator can do."""
    said = f"{error.strerror}" if isinstance(error, OSError) else str(error)
    if isinstance(error, (apsw.NotADBError, apsw.CorruptError)):
        return MbaasError(f"{file} is damaged or no database: {said}; put a backup in its place, or move it away to begin anew")
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return MbaasError(f"{file} is in use: {said}; stop the other server that has it open")
    return MbaasError(f"{file} cannot be opened for writing: {said}; change its owner, or choose another folder by MBAAS_DATA_DIR")


def timed_out() -> ParseError:
    """124, for a search beyond its limit."""
    return ParseError(Code.TIMEOUT, "The query took too long.")
