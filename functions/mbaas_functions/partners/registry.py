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
from typing import get_args
from urllib.parse import urlsplit

import orjson

from mbaas.data.app import App
from mbaas.data.audit import by
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.outbound.reach import Reach
from mbaas.storage.ports import Row
from mbaas_functions.partners import environments, operations, signatures
from mbaas_functions.partners.audit import History
from mbaas_functions.partners.environments import LIMITS, Environment, environment_of
from mbaas_functions.partners.operations import Operation

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
_OVERLAP_MS = 24 * 3600 * 1000
"""How long a secret goes on to sign after another one took its place."""
_MOST_HISTORY, _MOST_PROBED, _CHALLENGE_LETTERS = 100, 5, 27


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
        return int(self.value[environment]["limits"].get(name, LIMITS[name]))

    @property
    def challenge(self) -> str:
        """What the partner's server answers, so that it is known whose it is."""
        return str(self.value["challenge"])

    def passed(self, url: str | None) -> Object:
        """When the server behind a URL passed which probes."""
        found: Object = self.value["probes"].get(url, {})
        return found

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
        return {**self.value, **{environment: environments.shown(self.value[environment]) for environment in get_args(Environment)}}


class Registry:
    """The partners of one app."""

    def __init__(self, app: App, reach: Reach) -> None:
        self._app, self._reach = app, reach
        self.audit = History(app)

    def vouched(self, url: str) -> bool:
        """True if whose the server behind a URL is need not be proven."""
        return self._reach.vouched(urlsplit(url).hostname or "")

    def checked_url(self, partner: Partner, url: Json) -> str:
        """A URL that the partner could have. ParseError 142."""
        environments.check_url(url, partner.value["kind"], self._reach)
        return str(url)

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

    async def register(self, given: Object, caller: Caller | None = None) -> tuple[Partner, Object]:
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
            keys = [{"key": secrets[environment], "until": None}]
            value[environment] = {**environments.read(given.get(environment), kind, self._reach), "keys": keys}
            environments.check(value[environment])
        value.update(grant=None, grants=0, history=[], probes={}, challenge=f"mbaas-{self._app.ids.object_id(_CHALLENGE_LETTERS)}")
        value = self._noted(value, "draft", caller)

        def change(row: Row | None) -> Row:
            if row is not None:
                raise ParseError(Code.DUPLICATE_VALUE, f"There is a partner {name} already.")
            return Row(name, value)

        made = Partner((await self._app.store.rows.alter(_TABLE, name, change)).value)
        await self.audit.copy(name, made.value["history"])
        return made, secrets

    async def change(self, name: str, given: Object, *, merge: bool = False) -> Partner:
        """Another `contact`, `manifest`, or `{url, limits}` of an environment. A new manifest has the next version number.

        With `merge` what an environment is given is put into what it has (RFC 7396: null removes), else it takes its place.
        """

        def changed(value: Object) -> Object:
            url = value["live"]["url"]
            if "manifest" in given:
                value.update(manifest=_manifest(given), version=value["version"] + 1)
            if "contact" in given:
                value["contact"] = _text(given, "contact")
            for environment in get_args(Environment):
                if environment in given:
                    before = value[environment]
                    wanted = environments.merged(before, given[environment]) if merge else given[environment]
                    value[environment] = {**before, **environments.read(wanted, value["kind"], self._reach)}
            for environment in get_args(Environment):
                environments.check(value[environment])
            if value["live"]["url"] is None and value["state"] in _NEEDS_URL:
                raise _invalid(f"{name} is {value['state']}, and has to have a live URL")
            if value["live"]["url"] != url and value["state"] == "live":
                self._refuse_unproven(value)
            return value

        return await self._alter(name, changed)

    async def move(self, name: str, state: Json, caller: Caller | None = None) -> Partner:
        """Into another state. ParseError 142 names those that can follow."""

        def changed(value: Object) -> Object:
            if state not in _NEXT[value["state"]]:
                follow = " or ".join(_NEXT[value["state"]]) or "nothing"
                raise _invalid(f"{name} is {value['state']}; {follow} can follow, not {state!r}")
            if state in _NEEDS_URL and value["live"].get("url") is None:
                raise _invalid(f"{name} has no live URL yet")
            if state == "live":
                self._refuse_unproven(value)
            return self._noted({**value, "state": state}, str(state), caller)

        return await self._alter(name, changed)

    def _refuse_unproven(self, value: Object) -> None:
        url = value["live"]["url"]
        if not self.vouched(url) and "ownership" not in Partner(value).passed(url):
            raise _invalid(f"it is not proven that {url} is the partner's: it has to answer the challenge of the checklist")

    async def probed(self, name: str, url: str, passed: Object) -> None:
        """Keep which probes the server behind a URL passed."""

        def changed(value: Object) -> Object:
            others = {known: each for known, each in value["probes"].items() if known != url}
            return {**value, "probes": dict([*others.items(), (url, passed)][-_MOST_PROBED:])}

        await self._alter(name, changed)

    async def rotate(self, name: str, given: Json, *, asymmetric: bool, caller: Caller | None = None) -> str:
        """A new secret of an environment, or its public key; the one before signs beside it for a day."""
        environment = environment_of(given)
        key = signatures.new_private_key() if asymmetric else signatures.new_secret()
        now = self._app.clock.now()

        def changed(value: Object) -> Object:
            before = [each for each in value[environment]["keys"] if each["until"] is None or each["until"] > now]
            ending = [{**each, "until": min(each["until"] or now + _OVERLAP_MS, now + _OVERLAP_MS)} for each in before]
            rotated = {**value, environment: {**value[environment], "keys": [{"key": key, "until": None}, *ending]}}
            return self._noted(rotated, "secret rotated", caller, environment=environment)

        await self._alter(name, changed)
        return signatures.public_key(key) if asymmetric else key

    async def enable(self, name: str, given: Object, caller: Caller | None = None, *, merge: bool = False) -> Partner:
        """Have the app use a partner: `{environment, classes?}`, where classes maps a class to the fields that it may be told.

        With `merge` it is put into what is granted (RFC 7396: null removes a class). ParseError 142.
        """

        def changed(value: Object) -> Object:
            before = value["grant"] if merge and value["grant"] is not None else {"environment": None, "classes": {}}
            environment = environment_of(given.get("environment", before["environment"]))
            classes = _classes(before["classes"], given.get("classes", {}))
            if not Partner(value).serves(environment):
                raise _invalid(f"{name} is {value['state']}: its {environment} cannot be used")
            version = value["grants"] + 1
            grant = {"environment": environment, "classes": classes, "version": version, "acceptedAt": iso(self._app.clock.now())}
            return self._noted({**value, "grant": grant, "grants": version}, "enabled", caller, grant=grant)

        return await self._alter(name, changed)

    async def disable(self, name: str, caller: Caller | None = None) -> Partner:
        """Take back what was granted; from then on the partner is neither called nor told anything."""

        def changed(value: Object) -> Object:
            return self._noted({**value, "grant": None}, "disabled", caller, grant=value["grant"])

        return await self._alter(name, changed)

    async def note(self, name: str, what: str, caller: Caller | None, **more: Json) -> None:
        """Note in a partner's history what was done to something of it."""
        await self._alter(name, lambda value: self._noted(value, what, caller, **more))

    async def _alter(self, name: str, change: Callable[[Object], Object]) -> Partner:
        def changed(row: Row | None) -> Row:
            if row is None:
                raise _unknown(name)
            return Row(name, change(dict(row.value)))

        if not _NAME.fullmatch(name):
            raise _unknown(name)
        value: Object = (await self._app.store.rows.alter(_TABLE, name, changed)).value
        await self.audit.copy(name, value["history"])
        return Partner(value)

    def _noted(self, value: Object, what: str, caller: Caller | None, **more: Json) -> Object:
        """The partner with an event of its history, which the audit copies."""
        number = value["history"][-1]["number"] + 1 if value["history"] else 1
        event = {"number": number, "event": what, "at": iso(self._app.clock.now()), **by(caller), **more}
        return {**value, "history": [*value["history"], event][-_MOST_HISTORY:]}


@lru_cache(maxsize=256)
def _operations(manifest: bytes) -> dict[str, Operation]:
    return operations.read(orjson.loads(manifest))


def _manifest(given: Object) -> Object:
    manifest: Json = given.get("manifest")
    if not isinstance(manifest, dict):
        raise _invalid("manifest must be an object: one with operations, or an OpenAPI 3 document")
    operations.read(manifest)
    return manifest


def _text(given: Object, name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > 1000:
        raise _invalid(f"{name} must be a text")
    return value


def _classes(before: Object, given: Json) -> Object:
    """The classes of a grant, put into those that were granted."""
    if not isinstance(given, dict):
        raise _invalid("classes must be an object")
    classes = {name: fields for name, fields in {**before, **given}.items() if fields is not None}
    if not all(_is_names(fields) for fields in classes.values()):
        raise _invalid('classes must map a class to a list of its fields, or to ["*"]')
    return classes


def _is_names(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _unknown(name: str) -> ParseError:
    return ParseError(Code.OBJECT_NOT_FOUND, f"There is no partner {name!r}.")


def _invalid(why: str) -> ParseError:
    return ParseError(Code.VALIDATION_ERROR, why[0].upper() + why[1:] + ".")
