"""Pushes, and the audiences that Parse Dashboard keeps for them."""

from __future__ import annotations

import orjson

from mbaas.kernel.values import Object
from mbaas.wire.request import Answer, Request
from mbaas.wire.rest.classes import Own, own
from mbaas.wire.routes import Route


async def send(request: Request) -> Answer:
    """Send a push."""
    status_id = await request.app.pushes.send(request.caller, request.object())
    return Answer(headers=[(b"x-parse-push-status-id", status_id.encode())], body=b'{"result":true}')


class Audiences(Own):
    """Audiences keep their query as text, and tell it as what the text says."""

    async def find(self, request: Request) -> bytes:
        """Search the audiences."""
        answer = orjson.loads(await super().find(request))
        for audience in answer["results"]:
            _read_query(audience)
        return orjson.dumps(answer)

    async def get(self, request: Request) -> bytes:
        """One audience."""
        answer = orjson.loads(await super().get(request))
        _read_query(answer)
        return orjson.dumps(answer)


def _read_query(audience: Object) -> None:
    try:
        audience["query"] = orjson.loads(audience["query"])
    except (KeyError, orjson.JSONDecodeError):
        # It is told as it is kept.
        return


ROUTES = (
    Route("POST", "/push", send, "Send a push", "push", master=True, read_only="send push notifications"),
    *own("/push_audiences", Audiences("_Audience"), "push audiences", master=True),
)
