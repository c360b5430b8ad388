"""How the three providers answer: paths, statuses and bodies as their documentation has them."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import orjson

from mbaas_push.mock.script import Reply, Script

_FCM_ERRORS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
_FCM_TYPE = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_READ = (
    "apns-topic",
    "apns-push-type",
    "apns-priority",
    "apns-expiration",
    "apns-collapse-id",
    "ttl",
    "urgency",
    "topic",
    "content-encoding",
)
_SUBSCRIPTION = re.compile(
    r"/v1/projects/[^/]+/registrations/([^/]+)/topicSubscriptions(?:/([^/?]+)\?allow_missing=true|\?topic_name=([^&]+))"
)
ACCESS = "mock-access-token"
_numbers = itertools.count(time.time_ns())
"""Of messages that have been taken."""


@dataclass(slots=True)
class Answered:
    """An answer on the wire. `reply` is what the script said, None for what is no message."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    reply: Reply | None = None


def answer(script: Script, method: str, path: str, headers: dict[str, str], body: bytes) -> Answered:
    """The answer to one request."""
    if path == "/token":
        return _json(200, {"access_token": ACCESS, "expires_in": 3600, "token_type": "Bearer"})
    if path == "/mock/receipts":
        return Answered(200, b"".join(script.lines()), (("content-type", "application/x-ndjson"),))
    if path == "/mock/script" and method == "PUT":
        try:
            script.change(orjson.loads(body))
        except (ValueError, TypeError, AttributeError) as error:
            return _json(400, {"error": f"This is no script: {error}"})
        return _json(200, {})
    read = {name: headers[name] for name in _READ if name in headers}
    if path.startswith("/v1/projects/") and path.endswith("/messages:send"):
        return _fcm(script, headers, read, body)
    if subscription := _SUBSCRIPTION.fullmatch(path):
        return _fcm_topics(script, method, subscription, headers)
    if path.startswith("/3/device/"):
        return _apns(script, path.removeprefix("/3/device/"), headers, read, body)
    if path.startswith("/wp/"):
        return _web_push(script, path.removeprefix("/wp/"), read, body)
    return _json(404, {"error": f"the mock has no {path}"})


def _fcm(script: Script, headers: dict[str, str], read: dict[str, str], body: bytes) -> Answered:
    message: dict[str, Any] = orjson.loads(body)["message"]
    token = next((message[name] for name in ("token", "fid", "topic", "condition") if name in message), "")
    if headers.get("authorization") != f"Bearer {ACCESS}":
        return _fcm_error(Reply(401, "UNAUTHENTICATED"))
    reply = script.reply(token)
    script.note("fcm", token, reply, message, read)
    if reply.status != 200:
        return _fcm_error(reply)
    if "topic" in message or "condition" in message:
        script.note_topics(message.get("condition", f"'{token}' in topics"), message)
    return _json(200, {"name": f"projects/mock/messages/0:{next(_numbers)}"}, reply=reply)


def _fcm_topics(script: Script, method: str, path: re.Match[str], headers: dict[str, str]) -> Answered:
    """Subscribe a device to a topic, or end that."""
    if headers.get("authorization") != f"Bearer {ACCESS}":
        return _fcm_error(Reply(401, "UNAUTHENTICATED"))
    token, removed, added = (unquote(part or "") for part in path.groups())
    reply = script.reply(token)
    if reply.status != 200:
        return _fcm_error(reply)
    if method == "DELETE":
        script.topics.get(removed, set()).discard(token)
        return _json(200, {}, reply=reply)
    subscribed = script.topics.setdefault(added, set())
    if token in subscribed:
        return _json(409, {"error": {"code": 409, "status": "ALREADY_EXISTS"}}, reply=reply)
    subscribed.add(token)
    return _json(200, {"topic_name": added}, reply=reply)


def _fcm_error(reply: Reply) -> Answered:
    error: dict[str, Any] = {"code": reply.status, "message": reply.reason, "status": _FCM_ERRORS.get(reply.status, "UNAVAILABLE")}
    if reply.reason:
        error["details"] = [{"@type": _FCM_TYPE, "errorCode": reply.reason}]
    return _json(reply.status, {"error": error}, reply=reply)


def _apns(script: Script, token: str, headers: dict[str, str], read: dict[str, str], body: bytes) -> Answered:
    if not headers.get("authorization", "").lower().startswith("bearer "):
        return _json(403, {"reason": "MissingProviderToken"})
    reply = script.reply(token)
    script.note("apns", token, reply, orjson.loads(body), read)
    apns_id = (("apns-id", headers.get("apns-id") or str(uuid4())),)
    if reply.status == 200:
        return Answered(200, headers=apns_id, reply=reply)
    told: dict[str, Any] = {"reason": reply.reason, **({"timestamp": reply.timestamp} if reply.timestamp is not None else {})}
    return _json(reply.status, told, reply=reply, more=apns_id)


def _web_push(script: Script, token: str, read: dict[str, str], body: bytes) -> Answered:
    reply = script.reply(token)
    status = 201 if reply.status == 200 else reply.status
    script.note("webpush", token, Reply(status), body.hex(), read)
    return Answered(status, headers=(("location", f"/m/{next(_numbers)}"), *_retry(reply)), reply=reply)


def _json(status: int, value: Any, *, reply: Reply | None = None, more: tuple[tuple[str, str], ...] = ()) -> Answered:
    headers = (("content-type", "application/json"), *more, *(_retry(reply) if reply else ()))
    return Answered(status, orjson.dumps(value), headers, reply)


def _retry(reply: Reply) -> tuple[tuple[str, str], ...]:
    return () if reply.retry_after_s is None else (("retry-after", str(reply.retry_after_s)),)
