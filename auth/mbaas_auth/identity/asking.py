"""Calls to providers: a JSON object, bounded in size and time, from an address that the operator has chosen and never a client."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import orjson

from mbaas.kernel.values import Object
from mbaas.outbound.calls import Failed, Outbound, Reply
from mbaas_auth.identity.ports import NotVouched, Unreachable

SECONDS = 5.0
_MOST_BYTES = 256 * 1024
_JSON = {"Accept": "application/json"}


async def ask(outbound: Outbound, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Object:
    """The answer to a GET, or to a POST of a form. NotVouched for a refusal or no JSON object, Unreachable if there is no answer."""
    reply = await fetch(outbound, url, form=form, headers=headers)
    if reply.status >= 500 or reply.status == 429:
        raise Unreachable(f"{_place(url)} answered {reply.status}")
    found = decoded(reply)
    if not 200 <= reply.status < 300 or found is None:
        raise NotVouched(f"{_place(url)} answered {reply.status}")
    return found


async def fetch(outbound: Outbound, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Reply:
    """The same, whatever it is. Unreachable if there is none."""
    sent, body = {**_JSON, **(headers or {})}, b""
    if form is not None:
        body = urlencode(form).encode()
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        return await outbound.send("GET" if form is None else "POST", url, body, sent, seconds=SECONDS, most=_MOST_BYTES)
    except Failed as error:
        raise Unreachable(f"{_place(url)}: {error.detail}") from error


def decoded(reply: Reply) -> Object | None:
    """The JSON object of an answer; None if it is none."""
    try:
        found = orjson.loads(reply.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def bearer(token: str) -> dict[str, str]:
    """The header that has a token, which may come from a client. NotVouched for one that no header can have."""
    if not token.isascii() or not token.isprintable() or " " in token:
        raise NotVouched("the access token has characters that no token has")
    return {"Authorization": f"Bearer {token}"}


def _place(url: str) -> str:
    """An address for the log, without what was asked."""
    return url.partition("?")[0]
