"""The classes' definitions as use-cases: read, make, change and drop a class. For the master key only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mbaas.data.app import App
from mbaas.data.class_permissions import OPERATIONS, check_permissions
from mbaas.data.classes import class_name_is_valid, field_name_is_valid, fixed_column, invalid_class_name
from mbaas.data.columns import type_of
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema, Field
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Find

_TYPES = frozenset({"Number", "String", "Boolean", "Date", "Object", "Array", "GeoPoint", "File", "Bytes", "Polygon"})
_BY_ID: Mapping[str, Mapping[str, Json]] = {"_id_": {"_id": 1}}
"""What Parse lists beside the first indexes that an existing class is given."""
_MADE_BY_USE = frozenset({"_Session", "_Installation"})
"""Classes that are always there for us; clients of Parse see them from the first object on."""


async def all(app: App) -> Object:
    """`GET /schemas`."""
    await app.classes.reload()
    return {"results": [describe(app, schema) for schema in app.classes.all() if not await _dormant(app, schema)]}


async def read(app: App, name: str) -> Object:
    """`GET /schemas/:class`."""
    return describe(app, await _known(app, name))


async def create(app: App, name: str, body: Object) -> Object:
    """`POST /schemas/:class`: a class with these columns, permissions and indexes."""
    known = await app.classes.latest(name)
    dormant = known is not None and await _dormant(app, known)

    def change(current: ClassSchema | None) -> tuple[ClassSchema, tuple[str, ...]]:
        if current is not None and not dormant:
            raise ParseError(Code.INVALID_CLASS_NAME, f"Class {name} already exists.")
        if not class_name_is_valid(name):
            raise invalid_class_name(name)
        blank = app.classes.blank(name)
        columns = _columns(name, _object(body.get("fields")), {})
        fields = {**blank.fields, **columns}
        permissions = _permissions(app, body, blank, fields)
        indexes = {**blank.indexes, **_indexes(_object(body.get("indexes")), blank.indexes, fields)}
        return replace(blank, fields=fields, permissions=permissions, indexes=indexes), ()

    return describe(app, await app.classes.alter(name, change))


async def change(app: App, name: str, body: Object) -> Object:
    """`PUT /schemas/:class`: columns and indexes come and go, permissions are replaced."""
    await _known(app, name)
    changed = await app.classes.alter(name, lambda current: _changed(app, name, current, body))
    return _with_configured_protection(app, changed)


def _changed(app: App, name: str, current: ClassSchema | None, body: Object) -> tuple[ClassSchema, list[str]]:
    """What a change makes of a definition, and the columns that go."""
    if current is None:
        raise _unknown(name)
    wanted = _object(body.get("fields"))
    dropped = _dropped(name, current, wanted)
    kept = {k: f for k, f in current.fields.items() if k not in dropped}
    added = {k: v for k, v in wanted.items() if k not in dropped}
    fields = {**kept, **_columns(name, added, kept)}
    permissions = _permissions(app, body, current, fields)
    known = current.indexes if "indexes" not in body or _shown_indexes(app, current) else {**_BY_ID, **current.indexes}
    indexes = _indexes(_object(body.get("indexes")), known, fields)
    indexes = {k: keys for k, keys in indexes.items() if not any(key.partition(".")[0] in dropped for key in keys)}
    return replace(current, fields=fields, permissions=permissions, indexes=indexes), dropped


async def drop(app: App, name: str) -> Object:
    """`DELETE /schemas/:class`: removes an empty class; one that does not exist is gone already."""
    if not class_name_is_valid(name):
        raise invalid_class_name(name)
    schema = await app.classes.latest(name)
    if schema is None:
        return {}
    count = await app.store.documents.count(Find(schema))
    if count:
        text = f"Class {name} is not empty, contains {count} objects, cannot drop schema."
        raise ParseError(Code.INVALID_SCHEMA_OPERATION, text)
    await app.classes.drop(schema)
    return {}


def describe(app: App, schema: ClassSchema) -> Object:
    """The wire form of a definition; indexes that the server needs for itself are not shown."""
    shown: Object = {
        "className": schema.name,
        "fields": {name: column.describe() for name, column in schema.fields.items()},
        "classLevelPermissions": dict(_open(app, schema.name) if schema.permissions is None else schema.permissions),
    }
    indexes = _shown_indexes(app, schema)
    if indexes:
        shown["indexes"] = indexes
    return shown


def _shown_indexes(app: App, schema: ClassSchema) -> Object:
    own = app.classes.unique.get(schema.name, {}).get("indexes", {})
    return {name: dict(keys) for name, keys in schema.indexes.items() if name not in own}


def _with_configured_protection(app: App, schema: ClassSchema) -> Object:
    """A changed definition as Parse Server answers it: the protected fields of the options are among its own."""
    shown = describe(app, schema)
    configured = app.options.protected_fields.get(schema.name)
    if configured:
        groups = dict(shown["classLevelPermissions"].get("protectedFields") or {})
        for who, fields in configured.items():
            groups[who] = list(dict.fromkeys((*groups.get(who, ()), *fields)))
        shown["classLevelPermissions"]["protectedFields"] = groups
    return shown


async def _known(app: App, name: str) -> ClassSchema:
    schema = await app.classes.latest(name)
    if schema is None or await _dormant(app, schema):
        raise _unknown(name)
    return schema


def _unknown(name: str) -> ParseError:
    return ParseError(Code.INVALID_CLASS_NAME, f"Class {name} does not exist.")


async def _dormant(app: App, schema: ClassSchema) -> bool:
    """True for a class that nobody has used or changed yet."""
    if schema.name not in _MADE_BY_USE:
        return False
    blank = app.classes.blank(schema.name)
    if (schema.fields, schema.permissions, schema.indexes) != (blank.fields, blank.permissions, blank.indexes):
        return False
    return not await app.store.documents.count(Find(schema))


def _object(value: Json) -> Object:
    """A part of a definition as an object; a list counts as an object with its positions as keys, as in JavaScript."""
    if isinstance(value, list):
        return {str(i): v for i, v in enumerate(value)}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ParseError(Code.INVALID_JSON, "invalid JSON")
    return value


def _dropped(class_name: str, current: ClassSchema, wanted: Object) -> list[str]:
    """The columns that a change takes away; 255 for one that is not there or that the change would turn into another."""
    dropped: list[str] = []
    for name, column in wanted.items():
        deletes = isinstance(column, dict) and column.get("__op") == "Delete"
        known = current.fields.get(name)
        if known is not None and not deletes and (not isinstance(column, dict) or column.get("type") != known.type):
            raise ParseError(Code.INVALID_SCHEMA_OPERATION, f"Field {name} exists, cannot update.")
        if not deletes:
            continue
        if known is None:
            raise ParseError(Code.INVALID_SCHEMA_OPERATION, f"Field {name} does not exist, cannot delete.")
        if fixed_column(class_name, name):
            raise ParseError(Code.INSTALLATION_IMMUTABLE_FIELD, f"field {name} cannot be changed")
        dropped.append(name)
    return dropped


def _columns(class_name: str, wanted: Object, known: Mapping[str, Field]) -> dict[str, Field]:
    """The columns of a definition, checked; those that are known already take new options only."""
    made: dict[str, Field] = {}
    for name, column in wanted.items():
        if name not in known:
            if not field_name_is_valid(name):
                raise ParseError(Code.INVALID_KEY_NAME, f"invalid field name: {name}")
        if fixed_column(class_name, name):
            if name in known:
                continue
            raise ParseError(Code.INSTALLATION_IMMUTABLE_FIELD, f"field {name} cannot be added")
        made[name] = _column(class_name, name, column)
    points = [name for name, column in {**known, **made}.items() if column.type == "GeoPoint"]
    if len(points) > 1:
        text = f"currently, only one GeoPoint field may exist in an object. Adding {points[1]} when {points[0]} already exists."
        raise ParseError(Code.INCORRECT_TYPE, text)
    return made


def _column(class_name: str, name: str, given: Json) -> Field:
    invalid = ParseError(Code.INVALID_JSON, "invalid JSON")
    if not isinstance(given, dict):
        raise invalid
    kind, target = given.get("type"), given.get("targetClass")
    if kind in ("Pointer", "Relation"):
        if not target:
            raise ParseError(Code.INSTALLATION_MISSING_ID_FIELD, f"type {kind} needs a class name")
        if not isinstance(target, str):
            raise invalid
        if not class_name_is_valid(target):
            raise invalid_class_name(target)
    elif not isinstance(kind, str):
        raise invalid
    elif kind not in _TYPES:
        raise ParseError(Code.INCORRECT_TYPE, f"invalid field type: {kind}")
    field = Field(kind, target if kind in ("Pointer", "Relation") else None, given.get("required") is True, given.get("defaultValue"))
    if "defaultValue" in given:
        _check_default(class_name, name, field)
    elif field.required and kind == "Relation":
        raise ParseError(Code.INCORRECT_TYPE, f"The 'required' option is not applicable for {field.label}")
    return field


def _check_default(class_name: str, name: str, field: Field) -> None:
    if field.default is None:
        return
    got = type_of(field.default)
    if field.type == "Relation" and got is not None and got.target:
        raise ParseError(Code.INCORRECT_TYPE, f"The 'default value' option is not applicable for {field.label}")
    if got is None or got.label != field.label:
        label = got.label if got else "undefined"
        text = f"schema mismatch for {class_name}.{name} default value; expected {field.label} but got {label}"
        raise ParseError(Code.INCORRECT_TYPE, text)


def _open(app: App, name: str) -> Object:
    """Permissions that let everybody do everything, as a class has them for which none are written down."""
    return {**app.classes.default_permissions(name), **{operation: {"*": True} for operation in OPERATIONS}}


def _permissions(app: App, body: Object, current: ClassSchema, fields: Mapping[str, Field]) -> Mapping[str, Json] | None:
    """What a definition makes of the permissions: operations left out are closed, null opens everything, absent leaves them."""
    if "classLevelPermissions" not in body:
        return current.permissions
    given = body["classLevelPermissions"]
    if given is None:
        return _open(app, current.name)
    if not isinstance(given, dict):
        raise ParseError(Code.INVALID_JSON, "classLevelPermissions must be an object")
    check_permissions(given, fields, app.options.allow_custom_object_id)
    checked = {key: {} if key in OPERATIONS and isinstance(granted, list) else granted for key, granted in given.items()}
    return {**{operation: {} for operation in OPERATIONS}, "protectedFields": {}, **checked}


def _indexes(wanted: Object, current: Mapping[str, Mapping[str, Json]], fields: Mapping[str, Field]) -> dict[str, Mapping[str, Json]]:
    made = dict(current)
    for name, keys in wanted.items():
        deletes = isinstance(keys, dict) and keys.get("__op") == "Delete"
        if deletes and name not in made:
            raise ParseError(Code.INVALID_QUERY, f"Index {name} does not exist, cannot delete.")
        if not deletes and name in made:
            raise ParseError(Code.INVALID_QUERY, f"Index {name} exists, cannot update.")
        if deletes:
            del made[name]
            continue
        if not isinstance(keys, dict) or not keys:
            raise ParseError(Code.INVALID_QUERY, f"Index {name} needs the columns it is on.")
        if any("\0" in text for text in (name, *keys)):
            raise ParseError(Code.INVALID_KEY_NAME, "The names of indexes and of what they are on have no NUL.")
        for key, direction in keys.items():
            if key.removeprefix("_p_").partition(".")[0] not in fields:
                raise ParseError(Code.INVALID_QUERY, f"Field {key} does not exist, cannot add index.")
            if direction not in (1, -1, "text", "2dsphere", "2d", "hashed"):
                raise ParseError(Code.INVALID_QUERY, f"Index {name} has an unknown kind for {key}.")
        if twin := next((other for other, columns in made.items() if list(columns.items()) == list(keys.items())), None):
            raise ParseError(Code.INVALID_QUERY, f"Index {twin} is on the same columns, cannot add index {name}.")
        made[name] = keys
    return made
