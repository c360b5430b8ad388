"""Who asks: from the keys of a request (headers, Basic auth, or the body that the JS SDK sends) to an app and a Caller.

A session token is carried along, not looked up here: that is the sessions' own room. Key comparison is constant in time.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, NamedTuple

from mbaas.kernel.addresses import within
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, read_object
from mbaas.wire.cors import Cors, Header
from mbaas.wire.errors import Unauthorized
from mbaas.wire.limits import Limits
from mbaas_auth.providers import LIMITS

if TYPE_CHECKING:
    from mbaas.data.app import App

log = logging.getLogger("mbaas.wire")

_NAMES = {
    b"x-parse-application-id": "app_id",
    b"x-parse-master-key": "master",
    b"x-parse-maintenance-key": "maintenance",
    b"x-parse-rest-api-key": "rest",
    b"x-parse-javascript-key": "javascript",
    b"x-parse-client-key": "client",
    b"x-parse-windows-key": "dotnet",
    b"x-parse-session-token": "session",
    b"x-parse-installation-id": "installation",
    b"x-parse-client-version": "version",
    b"authorization": "authorization",
}
IDENTITY_HEADERS = frozenset(_NAMES)
_BODY_NAMES = {
    "_InstallationId": "installation",
    "_SessionToken": "session",
    "_MasterKey": "master",
    "_MaintenanceKey": "maintenance",
}
_CACHED, _LONGEST = 8192, 1000
"""How many identities are remembered, and how long the headers may be that one is remembered by."""


class Keys(NamedTuple):
    """Everything in a request that says who asks. None: not sent."""

    ip: str = ""
    app_id: str | None = None
    master: str | None = None
    maintenance: str | None = None
    rest: str | None = None
    javascript: str | None = None
    client: str | None = None
    dotnet: str | None = None
    session: str | None = None
    installation: str | None = None
    version: str | None = None
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The app, its limits, and the caller as far as keys tell. `token` is set if a session is still to be looked up."""

    app: App
    cors: Cors
    limits: Limits
    caller: Caller
    token: str | None


class Door:
    """One app's keys: lets a request in as somebody, or not."""

    def __init__(self, app: App) -> None:
        options = app.options
        self.app = app
        self.cors = Cors(options)
        self.limits = app.rooms[LIMITS] = Limits(options, app.uses)
        self._client_keys = {
            name: key
            for name, key in (
                ("client", options.client_key),
                ("javascript", options.javascript_key),
                ("dotnet", options.dotnet_key),
                ("rest", options.rest_api_key),
            )
            if key is not None
        }

    def enter(self, keys: Keys) -> Identity:
        """The caller; raises Unauthorized."""
        options = self.app.options
        base = Caller(
            ip=keys.ip, session_token=keys.session or None, installation_id=keys.installation or None, client_version=keys.version or None
        )
        if _same(keys.maintenance, options.maintenance_key):
            self._from(keys.ip, options.maintenance_key_ips, "maintenance")
            return Identity(self.app, self.cors, self.limits, replace(base, maintenance=True), None)
        if _same(keys.master, options.master_key):
            self._from(keys.ip, options.master_key_ips, "master")
            return Identity(self.app, self.cors, self.limits, replace(base, master=True), None)
        if _same(keys.master, options.read_only_master_key):
            self._from(keys.ip, options.read_only_master_key_ips, "read-only master")
            return Identity(self.app, self.cors, self.limits, replace(base, master=True, read_only=True), None)
        if self._client_keys and not any(_same(getattr(keys, name), key) for name, key in self._client_keys.items()):
            raise Unauthorized
        return Identity(self.app, self.cors, self.limits, base, base.session_token)

    def _from(self, ip: str, allowed: tuple[str, ...], name: str) -> None:
        if not within(ip, allowed):
            log.warning("the %s key of app %s was refused: %s is not in its list of addresses", name, self.app.options.app_id, ip)
            raise Unauthorized


class Keyring:
    """The doors of all apps, and what recent requests were let in as."""

    def __init__(self, apps: Mapping[str, App]) -> None:
        self.doors = {app_id: Door(app) for app_id, app in apps.items()}
        self._by_headers: dict[tuple[str, tuple[Header, ...]], Identity] = {}
        self._by_keys: dict[Keys, Identity] = {}

    def by_headers(self, ip: str, headers: tuple[Header, ...]) -> Identity | None:
        """The identity that headers alone give; None if they name no known app (the body may)."""
        found = self._by_headers.get((ip, headers))
        if found is None:
            keys = self.read_headers(ip, headers)
            if keys.app_id not in self.doors:
                return None
            found = self._enter(keys)
            if sum(len(value) for _, value in headers) <= _LONGEST:
                _keep(self._by_headers, (ip, headers), found)
        return found

    def by_body(self, ip: str, headers: tuple[Header, ...], body: Json) -> tuple[Identity, Json]:
        """The identity that a JSON body gives, and the context sent along. Takes all keys out of the body."""
        if not isinstance(body, dict):
            raise Unauthorized
        keys = self.read_headers(ip, headers)
        body.pop("_RevocableSession", None)
        app_id = body.get("_ApplicationId")
        door = self.doors.get(app_id) if isinstance(app_id, str) else None
        if door is None or (keys.master and not _same(keys.master, door.app.options.master_key)):
            raise Unauthorized
        version = body.pop("_ClientVersion", None)
        taken = {
            "app_id": body.pop("_ApplicationId"),
            "javascript": _text_of(body.pop("_JavaScriptKey", None)),
            "version": version if isinstance(version, str) else keys.version,
        }
        for name, slot in _BODY_NAMES.items():
            value = body.pop(name, None)
            if value or isinstance(value, (dict, list)):
                taken[slot] = _text_of(value)
        return self._enter(keys._replace(**taken)), body.pop("_context", None)

    def read_headers(self, ip: str, headers: tuple[Header, ...]) -> Keys:
        """The keys in the headers; Basic auth counts if it names a known app."""
        keys = Keys(ip, **{_NAMES[name]: value.decode("latin-1") for name, value in headers})
        if keys.authorization:
            app_id, secret = _basic(keys.authorization)
            if app_id in self.doors:
                script = secret.removeprefix("javascript-key=")
                keys = keys._replace(app_id=app_id, **({"javascript": script} if script != secret else {"master": secret or keys.master}))
        return keys

    def _enter(self, keys: Keys) -> Identity:
        found = self._by_keys.get(keys)
        if found is None:
            found = self.doors[keys.app_id or ""].enter(keys)
            if sum(len(value) for value in keys if value) <= _LONGEST:
                _keep(self._by_keys, keys, found)
        return found


def context_of(value: Json) -> Object:
    """A cloud context: an object, or the JSON text of one."""
    context = read_object(value)
    if context is None:
        raise ParseError(Code.INVALID_JSON, "Invalid object for context.")
    return context


def _same(sent: str | None, key: str | None) -> bool:
    return bool(sent and key) and compare_digest(str(sent).encode("utf-8", "replace"), str(key).encode("utf-8", "replace"))


def _text_of(value: Json) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unauthorized
    return value


def _basic(header: str) -> tuple[str, str]:
    if header[:6].lower() != "basic ":
        return "", ""
    try:
        user, colon, secret = base64.b64decode(header[6:]).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (user, secret) if colon and ":" not in secret else ("", "")


def _keep(cache: dict[Any, Identity], key: Any, value: Identity) -> None:
    """Bounded memory: the oldest entry goes when there are too many."""
    if len(cache) >= _CACHED:
        del cache[next(iter(cache))]
    cache[key] = value
