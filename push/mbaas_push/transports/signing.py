"""Tokens that are signed with a P-256 key (ES256, RFC 7518): those of Apple's provider authentication and of VAPID."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from mbaas.kernel.errors import MbaasError
from mbaas.kernel.values import Object


def read_key(path: Path, setting: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key from its PEM file. MbaasError names the setting if there is none."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise MbaasError(f"{setting}: {path} cannot be read as a key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MbaasError(f"{setting}: {path} is not a P-256 key")
    return key


def es256(key: ec.EllipticCurvePrivateKey, claims: Object, **header: str) -> str:
    """A signed token (JWT)."""
    signed = b".".join(base64url(orjson.dumps(part)).encode() for part in ({"alg": "ES256", **header}, claims))
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return f"{signed.decode()}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def base64url(data: bytes) -> str:
    """Without padding, as in RFC 7515."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """With or without padding. ValueError if it is no base64url."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
