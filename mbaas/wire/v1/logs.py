"""`/logs`: what functions printed and logged."""

from __future__ import annotations

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, hosted, whole
from mbaas_functions.lines import MOST

_PAGE, _MOST_WAIT_S = 100, 10


async def read_logs(request: Request) -> Json:
    """Lines after a position, or the last ones."""
    function = request.texts().get("function")
    if function is not None and not isinstance(function, str):
        raise ParseError(Code.INVALID_QUERY, "function must be a name.")
    after = whole(request, "cursor", -1, 10**18)
    limit, wait_s = max(1, whole(request, "limit", _PAGE, MOST)), whole(request, "wait", 0, _MOST_WAIT_S)
    page = await hosted(request).lines.read(None if after < 0 else after, limit, function, wait_s)
    return {"results": page.lines, "next": str(page.last)}


ROUTES = (Route("GET", "/logs", read_logs, "What functions said", "logs", master=True, base=BASE),)
