"""One-time codes by the time (RFC 6238), as authenticator apps make them."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from mbaas.kernel.options import Algorithm


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


def secret_of(text: str) -> bytes | None:
    """The secret of which this is the Base32 text; None if it is none."""
    bare = text.replace(" ", "").rstrip("=").upper()
    try:
        return base64.b32decode(bare + "=" * (-len(bare) % 8))
    except ValueError:
        return None
