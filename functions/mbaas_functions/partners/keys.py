"""Keys by which partners call the server: `pk_live_<partner>_<secret><checksum>`, and `pk_test_…` for the sandbox.

Told once, kept as their SHA-256. What a key opens is a part of what the app shares with the partner, and never more. The checksum
is over the app's id, too, so that a key names its app, and one that was mistyped is refused without asking the database.
No key makes another one: keys are made, rotated and revoked with the master key alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, replace

from mbaas.data.app import App
from mbaas.kernel.addresses import within
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ids import token_hash
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Row
from mbaas_functions.partners.environments import Environment, environment_of
from mbaas_functions.partners.registry import Registry

RIGHTS = ("find", "get", "count", "changes", "events", "usage", "subjects", "moments")
"""What a key may open: reading what is shared, following its changes, the partner's own events, its usage, linking people, moments."""
_TABLE = "partner_keys"
_TOKEN = re.compile(r"pk_(live|test)_([a-z][a-z0-9_]{1,31})_([A-Za-z0-9]{27})([A-Za-z0-9]{6})")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SECRET, _CHECKSUM, _SHOWN = 27, 6, 4
"""Letters: 27 are 160 bits, of which 4 are shown."""
_KINDS: dict[Environment, str] = {"live": "live", "sandbox": "test"}
_MOST, _MOST_TEXTS = 20, 100
_HOUR_MS = 3_600_000
_OVERLAP_HOURS, _MOST_OVERLAP_HOURS = 24, 30 * 24


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is in force."""

    partner: str
    environment: Environment
    rights: frozenset[str]
    classes: frozenset[str]

    def narrowed(self, caller: Caller) -> Caller:
        """The partner as the one who asks with this key: of what is shared, the key's classes."""
        shared = {name: fields for name, fields in (caller.shared or {}).items() if "*" in self.classes or name in self.classes}
        return replace(caller, shared=shared)


