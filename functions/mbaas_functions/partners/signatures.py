"""Signatures of what is sent to partners, by Standard Webhooks 1.0.0.

Signed is `id.timestamp.body`, the raw bytes; `webhook-signature` holds one signature for each secret that is in force, parted by
spaces: `v1,<base64 HMAC-SHA256>` for a secret `whsec_…`, `v1a,<base64 Ed25519>` for a private key `whsk_…`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SECRET, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A new symmetric secret."""
    return _SECRET + _text(secrets.token_bytes(_SECRET_BYTES))


def new_private_key() -> str:
    """A new Ed25519 key, for partners who are not to hold what signs."""
    return _PRIVATE + _text(secrets.token_bytes(32))


def public_key(private: str) -> str:
    """The public half of a private key: what a partner verifies with."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return _PUBLIC + _text(_ed25519(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def headers(keys: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt to send a message. `timestamp`: of this attempt, in seconds since 1970."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(key, signed) for key in keys),
    }


def _signature(key: str, signed: bytes) -> str:
    if key.startswith(_PRIVATE):
        return "v1a," + _text(_ed25519(key).sign(signed))
    return "v1," + _text(hmac.digest(base64.b64decode(key.removeprefix(_SECRET)), signed, hashlib.sha256))


def _ed25519(private: str) -> Ed25519PrivateKey:
    # Loaded where a partner is signed for in this way, not by the start of every server.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(private.removeprefix(_PRIVATE)))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
