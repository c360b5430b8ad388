"""Partner services: registering them, what the app grants them, and what they were used for."""

from __future__ import annotations

from typing import get_args

import orjson

from mbaas.data.find import get_object
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, whole
from mbaas_functions.partners.calls import Partners
from mbaas_functions.partners.subjects import checked, enabled
from mbaas_functions.partners.usage import By, as_csv, as_ndjson
from mbaas_functions.room import functions_of

_CHANGE = "change partners"
_PAGE, _MOST_PAGE = 100, 1000


def _partners(request: Request) -> Partners:
    return functions_of(request.app).partners


async def every(request: Request) -> Json:
    """All partners."""
    return {"results": [partner.shown() for partner in await _partners(request).registry.all()]}


async def register(request: Request) -> Answer:
    """Register a partner; its secrets are in this answer only."""
    partner, secrets = await _partners(request).registry.register(request.object(), request.caller)
    return Answer(201, orjson.dumps({**partner.shown(), "secrets": secrets}))


async def one(request: Request) -> Json:
    """One partner."""
    return (await _partners(request).registry.get(request.params[0])).shown()


async def change(request: Request) -> Json:
    """Change a partner's manifest, contact, URLs or limits."""
    return (await _partners(request).registry.change(request.params[0], request.object())).shown()


async def merge(request: Request) -> Json:
    """Change parts of them and leave the rest."""
    return (await _partners(request).registry.change(request.params[0], request.object(), merge=True)).shown()


async def move(request: Request) -> Json:
    """Take a partner into another state."""
    return (await _partners(request).registry.move(request.params[0], request.object().get("state"), request.caller)).shown()


async def checklist(request: Request) -> Json:
    """What a partner still lacks to be live."""
    return await _partners(request).promotion.checklist(request.params[0])


async def probe(request: Request) -> Json:
    """Probe the partner's server: whose it is, its health, whether it verifies signatures, what it says to garbage."""
    return await _partners(request).promotion.probe(request.params[0], request.object().get("url"))


async def audited(request: Request) -> Json:
    """Who did what to a partner, and when."""
    partners, name = _partners(request), request.params[0]
    partner = await partners.registry.get(name)
    await partners.registry.audit.copy(name, partner.value["history"])
    after, limit = whole(request, "cursor", 0, 10**9), max(1, whole(request, "limit", _PAGE, _MOST_PAGE))
    events, following = await partners.registry.audit.page(name, after, limit)
    return {"results": events, "next": None if following is None else str(following)}


async def rotate(request: Request) -> Json:
    """A new secret, or a new public key; the one before signs for another day."""
    given = request.object()
    asymmetric = given.get("scheme") == "v1a"
    registry = _partners(request).registry
    made = await registry.rotate(request.params[0], given.get("environment"), asymmetric=asymmetric, caller=request.caller)
    return {"publicKey" if asymmetric else "secret": made}


async def partner_keys(request: Request) -> Json:
    """A partner's keys: how they begin, what they open, when they were used."""
    return {"results": await _partners(request).keys.of(request.params[0])}


async def make_key(request: Request) -> Answer:
    """Make a key; it is in this answer only."""
    shown, token = await _partners(request).keys.make(request.params[0], request.object(), request.caller)
    return Answer(201, orjson.dumps({**shown, "key": token}))


async def rotate_key(request: Request) -> Answer:
    """Make another key for the same; the one before is good for a while."""
    name, key_id = request.params
    shown, token = await _partners(request).keys.rotate(name, key_id, request.object().get("overlapHours"), request.caller)
    return Answer(201, orjson.dumps({**shown, "key": token}))


async def revoke_key(request: Request) -> Json:
    """Have a key open nothing any more."""
    name, key_id = request.params
    await _partners(request).keys.revoke(name, key_id, request.caller)
    return {}


async def enable(request: Request) -> Json:
    """Enable a partner for the app, with what it may be told."""
    return (await _partners(request).registry.enable(request.params[0], request.object(), request.caller)).shown()


async def extend(request: Request) -> Json:
    """Change parts of what a partner is granted."""
    return (await _partners(request).registry.enable(request.params[0], request.object(), request.caller, merge=True)).shown()


async def disable(request: Request) -> Json:
    """Take back what a partner was granted."""
    return (await _partners(request).registry.disable(request.params[0], request.caller)).shown()


async def usage(request: Request) -> Answer | Json:
    """What a partner was called, per hour, day or month and operation; with `format` csv or ndjson as a file."""
    await _partners(request).registry.get(request.params[0])
    return await told_usage(request, [request.params[0]])


async def usage_of_all(request: Request) -> Answer | Json:
    """The same of all partners of the app."""
    return await told_usage(request, [partner.name for partner in await _partners(request).registry.all()])


async def told_usage(request: Request, names: list[str]) -> Answer | Json:
    """The usage of partners as the request asks for it."""
    asked = request.texts()
    by: Json = asked.get("by", "hour")
    if by not in get_args(By):
        raise ParseError(Code.INVALID_QUERY, f"by is {', '.join(get_args(By))}, not {by!r}")
    rows = await _partners(request).usage.read(names, str(asked.get("from", "")), str(asked.get("to", "")), by)
    match asked.get("format", "json"):
        case "json":
            return {"results": rows}
        case "csv":
            return Answer(body=as_csv(rows, by).encode(), content_type=b"text/csv; charset=utf-8")
        case "ndjson":
            return Answer(body=as_ndjson(rows, by), content_type=b"application/x-ndjson")
        case other:
            raise ParseError(Code.INVALID_QUERY, f"format is json, csv or ndjson, not {other!r}")


