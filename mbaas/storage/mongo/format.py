"""Whole documents between the wire form and Parse Server's own format in MongoDB.

What Parse Server has no place for is kept below `_acl`: it writes that key for readers of old and never reads it, and it is
the only one that it passes over in silence (a column would be shown to clients, an unknown key with `_` is an error to it).
`v` counts our writes, `at` is when the last one was, `o` sorts by insertion, and `u` is `_updated_at` as we left it: where it
differs, Parse Server wrote in between, and the version is then the instant of that write. `q` marks a write of hidden fields
alone, which is not fed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bson import ObjectId
from bson.datetime_ms import DatetimeMS

from mbaas.kernel.acl import PUBLIC, allowed
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, Object
from mbaas.query.ast import Path
from mbaas.storage.mongo.values import column_value, shown, shown_column, shown_pointer, stamp, stored
from mbaas.storage.ports import Document

Bson = dict[str, Any]
"""A document as the driver takes and gives it."""
NOTES = "_acl"
INSERTION = [("_created_at", 1), (f"{NOTES}.o", 1)]
"""Sorts by insertion; what Parse Server inserted has no `o`, and comes in the order of creation."""

_NAMES = {"objectId": "_id", "createdAt": "_created_at", "updatedAt": "_updated_at"}
_OWN = frozenset({"_id", "_rperm", "_wperm", NOTES})
_AUTH = "_auth_data_"


def key_of(schema: ClassSchema, path: Path) -> str:
    """The key in MongoDB for a path of public names."""
    if any(not part or part.startswith("$") or "." in part or "\0" in part for part in path):
        raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name: {'.'.join(path)}.")
    head, *rest = path
    if head == "authData" and schema.name == "_User" and rest:
        return ".".join([_AUTH + rest[0], *rest[1:]])
    if head == "ACL":
        return "_rperm"
    field = schema.fields.get(head)
    if field is not None and field.type == "GeoPoint" and rest:
        rest[0] = {"longitude": "0", "latitude": "1"}.get(rest[0], rest[0])
    return ".".join([column_key(schema, head), *rest])


def column_key(schema: ClassSchema, name: str) -> str:
    """The key in MongoDB for a column."""
    field = schema.fields.get(name)
    return f"_p_{name}" if field is not None and field.type == "Pointer" else _NAMES.get(name, name)


def notes(version: int, at: int, order: Any, updated: Any) -> Bson:
    """What is kept below `_acl`."""
    return {"v": version, "at": at, "o": order, "u": updated}


def version_of(found: Bson) -> int:
    """How many writes the document has seen, or the instant of Parse Server's last one."""
    kept, updated = found.get(NOTES), found.get("_updated_at")
    if isinstance(kept, dict) and isinstance(kept.get("v"), int) and kept.get("u") == updated:
        return int(kept["v"])
    return int(updated) if isinstance(updated, DatetimeMS) else 1


def written_at(found: Bson) -> int | None:
    """When our clock says that the document was written last; None if Parse Server wrote it."""
    kept = found.get(NOTES)
    return int(kept["at"]) if isinstance(kept, dict) and "at" in kept and kept.get("u") == found.get("_updated_at") else None


def columns_in(schema: ClassSchema, body: Mapping[str, Json], names: Iterable[str]) -> Bson:
    """The keys and values that these columns of the body become."""
    out: Bson = {}
    for name in names:
        value = body[name]
        if name == "ACL":
            if value is not None:
                out["_rperm"], out["_wperm"] = list(allowed(value, "read") or ()), list(allowed(value, "write") or ())
        elif name in ("createdAt", "updatedAt"):
            instant = from_iso(value) if isinstance(value, str) else None
            out[_NAMES[name]] = stored(value) if instant is None else DatetimeMS(instant)
        elif name == "authData" and schema.name == "_User" and isinstance(value, dict):
            out.update({_AUTH + provider: stored(data) for provider, data in value.items()})
        elif not (isinstance(value, dict) and value.get("__type") == "Relation"):
            out[column_key(schema, name)] = column_value(schema, name, value)
    return out


def document_in(schema: ClassSchema, document: Document, at: int) -> Bson:
    """A new document as it is inserted."""
    body = document.body
    out = columns_in(schema, body, body)
    out.update({key: stored(value) for key, value in document.hidden.items()})
    out[NOTES] = notes(1, at, ObjectId(), out.get("_updated_at"))
    return out


def document_out(schema: ClassSchema, found: Bson) -> Document:
    """A document as the ports show it."""
    body: Object = {"objectId": str(found["_id"])}
    hidden: Object = {}
    for key, value in found.items():
        if not key.startswith("_"):
            body[key] = shown_column(schema, key, value)
        elif key in ("_created_at", "_updated_at"):
            if value is not None:
                body["createdAt" if key == "_created_at" else "updatedAt"] = stamp(value)
        elif key.startswith("_p_"):
            body[key[3:]] = None if value is None else shown_pointer(value)
        elif key.startswith(_AUTH) and schema.name == "_User":
            body.setdefault("authData", {})[key[len(_AUTH) :]] = shown(value)
        elif key not in _OWN:
            hidden[key] = shown(value)
        elif key in ("_rperm", "_wperm") and value is not None and "ACL" not in body:
            body["ACL"] = _access(found)
    return Document(body, hidden, version_of(found))


def _access(found: Bson) -> Object:
    """The access list of which MongoDB keeps the two columns. Where one is not there everybody has that right, as in a query."""
    acl: Object = {}
    for key, permission in (("_rperm", "read"), ("_wperm", "write")):
        granted = found.get(key)
        for principal in (PUBLIC,) if granted is None else granted if isinstance(granted, list) else ():
            if isinstance(principal, str):
                acl.setdefault(principal, {})[permission] = True
    return acl


def changes(schema: ClassSchema, before: Document, after: Document) -> tuple[Bson, set[str]]:
    """What an update sets, and which keys go: only what the operators touched, so that all else stays as it is, whoever wrote it."""
    old, new = before.body, after.body
    touched = [name for name in new if name not in old or new[name] is not old[name]]
    put = columns_in(schema, new, touched)
    gone = columns_in(schema, old, [name for name in old if name not in new or name in touched])
    for key, value in after.hidden.items():
        if key not in before.hidden or value is not before.hidden[key]:
            put[key] = stored(value)
    return put, {*gone, *(key for key in before.hidden if key not in after.hidden)} - put.keys()
