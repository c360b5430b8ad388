"""Web Push: an encrypted message to the endpoint that a browser named.

Source: RFC 8030 (delivery), RFC 8291 and 8188 (encryption, aes128gcm), RFC 8292 (VAPID). The endpoint is a URL that a client chose: it
must be https, and each address behind it is looked at when it is dialled.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mbaas.data.app import App
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.options import PushOptions
from mbaas.outbound.reach import Forbidden, Reach
from mbaas_push.transports.lane import Broken, lane
from mbaas_push.transports.port import Outcome, Parcel
from mbaas_push.transports.signing import base64url, es256, from_base64url, read_key

MOST_BYTES = 3993
_LASTS_S = 2_419_200
_TOKEN_S = 12 * 3600
_RECORD = 4096
_MOST_ORIGINS = 1000
_LONGEST = 4096
"""Characters of an endpoint. A push service may end the connection, which others share, over a longer one."""


@dataclass(slots=True)
class Subscription:
    """What a browser gave the app: where to, and with whose keys."""

    endpoint: str
    public: bytes
    secret: bytes

    @classmethod
    def read(cls, text: str) -> Subscription:
        """From the JSON that browsers make of a `PushSubscription`. ValueError if it is not one."""
        given = orjson.loads(text)
        try:
            return cls(str(given["endpoint"]), from_base64url(given["keys"]["p256dh"]), from_base64url(given["keys"]["auth"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no {error}") from error


class WebPush:
    """Sends to browsers."""

    def __init__(self, app: App, options: PushOptions, reach: Reach) -> None:
        """MbaasError names what is missing of the configuration."""
        if options.webpush_key is None or not options.webpush_subject:
            raise MbaasError("Web Push needs MBAAS_WEBPUSH_KEY and MBAAS_WEBPUSH_SUBJECT (a mailto: or https: contact)")
        self._app, self._reach, self._subject = app, reach, options.webpush_subject
        self._key = read_key(options.webpush_key, "MBAAS_WEBPUSH_KEY")
        self._public = base64url(_point(self._key))
        self._signed: dict[str, tuple[str, int]] = {}
        self._lane = lane(options, lambda address: reach.check_address(address, address))

    async def send(self, parcel: Parcel) -> Outcome:
        try:
            to = Subscription.read(parcel.address.value)
            if len(to.endpoint) > _LONGEST:
                raise Forbidden(f"the endpoint has more than {_LONGEST} characters")
            parts = self._reach.check(to.endpoint)
            if parts.scheme != "https":
                raise Forbidden("the endpoint is not https")
            body = encrypt(plain(parcel), to)
        except Forbidden:
            # Not in its own words, which name the address.
            return Outcome("failed", "the subscription cannot be used: its endpoint is not one that may be called")
        except ValueError as error:
            return Outcome("failed", f"the subscription cannot be used: {error}")
        if len(body) > _RECORD:
            return Outcome("failed", f"the message is too long; browsers take {MOST_BYTES} bytes")
        now = self._app.clock.now()
        lasts = _LASTS_S if parcel.expires is None else max((parcel.expires - now) // 1000, 0)
        headers = (
            f"ttl: {min(lasts, _LASTS_S)}",
            "urgency: high",
            "content-encoding: aes128gcm",
            "content-type: application/octet-stream",
            f"authorization: vapid t={self._token(to.endpoint, now // 1000)}, k={self._public}",
        )
        own = (("topic", base64url(hashlib.sha256(parcel.send_id.encode()).digest())[:32]),)
        try:
            reply = await self._lane.ask("POST", to.endpoint, headers, body, own)
        except Broken as broken:
            return broken.outcome()
        return _outcome(reply.status, reply.retry_after_s, (parts.hostname or ""))

    async def close(self) -> None:
        await self._lane.close()

    def _token(self, endpoint: str, now_s: int) -> str:
        """The VAPID token for an endpoint's origin, which is good for hours."""
        parts = urlsplit(endpoint)
        origin = f"{parts.scheme}://{parts.netloc}"
        token, until = self._signed.get(origin, ("", 0))
        if not _TOKEN_S // 2 <= until - now_s <= _TOKEN_S:
            until = now_s + _TOKEN_S
            token = es256(self._key, {"aud": origin, "exp": until, "sub": self._subject}, typ="JWT")
            if len(self._signed) >= _MOST_ORIGINS:
                self._signed.clear()
            self._signed[origin] = token, until
        return token


def plain(parcel: Parcel) -> bytes:
    """What the browser's service worker reads."""
    return orjson.dumps({**parcel.data, "push_id": parcel.send_id})


def encrypt(text: bytes, to: Subscription) -> bytes:
    """One aes128gcm record for a subscription. ValueError if its keys are none."""
    own, salt = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), to.public)
    mine = _point(own)
    shared = _derive(own.exchange(ec.ECDH(), theirs), to.secret, b"WebPush: info\0" + to.public + mine, 32)
    key = _derive(shared, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(shared, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + _RECORD.to_bytes(4, "big") + bytes([len(mine)]) + mine
    return head + AESGCM(key).encrypt(nonce, text + b"\x02", None)


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _outcome(status: int, retry_after_s: int, host: str) -> Outcome:
    if status in (200, 201, 202):
        return Outcome("sent")
    if status in (404, 410):
        return Outcome("gone", str(status))
    # Microsoft's service says 406 where others say 429.
    quota = status == 429 or (status == 406 and host.endswith(".notify.windows.com"))
    if quota or status >= 500:
        return Outcome("again", str(status), wait_ms=retry_after_s * 1000 or None, quota=quota)
    return Outcome("failed", str(status))
