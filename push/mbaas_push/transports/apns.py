"""Apple's push service: one request for each notification, with a provider token that all processes share.

Source: Apple's documentation of sending notification requests and of token-based connections; keys of the payload as Parse's push
adapter takes them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson

from mbaas.data.app import App
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.options import PushOptions
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Row
from mbaas_push.transports.lane import Broken, Lane, Own
from mbaas_push.transports.port import Outcome, Parcel
from mbaas_push.transports.signing import es256, read_key

_TOKENS = "provider tokens"
_RENEWED_MS = 50 * 60_000
"""Apple refuses a token of more than an hour, and new ones more often than every 20 minutes."""
MOST_BYTES = 4096
_LASTS_MS = 7 * 86_400_000
_APS = frozenset(
    ("badge", "sound", "category", "content-available", "mutable-content", "thread-id", "interruption-level", "relevance-score")
)
_READ_ELSEWHERE = frozenset(("alert", "title", "push_type", "collapse_id", "topic"))
"""What of the data is told in another way."""
_DEVICE = re.compile(r"[\w-]{1,200}", re.ASCII)
"""Apple's are hexadecimal, of no fixed length. Clients choose them, and they become part of a path."""
_HEADER = re.compile(r"[ -~]{1,255}")
"""A value that neither ends its header nor fills the connection's table of them: `appIdentifier` is a client's choice, too."""
_OF_OTHER = "BadDeviceToken"
_OF_TOKEN = ("ExpiredProviderToken",)
_TRANSIENT = ("TooManyRequests", "TooManyProviderTokenUpdates", "ServiceUnavailable", "Shutdown", "InternalServerError", "IdleTimeout")


