"""Id tokens (OpenID Connect): the one place where they are believed.

The issuer, the audience, the algorithms and the place of the keys come from the configuration, never from the token. A header may
name a key of the issuer's, and nothing else that a key could come from. Source: OpenID Connect Core 3.1.3.7, RFC 7519, RFC 8725.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import math
from dataclasses import dataclass

import orjson

from mbaas.kernel.values import Json, Object
from mbaas_auth.identity.ports import Identity, Missing, NotVouched, Tools

ALGORITHMS = frozenset({"RS256", "ES256"})
"""Those that may be configured: each with keys that only the issuer has."""
_MOST = 16 * 1024
_LEEWAY_S = 60
"""How far the issuer's clock may be off."""
_LONGEST_ID = 255
_LEAST_RSA_BITS = 2048
_FORBIDDEN = frozenset({"crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"})
"""Headers that would have a token say how, and with what, it is to be believed."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a provider's tokens are like. `party`: the claim that names us; several audiences are believed if `azp` is one of ours."""

    issuers: frozenset[str]
    audiences: frozenset[str]
    keys_url: str
    algorithms: frozenset[str] = frozenset({"RS256"})
    party: str = "aud"
    nonce_bound: bool = False
    """A token with a nonce is believed only with that nonce; else a nonce is compared if one is sent."""
    any_email: bool = False
    """Who has not proved her address to the provider is vouched for, too; the address is not believed."""
    textual: bool = False
    """The provider writes true as a text (Apple)."""
    joins: bool = False


@dataclass(frozen=True, slots=True)
class IdTokens:
    """A provider whose word is an id token that the app was given by it: `fields` are where it stands in the data."""

    expected: Expected
    fields: tuple[str, ...] = ("id_token",)

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        token = next((data[name] for name in self.fields if data.get(name)), None)
        claims = await verified(token, self.expected, tools, nonce=data.get("nonce"))
        if data.get("id") != claims["sub"]:
            raise NotVouched("the token is somebody else's")
        kept = {name: value for name, value in data.items() if name != "nonce"}
        return Identity(claims["sub"], kept, proved_email(claims, self.expected), self.expected.joins)


async def verified(token: Json, expected: Expected, tools: Tools, *, nonce: Json = None) -> Object:
    """The claims of a token. NotVouched unless it was made for us by the issuer, for now, and with the nonce, if there is one."""
    if not token:
        raise Missing("id token")
    if not isinstance(token, str) or len(token) > _MOST or not token.isascii():
        raise NotVouched("the token is none")
    header = _header(token)
    if not _among(header.get("alg"), expected.algorithms) or not isinstance(header.get("kid"), str):
        raise NotVouched("the token is signed in a way that the provider does not, or with a key without a name")
    if forbidden := _FORBIDDEN & header.keys():
        raise NotVouched(f"the token's header has {sorted(forbidden)}")
    key = await tools.documents.key(expected.keys_url, header["kid"])
    # In a thread: to load the library takes as long as many requests.
    claims = await asyncio.to_thread(_signed, token, key, str(header["alg"]))
    _check_parties(claims, expected)
    _check_times(claims, tools.clock.now() / 1000)
    _check_nonce(claims.get("nonce"), nonce, expected)
    if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= _LONGEST_ID:
        raise NotVouched("the token says of nobody that it is she")
    if "email_verified" in claims and not _proved(claims, expected) and not expected.any_email:
        raise NotVouched("the address has not been proved to the provider")
    return claims


def proved_email(claims: Object, expected: Expected) -> str | None:
    """The address that the provider says is proved, if there is one."""
    email = claims.get("email")
    return email if isinstance(email, str) and "@" in email and _proved(claims, expected) else None


def _proved(claims: Object, expected: Expected) -> bool:
    return claims.get("email_verified") is True or (expected.textual and claims.get("email_verified") == "true")


def _header(token: str) -> Object:
    if token.count(".") != 2:
        raise NotVouched("the token is none")
    first = token.partition(".")[0]
    try:
        found = orjson.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    except ValueError as error:
        raise NotVouched("the token has no header") from error
    if not isinstance(found, dict):
        raise NotVouched("the token has no header")
    return found


def _signed(token: str, key: Object, algorithm: str) -> Object:
    """The claims of a token that is signed with the key. The library is loaded by the first token."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    if key.get("alg", algorithm) != algorithm:
        raise NotVouched("the key is for another algorithm")
    try:
        public = jwk.import_key({name: value for name, value in key.items() if name in ("kty", "n", "e", "crv", "x", "y")})
        if isinstance(public.raw_value, RSAPublicKey) and public.raw_value.key_size < _LEAST_RSA_BITS:
            raise NotVouched("the key is too short")
        registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        return dict(jwt.decode(token, public, algorithms=[algorithm], registry=registry).claims)
    except (JoseError, ValueError, TypeError) as error:
        raise NotVouched(f"the token is not signed with the key: {type(error).__name__}") from error


def _check_parties(claims: Object, expected: Expected) -> None:
    if not _among(claims.get("iss"), expected.issuers):
        raise NotVouched("the token is from another issuer")
    named = claims.get(expected.party)
    audiences = named if isinstance(named, list) else [named]
    if not any(_among(each, expected.audiences) for each in audiences):
        raise NotVouched("the token is for somebody else")
    if len(audiences) > 1 and not _among(claims.get("azp"), expected.audiences):
        raise NotVouched("the token is for others, too")


def _among(value: Json, known: frozenset[str]) -> bool:
    return isinstance(value, str) and value in known


def _check_times(claims: Object, now: float) -> None:
    if _time(claims, "exp") <= now - _LEEWAY_S:
        raise NotVouched("the token has expired")
    if max(_time(claims, "iat"), _time(claims, "nbf") if "nbf" in claims else 0) > now + _LEEWAY_S:
        raise NotVouched("the token holds later")


def _time(claims: Object, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise NotVouched(f"the token's {name} is no time")
    return value


def _check_nonce(claimed: Json, sent: Json, expected: Expected) -> None:
    """The app sends the nonce that it made; the token has that, or its SHA-256, as Apple's and Facebook's SDKs hand it on."""
    if sent is None and not (claimed is not None and expected.nonce_bound):
        return
    if not isinstance(sent, str) or not isinstance(claimed, str):
        raise NotVouched("the token has no nonce, or it was not sent")
    hashed = hashlib.sha256(sent.encode(errors="replace")).hexdigest()
    if not any(hmac.compare_digest(claimed.encode(errors="replace"), each.encode(errors="replace")) for each in (sent, hashed)):
        raise NotVouched("the token has another nonce")
