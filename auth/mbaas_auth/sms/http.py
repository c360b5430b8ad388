"""Text messages through a service of the app's own: `{"to", "text"}` is posted for each."""

from __future__ import annotations

import orjson

from mbaas.outbound.calls import Failed, Outbound
from mbaas_auth.sms.ports import NotSent

_SECONDS = 10.0
_MOST_BYTES = 64 * 1024


class HttpTexter:
    """Posts each message to one address."""

    def __init__(self, outbound: Outbound, url: str) -> None:
        self._outbound, self._url = outbound, url

    async def send(self, number: str, text: str) -> None:
        body, headers = orjson.dumps({"to": number, "text": text}), {"Content-Type": "application/json"}
        try:
            reply = await self._outbound.send("POST", self._url, body, headers, seconds=_SECONDS, most=_MOST_BYTES)
        except Failed as error:
            raise NotSent(error.detail) from error
        if not 200 <= reply.status < 300:
            raise NotSent(f"the message service answered {reply.status}")
