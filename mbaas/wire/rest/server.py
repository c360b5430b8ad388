"""What a server says of itself, and small routes that have no room of their own: health, serverInfo, security, events."""

from __future__ import annotations

from mbaas.kernel.errors import Code, ParseError, Refused
from mbaas.kernel.push import NoPushes
from mbaas.kernel.values import Json, Object
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas_push.events import events_of, read

PARSE_SERVER_VERSION = "9.10.0"
"""The dialect's version, by which SDKs and the dashboard choose what they send."""

_ALL = {"create": True, "read": True, "update": True, "delete": True}
_FEATURES: Object = {
    "globalConfig": _ALL,
    "hooks": _ALL,
    "cloudCode": {"jobs": True},
    "logs": {"level": True, "size": True, "order": True, "until": True, "from": True},
    "schemas": {
        "addField": True,
        "removeField": True,
        "addClass": True,
        "removeClass": True,
        "clearAllDataFromClass": True,
        "exportClass": False,
        "editClassLevelPermissions": True,
        "editPointerPermissions": True,
    },
    "settings": {"securityCheck": False},
}


async def health(request: Request) -> Json:
    """Says that the process answers."""
    return {"status": "ok"}


async def server_info(request: Request) -> Json:
    """What the server can do, for the dashboard."""
    sends = not isinstance(request.app.pushes, NoPushes)
    push = {"immediatePush": sends, "scheduledPush": sends, "storedPushData": sends, "pushAudiences": True, "localization": True}
    return {"features": {**_FEATURES, "push": push}, "parseServerVersion": PARSE_SERVER_VERSION}


async def security(request: Request) -> Json:
    """The report of Parse Server's security check, which this server does not have."""
    raise Refused("Enable Parse Server option `security.enableCheck` to run security check.", 409)


async def logs(request: Request) -> Json:
    """The server's log goes to its standard error and is not kept."""
    raise ParseError(Code.COMMAND_UNAVAILABLE, "The log is written to the server's standard error and is not kept here.")


async def event(request: Request) -> Json:
    """Keep an event that an app tracks, such as `AppOpened`."""
    await request.limits.track(request.caller)
    given = read(request.params[0], request.object(), request.caller, request.app.clock.now())
    await events_of(request.app).keep([given])
    return {}


async def purchase(request: Request) -> Json:
    """Validation of purchases, which the stores' own servers have taken over."""
    body = request.object()
    if not body.get("receipt") or not body.get("productIdentifier"):
        raise ParseError(Code.INVALID_JSON, "missing receipt or productIdentifier")
    raise ParseError(Code.COMMAND_UNAVAILABLE, "Purchases are not validated by this server.")


ROUTES = (
    Route("GET", "/health", health, "Is the server there", "server", keys=False, batch=False),
    Route("GET", "/serverInfo", server_info, "Features and version", "server", master=True),
    Route("GET", "/security", security, "Security check", "server", master=True),
    Route("GET", "/scriptlog", logs, "The log", "server", master=True),
    Route("POST", "/events/:eventName", event, "Track an event", "server"),
    Route("POST", "/validate_purchase", purchase, "Validate a purchase", "server"),
)
