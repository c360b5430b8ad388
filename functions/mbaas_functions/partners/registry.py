"""The partners of an app: what each offers, how far it has come, its two environments, and what the app has granted it.

A partner goes draft → sandbox → submitted → approved → live, may be suspended and taken up again, and is retired for good. Sandbox and
live have their own URL, keys and limits; a sandbox without a URL answers from the declared examples. An app *enables* a partner
in one environment with a data grant: which fields of which classes it may be told. Each is one row, changed under its lock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import orjson

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.outbound.reach import Forbidden, Reach
from mbaas.storage.ports import Row
from mbaas_functions.partners import credentials, operations, signatures
from mbaas_functions.partners.operations import Operation

Environment = Literal["sandbox", "live"]
_TABLE = "partners"
_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")
_NEXT: dict[str, tuple[str, ...]] = {
    "draft": ("sandbox", "retired"),
    "sandbox": ("submitted", "retired"),
    "submitted": ("approved", "sandbox"),
    "approved": ("live", "sandbox"),
    "live": ("suspended", "retired"),
    "suspended": ("live", "retired"),
    "retired": (),
}
_SERVED: dict[str, tuple[str, ...]] = {
    "sandbox": ("sandbox", "submitted", "approved", "live", "suspended"),
    "live": ("live",),
}
"""In which states an environment answers."""
_NEEDS_URL = ("submitted", "approved", "live", "suspended")
_LIMITS = {"perMinute": 600, "perMonth": 1_000_000, "concurrency": 32}
_OVERLAP_MS = 24 * 3600 * 1000
"""How long a secret goes on to sign after another one took its place."""
_MOST_HISTORY = 100
_SETTINGS = {"url", "limits", "auth"}
"""What an environment is given; its keys are made."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner as its row has it."""

    value: Object

    @property
    def name(self) -> str:
        return str(self.value["name"])

    @property
    def state(self) -> str:
        return str(self.value["state"])

    @property
    def grant(self) -> Object | None:
        """What the app has granted, if the partner is enabled: `{environment, classes, version, …}`."""
        found: Object | None = self.value.get("grant")
        return found

    def operations(self) -> dict[str, Operation]:
        """What it offers."""
        return _operations(orjson.dumps(self.value["manifest"]))

    def url(self, environment: Environment) -> str | None:
        """Where an environment is; None: nowhere, so that examples answer."""
        found: str | None = self.value[environment].get("url")
        return found

    def limit(self, environment: Environment, name: str) -> int:
        """`perMinute`, `perMonth` or `concurrency` of an environment."""
        return int(self.value[environment]["limits"].get(name, _LIMITS[name]))

    def keys(self, environment: Environment, now: int) -> list[str]:
        """What signs now: the present secrets, and those that were rotated a little while ago."""
        return [each["key"] for each in self.value[environment]["keys"] if each["until"] is None or each["until"] > now]

    def auth(self, environment: Environment) -> Object | None:
        """How an environment is to know the server, beside the signature."""
        found: Object | None = self.value[environment].get("auth")
        return found

    def serves(self, environment: Environment) -> bool:
        """True if the environment answers in the partner's state."""
        return self.state in _SERVED[environment]

    def shown(self) -> Object:
        """The partner without its secrets; of a private key the public half."""
        return {**self.value, **{environment: _shown(self.value[environment]) for environment in get_args(Environment)}}


