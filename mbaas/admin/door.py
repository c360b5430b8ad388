"""`/console` as one ASGI callable. What it is made of is loaded when somebody first opens it, off the event loop.

Every answer says what a browser may do with it: scripts of this server alone, inline ones by the answer's own nonce, no frames, no caches.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Set
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from mbaas.data.app import App
from mbaas.kernel.addresses import client_address, forwarded_for
from mbaas.kernel.caller import Caller
from mbaas.kernel.values import Json
from mbaas_auth.staff.people import PATH

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 1024 * 1024
_SAFE = ("GET", "HEAD", "OPTIONS")
_BODIES = (b"application/x-www-form-urlencoded", b"application/json", b"")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # With `no-referrer` browsers would call the console's own pages `null`, too, when they say where a form is from.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Attempt(Protocol):
    """A sign-in that was counted."""

    async def failed(self) -> None:
        """It was wrong."""

    async def forgive(self) -> None:
        """It was right."""


class Limiter(Protocol):
    """Counts sign-ins, by address and by account. TooMany ends them."""

    async def attempt(self, kind: Literal["sign-in"], caller: Caller, arguments: Json) -> Attempt | None:
        """Count one."""


class Console:
    """The console of the process's apps. `limiters` by application id."""

    def __init__(self, apps: Mapping[str, App], limiters: Mapping[str, Limiter], trusted_proxies: tuple[str, ...]) -> None:
        self._apps, self._limiters, self._trusted = apps, limiters, trusted_proxies
        self._site: Asgi | None = None
        self._turn = asyncio.Lock()
        public = [urlsplit(app.options.public_url) for app in apps.values()]
        self._https = {url.netloc for url in public if url.scheme == "https"}
        self._public = {url.netloc.encode() for url in public if url.netloc}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        nonce = secrets.token_urlsafe(16)

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                public = scope["path"].startswith(f"{PATH}/static/")
                cache = b"public, max-age=3600" if public else b"no-store"
                more = [*_HEADERS, (b"content-security-policy", _policy(nonce)), (b"cache-control", cache)]
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        if (refused := _refused(scope["method"], headers, self._public)) is not None:
            await _plain(guarded, *refused)
            return
        for app in self._apps.values():
            if app.store.behind:
                await app.catch_up()
        site = self._site or await self._built()
        host, client = headers.get(b"host", b"").decode("latin-1"), scope["client"]
        address = client_address(client[0] if client else "", forwarded_for(scope["headers"]), self._trusted)
        state = {**scope.get("state", {}), "csp_nonce": nonce, "address": address}
        scheme = "https" if host in self._https else scope["scheme"]
        await site({**scope, "state": state, "scheme": scheme}, _limited(receive), guarded)

    async def _built(self) -> Asgi:
        async with self._turn:
            if self._site is None:
                module = await asyncio.to_thread(importlib.import_module, "mbaas.admin.site")
                self._site = module.build(self._apps, self._limiters)
            return self._site


def _policy(nonce: str) -> bytes:
    # Styles may stand at elements, as Tabler and its charts put them. A picture that a message names is shown from where it is.
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data: https:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ).encode()


def _refused(method: str, headers: Mapping[bytes, bytes], public: Set[bytes]) -> tuple[int, bytes] | None:
    """What is not let in: bodies that no page of the console sends, and changes that another site asks a browser for. `public`: the
    hosts that the apps are known by."""
    if headers.get(b"content-length", b"0").isdigit() and int(headers.get(b"content-length", b"0")) > MOST_BYTES:
        return 413, b"This is too long."
    if method not in _SAFE and not _own(headers, public):
        return 403, b"Another site has asked for this."
    if method not in _SAFE and headers.get(b"content-type", b"").partition(b";")[0].strip().lower() not in _BODIES:
        return 415, b"The console takes forms and JSON."
    return None


def _own(headers: Mapping[bytes, bytes], public: Set[bytes]) -> bool:
    """True unless a browser says that a page from elsewhere asks. Over plain http it says only where that is from."""
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None or origin is None:
        return site in (None, b"same-origin", b"none")
    place = origin.partition(b"://")[2]
    return place == headers.get(b"host") or place in public


def _limited(receive: Receive) -> Receive:
    """A body that says no length ends where it is too long, as if its sender had gone."""
    taken = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return message if taken <= MOST_BYTES else {"type": "http.disconnect"}

    return limited


async def _plain(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain; charset=utf-8")]})
    await send({"type": "http.response.body", "body": body})
