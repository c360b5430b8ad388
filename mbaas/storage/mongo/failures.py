"""What a client is told when MongoDB fails: never MongoDB's own words. An operator is told the part of them that helps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, DuplicateKeyError, ExecutionTimeout, OperationFailure, PyMongoError

from mbaas.kernel.errors import Code, Duplicate, MbaasError, ParseError

_INDEX = re.compile(r"index: (?:\S+\.\$)?(\S+)")
_ASIDE = re.compile(r" \(configured timeouts:[^)]*\)")
_BAD_QUERY = frozenset({2, 9, 14, 16, 17287, 51091, 51108})
_NO_INDEX = 27
TOO_LARGE = 10334
"""The code for what is larger than a document may be."""
NO_PLACE = frozenset({16572, 16755, 16756})
"""The codes for a value that an index of places cannot hold."""

NO_POSITION = frozenset({9, 260, 280, 286, 40647, 40649, 50811})
"""The codes for a resume token that is none, and for one that is older than what is kept."""


@contextmanager
def told() -> Iterator[None]:
    """Turns the driver's errors into the server's; the original stays as the cause."""
    try:
        yield
    except (PyMongoError, BSONError, UnicodeEncodeError, OverflowError) as error:
        raise _told(error) from error


def _told(error: Exception) -> MbaasError:
    if isinstance(error, DocumentTooLarge):
        return ParseError(Code.OBJECT_TOO_LARGE, "The object is too large.")
    if isinstance(error, (BSONError, UnicodeEncodeError, OverflowError)):
        return ParseError(Code.INCORRECT_TYPE, "a value cannot be stored")
    if isinstance(error, DuplicateKeyError):
        return Duplicate(index_name(error))
    if isinstance(error, ExecutionTimeout):
        return ParseError(Code.TIMEOUT, "The query took too long.")
    if isinstance(error, OperationFailure):
        if error.code == _NO_INDEX:
            text = "text index required for $text query" if "text" in str(error) else "the search needs an index on the place"
            return ParseError(Code.INVALID_QUERY, text)
        if error.code in NO_PLACE:
            return ParseError(Code.INCORRECT_TYPE, "A place must lie on the globe.")
        if error.code in _BAD_QUERY:
            return ParseError(Code.INVALID_QUERY, "the query is not valid")
        if error.code == TOO_LARGE:
            return ParseError(Code.OBJECT_TOO_LARGE, "The object is too large.")
    return ParseError(Code.INTERNAL_SERVER_ERROR, "Internal server error.")


def reason(error: Exception) -> str:
    """What the driver says for people: without its timeouts, its picture of the servers, and the server's raw answer."""
    return _ASIDE.sub("", str(error)).partition(", Timeout:")[0].partition(", full error:")[0]


def index_name(error: OperationFailure) -> str:
    """Which index refused, by its name."""
    found = _INDEX.search(str(error))
    return found.group(1) if found else "_id_"
