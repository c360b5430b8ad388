"""One-time codes by the time (RFC 6238), as authenticator apps make them."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from mbaas.kernel.ids import token_hash
from mbaas.kernel.options import Algorithm
from mbaas.kernel.values import Object

_SHORTEST_BYTES = 10


@dataclass(frozen=True, slots=True)
class Totp:
    """How codes are made: of how many digits, for how many seconds, with which hash."""

    digits: int = 6
    period_s: int = 30
    algorithm: Algorithm = "SHA1"

    def code(self, secret: bytes, step: int) -> str:
        """The code of a step, which is the number of periods since 1970."""
        digest = hmac.new(secret, step.to_bytes(8, "big"), self.algorithm.lower()).digest()
        at = digest[-1] & 15
        number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFF_FFFF
        return str(number)[-self.digits :].zfill(self.digits)

    def step(self, secret: bytes, code: str, now: int, after: int = -1) -> int | None:
        """The step whose code this is, at `now` (ms): the present one or the one on either side. None for a wrong code, and for one of a
        step that is not `after` the last one used."""
        present = now // (self.period_s * 1000)
        right = None
        for step in (present - 1, present, present + 1):
            if hmac.compare_digest(self.code(secret, step).encode(), code.encode()) and step > after:
                right = step
        return right

    def enrolled(self, text: str, code: str, now: int) -> Object | None:
        """What is kept of a new secret, of which the code is the proof: `{"secret", "step"}`. None for a wrong code or a weak secret."""
        secret = secret_of(text)
        step = None if secret is None or len(secret) < _SHORTEST_BYTES else self.step(secret, code, now)
        return None if step is None else {"secret": text, "step": step}

    def used(self, kept: Object, code: str, now: int) -> Object | None:
        """What is kept once a code, of the app or for recovery, is used up; None for one that is wrong, or was used."""
        recovery, hashed = kept.get("recovery"), token_hash(code)
        known = recovery if isinstance(recovery, list) else []
        # A hash that was read in a copy of the database is no code.
        if spent := [each for each in known if each == hashed or (each == code and len(code) < len(hashed))]:
            return {**kept, "recovery": [each for each in known if each not in spent]}
        secret, after = secret_of(kept["secret"]), kept.get("step")
        last = int(after) if isinstance(after, int | float) else -1
        step = self.step(secret, code, now, last) if secret else None
        return None if step is None else {**kept, "step": step}

    def address(self, text: str, issuer: str, account: str) -> str:
        """What an authenticator app reads from a picture: whose codes these are, and how they are made."""
        said = {"secret": text, "issuer": issuer, "algorithm": self.algorithm, "digits": self.digits, "period": self.period_s}
        return f"otpauth://totp/{quote(issuer, safe='')}:{quote(account, safe='@')}?{urlencode(said, quote_via=quote)}"


def text_of(secret: bytes) -> str:
    """A secret as people and apps read it: Base32."""
    return base64.b32encode(secret).decode().rstrip("=")


def secret_of(text: str) -> bytes | None:
    """The secret of which this is the Base32 text; None if it is none."""
    bare = text.replace(" ", "").rstrip("=").upper()
    try:
        return base64.b32decode(bare + "=" * (-len(bare) % 8))
    except ValueError:
        return None
