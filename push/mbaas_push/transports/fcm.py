"""Firebase Cloud Messaging, HTTP v1: one request for each message, with an access token of the service account.

Source: FCM's REST reference and error codes; what is inside `data` is what the Parse SDK for Android reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import google.auth.exceptions
import google.auth.transport
import orjson
from firebase_admin.credentials import Certificate

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.options import PushOptions
from mbaas.kernel.push import TOPICS
from mbaas.kernel.values import Object
from mbaas_push.transports.fcm_topics import FcmTopics
from mbaas_push.transports.lane import Broken, Lane, Reply
from mbaas_push.transports.port import Outcome, Parcel

_BYTES = 4096
_ENVELOPE = 1024
"""What a message has around what Firebase counts, with room to spare: it looks itself. That to topics it takes less is seen to when a push
is asked for."""
_REFUSED = "UNAUTHENTICATED"
"""What is said of an access token that is not good, or no longer."""
_LONGEST_S = 2_419_200
_QUOTA_WAIT_MS = 60_000
"""How long all wait where the project's quota is used up and the answer does not say."""


class Fcm:
    """Sends to devices that Firebase knows."""

    def __init__(self, app: App, options: PushOptions, lane: Lane) -> None:
        """MbaasError says what is wrong with the service account's file."""
        try:
            account = Certificate(str(options.fcm_credentials))
            self._account = account.get_credential()
        except (OSError, ValueError) as error:
            raise MbaasError(f"MBAAS_FCM_CREDENTIALS: {options.fcm_credentials} is not a service account: {error}") from error
        self._app, self._lane = app, lane
        endpoint = options.fcm_endpoint.rstrip("/")
        self._url = f"{endpoint}/v1/projects/{self._account.project_id}/messages:send"
        self._renewing = asyncio.Lock()
        self.topics = FcmTopics(account, endpoint, self.ask)

    async def send(self, parcel: Parcel) -> Outcome:
        body = message(parcel, self._app.clock.now())
        if len(body) > _BYTES + _ENVELOPE:
            return Outcome("failed", f"the message has {len(body)} bytes; Firebase takes {_BYTES}")
        try:
            reply = await self.ask("POST", self._url, body)
        except google.auth.exceptions.GoogleAuthError as error:
            return Outcome("again", f"no access token: {error}", all_wait=True)
        except Broken as broken:
            return broken.outcome()
        if reply.status == 200:
            return Outcome("sent", provider_id=str(reply.told().get("name", "")).rpartition("/")[2])
        outcome = _outcome(reply)
        # A topic is there whether or not anybody has subscribed.
        return replace(outcome, verdict="failed") if outcome.verdict == "gone" and parcel.address.kind in TOPICS else outcome

    async def ask(self, method: str, url: str, body: bytes, headers: Sequence[str] = ()) -> Reply:
        """Ask with an access token, and once more with a new one where that is refused.

        Broken, or a GoogleAuthError, if there is no answer.
        """
        for _ in range(2):
            token = await self._access_token()
            lines = (f"authorization: Bearer {token}", "content-type: application/json", *headers)
            reply = await self._lane.ask(method, url, lines, body)
            if reply.status == 200 or _code(_error(reply)) != _REFUSED:
                break
            self._account.token = None
        return reply

    async def close(self) -> None:
        return

    async def _access_token(self) -> str:
        account = self._account
        if not account.valid:
            async with self._renewing:
                if not account.valid:
                    await asyncio.to_thread(account.refresh, _OverLane(self._lane))
        return str(account.token)


class _OverLane(google.auth.transport.Request):
    """How Google's library, which knows no event loop and runs in a thread, reaches the token endpoint: by the lane."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._loop = lane, asyncio.get_running_loop()

    def __call__(
        self,
        url: str,
        method: str = "POST",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        lines = tuple(f"{name}: {value}" for name, value in (headers or {}).items())
        try:
            reply = asyncio.run_coroutine_threadsafe(self._lane.ask(method, url, lines, body or b""), self._loop).result()
        except Broken as broken:
            raise google.auth.exceptions.TransportError(broken.reason) from broken  # type: ignore[no-untyped-call]
        return SimpleNamespace(status=reply.status, headers={}, data=reply.body)


def message(parcel: Parcel, now: int) -> bytes:
    """The body of a request."""
    lasts = _LONGEST_S if parcel.expires is None else min(max((parcel.expires - now) // 1000, 0), _LONGEST_S)
    data: Object = {"push_id": parcel.send_id, "time": iso(now), "data": orjson.dumps(parcel.data).decode()}
    return orjson.dumps(
        {"message": {parcel.address.kind: parcel.address.value, "data": data, "android": {"priority": "HIGH", "ttl": f"{lasts}s"}}}
    )


def _outcome(reply: Reply) -> Outcome:
    error, status = _error(reply), reply.status
    code, wait = _code(error), reply.retry_after_s * 1000 or None
    if code == _REFUSED:
        return Outcome("again", code, all_wait=True)
    if code == "UNREGISTERED" or (status == 404 and code == "NOT_FOUND"):
        return Outcome("gone", code)
    if status == 429 or code == "QUOTA_EXCEEDED":
        return Outcome("again", code, wait_ms=wait or _QUOTA_WAIT_MS, all_wait=True, quota=True)
    if status >= 500:
        return Outcome("again", code, wait_ms=wait)
    if code == "INVALID_ARGUMENT" and "registration token" in str(error.get("message")):
        return Outcome("gone", code)
    return Outcome("failed", f"{code}: {error.get('message', '')}".strip(": ") or str(status))


def _error(reply: Reply) -> dict[str, Any]:
    error = reply.told().get("error")
    return error if isinstance(error, dict) else {}


def _code(error: dict[str, Any]) -> str:
    """The errorCode of FCM's details, else the status."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and "errorCode" in detail:
            return str(detail["errorCode"])
    return str(error.get("status", ""))
