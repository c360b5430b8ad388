"""What a partner still lacks to be live, and the probes of its server by which that is found out.

The server answers at `/.well-known/mbaas-partner` below its URL: a GET with the text of the challenge, which proves that whoever
registered the partner has the server; a POST with 2xx if it is signed, and 4xx if it is not, or is not JSON. And a GET of `/health`.
No operation is called.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import get_args

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.outbound.calls import Failed, Outbound, Reply
from mbaas_functions.partners import credentials, signatures
from mbaas_functions.partners.environments import LIMITS, Probe
from mbaas_functions.partners.registry import Partner, Registry

PLACE = "/.well-known/mbaas-partner"
_HEALTH = "/health"
_SECONDS, _MOST_BYTES = 10.0, 10_000
_PROBE = b'{"type":"probe"}'
_NEEDS: dict[str, str] = {
    "url": "live has a url",
    "contact": "somebody can be written to: contact",
    "limits": f"live has its own limits: {', '.join(LIMITS)}",
    "ownership": f"GET {PLACE} below the url answers the challenge",
    "health": f"GET {_HEALTH} below the url answers 2xx",
    "signature": f"POST {PLACE} below the url answers 2xx if it is signed, and 4xx if it is signed by somebody else",
    "errors": f"POST {PLACE} below the url answers 4xx if it is not JSON",
}


@dataclass(frozen=True, slots=True)
class Found:
    """How a probe ended: None, or why not well."""

    trouble: str | None


class Promotion:
    """The way to live of one app's partners."""

    def __init__(self, app: App, registry: Registry, outbound: Outbound) -> None:
        self._app, self._registry, self._outbound = app, registry, outbound

    async def checklist(self, name: str) -> Object:
        """`{ready, missing, items: [{item, done, at, needs}], challenge: {url, value}}`. ParseError 101 if there is no such partner."""
        partner = await self._registry.get(name)
        url, live = partner.url("live"), partner.value["live"]
        passed = partner.passed(url)
        done = {
            "url": url is not None,
            "contact": bool(partner.value["contact"]),
            "limits": set(LIMITS) <= set(live["limits"]),
            **{probe: probe in passed for probe in get_args(Probe)},
        }
        done["ownership"] = done["ownership"] or (url is not None and self._registry.vouched(url))
        items = [{"item": item, "done": done[item], "at": passed.get(item), "needs": needs} for item, needs in _NEEDS.items()]
        missing = [item for item in _NEEDS if not done[item]]
        challenge = {"url": url and url.rstrip("/") + PLACE, "value": partner.challenge}
        return {"ready": not missing, "missing": missing, "state": partner.state, "items": items, "challenge": challenge}

    async def probe(self, name: str, given: Json = None) -> Object:
        """Probe the live URL, or another one that is to take its place: `{url, probes: {ownership: {passed, why?}, …}, missing}`."""
        partner = await self._registry.get(name)
        url = partner.url("live") if given is None else self._registry.checked_url(partner, given)
        if url is None:
            raise ParseError(Code.VALIDATION_ERROR, f"{name} has no live URL yet.")
        base = url.rstrip("/")
        found: dict[Probe, Found] = {
            "ownership": await self._ownership(partner, base),
            "health": _good(await self._send(partner, "GET", base + _HEALTH)),
            "signature": await self._signature(partner, base),
            "errors": _refusing(await self._send(partner, "POST", base + PLACE, _PROBE[:-1])),
        }
        now = iso(self._app.clock.now())
        await self._registry.probed(name, url, {probe: now for probe, each in found.items() if each.trouble is None})
        told = {
            probe: {"passed": True} if each.trouble is None else {"passed": False, "why": each.trouble} for probe, each in found.items()
        }
        return {"url": url, "probes": told, "missing": (await self.checklist(name))["missing"]}

    async def _ownership(self, partner: Partner, base: str) -> Found:
        outcome = await self._send(partner, "GET", base + PLACE)
        if isinstance(outcome, Failed) or outcome.status != 200:
            return _good(outcome) if isinstance(outcome, Failed) else Found(f"its answer has the status {outcome.status}")
        same = hmac.compare_digest(outcome.body.strip(), partner.challenge.encode())
        return Found(None if same else "its answer is not the challenge")

    async def _signature(self, partner: Partner, base: str) -> Found:
        accepted = _good(await self._send(partner, "POST", base + PLACE, _PROBE))
        if accepted.trouble is not None:
            return accepted
        return _refusing(await self._send(partner, "POST", base + PLACE, _PROBE, [signatures.new_secret()]))

    async def _send(self, partner: Partner, method: str, url: str, body: bytes = b"", keys: list[str] | None = None) -> Reply | Failed:
        """One request, signed by the live secrets or other ones."""
        now, auth = self._app.clock.now(), partner.auth("live")
        signing = partner.keys("live", now) if keys is None else keys
        headers = {
            "Content-Type": "application/json",
            **credentials.headers(auth),
            **signatures.headers(signing, f"probe_{self._app.ids.uuid()}", now // 1000, body),
        }
        try:
            return await self._outbound.send(
                method, url, body, headers, seconds=_SECONDS, most=_MOST_BYTES, certificate=credentials.certificate(auth)
            )
        except Failed as error:
            return error


def _good(outcome: Reply | Failed) -> Found:
    if isinstance(outcome, Failed):
        return Found(outcome.told)
    return Found(None if 200 <= outcome.status < 300 else f"its answer has the status {outcome.status}")


def _refusing(outcome: Reply | Failed) -> Found:
    if isinstance(outcome, Failed):
        return Found(outcome.told)
    return Found(None if 400 <= outcome.status < 500 else f"its answer has the status {outcome.status}, and not 4xx")
