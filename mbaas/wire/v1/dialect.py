"""Where the routes are, and how they tell of errors: always `{"code", "error"}`, with the HTTP status that fits; what they share to read a
request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas_functions.hosted import Hosted
from mbaas_functions.room import functions_of

if TYPE_CHECKING:
    from mbaas_push.campaigns.report import Report

BASE = "/api/v1"
_MOST_DIGITS = 18
_STATUS: dict[int, int] = {Code.INVALID_SESSION_TOKEN: 401, Code.OPERATION_FORBIDDEN: 403}
"""The codes that have another HTTP status here than below the mount."""
_CODE: dict[int, Code] = {403: Code.OPERATION_FORBIDDEN, 404: Code.OBJECT_NOT_FOUND, 413: Code.OBJECT_TOO_LARGE}


def told(error: Exception) -> Exception:
    """An error as it is told here."""
    if isinstance(error, ParseError):
        if error.status != 400 or error.code not in _STATUS:
            return error
        return ParseError(error.code, error.message, sanitized=error.sanitized, status=_STATUS[error.code])
    if isinstance(error, MbaasError):
        return ParseError(_CODE.get(error.status, Code.INVALID_JSON), error.message, sanitized=error.sanitized, status=error.status)
    return ParseError(Code.INTERNAL_SERVER_ERROR, "Internal server error.")


def format_of(request: Request, *known: str) -> str:
    """The format that is asked for: one of these, or the first. ParseError 102 for any other."""
    wanted = text(request, "format") or known[0]
    if wanted not in known:
        raise ParseError(Code.INVALID_QUERY, f"format must be {', '.join(known)}.")
    return wanted


def report_as(request: Request, made: Report, **more: Json) -> Answer | Json:
    """A report in the format that is asked for: `json`, `csv` or `ndjson`."""
    match format_of(request, "json", "csv", "ndjson"):
        case "csv":
            return Answer(body=made.csv().encode(), content_type=b"text/csv; charset=utf-8")
        case "ndjson":
            return Answer(body=made.ndjson(), content_type=b"application/x-ndjson")
    return {**more, **made.told()}


def hosted(request: Request) -> Hosted:
    """The app's functions that run on the server."""
    return functions_of(request.app).hosted


def whole(request: Request, name: str, unless_given: int, most: int) -> int:
    """An argument that is a whole number from 0. ParseError 102 for anything else; more than `most` counts as `most`."""
    given = request.texts().get(name)
    if given is None:
        return unless_given
    if not isinstance(given, str) or not given.isdecimal() or len(given) > _MOST_DIGITS:
        raise ParseError(Code.INVALID_QUERY, f"{name} must be a whole number.")
    return min(int(given), most)


def text(request: Request, name: str) -> str | None:
    """An argument that is a text. ParseError 102 for anything else."""
    given = request.texts().get(name)
    if given is not None and not isinstance(given, str):
        raise ParseError(Code.INVALID_QUERY, f"{name} must be a text.")
    return given


def moment(request: Request, name: str, unless_given: int) -> int:
    """An argument that is a date of the years 1971 to 9998, in ms. ParseError 102 for anything else."""
    given = text(request, name)
    if given is None:
        return unless_given
    found = from_iso(given)
    # Before and after them some days are counted on.
    if found is None or not "1971" <= iso(found)[:4] <= "9998":
        raise ParseError(Code.INVALID_QUERY, f"{name} must be a date, as 2026-01-31 or 2026-01-31T12:00:00Z.")
    return found
