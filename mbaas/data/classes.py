"""The classes of one app: their names' rules, the columns every server starts with, and the cached definitions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from mbaas.data.permissions import Rules
from mbaas.kernel.errors import Code, Duplicate, MbaasError, ParseError
from mbaas.kernel.options import AppOptions
from mbaas.kernel.schema import DEFAULT_FIELDS, ClassSchema, Field, new_class
from mbaas.kernel.values import Object
from mbaas.storage.ports import Change, Schemas

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_JOIN = re.compile(r"_Join:[A-Za-z0-9_]+:[A-Za-z0-9_]+\Z")


def _columns(**types: str) -> Mapping[str, Field]:
    made = {}
    for name, kind in types.items():
        base, _, target = kind.partition(" ")
        made[name] = Field(base, target or None)
    return MappingProxyType(made)


SYSTEM_COLUMNS: Mapping[str, Mapping[str, Field]] = {
    "_User": _columns(username="String", password="String", email="String", emailVerified="Boolean", authData="Object"),
    "_Installation": _columns(
        installationId="String", deviceToken="String", channels="Array", deviceType="String", pushType="String", GCMSenderId="String",
        timeZone="String", localeIdentifier="String", badge="Number", appVersion="String", appName="String", appIdentifier="String",
        parseVersion="String",
    ),
    "_Role": _columns(name="String", users="Relation _User", roles="Relation _Role"),
    "_Session": _columns(user="Pointer _User", installationId="String", sessionToken="String", expiresAt="Date", createdWith="Object"),
    "_Product": _columns(
        productIdentifier="String", download="File", downloadName="String", icon="File", order="Number", title="String", subtitle="String",
    ),
    "_PushStatus": _columns(
        pushTime="String", source="String", query="String", payload="String", title="String", expiry="Number", expiration_interval="Number",
        status="String", numSent="Number", numFailed="Number", pushHash="String", errorMessage="Object", sentPerType="Object",
        failedPerType="Object", sentPerUTCOffset="Object", failedPerUTCOffset="Object", count="Number",
    ),
    "_JobStatus": _columns(jobName="String", source="String", status="String", message="String", params="Object", finishedAt="Date"),
    "_JobSchedule": _columns(
        jobName="String", description="String", params="String", startAfter="String", daysOfWeek="Array", timeOfDay="String",
        lastRun="Number", repeatMinutes="Number",
    ),
    "_Audience": _columns(name="String", query="String", lastUsed="Date", timesUsed="Number"),
    "_Hooks": _columns(functionName="String", className="String", triggerName="String", url="String"),
    "_Idempotency": _columns(reqId="String", expire="Date"),
}  # fmt: skip
"""Columns that Parse's system classes always have, beside the four default ones."""

MASTER_ONLY = frozenset(
    {"_JobStatus", "_PushStatus", "_Hooks", "_GlobalConfig", "_GraphQLConfig", "_JobSchedule", "_Audience", "_Idempotency"}
)
REQUIRED_ON_CREATE: Mapping[str, tuple[str, ...]] = {
    "_Product": ("productIdentifier", "icon", "order", "title", "subtitle"),
    "_Role": ("name", "ACL"),
}
MOST_COLUMNS = 1000
ALWAYS_PRESENT = ("_User", "_Role", "_Session", "_Installation")
"""Classes that exist from the first start."""


def class_name_is_valid(name: str) -> bool:
    """True for a name that a class may have."""
    return name in SYSTEM_COLUMNS or bool(_JOIN.match(name)) or field_name_is_valid(name)


def field_name_is_valid(name: str) -> bool:
    """True for a name that a column may have."""
    return bool(_NAME.match(name)) and name not in ("length", "className")


def fixed_column(class_name: str, name: str) -> bool:
    """True for a column that every class, or this system class, has by itself: it cannot be added or dropped."""
    return name in DEFAULT_FIELDS or name in SYSTEM_COLUMNS.get(class_name, ())