class Registry:
    """The partners of one app."""

    def __init__(self, app: App, reach: Reach) -> None:
        self._app, self._reach = app, reach

    async def get(self, name: str) -> Partner:
        """One partner. ParseError 101 if there is none."""
        row = await self._app.store.rows.get(_TABLE, name) if _NAME.fullmatch(name) else None
        if row is None:
            raise _unknown(name)
        return Partner(row.value)

    async def all(self) -> list[Partner]:
        """Every partner, by name."""
        found: list[Partner] = []
        after = ""
        while rows := await self._app.store.rows.scan(_TABLE, after):
            found += [Partner(row.value) for row in rows]
            after = rows[-1].key
        return found

    async def register(self, given: Object) -> tuple[Partner, Object]:
        """A new partner `{name, kind?, contact?, manifest, sandbox?, live?}` in draft; and its secrets, which are told this once."""
        name, kind = given.get("name"), given.get("kind", "external")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _invalid("name must be 2 to 32 small letters, digits and _, and begin with a letter")
        if kind not in ("external", "internal"):
            raise _invalid("kind must be external or internal")
        manifest = _manifest(given)
        secrets: Object = {}
        value: Object = {"name": name, "kind": kind, "contact": _text(given, "contact"), "state": "draft", "version": 1}
        value["manifest"] = manifest
        for environment in get_args(Environment):
            secrets[environment] = signatures.new_secret()
            value[environment] = {**self._environment(given.get(environment), kind), "keys": [{"key": secrets[environment], "until": None}]}
            _check_certificate(value[environment])
        value.update(grant=None, grants=0, history=[self._event("draft")])

        def change(row: Row | None) -> Row:
            if row is not None:
                raise ParseError(Code.DUPLICATE_VALUE, f"There is a partner {name} already.")
            return Row(name, value)

        return Partner((await self._app.store.rows.alter(_TABLE, name, change)).value), secrets

    async def change(self, name: str, given: Object, *, merge: bool = False) -> Partner:
        """Another `contact`, `manifest`, or `{url, limits}` of an environment. A new manifest has the next version number.

        With `merge` what an environment is given is put into what it has (RFC 7396: null removes), else it takes its place.
        """

        def changed(value: Object) -> Object:
            if "manifest" in given:
                value.update(manifest=_manifest(given), version=value["version"] + 1)
            if "contact" in given:
                value["contact"] = _text(given, "contact")
            for environment in get_args(Environment):
                if environment in given:
                    before = value[environment]
                    wanted = _merged(before, given[environment]) if merge else given[environment]
                    value[environment] = {**before, **self._environment(wanted, value["kind"])}
            for environment in get_args(Environment):
                _check_certificate(value[environment])
            if value["live"]["url"] is None and value["state"] in _NEEDS_URL:
                raise _invalid(f"{name} is {value['state']}, and has to have a live URL")
            return value

        return await self._alter(name, changed)

    async def move(self, name: str, state: Json) -> Partner:
        """Into another state. ParseError 142 names those that can follow."""

        def changed(value: Object) -> Object:
            if state not in _NEXT[value["state"]]:
                follow = " or ".join(_NEXT[value["state"]]) or "nothing"
                raise _invalid(f"{name} is {value['state']}; {follow} can follow, not {state!r}")
            if state in _NEEDS_URL and value["live"].get("url") is None:
                raise _invalid(f"{name} has no live URL yet")
            return {**value, "state": state, "history": [*value["history"], self._event(state)][-_MOST_HISTORY:]}

        return await self._alter(name, changed)

    async def rotate(self, name: str, given: Json, *, asymmetric: bool) -> str:
        """A new secret of an environment, or its public key; the one before signs beside it for a day."""
        environment = environment_of(given)
        key = signatures.new_private_key() if asymmetric else signatures.new_secret()
        now = self._app.clock.now()

        def changed(value: Object) -> Object:
            before = [each for each in value[environment]["keys"] if each["until"] is None or each["until"] > now]
            ending = [{**each, "until": min(each["until"] or now + _OVERLAP_MS, now + _OVERLAP_MS)} for each in before]
            return {**value, environment: {**value[environment], "keys": [{"key": key, "until": None}, *ending]}}

        await self._alter(name, changed)
        return signatures.public_key(key) if asymmetric else key

    async def enable(self, name: str, given: Object) -> Partner:
        """Have the app use a partner: `{environment, classes?}`, where classes maps a class to the fields that it may be told."""
        environment, classes = environment_of(given.get("environment")), given.get("classes", {})
        if not isinstance(classes, dict) or not all(_is_names(fields) for fields in classes.values()):
            raise _invalid('classes must map a class to a list of its fields, or to ["*"]')

        def changed(value: Object) -> Object:
            if not Partner(value).serves(environment):
                raise _invalid(f"{name} is {value['state']}: its {environment} cannot be used")
            version = value["grants"] + 1
            grant = {"environment": environment, "classes": classes, "version": version, "acceptedAt": iso(self._app.clock.now())}
            event = {**self._event("enabled"), "grant": grant}
            return {**value, "grant": grant, "grants": version, "history": [*value["history"], event][-_MOST_HISTORY:]}

        return await self._alter(name, changed)

    async def disable(self, name: str) -> Partner:
        """Take back what was granted; from then on the partner is neither called nor told anything."""

        def changed(value: Object) -> Object:
            return {**value, "grant": None, "history": [*value["history"], self._event("disabled")][-_MOST_HISTORY:]}

        return await self._alter(name, changed)

    async def _alter(self, name: str, change: Callable[[Object], Object]) -> Partner:
        def changed(row: Row | None) -> Row:
            if row is None:
                raise _unknown(name)
            return Row(name, change(dict(row.value)))

        if not _NAME.fullmatch(name):
            raise _unknown(name)
        return Partner((await self._app.store.rows.alter(_TABLE, name, changed)).value)

    def _event(self, what: str) -> Object:
        return {"event": what, "at": iso(self._app.clock.now())}

    def _environment(self, given: Json, kind: str) -> Object:
        given = given if given is not None else {}
        if not isinstance(given, dict) or set(given) - _SETTINGS:
            raise _invalid("sandbox and live are objects with url, limits and auth")
        url, limits = given.get("url"), given.get("limits", {})
        if url is not None:
            self._check_url(url, kind)
        if not isinstance(limits, dict) or set(limits) - set(_LIMITS) or not all(_is_count(limit) for limit in limits.values()):
            raise _invalid(f"limits are whole numbers from 0: {', '.join(_LIMITS)}")
        made: Object = {"url": url, "limits": limits}
        if "auth" in given:
            # It stays where it is not named: nobody can read it to say it again.
            made["auth"] = credentials.checked(given["auth"])
            if made["auth"] is not None and kind != "internal":
                raise _invalid("auth is for partners of kind internal: others know the server by its signature")
        return made

    def _check_url(self, url: Json, kind: str) -> None:
        """A URL that can never be called is refused as soon as it is named; what its name stands for is checked by each call."""
        if not isinstance(url, str):
            raise _invalid("a url must be a text")
        try:
            parts = self._reach.check(url)
        except Forbidden as error:
            raise _invalid(str(error)) from error
        if kind == "internal" and parts.hostname not in self._reach.allowed:
            raise _invalid("an internal partner is on a host that MBAAS_OUTBOUND_ALLOW names")
        if parts.query:
            raise _invalid("a base url has no query")


