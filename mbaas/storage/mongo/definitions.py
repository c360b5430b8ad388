"""Class definitions as Parse Server keeps them in `_SCHEMA`: a document per class, a key per column.

What Parse Server has no word for (which indexes are unique, which ignore case) stands in `_metadata.mbaas`.
"""

from __future__ import annotations

from typing import Any

from mbaas.kernel.schema import ClassSchema, Field
from mbaas.storage.mongo.format import Bson, key_of

_OWN = "mbaas"
ORDER_INDEX = "mbaas_insertion"
_ALWAYS = {"objectId": Field("String"), "createdAt": Field("Date"), "updatedAt": Field("Date"), "ACL": Field("ACL")}
_TYPES = {kind.lower(): kind for kind in "String Number Boolean Date Object Array GeoPoint Polygon File Bytes".split()}
_NAMES = {"_id": "objectId", "_created_at": "createdAt", "_updated_at": "updatedAt"}


def definition_in(schema: ClassSchema, before: Bson | None) -> Bson:
    """The definition as a document; what `before` keeps in `_metadata` beyond what we know stays."""
    out: Bson = {"_id": schema.name}
    options: Bson = {}
    for name, field in schema.fields.items():
        if name not in _ALWAYS:
            out[name] = _type_in(field)
        chosen = {"required": True} if field.required else {}
        if field.default is not None:
            chosen["defaultValue"] = field.default
        if chosen:
            options[name] = chosen
    # Parse Server itself writes the stamps down as strings, and some versions as dates.
    out.update({stamp: (before or {}).get(stamp, "string") for stamp in ("objectId", "createdAt", "updatedAt")})
    own = {"unique": sorted(schema.unique), "folded": sorted(schema.folded)}
    known = {
        "fields_options": options,
        "class_permissions": schema.permissions,
        "indexes": {name: index_keys(schema, name) for name in schema.indexes},
        _OWN: own if schema.unique or schema.folded else None,
    }
    metadata = {**((before or {}).get("_metadata") or {}), **known}
    out["_metadata"] = {key: value for key, value in metadata.items() if value or (key == "class_permissions" and value is not None)}
    return out


def index_keys(schema: ClassSchema, name: str) -> dict[str, Any]:
    """The keys of an index by MongoDB's names."""
    return {key_of(schema, tuple(key.split("."))): direction for key, direction in schema.indexes[name].items()}


def definition_out(found: Bson) -> ClassSchema:
    """The definition in a document of `_SCHEMA`."""
    metadata = found.get("_metadata") or {}
    options, own = metadata.get("fields_options") or {}, metadata.get(_OWN) or {}
    types = {**{name: _type_out(kind) for name, kind in found.items() if not name.startswith("_")}, **_ALWAYS}
    fields = {}
    for name, field in types.items():
        if field is not None:
            chosen = options.get(name) or {}
            fields[name] = Field(field.type, field.target, bool(chosen.get("required")), chosen.get("defaultValue"))
    indexes, folded = metadata.get("indexes") or {}, frozenset[str](own.get("folded") or ())
    # Parse Server writes every index down that it finds, those too that nobody asked for by name.
    implied = {ORDER_INDEX, *(exact_name(name) for name in folded)}
    return ClassSchema(
        found["_id"],
        fields,
        metadata.get("class_permissions"),
        {
            name: keys if name == "_id_" else {_public(k): kind for k, kind in keys.items()}
            for name, keys in indexes.items()
            if name not in implied
        },
        frozenset(own.get("unique") or ()),
        folded,
    )


def exact_name(name: str) -> str:
    """The index for exact searches that stands beside one which ignores case."""
    return f"{name}_exact"


def _public(key: str) -> str:
    """The path of an index key by public names."""
    if key.startswith("_auth_data_"):
        return "authData." + key.removeprefix("_auth_data_")
    return _NAMES.get(key, key.removeprefix("_p_"))


def _type_in(field: Field) -> str:
    if field.type == "Pointer":
        return f"*{field.target}"
    return f"relation<{field.target}>" if field.type == "Relation" else field.type.lower()


def _type_out(kind: Any) -> Field | None:
    if not isinstance(kind, str):
        return None
    if kind.startswith("*"):
        return Field("Pointer", kind[1:])
    if kind.startswith("relation<"):
        return Field("Relation", kind[len("relation<") : -1])
    found = _TYPES.get("object" if kind == "map" else kind)
    return None if found is None else Field(found)