class Keys:
    """The keys of one app's partners."""

    def __init__(self, app: App, registry: Registry) -> None:
        self._app, self._registry = app, registry

    async def make(self, partner: str, given: Object, caller: Caller | None = None) -> tuple[Object, str]:
        """A key of `{environment, scopes: {rights, classes?}, expiresAt?, addresses?, label?}`: as it is shown, and itself.

        ParseError 142 for what makes no sense.
        """
        await self._registry.get(partner)
        value: Object = {
            "environment": environment_of(given.get("environment")),
            "scopes": _scopes(given.get("scopes")),
            "addresses": _addresses(given.get("addresses", [])),
            "label": _label(given.get("label", "")),
        }
        if len(await self._rows(partner)) >= _MOST:
            raise _invalid(f"A partner has at most {_MOST} keys.")
        shown, token = await self._put(partner, value, self._expiry(given.get("expiresAt")))
        await self._registry.note(partner, "key made", caller, key=_noted(shown))
        return shown, token

    async def _put(self, partner: str, value: Object, expires: int | None) -> tuple[Object, str]:
        begun = f"pk_{_KINDS[value['environment']]}_{partner}_"
        secret = begun + self._app.ids.object_id(_SECRET)
        token = secret + _checksum(self._app.options.app_id, secret)
        made = {**value, "id": self._app.ids.object_id(), "prefix": secret[: len(begun) + _SHOWN]}
        made.update(createdAt=iso(self._app.clock.now()), lastUsedAt=None)
        row = Row(f"{partner}|{token_hash(token)}", made, expires=expires)
        await self._app.store.rows.put_many(_TABLE, [row])
        return _shown(row), token

    async def of(self, partner: str) -> list[Object]:
        """A partner's keys, the oldest first: their beginnings and scopes. What has expired or been revoked is not there."""
        await self._registry.get(partner)
        return [_shown(row) for row in await self._rows(partner)]

    async def rotate(self, partner: str, key_id: str, overlap_hours: Json = None, caller: Caller | None = None) -> tuple[Object, str]:
        """Another key for the same; the one before is good for a day more, or so many hours, and the one before that no longer.

        ParseError 101 if there is no such key, 142 for hours that are none.
        """
        hours = _OVERLAP_HOURS if overlap_hours is None else overlap_hours
        if isinstance(hours, bool) or not isinstance(hours, (int, float)) or not 0 <= hours <= _MOST_OVERLAP_HOURS:
            raise _invalid(f"overlapHours must be a number up to {_MOST_OVERLAP_HOURS}.")
        old = await self._row(partner, key_id)
        if "followedBy" in old.value:
            raise _invalid("The key has been rotated already.")
        ends = self._app.clock.now() + round(hours * _HOUR_MS)
        for row in await self._rows(partner):
            if row.value.get("followedBy") == key_id:
                await self._app.store.rows.drop(_TABLE, row.key)
        shown, token = await self._put(partner, _granted(old.value), old.expires)

        def ending(row: Row | None) -> Row:
            if row is None:
                raise _unknown()
            return replace(row, value={**row.value, "followedBy": shown["id"]}, expires=min(ends, row.expires or ends))

        await self._app.store.rows.alter(_TABLE, old.key, ending)
        await self._registry.note(partner, "key rotated", caller, key=_noted(shown), before=key_id)
        return shown, token

    async def revoke(self, partner: str, key_id: str, caller: Caller | None = None) -> None:
        """Have a key open nothing any more, from now on. ParseError 101 if there is none."""
        row = await self._row(partner, key_id)
        await self._app.store.rows.drop(_TABLE, row.key)
        await self._registry.note(partner, "key revoked", caller, key=_noted(_shown(row)))

    async def enter(self, token: str, ip: str) -> Key:
        """The key that a request brings from an address. ParseError 119, with HTTP 401, alike for every one that is not good."""
        named = _TOKEN.fullmatch(token)
        if named is None or not belongs(token, self._app.options.app_id):
            raise refused()
        row = await self._app.store.rows.get(_TABLE, f"{named[2]}|{token_hash(token)}")
        if row is None or (row.value["addresses"] and not within(ip, tuple(row.value["addresses"]))):
            raise refused()
        await self._used(row)
        scopes = row.value["scopes"]
        return Key(named[2], row.value["environment"], frozenset(scopes["rights"]), frozenset(scopes["classes"]))

    async def _used(self, row: Row) -> None:
        """Remember when a key was used, to the hour."""
        hour = iso(self._app.clock.now() // _HOUR_MS * _HOUR_MS)
        if row.value["lastUsedAt"] == hour:
            return

        def used(now: Row | None) -> Row:
            if now is None:
                raise refused()
            return replace(now, value={**now.value, "lastUsedAt": hour})

        await self._app.store.rows.alter(_TABLE, row.key, used)

    async def _rows(self, partner: str) -> list[Row]:
        rows = await self._app.store.rows.scan(_TABLE, prefix=f"{partner}|")
        return sorted(rows, key=lambda row: (row.value["createdAt"], row.key))

    async def _row(self, partner: str, key_id: str) -> Row:
        for row in await self._rows(partner):
            if row.value["id"] == key_id:
                return row
        raise _unknown()

    def _expiry(self, given: Json) -> int | None:
        at = from_iso(given) if isinstance(given, str) else None
        if given is not None and (at is None or at <= self._app.clock.now()):
            raise _invalid("expiresAt must be a time to come, as 2026-01-31T12:00:00.000Z.")
        return at


def belongs(token: str, app_id: str) -> bool:
    """True if a key could be one of this app's."""
    return bool(_TOKEN.fullmatch(token)) and token[-_CHECKSUM:] == _checksum(app_id, token[:-_CHECKSUM])


def refused() -> ParseError:
    """The answer to a key that opens nothing, whatever the reason."""
    return ParseError(Code.OPERATION_FORBIDDEN, "The key is not valid.", status=401)


def _checksum(app_id: str, secret: str) -> str:
    number = int.from_bytes(hashlib.sha256(f"{app_id} {secret}".encode()).digest()[:8])
    letters = []
    for _ in range(_CHECKSUM):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def _granted(value: Object) -> Object:
    """What a key was made for, and the one that takes its place is, too."""
    return {name: value[name] for name in ("environment", "scopes", "addresses", "label")}


def _noted(shown: Object) -> Object:
    """What the audit says of a key."""
    return {name: shown[name] for name in ("id", "prefix", "environment", "scopes", "expiresAt")}


def _shown(row: Row) -> Object:
    return {**row.value, "expiresAt": None if row.expires is None else iso(row.expires)}


def _scopes(given: Json) -> Object:
    if not isinstance(given, dict) or set(given) - {"rights", "classes"}:
        raise _invalid("scopes must be an object of rights and classes.")
    rights, classes = given.get("rights", []), given.get("classes", ["*"])
    if not _texts(rights) or not set(rights) <= set(RIGHTS) or not rights:
        raise _invalid(f"rights must be some of {', '.join(RIGHTS)}.")
    if not _texts(classes):
        raise _invalid('classes must be a list of classes, or ["*"] for all that are shared.')
    return {"rights": sorted(set(rights)), "classes": sorted(set(classes))}


def _addresses(given: Json) -> list[str]:
    try:
        if _texts(given):
            return [str(ipaddress.ip_network(text, strict=False)) for text in given]
    except ValueError:
        pass
    raise _invalid("addresses must be a list of networks, as 198.51.100.0/24.")


def _label(given: Json) -> str:
    if not isinstance(given, str) or len(given) > _MOST_TEXTS:
        raise _invalid(f"label must be a text of at most {_MOST_TEXTS} characters.")
    return given


def _texts(value: Json) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_TEXTS and all(isinstance(text, str) and text for text in value)


def _unknown() -> ParseError:
    return ParseError(Code.OBJECT_NOT_FOUND, "There is no such key.")


def _invalid(why: str) -> ParseError:
    return ParseError(Code.VALIDATION_ERROR, why)