@lru_cache(maxsize=256)
def _operations(manifest: bytes) -> dict[str, Operation]:
    return operations.read(orjson.loads(manifest))


def _manifest(given: Object) -> Object:
    manifest: Json = given.get("manifest")
    if not isinstance(manifest, dict):
        raise _invalid("manifest must be an object: one with operations, or an OpenAPI 3 document")
    operations.read(manifest)
    return manifest


def _merged(environment: Object, given: Json) -> Json:
    """What an environment is to be after a change of parts of it."""
    if not isinstance(given, dict):
        return given
    known = {name: environment[name] for name in ("url", "limits") if environment.get(name) is not None}
    limits = given.get("limits")
    if isinstance(limits, dict):
        given = {**given, "limits": {name: limit for name, limit in {**environment["limits"], **limits}.items() if limit is not None}}
    return {name: value for name, value in {**known, **given}.items() if value is not None or name == "auth"}


def _shown(environment: Object) -> Object:
    keys = [
        {"publicKey": signatures.public_key(each["key"]), "until": each["until"]}
        if each["key"].startswith("whsk_")
        else {"secret": f"…{each['key'][-4:]}", "until": each["until"]}
        for each in environment["keys"]
    ]
    return {**environment, "keys": keys, "auth": credentials.shown(environment.get("auth"))}


def environment_of(value: Json) -> Environment:
    """One of the two. ParseError 142 for anything else."""
    if value == "sandbox":
        return "sandbox"
    if value == "live":
        return "live"
    raise _invalid("environment must be sandbox or live")


def _check_certificate(environment: Object) -> None:
    """A certificate is shown by TLS alone."""
    if credentials.certificate(environment.get("auth")) is not None and not str(environment["url"]).startswith("https:"):
        raise _invalid("a client certificate needs an https url")


def _text(given: Object, name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > 1000:
        raise _invalid(f"{name} must be a text")
    return value


def _is_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _unknown(name: str) -> ParseError:
    return ParseError(Code.OBJECT_NOT_FOUND, f"There is no partner {name!r}.")


def _invalid(why: str) -> ParseError:
    return ParseError(Code.VALIDATION_ERROR, why[0].upper() + why[1:] + ".")
