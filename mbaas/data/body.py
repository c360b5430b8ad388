"""What a client sends to write: checked against the class, and turned into operators, relations and new columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mbaas.data.classes import field_name_is_valid, mismatch
from mbaas.data.columns import ARRAY, OBJECT, nested_key, stored, stored_inside, type_of
from mbaas.kernel import acl
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.ops import Add, AddUnique, Increment, Op, Remove, Set, Unset
from mbaas.kernel.schema import ClassSchema, Field
from mbaas.kernel.values import Json, Object, is_number

_MANAGED = ("objectId", "createdAt", "updatedAt")
_SCALARS = (str, int, float, bool)
_LEVELS = 30
"""How deep a dotted key may reach; what it puts there may nest as deep as any body, and both together still fit into an answer."""
_ECHOED = ("Increment", "Add", "AddUnique", "Remove", "SetOnInsert")


@dataclass(slots=True)
class Relations:
    """What a write does to one relation column."""

    target: str
    add: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Change:
    """A checked body. `echo` lists the paths whose resulting value the answer tells; `columns` are new to the class."""

    ops: list[Op] = field(default_factory=list)
    columns: dict[str, Field] = field(default_factory=dict)
    relations: dict[str, Relations] = field(default_factory=dict)
    echo: list[tuple[str, ...]] = field(default_factory=list)


def columns_of(schema: ClassSchema, body: Object) -> dict[str, Field]:
    """The columns that a body needs beyond the class's. Raises 105 for a name, 111 for a type, in the order of the fields."""
    wanted: dict[str, Field] = {}
    if sum([type(value) is dict and value.get("__type") == "GeoPoint" for value in body.values()]) > 1:
        raise ParseError(Code.INCORRECT_TYPE, "there can only be one geopoint field in a class")
    for name, value in body.items():
        kind = type_of(value)
        known = schema.fields.get(name)
        if known is not None and kind is not None and known.type == kind.type and known.target == kind.target:
            continue
        if name == "ACL" or kind is None:
            if kind is None:
                _root(name)
            continue
        root = _root(name)
        if root != name:
            kind = ARRAY if name[len(root) + 1 :].partition(".")[0].isdigit() else OBJECT
        known = schema.fields.get(root) or wanted.get(root)
        if known is None:
            if kind.type == "GeoPoint" and any(f.type == "GeoPoint" for f in schema.fields.values()):
                raise ParseError(Code.INCORRECT_TYPE, "MongoDB only supports one GeoPoint field in a class.")
            wanted[root] = kind
        elif known.type != kind.type or known.target != kind.target:
            raise mismatch(schema.name, root, known, kind)
    return wanted


def adds_columns(schema: ClassSchema, body: Object) -> bool:
    """True if the body names a key that the class has no column for, whatever its value, unless it takes the key away."""
    return not body.keys() <= schema.fields.keys() and any(
        name.partition(".")[0] not in schema.fields and not (isinstance(value, dict) and value.get("__op") == "Delete")
        for name, value in body.items()
    )


def _root(name: str) -> str:
    """The column that a key addresses; a key that starts with a dot is no path."""
    if name.find(".") <= 0:
        if not field_name_is_valid(name):
            raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name: {name}.")
        return name
    root, *below = name.split(".")
    if not field_name_is_valid(root):
        raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name: {root}.")
    if "" in below or len(below) > _LEVELS:
        raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name: {name[:200]}.")
    if "$" in name:
        raise nested_key()
    return root


def read_update(schema: ClassSchema, body: Object) -> Change:
    """The operators of an update. Null in a pointer column takes the pointer away."""
    change = Change()
    for name, value in body.items():
        if name in _MANAGED:
            continue
        path = tuple(name.split("."))
        if value is None and _is_pointer(schema, name):
            change.ops.append(Unset(path))
            continue
        if name == "ACL":
            if value is not None:
                change.ops.append(Set(path, acl.normal(value)))
        elif isinstance(value, dict) and value.get("__op"):
            _operator(change, path, value)
        elif isinstance(value, dict) and value.get("__type") == "Relation":
            continue
        else:
            change.ops.append(Set(path, stored(value) if len(path) == 1 else stored_inside(value)))
    return change


def _is_pointer(schema: ClassSchema, name: str) -> bool:
    column = schema.fields.get(name)
    return column is not None and column.type == "Pointer"