def invalid_class_name(name: str) -> ParseError:
    """103 in Parse's words."""
    text = f"Invalid classname: {name}, classnames can only have alphanumeric characters and _, and must start with an alpha character "
    return ParseError(Code.INVALID_CLASS_NAME, text)


def permissions_for(who: str) -> Object:
    """Permissions of a class that nobody set any for: `who` may do everything."""
    operations = ("find", "count", "get", "create", "update", "delete", "addField")
    everything = {operation: {who: True} for operation in operations}
    return {"ACL": {"*": {"read": True, "write": True}}, **everything, "protectedFields": {"*": []}}


class Classes:
    """The definitions in memory, with the rules read from them; the store has the truth and every change goes through it."""

    def __init__(self, schemas: Schemas, options: AppOptions) -> None:
        self._schemas = schemas
        self._options = options
        self._known: dict[str, ClassSchema] = {}
        self._rules: dict[str, Rules] = {}
        self._growing, self._reading = asyncio.Lock(), asyncio.Lock()
        self.unique: dict[str, Mapping[str, Any]] = {}
        """Class → further arguments of its schema (indexes, unique, folded) that its room registered."""
        self.owned_by_themselves: set[str] = set()
        """Classes whose objects are people: one may see her own protected fields."""

    async def load(self) -> None:
        """Read the definitions and make the classes that always exist."""
        await self.reload()
        for name in ALWAYS_PRESENT:
            await self.complete(name)

    async def complete(self, name: str) -> None:
        """Give a class what its room registered for it, where it lacks any. What is unique stays so."""
        made, known = self.blank(name), self._known.get(name)
        if (
            known is None
            or not set(made.fields) <= set(known.fields)
            or not made.unique <= known.unique
            or not made.indexes.keys() <= known.indexes.keys()
        ):
            try:
                await self.alter(name, partial(self._completed, made))
            except Duplicate as error:
                text = f"several objects of {name} have the same value, which the index {error.index} refuses; mend them first"
                raise MbaasError(text) from error

    async def reload(self) -> None:
        """Read the definitions again; those that are as they were stay the same objects."""
        async with self._reading:
            before = dict(self._known)
            found = await self._schemas.load()
            # What changed here meanwhile is newer than what was read.
            same = {n: known for n, known in self._known.items() if known is not before.get(n) or known.same_as(found.get(n))}
            dropped = before.keys() - self._known.keys()
            self._rules = {name: rules for name, rules in self._rules.items() if name in same}
            self._known = {**{name: schema for name, schema in found.items() if name not in dropped}, **same}

    async def latest(self, name: str) -> ClassSchema | None:
        """The definition as it is stored now, or None if the class does not exist."""
        known = self._known.get(name)
        found = await self._schemas.lookup(name) if class_name_is_valid(name) else None
        if self._known.get(name) is known and not (known is found or (known is not None and known.same_as(found))):
            self._rules.pop(name, None)
            if found is None:
                del self._known[name]
            else:
                self._known[name] = found
        return self._known.get(name)

    async def sought(self, name: str, keys: Iterable[str] = ()) -> ClassSchema | None:
        """The definition for one who asks for these columns, or for what is inside them.

        What is known here is not asked for again; what is not, another process may have made a moment ago.
        """
        known = self._known.get(name)
        if known is not None and knows(known, keys):
            return known
        return await self.latest(name)

    @staticmethod
    def _completed(made: ClassSchema, known: ClassSchema | None) -> tuple[ClassSchema, tuple[str, ...]]:
        """A definition with what its class must have."""
        if known is None:
            return made, ()
        fields, indexes = {**known.fields, **made.fields}, {**known.indexes, **made.indexes}
        unique = made.unique | (known.unique & indexes.keys())
        return ClassSchema(known.name, fields, known.permissions, indexes, unique, made.folded), ()

    def get(self, name: str) -> ClassSchema | None:
        """The definition, or None if the class does not exist."""
        return self._known.get(name)

    def all(self) -> list[ClassSchema]:
        """Every class, system classes first."""
        return sorted(self._known.values(), key=lambda c: (not c.name.startswith("_"), c.name))

    def known_or_blank(self, name: str) -> ClassSchema:
        """The definition, or what the class would be if it existed: empty to read, never stored."""
        return self._known.get(name) or self.blank(name)

    def blank(self, name: str) -> ClassSchema:
        """A new class as a client's first write makes it."""
        return new_class(name, SYSTEM_COLUMNS.get(name), permissions=self.default_permissions(name), **self.unique.get(name, {}))

    def default_permissions(self, name: str) -> Object:
        """Permissions of a class that nobody set any for."""
        public = name.startswith("_") or self._options.new_class_permissions == "public"
        return permissions_for("*" if public else "requiresAuthentication")

    def rules(self, name: str) -> Rules:
        """The permissions of a class, compiled."""
        found = self._rules.get(name)
        if found is None:
            schema = self.known_or_blank(name)
            exempt = name in self.owned_by_themselves and self._options.protected_fields_owner_exempt
            found = Rules(schema, self._options.protected_fields.get(name, {}), exempt)
            if name in self._known:
                self._rules[name] = found
        return found

    async def grow(self, name: str, columns: Mapping[str, Field]) -> ClassSchema:
        """The class with these columns, made or added to as needed. Raises 111 if another writer has given one another type."""

        def change(current: ClassSchema | None) -> tuple[ClassSchema, tuple[str, ...]]:
            base = current or self.blank(name)
            for column, wanted in columns.items():
                settled = base.fields.get(column)
                if settled is not None and settled.label != wanted.label:
                    raise mismatch(name, column, settled, wanted)
            missing = {column: wanted for column, wanted in columns.items() if column not in base.fields}
            return base.with_fields(missing) if missing else base, ()

        async with self._growing:
            known = self._known.get(name)
            # Of those who come at the same time with a new column, one makes it and the others find it made.
            if known is not None and change(known)[0] is known:
                return known
            return await self.alter(name, change)

    async def index_text(self, name: str, column: str) -> ClassSchema:
        """The class with a full-text index on the column, made if there is none; others on the same column do as well."""

        def change(current: ClassSchema | None) -> tuple[ClassSchema, tuple[str, ...]]:
            base = current or self.blank(name)
            if not _wants_text(base, column):
                return base, ()
            return replace(base, indexes={**base.indexes, f"{column}_text": {column: "text"}}), ()

        known = self._known[name]
        return await self.alter(name, change) if _wants_text(known, column) else known

    async def alter(self, name: str, change: Change) -> ClassSchema:
        """Change a definition in the store (`Schemas.alter`), and then in memory. Raises 140 for more columns than a class may have."""

        def checked(current: ClassSchema | None) -> tuple[ClassSchema, Sequence[str]]:
            schema, dropped = change(current)
            if len(schema.fields) > MOST_COLUMNS:
                raise ParseError(Code.EXCEEDED_QUOTA, f"A class has no more than {MOST_COLUMNS} columns.")
            return schema, dropped

        schema = await self._schemas.alter(name, checked)
        known = self._known.get(name)
        if known is not None and known.same_as(schema):
            return known
        self._known[name] = schema
        self._rules.pop(name, None)
        return schema

    async def drop(self, schema: ClassSchema) -> None:
        """Remove a class altogether."""
        await self._schemas.drop(schema)
        self._known.pop(schema.name, None)
        self._rules.pop(schema.name, None)


def knows(schema: ClassSchema, keys: Iterable[str]) -> bool:
    """True if the class has the columns of all keys, dotted ones included."""
    fields = schema.fields
    dotted = [key for key in keys if key not in fields]
    return not dotted or all(key.partition(".")[0] in fields for key in dotted)


def _wants_text(schema: ClassSchema, column: str) -> bool:
    return column in schema.fields and not any(keys.get(column) == "text" for keys in schema.indexes.values())


def mismatch(class_name: str, column: str, expected: Field, got: Field) -> ParseError:
    """111 in Parse's words."""
    return ParseError(Code.INCORRECT_TYPE, f"schema mismatch for {class_name}.{column}; expected {expected.label} but got {got.label}")
