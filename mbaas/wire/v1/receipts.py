"""`/receipts`: what apps tell of the campaigns that reached them."""

from __future__ import annotations

from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas_push.receipts import keep


async def keep_receipts(request: Request) -> Json:
    """Keep receipts: delivered, opened, dismissed, converted."""
    await request.limits.track(request.caller)
    return await keep(request.app, request.object())


ROUTES = (Route("POST", "/receipts", keep_receipts, "Keep receipts of campaigns", "receipts", base=BASE, read_only="keep receipts"),)