def read_create(schema: ClassSchema, body: Object) -> tuple[Object, Change]:
    """The first state of an object, and its relations. Operators act on nothing: Increment gives its amount, Add its list."""
    made: Object = {}
    change = Change()
    for name, value in body.items():
        if name in _MANAGED or (value is None and _is_pointer(schema, name)):
            continue
        if type(value) in _SCALARS and name != "ACL" and "." not in name:
            made[name] = value
            continue
        path = tuple(name.split("."))
        if name == "ACL":
            if value is not None:
                made["ACL"] = acl.normal(value)
            continue
        if isinstance(value, dict) and value.get("__op"):
            if _collect_relation(change, path, value):
                continue
            if value["__op"] == "Delete":
                continue
            value = _initial(value)
            change.echo.append(path)
        elif isinstance(value, dict) and value.get("__type") == "Relation":
            continue
        _place(made, path, stored(value))
    return made, change


def _initial(op: Object) -> Json:
    name = op["__op"]
    wrong = ParseError(Code.INVALID_JSON, "objects to add must be an array")
    if name == "Increment":
        if not is_number(op.get("amount")):
            raise wrong
        return op["amount"]
    if name == "SetOnInsert":
        return op.get("amount")
    if not isinstance(op.get("objects"), list):
        raise wrong
    return [] if name == "Remove" else op["objects"]


def _place(made: Object, path: tuple[str, ...], value: Json) -> None:
    """Put a value at a dotted key, making the objects on the way."""
    at = made
    for key in path[:-1]:
        below = at.setdefault(key, {})
        if not isinstance(below, dict):
            raise ParseError(Code.INCORRECT_TYPE, f"the value at {'.'.join(path)} is not an object")
        at = below
    at[path[-1]] = value


def _operator(change: Change, path: tuple[str, ...], value: Object) -> None:
    if _collect_relation(change, path, value):
        return
    name = value["__op"]
    if name == "Delete":
        change.ops.append(Unset(path))
    elif name == "Increment":
        if not is_number(value.get("amount")):
            raise ParseError(Code.INVALID_JSON, "incrementing must provide a number")
        change.ops.append(Increment(path, value["amount"]))
    elif name != "SetOnInsert":
        kind: Any = _LISTS[name]
        given = value.get("objects")
        if not isinstance(given, list):
            verb = "remove" if name == "Remove" else "add"
            raise ParseError(Code.INVALID_JSON, f"objects to {verb} must be an array")
        change.ops.append(kind(path, tuple(stored(given))))
    if name in _ECHOED:
        change.echo.append(path)


_LISTS = {"Add": Add, "AddUnique": AddUnique, "Remove": Remove}


def _collect_relation(change: Change, path: tuple[str, ...], value: Object) -> bool:
    name = value["__op"]
    if name == "Batch":
        for op in value["ops"]:
            if not _collect_relation(change, path, op):
                raise ParseError(Code.INVALID_JSON, "Batch takes operations on relations only")
        return True
    if name not in ("AddRelation", "RemoveRelation"):
        return False
    objects = value.get("objects")
    if not isinstance(objects, list):
        raise ParseError(Code.INVALID_JSON, f"{name} needs a list of pointers")
    for item in objects:
        if not isinstance(item, dict) or not isinstance(item.get("objectId"), str):
            raise ParseError(Code.INVALID_JSON, f"{name} needs a list of pointers")
        into = change.relations.setdefault(path[0], Relations(item.get("className") or ""))
        gains, loses = (into.add, into.remove) if name == "AddRelation" else (into.remove, into.add)
        if item["objectId"] in loses:
            loses.remove(item["objectId"])
        gains.append(item["objectId"])
    return True


def fill(schema: ClassSchema, names: Iterable[str], body: Object, creating: bool) -> set[str]:
    """Put defaults in where a create leaves a column out, and refuse what leaves a required one empty (142).

    `names` are the columns to look at. Returns those that were filled in.
    """
    filled: set[str] = set()
    for name in names:
        column = schema.fields.get(name)
        if column is None or not (column.required or column.default is not None):
            continue
        value = body.get(name)
        deletes = isinstance(value, dict) and value.get("__op") == "Delete"
        if name in body and not deletes and value not in (None, ""):
            continue
        if creating and column.default is not None and (name not in body or deletes):
            body[name] = column.default
            filled.add(name)
        elif column.required:
            raise ParseError(Code.VALIDATION_ERROR, f"{name} is required")
    return filled
