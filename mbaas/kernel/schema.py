"""A class's definition: columns, permissions, indexes. Plain frozen data, shared by the rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mbaas.kernel.values import Json, Object

DEFAULT_FIELDS = ("objectId", "createdAt", "updatedAt", "ACL")


@dataclass(frozen=True, slots=True)
class Field:
    """One column. `type` is Parse's: String Number Boolean Date Object Array GeoPoint Polygon File Bytes Pointer Relation ACL."""

    type: str
    target: str | None = None
    required: bool = False
    default: Json = None

    def describe(self) -> Object:
        """The wire form, as `/schemas` shows it."""
        shown: Object = {"type": self.type}
        if self.target:
            shown["targetClass"] = self.target
        if self.required:
            shown["required"] = True
        if self.default is not None:
            shown["defaultValue"] = self.default
        return shown

    @property
    def label(self) -> str:
        """The type as error texts spell it: `Pointer<_User>`, `String`."""
        return f"{self.type}<{self.target}>" if self.target else self.type


@dataclass(frozen=True, slots=True, eq=False)
class ClassSchema:
    """One class, compared by identity: a changed definition is another value. `fields` holds the default columns too;
    `permissions` is the wire form of classLevelPermissions.

    `indexes` maps a name to its ordered keys: {"by_score": {"score": 1}}, 1 ascending, -1 descending, "text" or "2dsphere".
    `unique` lists indexes (by name) that refuse a second object with the same values; a name in `folded` ignores case.
    """

    name: str
    fields: Mapping[str, Field]
    permissions: Mapping[str, Any] | None = None
    indexes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unique: frozenset[str] = frozenset()
    folded: frozenset[str] = frozenset()

    def with_fields(self, more: Mapping[str, Field]) -> ClassSchema:
        """A copy with further columns."""
        return replace(self, fields={**self.fields, **more})

    def same_as(self, other: ClassSchema | None) -> bool:
        """True if another value says the same."""
        return other is not None and self._said() == other._said()

    def _said(self) -> tuple[Any, ...]:
        indexes = {name: list(keys.items()) for name, keys in self.indexes.items()}
        return self.name, self.fields, self.permissions, indexes, self.unique, self.folded


def new_class(name: str, fields: Mapping[str, Field] | None = None, **more: Any) -> ClassSchema:
    """A class with the four default columns and these."""
    base = {"objectId": Field("String"), "createdAt": Field("Date"), "updatedAt": Field("Date"), "ACL": Field("ACL")}
    return ClassSchema(name, {**base, **(fields or {})}, **more)
