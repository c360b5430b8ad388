"""Where the routes are, and how they tell of errors: always `{"code", "error"}`, with the HTTP status that fits."""

from __future__ import annotations

from mbaas.kernel.errors import Code, MbaasError, ParseError

BASE = "/api/v1"
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
        return ParseError(_CODE.get(error.status, Code.INVALID_JSON), error.message, status=error.status)
    return ParseError(Code.INTERNAL_SERVER_ERROR, "Internal server error.")
