"""What a class lets whom do: class-level permissions, pointer permissions, protected fields.

One record per class, compiled from its definition when that changes, asked by every entrance: REST, batch, include,
subqueries, aggregates, live queries. Source: the Parse Server guide, and the order of checks of 9.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError, forbidden
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, Object, pointer
from mbaas.query.ast import EVERYTHING, NOTHING, Equals, Node, Or

OPEN_ACL = {"*": {"read": True, "write": True}}
READS = frozenset({"get", "find", "count"})
_ALWAYS = frozenset({"objectId", "createdAt", "updatedAt", "score", "$score"})
"""What is shared of every object."""


class Rules:
    """The permissions of one class."""

    def __init__(self, schema: ClassSchema, more_protected: Mapping[str, tuple[str, ...]], owner_exempt: bool) -> None:
        permissions = schema.permissions
        self.schema = schema
        self.permissions: Mapping[str, Any] | None = permissions
        self._owner_exempt = owner_exempt
        self._groups = self._protected_groups(permissions, more_protected)
        self._shared: frozenset[str] | None = None
        self.protects = any(self._groups.values()) or any(k.startswith("userField:") for k in self._groups)
        self._open = frozenset(op for op in (*READS, "create", "update", "delete", "addField") if self._public(op))
        default = (permissions or {}).get("ACL")
        self.default_acl: Object | None = None if default == OPEN_ACL else default
        """The access list of new objects whose client sends none; None where that is the open one."""
        self.demanding = tuple(name for name, f in schema.fields.items() if f.required or f.default is not None)
        """Columns that a create must look at even where the client leaves them out."""
        special = {"File", "Relation"}
        self.stored_is_answer = not self.protects and not any(f.type in special for f in schema.fields.values())
        """True if an object's stored bytes may be sent to whoever may read it."""

    @staticmethod
    def _protected_groups(permissions: Mapping[str, Any] | None, more: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        groups = {k: tuple(v) for k, v in ((permissions or {}).get("protectedFields") or {}).items()}
        for who, fields in more.items():
            groups[who] = tuple(dict.fromkeys((*groups.get(who, ()), *fields)))
        return groups

    def sharing(self, fields: frozenset[str]) -> Rules:
        """The same for one with whom no more than these fields are shared. `*` is all but the access list, which has to be named."""
        made = copy(self)
        made._shared = fields
        made.protects, made.stored_is_answer = True, False
        return made

    def shares(self, name: str) -> bool:
        """True if the field is not kept from the one to whom these rules are narrowed."""
        return self._shared is None or name in _ALWAYS or name in self._shared or ("*" in self._shared and name != "ACL")

    def _public(self, operation: str) -> bool:
        if not self.permissions or self.permissions.get(operation) is None:
            return True
        return bool(self.permissions[operation].get("*"))

    def is_open(self, operation: str) -> bool:
        """True if everybody may."""
        return operation in self._open

    @property
    def reading(self) -> Json:
        """What of the definition decides who finds which objects, and sees which of their fields."""
        permissions = self.permissions or {}
        granted = None if self.is_open("find") else [permissions["find"], permissions.get("readUserFields") or []]
        reading: list[Json] = [granted, self._groups if self.protects else {}, self._owner_exempt]
        return reading if self._shared is None else [*reading, sorted(self._shared)]

    def _granted(self, caller: Caller, operation: str) -> bool:
        if operation in self._open or caller.omnipotent:
            return True
        granted = (self.permissions or {})[operation]
        return any(granted.get(who) is True for who in caller.principals)

    def check(self, caller: Caller, operation: str, on_update: bool = False) -> None:
        """Refuse an operation on the class; pointer permissions may still narrow what passes. Raises 119, or 101 to the signed-out."""
        if operation in self._open or self._granted(caller, operation):
            return
        permissions = self.permissions or {}
        granted = permissions[operation]
        if granted.get("requiresAuthentication"):
            if caller.user_id is None:
                text = "Permission denied, user needs to be authenticated."
                raise ParseError(Code.OBJECT_NOT_FOUND, text, sanitized="Permission denied")
            return
        denied = forbidden(f"Permission denied for action {operation} on class {self.schema.name}.")
        if operation == "create":
            raise denied
        if permissions.get("readUserFields" if operation in READS else "writeUserFields"):
            return
        if granted.get("pointerFields") and (operation != "addField" or on_update):
            return
        raise denied

    def narrowed(self, caller: Caller, operation: str) -> Node:
        """The objects that pointer permissions leave to the caller: EVERYTHING if none apply."""
        if operation in self._open or self._granted(caller, operation):
            return EVERYTHING
        permissions = self.permissions or {}
        fields = dict.fromkeys(permissions[operation].get("pointerFields") or ())
        fields.update(dict.fromkeys(permissions.get("readUserFields" if operation in READS else "writeUserFields") or ()))
        if not fields:
            return EVERYTHING
        if caller.user_id is None:
            return NOTHING
        me = pointer("_User", caller.user_id)
        parts = tuple(Equals((name,), me) for name in fields)
        return parts[0] if len(parts) == 1 else Or(parts)

    def protected(self, caller: Caller) -> frozenset[str]:
        """Fields hidden from the caller by the groups she is in, before any that depend on the object: the groups' intersection."""
        if not self.protects or caller.omnipotent:
            return frozenset()
        applies = [set(self._groups["*"])] if "*" in self._groups else []
        if caller.user_id is not None:
            names = ("authenticated", caller.user_id, *(f"role:{role}" for role in caller.roles))
            applies += [set(self._groups[name]) for name in names if name in self._groups]
        else:
            applies += [set(self._groups[name]) for name in caller.principals if name.startswith("partner:") and name in self._groups]
        return frozenset(set.intersection(*applies)) if applies else frozenset()

    def protected_in(self, caller: Caller, body: Object, hidden: frozenset[str]) -> frozenset[str]:
        """Fields hidden from the caller in one object: `hidden`, less what a `userField:` group of hers uncovers."""
        if caller.omnipotent:
            return frozenset()
        if self.owns(caller, body.get("objectId")):
            return frozenset()
        if self._shared is not None:
            # Asked of the object itself: it may have columns by now that this process has not heard of.
            return hidden | {name for name in body if not self.shares(name)} | {n for n in self.schema.fields if not self.shares(n)}
        applies = [frozenset(v) for k, v in self._groups.items() if k.startswith("userField:") and _names(body.get(k[10:]), caller.user_id)]
        return hidden.intersection(*applies)

    def owns(self, caller: Caller, object_id: Json) -> bool:
        """True if the object is the caller herself, and her own protected fields are shown to her."""
        return self._owner_exempt and caller.user_id is not None and object_id == caller.user_id

    def refuse_protected(self, caller: Caller, path: tuple[str, ...], verb: str) -> None:
        """119 for a condition (`query`) or an order (`sort by`) on a field that the caller may not see."""
        if not self.protects:
            return
        hidden = self.protected(caller)
        name = ".".join(path)
        if path[0] in hidden or name in hidden or not self.shares(path[0]):
            raise forbidden(f"This user is not allowed to {verb} {name} on class {self.schema.name}")


def _names(value: Json, user_id: str | None) -> bool:
    """True if a pointer, or a list of them, points at the user."""
    if user_id is None:
        return False
    listed = value if isinstance(value, list) else [value]
    return any(isinstance(v, dict) and v.get("objectId") == user_id for v in listed)
