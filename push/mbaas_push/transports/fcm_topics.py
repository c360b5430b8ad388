"""Subscriptions to Firebase's topics, by firebase-admin: it knows the paths, what the answers mean, and how many to ask at a time.

What it asks goes the way that messages go: to the endpoint that is set, over the lane, with the same access token. Its own client knows one
address only, and holds up the event loop while it renews a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import google.auth.exceptions
import httpx
import orjson
from firebase_admin import App as FirebaseApp
from firebase_admin import messaging
from firebase_admin.credentials import Certificate

from mbaas.kernel.values import Json
from mbaas_push.transports.lane import Broken, Reply
from mbaas_push.transports.rate import Rate

MOST = 1000
"""Devices that firebase-admin takes at a time."""
_AGAIN = (429, 500, 503)
_ATTEMPTS, _FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 4, 0.5, 10.0


class Ask(Protocol):
    """Asks Firebase something with the account's token. Broken, or a GoogleAuthError, if there is no answer."""

    async def __call__(self, method: str, url: str, body: bytes, headers: Sequence[str] = ()) -> Reply: ...


class FcmTopics:
    """The subscriptions of one Firebase project."""

    def __init__(self, account: Certificate, endpoint: str, ask: Ask) -> None:
        self._account, self._endpoint, self._client = account, endpoint, _Client(ask)
        self._making = asyncio.Lock()
        self._service: Any = None

    async def change(self, tokens: list[str], topic: str, *, subscribe: bool) -> dict[str, str]:
        """Subscribe up to `MOST` devices to a topic, or end that; those for which it failed, with the reason."""
        async with self._making:
            if self._service is None:
                # It makes clients of its own that read a machine's certificates, which takes a while.
                self._service = await asyncio.to_thread(_Service, self._account, self._endpoint, self._client)
        change = self._service.subscribe_to_topic_async if subscribe else self._service.unsubscribe_from_topic_async
        told = await change(tokens, topic)
        return {tokens[error.index]: str(error.reason) for error in told.errors}


class _Service(messaging._MessagingService):  # type: ignore[misc]
    """What is behind `messaging.subscribe_to_topic_async`, with another address and another client."""

    def __init__(self, account: Certificate, endpoint: str, client: _Client) -> None:
        super().__init__(FirebaseApp("topics", account, {}))
        self._fcm_topic_url = f"{endpoint}/v1/projects/{account.project_id}/registrations"
        self._async_client = client


class _Client:
    """As firebase-admin's own client: what is too much, or fails for a while, is asked again."""

    def __init__(self, ask: Ask) -> None:
        self._ask, self._rate = ask, Rate(asyncio.get_running_loop().time)

    async def request(self, method: str, url: str, headers: Mapping[str, str], json: Json) -> httpx.Response:
        """Ask. httpx.HTTPStatusError for an answer that is not good, and where there is none."""
        body, lines = b"" if json is None else orjson.dumps(json), [f"{name}: {value}" for name, value in headers.items()]
        for attempt in range(_ATTEMPTS):
            await self._rate.turn()
            reply = await self._asked(method.upper(), url, body, lines)
            if reply.status not in _AGAIN or attempt == _ATTEMPTS - 1:
                break
            wait = min(float(reply.retry_after_s) or _FIRST_WAIT_SECONDS * 2**attempt, _LONGEST_WAIT_SECONDS)
            if reply.status == 429:
                self._rate.refuse(of_all=True)
                self._rate.rest(wait)
            else:
                await asyncio.sleep(wait)
        return httpx.Response(reply.status, content=reply.body, request=httpx.Request(method, url)).raise_for_status()

    async def _asked(self, method: str, url: str, body: bytes, headers: list[str]) -> Reply:
        try:
            return await self._ask(method, url, body, headers)
        except Broken:
            # Asking again does no harm, whether it had left or not.
            return Reply(503, b"", 0)
        except google.auth.exceptions.GoogleAuthError:
            return Reply(401, b"", 0)
