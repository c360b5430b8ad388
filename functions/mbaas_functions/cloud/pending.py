"""What has been done to a field since the object was read: the operators, how one follows another, and their wire form.

Source: the rules of the Parse JS SDK (`ParseOp`), since triggers are written with them in mind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mbaas.kernel.values import Json, Object
from mbaas_functions.cloud.errors import Error
from mbaas_functions.cloud.values import decode, encode


@dataclass(slots=True)
class Set:
    value: Any

    def after(self, before: Op | None) -> Op:
        return self

    def apply(self, value: Any) -> Any:
        return self.value

    def to_json(self) -> Json:
        return encode(self.value)


@dataclass(slots=True)
class Unset:
    def after(self, before: Op | None) -> Op:
        return self

    def apply(self, value: Any) -> Any:
        return None

    def to_json(self) -> Json:
        return {"__op": "Delete"}


@dataclass(slots=True)
class Increment:
    amount: float

    def after(self, before: Op | None) -> Op:
        if isinstance(before, Increment):
            return Increment(before.amount + self.amount)
        return self if before is None else Set(self.apply(before.apply(None)))

    def apply(self, value: Any) -> Any:
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise Error("Cannot increment a non-numeric value", code=111)
        return (value or 0) + self.amount

    def to_json(self) -> Json:
        return {"__op": "Increment", "amount": self.amount}


@dataclass(slots=True)
class Lists:
    """Add, AddUnique and Remove: `verb` says which."""

    verb: str
    values: list[Any]

    def after(self, before: Op | None) -> Op:
        if before is None:
            return self
        if isinstance(before, Lists) and before.verb == self.verb:
            return Lists(self.verb, before.values + [v for v in self.values if self.verb == "Add" or v not in before.values])
        if isinstance(before, Unset) and self.verb == "Remove":
            return before
        if isinstance(before, (Set, Unset)):
            return Set(self.apply(before.apply(None)))
        raise Error(f"{self.verb} cannot follow {getattr(before, 'verb', type(before).__name__)} on one field before a save", code=107)

    def apply(self, value: Any) -> Any:
        if value is not None and not isinstance(value, list):
            raise Error(f"{self.verb} needs a list, not a {type(value).__name__}", code=111)
        there = list(value or ())
        if self.verb == "Add":
            return there + self.values
        if self.verb == "AddUnique":
            return there + [v for place, v in enumerate(self.values) if v not in there and v not in self.values[:place]]
        return [v for v in there if v not in self.values]

    def to_json(self) -> Json:
        return {"__op": self.verb, "objects": encode(self.values)}


@dataclass(slots=True)
class Relate:
    """What a relation gains and loses: pointers by their ids."""

    class_name: str
    add: dict[str, None]
    remove: dict[str, None]

    def after(self, before: Op | None) -> Op:
        if before is None:
            return self
        if not isinstance(before, Relate):
            raise Error("a relation cannot be changed after its field was set or unset", code=111)
        gained = {**{i: None for i in before.add if i not in self.remove}, **self.add}
        lost = {**{i: None for i in before.remove if i not in self.add}, **self.remove}
        return Relate(self.class_name or before.class_name, gained, lost)

    def apply(self, value: Any) -> Any:
        return value

    def to_json(self) -> Json:
        parts = [self._part("AddRelation", self.add), self._part("RemoveRelation", self.remove)]
        there = [part for part in parts if part["objects"]]
        return there[0] if len(there) == 1 else {"__op": "Batch", "ops": there}

    def _part(self, verb: str, ids: dict[str, None]) -> Object:
        return {"__op": verb, "objects": [{"__type": "Pointer", "className": self.class_name, "objectId": i} for i in ids]}


Op = Set | Unset | Increment | Lists | Relate


def from_wire(value: Json) -> Op:
    """The operator that a client's value for a field is."""
    name = value.get("__op") if isinstance(value, dict) else None
    if name is None:
        return Set(decode(value))
    if name == "Delete":
        return Unset()
    if name == "Increment":
        return Increment(value.get("amount", 1))
    if name == "SetOnInsert":
        return Set(decode(value.get("amount")))
    if name in ("Add", "AddUnique", "Remove"):
        return Lists(name, decode(value.get("objects") or []))
    if name in ("AddRelation", "RemoveRelation", "Batch"):
        return _related(value["ops"] if name == "Batch" else [value])
    raise Error(f"unknown operator {name}", code=107)


def _related(parts: Sequence[Object]) -> Op:
    made: Op | None = None
    for part in parts:
        pointers = [p for p in part.get("objects") or () if isinstance(p, dict)]
        ids = dict.fromkeys(str(p.get("objectId")) for p in pointers)
        target = str(pointers[0].get("className")) if pointers else ""
        gains = part.get("__op") == "AddRelation"
        made = Relate(target, ids if gains else {}, {} if gains else ids).after(made)
    return made or Relate("", {}, {})
