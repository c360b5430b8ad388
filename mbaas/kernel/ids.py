"""Identifiers and secrets. The random source is injected, so that a test can repeat a run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LETTERS = bytes(_ALPHABET[byte % 62] for byte in range(256))
_UNFAIR = bytes(range(256 - 256 % 62, 256))
"""Random bytes that would make the first letters likelier than the others; they are thrown away."""


class Ids:
    """Makes ids from a source of random bytes (the operating system's unless told otherwise)."""

    def __init__(self, random_bytes: RandomBytes = os.urandom) -> None:
        self._random = random_bytes
        self._letters = b""

    def object_id(self, size: int = 10) -> str:
        """`size` characters of `[A-Za-z0-9]`, each equally likely."""
        while len(self._letters) < size:
            # Many at once: each call of the operating system takes longer than all the rest.
            self._letters += self._random(size + 500).translate(_LETTERS, _UNFAIR)
        made, self._letters = self._letters[:size], self._letters[size:]
        return made.decode()

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
