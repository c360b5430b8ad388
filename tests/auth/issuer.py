"""Identity providers on this machine: their keys, the tokens that they sign, and the tokens that an attacker makes of those.

The attacker's are the table that every provider with id tokens is held to.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.functions.web import Web

Claims = dict[str, Any]


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Made once for all tests; the number 0 is the providers' own."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def public(number: int = 0, kid: str = "k1", bits: int = 2048) -> dict[str, str]:
    """The public key as providers publish it."""
    numbers = rsa_key(number, bits).public_key().public_numbers()
    return {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": _number(numbers.n), "e": _number(numbers.e)}


def public_ec(kid: str = "e1") -> dict[str, str]:
    numbers = ec_key().public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": _b64(numbers.x.to_bytes(32, "big")), "y": _b64(numbers.y.to_bytes(32, "big"))}


def token(claims: Claims, key: int = 0, bits: int = 2048, **header: Any) -> str:
    """A token signed as its header says: by an RSA key, the elliptic one, the public key as a shared secret, or not at all."""
    head = {"alg": "RS256", "kid": "k1", "typ": "JWT", **header}
    body = f"{_b64(json.dumps(head).encode())}.{_b64(json.dumps(claims).encode())}"
    return f"{body}.{_b64(_signature(head['alg'], body.encode(), key, bits))}"


def _signature(algorithm: str, body: bytes, key: int, bits: int) -> bytes:
    if algorithm.startswith("RS"):
        return rsa_key(key, bits).sign(body, padding.PKCS1v15(), hashes.SHA256())
    if algorithm == "ES256":
        r, s = decode_dss_signature(ec_key().sign(body, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if algorithm == "HS256":
        form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        secret = hmac.HMAC(rsa_key().public_key().public_bytes(*form), hashes.SHA256())
        secret.update(body)
        return secret.finalize()
    return b""


@dataclass(frozen=True)
class Kind:
    """One provider: its options but for the address of its keys, who its tokens are from and for, and where they stand in `authData`."""

    name: str
    options: dict[str, Any]
    issuer: str
    audience: str
    field: str = "id_token"
    party: str = "aud"

    def configured(self, web: Web) -> dict[str, Any]:
        return {**self.options, "jwksUri": web.url("/keys")}

    def claims(self, whose: str, **more: Any) -> Claims:
        """What a good token says."""
        now = int(time.time())
        said = {"iss": self.issuer, self.party: self.audience, "sub": whose, "iat": now, "exp": now + 600}
        return {name: value for name, value in {**said, **more}.items() if value is not None}

    def data(self, signed: Any, sub: str, **more: Any) -> dict[str, Any]:
        return {self.name: {"id": sub, self.field: signed, **more}}

    def good(self, sub: str, **more: Any) -> dict[str, Any]:
        """`authData` that is to be believed."""
        return self.data(token(self.claims(sub, **more)), sub)


REALM = "https://sso.example.com/realms/shop"
KINDS = (
    Kind("apple", {"clientId": "com.example.app"}, "https://appleid.apple.com", "com.example.app", "token"),
    Kind("google", {"clientId": ["web", "phone"]}, "https://accounts.google.com", "phone"),
    Kind("facebook", {"appIds": ["4711"]}, "https://www.facebook.com", "4711", "token"),
    Kind("firebase", {"projectId": "shop"}, "https://securetoken.google.com/shop", "shop", "token"),
    Kind(
        "keycloak",
        {"config": {"auth-server-url": "https://sso.example.com", "realm": "shop", "client-id": "app"}},
        REALM,
        "app",
        "access_token",
        "azp",
    ),
    Kind("acme", {"type": "oidc", "issuer": "https://id.example.com/", "clientId": "app"}, "https://id.example.com/", "app"),
)

Forge = Callable[[Kind, str], str]


def _claims(**wrong: Any) -> Forge:
    return lambda kind, sub: token(kind.claims(sub, **wrong))


def _header(**wrong: Any) -> Forge:
    return lambda kind, sub: token(kind.claims(sub), **wrong)


def _party(*named: str | None, **more: Any) -> Forge:
    def forged(kind: Kind, sub: str) -> str:
        audiences = [name or kind.audience for name in named]
        return token(kind.claims(sub, **{**more, kind.party: audiences if len(audiences) > 1 else audiences[0]}))

    return forged


def _changed(part: int) -> Forge:
    def forged(kind: Kind, sub: str) -> str:
        parts = token(kind.claims(sub)).split(".")
        parts[part] = _b64(json.dumps(kind.claims(sub, admin=True) if part == 1 else {"alg": "RS256", "kid": "k2"}).encode())
        return ".".join(parts)

    return forged


MINE = {**public(1, "k1")}
FORGED: dict[str, Forge] = {
    "alg none": _header(alg="none"),
    "alg None": _header(alg="None"),
    "no alg": _header(alg=""),
    "alg a list": lambda kind, sub: token(kind.claims(sub), alg="RS256").replace(
        _b64(b'{"alg": "RS256"'[:15]), _b64(b'{"alg": ["R25"]'[:15])
    ),
    "HS256 with the public key": _header(alg="HS256"),
    "RS384": lambda kind, sub: token(kind.claims(sub), alg="RS384"),
    "elliptic, where that is not allowed": _header(alg="ES256", kid="e1"),
    "a foreign key under its name": lambda kind, sub: token(kind.claims(sub), key=1),
    "a short key": lambda kind, sub: token(kind.claims(sub), key=2, bits=1024, kid="short"),
    "a key for encryption": lambda kind, sub: token(kind.claims(sub), key=1, kid="enc"),
    "a shared secret": _header(alg="HS256", kid="oct"),
    "unknown kid": lambda kind, sub: token(kind.claims(sub), key=1, kid="nobody's"),
    "no kid": _header(kid=None),
    "kid a path": _header(kid="../../k1"),
    "crit": _header(crit=["exp"]),
    "unknown crit": _header(crit=["x-must"], **{"x-must": 1}),
    "jwk": lambda kind, sub: token(kind.claims(sub), key=1, jwk=MINE),
    "jwk and no kid": lambda kind, sub: token(kind.claims(sub), key=1, jwk=MINE, kid=None),
    "jku": lambda kind, sub: token(kind.claims(sub), key=1, jku="https://evil.example/keys", kid="evil"),
    "x5u": lambda kind, sub: token(kind.claims(sub), key=1, x5u="https://evil.example/cert"),
    "x5c": lambda kind, sub: token(kind.claims(sub), key=1, x5c=["MIIB"]),
    "jku beside the right key": _header(jku="https://evil.example/keys"),
    "unencoded": _header(b64=False),
    "wrong aud": _party("another"),
    "no aud": _claims(aud=None, azp=None),
    "aud a list with others": _party("another", None),
    "aud a list with others, for another": _party("another", None, azp="another"),
    "wrong iss": _claims(iss="https://evil.example"),
    "no iss": _claims(iss=None),
    "iss with more": lambda kind, sub: token(kind.claims(sub, iss=f"{kind.issuer}.evil.example")),
    "iss a list": lambda kind, sub: token(kind.claims(sub, iss=[kind.issuer])),
    "expired": lambda kind, sub: token(kind.claims(sub, exp=int(time.time()) - 120)),
    "no exp": _claims(exp=None),
    "exp a text": _claims(exp="9999999999"),
    "exp true": _claims(exp=True),
    "exp without end": _claims(exp=float("inf")),
    "future nbf": lambda kind, sub: token(kind.claims(sub, nbf=int(time.time()) + 600)),
    "future iat": lambda kind, sub: token(kind.claims(sub, iat=int(time.time()) + 600)),
    "no iat": _claims(iat=None),
    "no sub": _claims(sub=None),
    "empty sub": _claims(sub=""),
    "sub a number": _claims(sub=5),
    "somebody else's sub": _claims(sub="somebody else"),
    "email_verified false": _claims(email="a@example.com", email_verified=False),
    "email_verified a text": _claims(email="a@example.com", email_verified="True"),
    "email_verified 1": _claims(email="a@example.com", email_verified=1),
    "email_verified null": lambda kind, sub: token({**kind.claims(sub), "email": "a@example.com", "email_verified": None}),
    "changed claims": _changed(1),
    "changed header": _changed(0),
    "no signature": lambda kind, sub: token(kind.claims(sub)).rpartition(".")[0] + ".",
    "two parts": lambda kind, sub: token(kind.claims(sub)).rpartition(".")[0],
    "five parts": lambda kind, sub: token(kind.claims(sub)) + ".x.y",
    "garbage": lambda kind, sub: "garbage",
    "too long": lambda kind, sub: token(kind.claims(sub, more="x" * 20_000)),
    "not ASCII": lambda kind, sub: "ü" + token(kind.claims(sub)),
}
"""Tokens that no provider's people have: what is wrong with each, and how it is made."""


def publish(web: Web) -> None:
    """Have the keys be at `/keys`: the right one, and some that are of no use."""
    odd = [
        {"kty": "oct", "kid": "oct", "k": _b64(b"secret")},
        {**public(1, "enc"), "use": "enc"},
        public(2, "short", 1024),
        "x",
        {"kid": 5},
    ]
    web.on["/keys"] = {"keys": [*odd, public(), public_ec()]}
