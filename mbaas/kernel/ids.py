"""Identifiers and secrets. The random source is injected, so that a test can repeat a run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_FAIR = 256 - 256 % len(_ALPHABET)


class Ids:
    """Makes ids from a source of random bytes (the operating system's unless told otherwise)."""

    def __init__(self, random_bytes: RandomBytes = os.urandom) -> None:
        self._random = random_bytes

    def object_id(self, size: int = 10) -> str:
        """`size` characters of `[A-Za-z0-9]`, each equally likely."""
        out = ""
        while len(out) < size:
            out += "".join(_ALPHABET[b % 62] for b in self._random(size + 4) if b < _FAIR)
        return out[:size]

    def token(self) -> str:
        """A session token in Parse's form: `r:` and 128 random bits in hexadecimal."""
        return "r:" + self.hex(16)

    def hex(self, size: int) -> str:
        """`size` random bytes in hexadecimal."""
        return self._random(size).hex()

    def uuid(self) -> str:
        """A version-4 UUID."""
        raw = bytearray(self._random(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def token_hash(token: str) -> str:
    """What is stored of a secret that was handed out: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
