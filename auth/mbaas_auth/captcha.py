"""Proofs that a person, or at least some work, stands behind a request: asked for before accounts are made and mails are sent.

The one that needs nobody else is ALTCHA's proof of work: to find the number whose hash, with a salt, is known. Services that people know
from elsewhere (hCaptcha, Turnstile, reCAPTCHA) are asked in the way that they have in common, `siteverify`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Protocol
from urllib.parse import parse_qs, urlencode

from mbaas.data.app import App
from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.values import Json, Object, read_json
from mbaas.outbound.calls import Failed, Outbound
from mbaas.storage.ports import PutRow

ROOM = "captcha"
HEADER = b"x-captcha"
_TABLE = "captchas"
_MOST_WORK = 50_000
"""Hashes at most, half of that as a rule: some tenths of a second on a phone."""
_GOOD_S = 600
_LONGEST = 4000
_SECONDS, _MOST_BYTES = 5.0, 64 * 1024


class Captcha(Protocol):
    """Something that asks for a proof, and knows a good one."""

    def challenge(self) -> Object:
        """What is asked; {} where somebody else asks."""
        ...

    async def solved(self, answer: str, ip: str) -> bool:
        """True for an answer that is good, and was not given before."""
        ...


class Altcha:
    """ALTCHA's proof of work with SHA-256, as its widgets do it. A challenge is signed, and not kept."""

    def __init__(self, app: App) -> None:
        self._app = app

    def challenge(self) -> Object:
        until = self._app.clock.now() // 1000 + _GOOD_S
        # The last sign keeps digits of the number from being read as digits of the time.
        salt = f"{self._app.ids.hex(12)}?expires={until}&"
        number = int(self._app.ids.hex(8), 16) % (_MOST_WORK + 1)
        challenge = _hash(salt, number)
        told = {"algorithm": "SHA-256", "challenge": challenge, "maxnumber": _MOST_WORK, "salt": salt}
        return {**told, "signature": self._signature(challenge)}

    async def solved(self, answer: str, ip: str) -> bool:
        given = _decoded(answer)
        number, salt = given.get("number"), given.get("salt")
        if not isinstance(salt, str) or not isinstance(number, int) or isinstance(number, bool):
            return False
        challenge = _hash(salt, number)
        if given.get("challenge") != challenge or not hmac.compare_digest(str(given.get("signature")), self._signature(challenge)):
            return False
        until = int(parse_qs(salt.partition("?")[2])["expires"][0]) * 1000
        if until <= self._app.clock.now():
            return False
        try:
            await self._app.store.documents.commit([PutRow(_TABLE, challenge, None, expires=until, if_absent=True)])
        except Duplicate:
            return False
        return True

    def _signature(self, challenge: str) -> str:
        said = f"captcha {self._app.options.app_id} {challenge}"
        return hmac.new(self._app.options.master_key.encode(), said.encode(), "sha256").hexdigest()


class SiteVerify:
    """A service whose widget asks, and which is asked what it thinks of the answer. While it is away nobody is let in."""

    def __init__(self, outbound: Outbound, url: str, secret: str) -> None:
        self._outbound, self._url, self._secret = outbound, url, secret

    def challenge(self) -> Object:
        return {}

    async def solved(self, answer: str, ip: str) -> bool:
        body = urlencode({"secret": self._secret, "response": answer, "remoteip": ip}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            reply = await self._outbound.send("POST", self._url, body, headers, seconds=_SECONDS, most=_MOST_BYTES)
            told = read_json(reply.body)
        except (Failed, ValueError):
            return False
        return reply.status == 200 and isinstance(told, dict) and told.get("success") is True


def challenge_of(app: App) -> Object:
    """What the app asks of whoever is about to sign up. 101 where it asks nothing."""
    captcha: Captcha | None = app.rooms.get(ROOM)
    if captcha is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "This app asks for no captcha.")
    return captcha.challenge()


async def demand(app: App, answer: str | None, ip: str) -> None:
    """142 unless there is a good answer, where the app asks for one."""
    captcha: Captcha | None = app.rooms.get(ROOM)
    if captcha is None:
        return
    if not answer or len(answer) > _LONGEST or not await captcha.solved(answer, ip):
        raise ParseError(Code.VALIDATION_ERROR, "The header X-Captcha must have the answer to a captcha that was not used before.")


def _hash(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode("utf-8", "replace")).hexdigest()


def _decoded(answer: str) -> Object:
    try:
        found: Json = read_json(base64.b64decode(answer, validate=True))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
