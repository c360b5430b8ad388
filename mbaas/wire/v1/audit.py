"""`/audit`: who did what with the keys that pass permissions. It is read and exported; nothing changes it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson

from mbaas.data.audit import Audit
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, whole

_PAGE, _MOST = 100, 1000
_HEADERS = [(b"content-disposition", b'attachment; filename="audit.ndjson"')]


async def audit(request: Request) -> Answer | Json:
    """Events in pages, the oldest first; all at once as NDJSON by `format`; those `about` something alone."""
    given = request.texts()
    cursor, about, form = (given.get(name, "") for name in ("cursor", "about", "format"))
    if not isinstance(cursor, str) or not isinstance(about, str) or form not in ("", "json", "ndjson"):
        raise ParseError(Code.INVALID_QUERY, "format is json or ndjson; cursor is what `next` said; about is a text.")
    log = request.app.audit
    if form == "ndjson":
        return Answer(200, b"", list(_HEADERS), b"application/x-ndjson", stream=_lines(log, cursor, about))
    events, following = await log.page(cursor, max(1, whole(request, "limit", _PAGE, _MOST)), about)
    return {"results": events, "next": following}


async def _lines(log: Audit, cursor: str, about: str) -> AsyncIterator[bytes]:
    async for event in log.all(cursor, about):
        yield orjson.dumps(event) + b"\n"


ROUTES = (Route("GET", "/audit", audit, "Who did what with the master key", "audit", master=True, base=BASE, batch=False),)
