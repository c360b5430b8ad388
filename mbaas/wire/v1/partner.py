"""`/partner`: what a partner asks of the server with its own key, `Authorization: Bearer pk_…`, which names the app and the partner.

What it reads it reads as everybody does, as the principal `partner:<name>`, of what the app shares with it. Nothing is written here
but that its own events are sent once more; no route makes a key.
"""

from __future__ import annotations

from dataclasses import replace

from mbaas.data import changes
from mbaas.data import find as finding
from mbaas.data.app import App
from mbaas.data.options import EVERYTHING, FindOptions
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.dispatch import enter
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE
from mbaas.wire.v1.partners import told_usage
from mbaas_functions.partners import keys
from mbaas_functions.partners.keys import Key
from mbaas_functions.partners.principals import reader
from mbaas_functions.partners.registry import Partner
from mbaas_functions.partners.subjects import checked
from mbaas_functions.room import functions_of


async def _entered(request: Request, right: str = "") -> tuple[Partner, Key]:
    """Let a partner in by its key, if that has the right. 401 for a key that is not good, 403 for what it does not open."""
    scheme, _, token = (request.header(b"authorization") or "").partition(" ")
    app = _app_of(request, token) if scheme.lower() == "bearer" else None
    if app is None:
        raise keys.refused()
    await enter(request, app, request.path if request.path.startswith(BASE) else f"{BASE}/{request.path}")
    ip, partners = request.caller.ip, functions_of(app).partners
    key = await partners.keys.enter(token, ip)
    partner = await partners.registry.get(key.partner)
    grant = partner.grant
    if grant is None or grant["environment"] != key.environment or not partner.serves(key.environment):
        raise _forbidden(f"The {key.environment} of {partner.name} is not enabled.")
    if right and right not in key.rights:
        raise _forbidden(f"The key has no right to {right}.")
    request.caller = key.narrowed(reader(partner, ip))
    return partner, key


def _app_of(request: Request, token: str) -> App | None:
    """The app that a key names; None if that is not the one that other keys of the request name."""
    for app_id, app in request.dispatcher.apps.items():
        if keys.belongs(token, app_id):
            return app if getattr(request, "app", app) is app else None
    return None


async def whoami(request: Request) -> Json:
    """The partner, and what its key opens."""
    partner, key = await _entered(request)
    shared = {name: sorted(fields) for name, fields in (request.caller.shared or {}).items()}
    told = {"name": partner.name, "state": partner.state, "environment": key.environment, "rights": sorted(key.rights), "classes": shared}
    return {**told, "limits": {name: partner.limit(key.environment, name) for name in ("perMinute", "perMonth", "concurrency")}}


async def find_shared(request: Request) -> bytes:
    """Search a class that is shared with the partner."""
    _, key = await _entered(request, "find")
    options = FindOptions.parse(request.arguments())
    if options.count and "count" not in key.rights:
        raise _forbidden("The key has no right to count.")
    return await finding.find(request.app, request.caller, request.params[0], options)


async def get_shared(request: Request) -> bytes:
    """One object of such a class."""
    await _entered(request, "get")
    class_name, object_id = request.params
    options = FindOptions.parse_get(request.arguments()) if request.query or request.body else EVERYTHING
    return await finding.get(request.app, request.caller, class_name, object_id, options)


async def follow_shared(request: Request) -> bytes:
    """Changes of such a class since a position."""
    await _entered(request, "changes")
    return await changes.changes(request.app, request.caller, changes.Wanted.parse(request.texts()))


async def own_usage(request: Request) -> Answer | Json:
    """What the partner was called."""
    partner, _ = await _entered(request, "usage")
    return await told_usage(request, [partner.name])


async def own_subscriptions(request: Request) -> Json:
    """What the partner is told of."""
    partner, _ = await _entered(request, "events")
    return {"results": await functions_of(request.app).events.subscriptions(partner.name)}


async def own_dead(request: Request) -> Json:
    """Events that could not be delivered to it."""
    partner, _ = await _entered(request, "events")
    return {"results": await functions_of(request.app).events.dead(partner.name)}


async def own_replay(request: Request) -> Json:
    """Have one of them sent again, or all."""
    partner, _ = await _entered(request, "events")
    return {"replayed": await functions_of(request.app).events.replay(partner.name, request.object().get("event"))}


async def redeem(request: Request) -> Json:
    """Link the user whose code it is with the partner's own id of her."""
    partner, _ = await _entered(request, "subjects")
    given = request.object()
    await functions_of(request.app).partners.subjects.redeem(partner, given.get("code"), given.get("externalId"))
    return {}


async def unlink(request: Request) -> Json:
    """Know somebody no more; told alike of an id that is linked and of one that is not."""
    partner, key = await _entered(request, "subjects")
    await functions_of(request.app).partners.subjects.withdraw_external(partner.name, key.environment, checked(request.params[0]))
    return {}


def _forbidden(text: str) -> ParseError:
    return ParseError(Code.OPERATION_FORBIDDEN, text, status=403)


_OWN = "/partner"

ROUTES = tuple(
    replace(route, keys=False, batch=False, base=BASE)
    for route in (
        Route("GET", _OWN, whoami, "The partner, and what its key opens", "partner"),
        Route("GET", f"{_OWN}/classes/:className", find_shared, "Find objects that are shared with the partner", "partner"),
        Route("GET", f"{_OWN}/classes/:className/:objectId", get_shared, "Get one of them", "partner"),
        Route("GET", f"{_OWN}/changes", follow_shared, "Changes of a class that is shared", "partner"),
        Route("GET", f"{_OWN}/usage", own_usage, "The partner's usage", "partner"),
        Route("GET", f"{_OWN}/subscriptions", own_subscriptions, "What the partner is told of", "partner"),
        Route("GET", f"{_OWN}/dead", own_dead, "Events that could not be delivered", "partner"),
        Route("POST", f"{_OWN}/subjects", redeem, "Link a user who has consented", "partner"),
        Route("DELETE", f"{_OWN}/subjects/:externalId", unlink, "Know somebody no more", "partner"),
        Route("POST", f"{_OWN}/replay", own_replay, "Have them sent again", "partner"),
    )
)
