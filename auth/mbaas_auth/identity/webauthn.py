"""`webauthn`: passkeys, by Web Authentication. The one provider whose word is the app's own: it knows the public keys of its users.

What a browser or a phone answers is sent as `authData.webauthn`, in the JSON form that it has there. The domain and the pages that may ask
for passkeys are the configuration's, never a request's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object
from mbaas.storage.ports import Document
from mbaas_auth.identity.options import Lacking, Options, optional, text, texts
from mbaas_auth.identity.passkeys import MOST, Passkeys, name_of, told_as
from mbaas_auth.identity.ports import Identity, Missing, NotVouched, Tools
from mbaas_auth.mfa import Mfa
from mbaas_auth.sessions import sign_in_first

NAME = "webauthn"
_DOMAIN = re.compile(r"localhost|[a-z0-9-]+(\.[a-z0-9-]+)+")
_ANDROID = "android:apk-key-hash:"
_LONGEST = 65536
"""Characters of each part that a client sends."""
_HANDLE_BYTES = 16
_PARTS = ("clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle")


def configured(options: Options) -> RelyingParty:
    """`rpId`, the domain that passkeys belong to; `origins`, the pages and apps that may ask for them (the domain itself, by https);
    `rpName`; `userVerification`, required or preferred."""
    domain = text(options, "rpId")
    if not _DOMAIN.fullmatch(domain):
        raise Lacking("rpId must be a domain, as example.com")
    origins = texts(options, "origins") if options.get("origins") else frozenset({f"https://{domain}"})
    for origin in origins:
        if not origin.startswith(_ANDROID) and not _belongs(origin, domain):
            raise Lacking(f"origins: {origin} must be https://{domain}, a domain below it, or {_ANDROID}…")
    verification = optional(options, "userVerification", "required")
    if verification not in ("required", "preferred"):
        raise Lacking("userVerification must be required or preferred")
    return RelyingParty(domain, tuple(sorted(origins)), optional(options, "rpName", ""), verification)


def _belongs(origin: str, domain: str) -> bool:
    """True for an origin, written as browsers do, whose pages a browser lets ask for passkeys of the domain."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    secure = parts.scheme == "https" or (parts.scheme == "http" and host == "localhost")
    return secure and origin == f"{parts.scheme}://{parts.netloc}" and "@" not in origin and f".{host}".endswith(f".{domain}")


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whose passkeys these are."""

    domain: str
    origins: tuple[str, ...]
    name: str
    verification: str

    async def challenge(self, app: App, caller: Caller, given: Object) -> Object:
        """Options for `navigator.credentials`: of `get` to sign in, or, with `register`, of `create` for the signed-in user.

        Who has a second factor shows it first (`mfa`), or a token of a session would be made a way in that asks for none.
        """
        passkeys, library = Passkeys(app), await _library()
        if given.get("register") is not True:
            made = await passkeys.challenge(None, None)
            return {"publicKey": library.to_sign_in(self.domain, made, self.verification)}
        user = await _signed_in(app, caller)
        await Mfa(app).demand(user, given.get("mfa"))
        user_id, known = user.body["objectId"], (user.body.get("authData") or {}).get(NAME)
        handle = known["id"] if known else app.ids.hex(_HANDLE_BYTES)
        present = await passkeys.of(user_id, handle)
        if len(present) >= MOST:
            raise ParseError(Code.INVALID_VALUE, f"There are {MOST} passkeys already; remove one first.")
        made = await passkeys.challenge(user_id, handle)
        ours = self.name or app.options.app_name or app.options.app_id
        called = str(user.body.get("email") or user.body["username"])
        new = library.Wanted(self.domain, ours, handle, called, [str(each["id"]) for each in present])
        return {"publicKey": library.to_register(new, made, self.verification)}

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        """Who has signed a challenge to sign in; or, for an answer of `create`, the user who has asked for a new passkey."""
        response = data.get("response")
        if not isinstance(response, Mapping):
            raise Missing("response")
        sent = [data.get("id"), data.get("rawId"), *(response[name] for name in _PARTS if response.get(name) is not None)]
        if any(not isinstance(part, str) or len(part) > _LONGEST for part in sent):
            raise NotVouched("a part is no text, or is too long")
        if "attestationObject" in response:
            return await self._added(tools.app, data)
        return await self._signed(Passkeys(tools.app), data)

    async def _signed(self, passkeys: Passkeys, data: Object) -> Identity:
        library = await _library()
        challenge = library.challenge_of(data)
        if (await passkeys.use(challenge)).value["user"] is not None:
            raise NotVouched("the challenge was made for a new passkey")
        kept = await passkeys.credential(library.id_of(data))
        handle = str(kept["handle"])
        made = library.signed(data, kept, self._expected(challenge))
        # A passkey says itself whose it is; one that says nothing, which it may where it was asked for alone, is known by its id.
        if library.handle_of(data) not in (None, handle.encode()):
            raise NotVouched("the passkey is of somebody else")
        await passkeys.count(library.id_of(data), made.new_sign_count, backed_up=made.credential_backed_up)
        return Identity(handle, {"id": handle}, signs_up=False, strong=made.user_verified)

    async def _added(self, app: App, data: Object) -> Identity:
        library, passkeys = await _library(), Passkeys(app)
        challenge = library.challenge_of(data)
        asked = await passkeys.asked(challenge)
        user_id, handle = asked.value["user"], asked.value["handle"]
        if user_id is None:
            raise NotVouched("the challenge was made to sign in with")
        name = name_of(data.get("name")) or "Passkey"
        made = library.registered(data, self._expected(challenge))
        if made.id != library.id_of(data):
            raise NotVouched("the passkey is called otherwise than the answer says")
        steps = await passkeys.added(asked, made.id, {"name": name, **made.about})
        return Identity(handle, {"id": handle}, signs_up=False, whose=user_id, steps=tuple(steps), told=told_as(name))

    def _expected(self, challenge: bytes) -> dict[str, Any]:
        return {
            "expected_challenge": challenge,
            "expected_rp_id": self.domain,
            "expected_origin": list(self.origins),
            "require_user_verification": self.verification == "required",
        }


async def _library() -> Any:
    """What speaks Web Authentication. To load it takes half a second, which the event loop is not to wait for."""
    return await asyncio.to_thread(import_module, f"{__package__}.ceremonies")


async def _signed_in(app: App, caller: Caller) -> Document:
    user = await app.store.documents.get(app.classes.known_or_blank("_User"), caller.user_id) if caller.user_id else None
    if user is None:
        raise sign_in_first()
    return user
