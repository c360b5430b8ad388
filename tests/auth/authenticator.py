"""An authenticator, as a phone has one: it makes passkeys and signs with them, or does what a forger would change about that."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

ORIGIN, DOMAIN = "https://gardens.example", "gardens.example"
AAGUID = bytes.fromhex("ea9b8d664d011d213ce4b6b48cb575d4")
_PRESENT, _VERIFIED, _MAY_BE_SYNCED, _SYNCED, _ATTESTED = 1, 4, 8, 16, 64


def text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def data_of(given: str) -> bytes:
    return urlsafe_b64decode(given + "=" * (-len(given) % 4))


@dataclass
class Passkey:
    """One passkey. `verified`: it asks for a fingerprint each time."""

    handle: bytes = b""
    id: bytes = b""
    count: int = 0
    verified: bool = True
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def registered(self, options: dict[str, Any], *, origin: str = ORIGIN, domain: str = DOMAIN, **client: Any) -> dict[str, Any]:
        """What `navigator.credentials.create` gives for these options, as JSON."""
        asked = options["publicKey"]
        self.handle, self.id = data_of(asked["user"]["id"]), self.id or hashlib.sha256(asked["challenge"].encode()).digest()
        numbers = self.key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = AAGUID + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(key)
        data = self._data(domain, _ATTESTED) + attested
        response = {
            "clientDataJSON": _client("webauthn.create", asked["challenge"], origin, **client),
            "attestationObject": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal", "hybrid"],
        }
        return self._told(response)

    def signed(self, options: dict[str, Any], *, origin: str = ORIGIN, domain: str = DOMAIN, **client: Any) -> dict[str, Any]:
        """What `navigator.credentials.get` gives for these options, as JSON."""
        self.count += 1
        said = _client(client.pop("type", "webauthn.get"), options["publicKey"]["challenge"], origin, **client)
        data = self._data(domain, 0)
        proof = self.key.sign(data + hashlib.sha256(data_of(said)).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": said,
            "authenticatorData": text(data),
            "signature": text(proof),
            "userHandle": text(self.handle),
        }
        return self._told(response)

    def _data(self, domain: str, more: int) -> bytes:
        flags = _PRESENT | (_VERIFIED if self.verified else 0) | _MAY_BE_SYNCED | _SYNCED | more
        return hashlib.sha256(domain.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _told(self, response: dict[str, Any]) -> dict[str, Any]:
        name = text(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}


def _client(kind: str, challenge: str, origin: str, **more: Any) -> str:
    return text(json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False, **more}).encode())
