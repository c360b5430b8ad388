"""The one place where an error becomes an answer's status and body, and what the log keeps of it.

Texts that say too much are replaced by their sanitized form for apps that keep `sanitized_errors`.
"""

from __future__ import annotations

import logging

from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, MbaasError, ParseError, Refused, forbidden
from mbaas.kernel.values import Object
from mbaas.observe.logs import begin_request, request_id

log = logging.getLogger("mbaas.wire")

MASTER_NEEDED = "unauthorized: master key is required"
PERMISSION_DENIED = "Permission denied"


class Unauthorized(Refused):
    """403 before the application is known: the body is JSON, but no content type says so (as Parse Server answers)."""


def body_of(error: BaseException, sanitized: bool) -> Object:
    """The JSON that tells a client about an error. What she is not told of it is in the log."""
    if not isinstance(error, MbaasError):
        return {"code": int(Code.INTERNAL_SERVER_ERROR), "message": "Internal server error."}
    text = error.message
    if sanitized and error.sanitized is not None:
        log.info("refused: %s", text)
        text = error.sanitized
    if not isinstance(error, ParseError):
        return {"error": text}
    return {"code": error.code, "error": text if error.told is None else error.told}


def status_of(error: BaseException) -> int:
    """The HTTP status of an error; anything that is not ours is 500."""
    return error.status if isinstance(error, MbaasError) else 500


def master_needed() -> Refused:
    """403 for a route that only the master key opens."""
    return Refused(MASTER_NEEDED, sanitized=PERMISSION_DENIED)


def refuse_read_only(caller: Caller, action: str) -> None:
    """119 if the caller holds the read-only master key; `action` completes "isn't allowed to …"."""
    if caller.read_only:
        raise forbidden(f"read-only masterKey isn't allowed to {action}.")


def record(error: BaseException, what: str) -> str:
    """Log an error that is no answer by design; the request id under which the log has it."""
    known = request_id()
    if known is None:
        begin_request()
        known = request_id()
    assert known is not None
    log.error("unexpected error in %s", what, exc_info=error)
    return known