class Apns:
    """Sends to devices of Apple."""

    def __init__(self, app: App, options: PushOptions, lane: Lane) -> None:
        """MbaasError names what is missing of the configuration."""
        if options.apns_key is None or not options.apns_key_id or not options.apns_team_id:
            raise MbaasError("Apple's push service needs MBAAS_APNS_KEY, MBAAS_APNS_KEY_ID and MBAAS_APNS_TEAM_ID")
        self._app, self._lane = app, lane
        self._key = read_key(options.apns_key, "MBAAS_APNS_KEY")
        self._key_id, self._team, self._topic = options.apns_key_id, options.apns_team_id, options.apns_topic
        self._production = _devices(options.apns_endpoint)
        self._sandbox = None if options.apns_sandbox_endpoint is None else _devices(options.apns_sandbox_endpoint)
        self._token, self._issued = "", 0

    async def send(self, parcel: Parcel) -> Outcome:
        topic = parcel.data.get("topic") or parcel.address.app or self._topic
        if not isinstance(topic, str):
            return Outcome("failed", "no bundle id: set MBAAS_APNS_TOPIC, or let installations have an appIdentifier")
        if not _DEVICE.fullmatch(parcel.address.value):
            return Outcome("failed", "the device token is none of Apple's")
        kind, collapse = _kind(parcel.data), _text(parcel.data.get("collapse_id")) or parcel.send_id
        if not (_fits(topic) and _fits(kind) and _HEADER.fullmatch(collapse)):
            return Outcome("failed", "topic (or appIdentifier), push_type and collapse_id are up to 255 printable characters of ASCII")
        body = payload(parcel)
        if len(body) > MOST_BYTES:
            return Outcome("failed", f"the payload has {len(body)} bytes; Apple takes {MOST_BYTES}")
        expires = parcel.expires if parcel.expires is not None else self._app.clock.now() + _LASTS_MS
        head, sandbox = (topic, kind, max(expires // 1000, 0)), parcel.address.sandbox and self._sandbox is not None
        own = (("apns-id", parcel.send_id), ("apns-collapse-id", collapse[:64]))
        outcome = await self._post(sandbox, parcel, head, body, own)
        if outcome.reason != _OF_OTHER or self._sandbox is None:
            return outcome
        # It may be a token of the other environment: of a build for development, or of one that has gone to the store since.
        other = await self._post(not sandbox, parcel, head, body, own)
        if other.verdict == "failed":
            return outcome
        return replace(other, sandbox=not sandbox) if other.verdict == "sent" else other

    async def _post(self, sandbox: bool, parcel: Parcel, head: tuple[str, str, int], body: bytes, own: Own) -> Outcome:
        """Ask one of the two environments. `head`: topic, push type, and until when it is of use, in s."""
        url = f"{self._sandbox if sandbox else self._production}{parcel.address.value}"
        for _ in range(2):
            token = await self._provider_token()
            try:
                reply = await self._lane.ask("POST", url, _headers(token, *head), body, own)
            except Broken as broken:
                return broken.outcome()
            if reply.status == 200:
                return Outcome("sent", provider_id=parcel.send_id)
            told = reply.told()
            reason = str(told.get("reason", reply.status))
            if reason not in _OF_TOKEN:
                return _outcome(reply.status, reason, told, reply.retry_after_s)
            self._token = ""
        return Outcome("again", reason)

    async def close(self) -> None:
        return

    async def _provider_token(self) -> str:
        now = self._app.clock.now()
        if self._token and 0 <= now - self._issued < _RENEWED_MS:
            return self._token
        refused = self._token == "" and self._issued > 0

        def renewed(row: Row | None) -> Row:
            """That of whichever process has made one, for as long as it is good."""
            if row is not None and 0 <= now - row.value["issued"] < _RENEWED_MS and not (refused and row.value["issued"] == self._issued):
                return row
            token = es256(self._key, {"iss": self._team, "iat": now // 1000}, kid=self._key_id)
            return Row(name, {"token": token, "issued": now}, expires=now + 60 * 60_000)

        name = f"apns {self._team} {self._key_id}"
        row = await self._app.store.rows.alter(_TOKENS, name, renewed)
        self._token, self._issued = row.value["token"], row.value["issued"]
        return self._token


@lru_cache(maxsize=1024)
def _headers(token: str, topic: str, kind: str, expires_s: int) -> tuple[str, ...]:
    """What messages to many devices have."""
    return (
        f"apns-topic: {topic}",
        f"apns-push-type: {kind}",
        f"apns-priority: {5 if kind == 'background' else 10}",
        f"apns-expiration: {expires_s}",
        "content-type: application/json",
        f"authorization: bearer {token}",
    )


def _kind(data: Object) -> str:
    """The push type: as the push says, or what its data make of it."""
    background = bool(data.get("content-available")) and not any(data.get(name) for name in ("alert", "title", "sound", "badge"))
    return _text(data.get("push_type")) or ("background" if background else "alert")


@lru_cache(maxsize=1024)
def _fits(value: str) -> bool:
    return _HEADER.fullmatch(value) is not None


def payload(parcel: Parcel) -> bytes:
    """The body: what Apple reads below `aps`, the rest beside it."""
    data = parcel.data
    aps: Object = {}
    alert, title = data.get("alert"), data.get("title")
    if title is not None:
        aps["alert"] = {"title": title, **(alert if isinstance(alert, dict) else {} if alert is None else {"body": alert})}
    elif alert is not None:
        aps["alert"] = alert
    rest: Object = {}
    for name, value in data.items():
        if name in _APS:
            aps[name] = value
        elif name not in _READ_ELSEWHERE:
            rest[name] = value
    return orjson.dumps({"aps": aps, **rest})


def _outcome(status: int, reason: str, told: dict[str, Any], retry_after_s: int) -> Outcome:
    wait = retry_after_s * 1000 or None
    if status == 410:
        since = told.get("timestamp")
        return Outcome("gone", reason, since=since if isinstance(since, int) else None)
    if status == 429 or status >= 500 or reason in _TRANSIENT:
        all_wait = reason in ("TooManyProviderTokenUpdates", "ServiceUnavailable", "Shutdown")
        return Outcome("again", reason, wait_ms=wait, all_wait=all_wait, quota=reason == "TooManyRequests")
    return Outcome("failed", reason)


def _devices(origin: str) -> str:
    return f"{origin.rstrip('/')}/3/device/"


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
