"""`/partner`: what a partner asks of the server with its own key, `Authorization: Bearer pk_…`, which names the app and the partner.

What it reads it reads as everybody does, as the principal `partner:<name>`, of what the app shares with it. Nothing is written here
but that its own events are sent once more; no route makes a key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from mbaas.data import changes
from mbaas.data import find as finding
from mbaas.data.app import App
from mbaas.data.options import EVERYTHING, FindOptions
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.cors import Header
from mbaas.wire.dispatch import encode, enter
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Handler, Method, Route
from mbaas.wire.v1.dialect import BASE
from mbaas.wire.v1.moments import accepted
from mbaas.wire.v1.partners import told_usage
from mbaas_functions.partners import keys
from mbaas_functions.partners.environments import LIMITS
from mbaas_functions.partners.keys import Key
from mbaas_functions.partners.principals import reader
from mbaas_functions.partners.registry import Partner
from mbaas_functions.partners.subjects import checked
from mbaas_functions.room import functions_of
from mbaas_push.room import moments_of

Own = Callable[[Request, Partner, Key], Awaitable[bytes | Answer | Json]]
"""Handles a request of a partner's own, whose caller is the partner by now."""


def _with_key(handler: Own, right: str = "") -> Handler:
    """A handler for whoever brings a key that has the right. 401 for a key that is not good, 403 for what it does not open, 429."""

    @wraps(handler)
    async def let_in(request: Request) -> Answer:
        partner, key, headers = await _entered(request, right)
        result = await handler(request, partner, key)
        answer = result if isinstance(result, Answer) else Answer(body=encode(result))
        answer.headers += headers
        return answer

    return let_in


async def _entered(request: Request, right: str) -> tuple[Partner, Key, list[Header]]:
    """The partner that asks, by its key, and what its answer says of its limit; the request's caller is the partner from then on."""
    scheme, _, token = (request.header(b"authorization") or "").partition(" ")
    app = _app_of(request, token) if scheme.lower() == "bearer" else None
    if app is None:
        raise keys.refused()
    await enter(request, app, request.path if request.path.startswith(BASE) else f"{BASE}/{request.path}")
    ip, partners = request.caller.ip, functions_of(app).partners
    key = await partners.keys.enter(token, ip)
    partner = await partners.registry.get(key.partner)
    policy, state = await request.limits.read(f"{partner.name} {key.environment}", partner.limit(key.environment, "readsPerMinute"))
    grant = partner.grant
    if grant is None or grant["environment"] != key.environment or not partner.serves(key.environment):
        raise _forbidden(f"The {key.environment} of {partner.name} is not enabled.")
    if right and right not in key.rights:
        raise _forbidden(f"The key has no right to {right}.")
    request.caller = key.narrowed(reader(partner, ip))
    return partner, key, [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


def _app_of(request: Request, token: str) -> App | None:
    """The app that a key names; None if that is not the one that other keys of the request name."""
    for app_id, app in request.dispatcher.apps.items():
        if keys.belongs(token, app_id):
            return app if getattr(request, "app", app) is app else None
    return None


async def whoami(request: Request, partner: Partner, key: Key) -> Json:
    """The partner, and what its key opens."""
    shared = {name: sorted(fields) for name, fields in (request.caller.shared or {}).items()}
    told = {"name": partner.name, "state": partner.state, "environment": key.environment, "rights": sorted(key.rights), "classes": shared}
    return {**told, "limits": {name: partner.limit(key.environment, name) for name in LIMITS}}


async def find_shared(request: Request, partner: Partner, key: Key) -> bytes:
    """Search a class that is shared with the partner."""
    options = FindOptions.parse(request.arguments())
    if options.count and "count" not in key.rights:
        raise _forbidden("The key has no right to count.")
    return await finding.find(request.app, request.caller, request.params[0], options)


async def get_shared(request: Request, partner: Partner, key: Key) -> bytes:
    """One object of such a class."""
    class_name, object_id = request.params
    options = FindOptions.parse_get(request.arguments()) if request.query or request.body else EVERYTHING
    return await finding.get(request.app, request.caller, class_name, object_id, options)


async def follow_shared(request: Request, partner: Partner, key: Key) -> bytes:
    """Changes of such a class since a position."""
    return await changes.changes(request.app, request.caller, changes.Wanted.parse(request.texts()))


async def own_usage(request: Request, partner: Partner, key: Key) -> Answer | Json:
    """What the partner was called."""
    return await told_usage(request, [partner.name])


async def own_subscriptions(request: Request, partner: Partner, key: Key) -> Json:
    """What the partner is told of; which objects of a class these are is the app's to know."""
    every = await functions_of(request.app).events.subscriptions(partner.name)
    return {"results": [{name: each[name] for name in ("id", "className", "events", "path")} for each in every]}


async def own_dead(request: Request, partner: Partner, key: Key) -> Json:
    """Events that could not be delivered to it."""
    return {"results": await functions_of(request.app).events.dead(partner.name)}


async def own_replay(request: Request, partner: Partner, key: Key) -> Json:
    """Have one of them sent again, or all."""
    return {"replayed": await functions_of(request.app).events.replay(partner.name, request.object().get("event"))}


async def redeem(request: Request, partner: Partner, key: Key) -> Json:
    """Link the user whose code it is with the partner's own id of her."""
    given = request.object()
    await functions_of(request.app).partners.subjects.redeem(partner, given.get("code"), given.get("externalId"))
    return {}


async def unlink(request: Request, partner: Partner, key: Key) -> Json:
    """Know somebody no more; told alike of an id that is linked and of one that is not."""
    await functions_of(request.app).partners.subjects.withdraw_external(partner.name, key.environment, checked(request.params[0]))
    return {}


async def tell(request: Request, partner: Partner, key: Key) -> Answer:
    """Say that something happened to somebody by the partner's own id of her; told alike of an id that is linked and of one that is not."""
    given, people = request.object(), functions_of(request.app).partners.subjects
    firing = moments_of(request.app).firing
    user = await people.user(partner.name, key.environment, checked(given.get("externalId")))
    return accepted(await firing.of_partner(partner.name, request.params[0], given, user))


def _forbidden(text: str) -> ParseError:
    return ParseError(Code.OPERATION_FORBIDDEN, text, status=403)


_OWN = "/partner"
_OPENED: tuple[tuple[Method, str, Own, str, str], ...] = (
    ("GET", "", whoami, "", "The partner, and what its key opens"),
    ("GET", "/classes/:className", find_shared, "find", "Find objects that are shared with the partner"),
    ("GET", "/classes/:className/:objectId", get_shared, "get", "Get one of them"),
    ("GET", "/changes", follow_shared, "changes", "Changes of a class that is shared"),
    ("GET", "/usage", own_usage, "usage", "The partner's usage"),
    ("GET", "/subscriptions", own_subscriptions, "events", "What the partner is told of"),
    ("GET", "/dead", own_dead, "events", "Events that could not be delivered"),
    ("POST", "/replay", own_replay, "events", "Have them sent again"),
    ("POST", "/subjects", redeem, "subjects", "Link a user who has consented"),
    ("POST", "/moments/:key/fire", tell, "moments", "Say that something happened to somebody"),
    ("DELETE", "/subjects/:externalId", unlink, "subjects", "Know somebody no more"),
)
"""Method, path, handler, the right that a key needs, and what is done."""

ROUTES = tuple(
    Route(
        method,
        _OWN + pattern,
        _with_key(handler, right),
        summary,
        "partner",
        keys=False,
        batch=False,
        base=BASE,
        status=202 if handler is tell else 200,
    )
    for method, pattern, handler, right, summary in _OPENED
)