async def score(request: Request) -> Json:
    """Success rate, latency and availability of a partner in the last day."""
    partners = _partners(request)
    await partners.registry.get(request.params[0])
    return await partners.usage.score(request.params[0])


async def subscriptions(request: Request) -> Json:
    """What a partner is told of."""
    await _partners(request).registry.get(request.params[0])
    return {"results": await functions_of(request.app).events.subscriptions(request.params[0])}


async def subscribe(request: Request) -> Answer:
    """Tell a partner of changes of a class."""
    return Answer(201, orjson.dumps(await functions_of(request.app).events.subscribe(request.params[0], request.object())))


async def unsubscribe(request: Request) -> Json:
    """Tell it no more of them."""
    name, subscription = request.params
    await functions_of(request.app).events.unsubscribe(name, subscription)
    return {}


async def subjects(request: Request) -> Json:
    """How many people a partner knows by their consent, and how often it named some that it does not."""
    await _partners(request).registry.get(request.params[0])
    return await _partners(request).subjects.summary(request.params[0])


async def link_subject(request: Request) -> Json:
    """Link a partner's id with a user whose consent the app has."""
    partners, (name, external_id), user_id = _partners(request), request.params, request.object().get("userId")
    if not isinstance(user_id, str) or not user_id:
        raise ParseError(Code.VALIDATION_ERROR, "userId must be the id of a user.")
    await get_object(request.app, request.caller, "_User", user_id)
    environment = enabled(await partners.registry.get(name))
    await partners.subjects.link(name, environment, checked(external_id), user_id)
    return {}


async def unlink_subject(request: Request) -> Json:
    """Take a consent back for her."""
    partners, (name, external_id) = _partners(request), request.params
    environment = enabled(await partners.registry.get(name))
    await partners.subjects.withdraw_external(name, environment, checked(external_id))
    return {}


async def dead(request: Request) -> Json:
    """Events that could not be delivered."""
    await _partners(request).registry.get(request.params[0])
    return {"results": await functions_of(request.app).events.dead(request.params[0])}


async def replay(request: Request) -> Json:
    """Send one of them again, or all."""
    return {"replayed": await functions_of(request.app).events.replay(request.params[0], request.object().get("event"))}


_ONE = "/partners/:name"

ROUTES = (
    Route("GET", "/partners", every, "Partners", "partners", base=BASE, master=True),
    Route("POST", "/partners", register, "Register a partner", "partners", base=BASE, master=True, read_only=_CHANGE, status=201),
    Route("GET", _ONE, one, "One partner", "partners", base=BASE, master=True),
    Route("PUT", _ONE, change, "Change a partner", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("PATCH", _ONE, merge, "Change parts of a partner", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("POST", f"{_ONE}/state", move, "Move a partner to another state", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("GET", f"{_ONE}/checklist", checklist, "What it lacks to be live", "partners", base=BASE, master=True),
    Route("POST", f"{_ONE}/probes", probe, "Probe its server", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("GET", f"{_ONE}/audit", audited, "Who did what to it", "partners", base=BASE, master=True),
    Route("POST", f"{_ONE}/secrets", rotate, "Rotate a partner's secret", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("GET", f"{_ONE}/keys", partner_keys, "A partner's keys", "partners", base=BASE, master=True),
    Route("POST", f"{_ONE}/keys", make_key, "Make a key", "partners", base=BASE, master=True, read_only=_CHANGE, status=201),
    Route("POST", f"{_ONE}/keys/:id/rotate", rotate_key, "Rotate a key", "partners", base=BASE, master=True, read_only=_CHANGE, status=201),
    Route("DELETE", f"{_ONE}/keys/:id", revoke_key, "Revoke a key", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("PUT", f"{_ONE}/grant", enable, "Enable a partner", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("PATCH", f"{_ONE}/grant", extend, "Change parts of a grant", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("DELETE", f"{_ONE}/grant", disable, "Disable a partner", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("GET", f"{_ONE}/subscriptions", subscriptions, "A partner's subscriptions", "partners", base=BASE, master=True),
    Route("POST", f"{_ONE}/subscriptions", subscribe, "Tell a partner", "partners", base=BASE, master=True, read_only=_CHANGE, status=201),
    Route("DELETE", f"{_ONE}/subscriptions/:id", unsubscribe, "Tell it no more", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("GET", f"{_ONE}/subjects", subjects, "How many people a partner knows", "partners", base=BASE, master=True),
    Route("PUT", f"{_ONE}/subjects/:externalId", link_subject, "Link one", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("DELETE", f"{_ONE}/subjects/:externalId", unlink_subject, "Unlink one", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("GET", f"{_ONE}/dead", dead, "Events that could not be delivered", "partners", base=BASE, master=True),
    Route("POST", f"{_ONE}/replay", replay, "Send them again", "partners", base=BASE, master=True, read_only=_CHANGE),
    Route("GET", f"{_ONE}/usage", usage, "A partner's usage", "partners", base=BASE, master=True),
    Route("GET", "/usage/partners", usage_of_all, "The usage of all partners", "partners", base=BASE, master=True),
    Route("GET", f"{_ONE}/score", score, "A partner's score", "partners", base=BASE, master=True),
)
