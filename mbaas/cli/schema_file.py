"""Classes as a file, and what there is to do for a server to have them so.

A file has every class but those that a server keeps for itself, each with its permissions, its indexes, and its fields but the
default ones; of a system class, what differs from what every server begins with. All of it is sorted, but the columns of an
index, whose order counts: the same classes are the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mbaas.data.class_permissions import OPERATIONS
from mbaas.data.classes import MASTER_ONLY, SYSTEM_COLUMNS, permissions_for
from mbaas.kernel.schema import DEFAULT_FIELDS
from mbaas.kernel.values import Json, Object
from mbaas.settings import SettingsError

_PARTS = ("fields", "classLevelPermissions", "indexes")
_BY_ID = {"_id": 1}
"""An index that every class has, and that servers list or do not."""
_DELETE = {"__op": "Delete"}


@dataclass(frozen=True, slots=True)
class ClassState:
    """A class as far as a file tells of it. Without permissions: those that the server has or gives."""

    fields: Mapping[str, Object]
    permissions: Object | None
    indexes: Mapping[str, Object]


State = Mapping[str, ClassState]
_SYSTEM = {name: ClassState({}, permissions_for("*"), {}) for name in SYSTEM_COLUMNS if name not in MASTER_ONLY}
"""The system classes as a server begins with them, whether it has got them yet or not."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to a class: in words, a line each, and as requests. `lost`: the lines by which objects lose something."""

    class_name: str
    lines: list[str]
    requests: list[tuple[str, Object | None]]
    lost: list[str] = field(default_factory=list)


def from_server(described: list[Object]) -> State:
    """The classes that `GET /schemas` tells of."""
    return {**_SYSTEM, **{one["className"]: _state(one["className"], one) for one in described if one["className"] not in MASTER_ONLY}}


def from_file(text: str, place: str) -> State:
    """The classes of a file. SettingsError says what is wrong with it."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{place}: not valid JSON ({error})") from error
    classes = given.get("classes") if isinstance(given, dict) and len(given) == 1 else None
    if not isinstance(classes, dict):
        raise SettingsError(f'{place}: must be {{"classes": {{…}}}}; `mbaas schema pull` writes one')
    for name, one in classes.items():
        if name in MASTER_ONLY:
            raise SettingsError(f"{place}: {name} is the server's own; take it out")
        if not isinstance(one, dict) or not all(key in _PARTS and isinstance(part, dict) for key, part in one.items()):
            raise SettingsError(f"{place}: {name} must be an object that has nothing but the objects {', '.join(_PARTS)}")
        for part in (one.get("fields", {}), one.get("indexes", {})):
            if wrong := [key for key, value in part.items() if not isinstance(value, dict)]:
                raise SettingsError(f"{place}: {wrong[0]} of {name} must be an object")
    return {**_SYSTEM, **{name: _state(name, one) for name, one in classes.items()}}


def to_file(state: State) -> str:
    """The text of a file."""
    classes = {name: _written(name, one) for name, one in sorted(state.items()) if one != _SYSTEM.get(name)}
    return json.dumps({"classes": classes}, indent=2, ensure_ascii=False) + "\n"


def changes(current: State, wanted: State, there: frozenset[str]) -> list[Change]:
    """What makes one state the other; `there` are the classes that the server has got."""
    made = []
    for name in sorted({*current, *wanted}):
        if name not in wanted:
            line = f"- class {name}"
            made.append(Change(name, [line], [("DELETE", None)], [line]))
        elif name not in there:
            if wanted[name] != current.get(name):
                made.append(_created(name, wanted[name]))
        elif (change := _changed(name, current[name], wanted[name])).lines:
            made.append(change)
    return made


def _state(name: str, described: Object) -> ClassState:
    own = {*DEFAULT_FIELDS, *SYSTEM_COLUMNS.get(name, {})}
    permissions = described.get("classLevelPermissions")
    if permissions is not None:
        permissions = {**{operation: {} for operation in OPERATIONS}, "protectedFields": {}, **permissions}
    elif name in _SYSTEM:
        permissions = permissions_for("*")
    return ClassState(
        {key: _sorted(value) for key, value in described.get("fields", {}).items() if key not in own},
        _sorted(permissions),
        {key: value for key, value in described.get("indexes", {}).items() if value != _BY_ID},
    )


def _written(name: str, one: ClassState) -> Object:
    known = _SYSTEM.get(name)
    parts: Object = {} if known and not one.fields else {"fields": dict(sorted(one.fields.items()))}
    if one.permissions is not None and not (known and one.permissions == known.permissions):
        parts["classLevelPermissions"] = one.permissions
    if one.indexes:
        parts["indexes"] = dict(sorted(one.indexes.items()))
    return parts


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _sorted(inner) for key, inner in sorted(value.items())}
    return [_sorted(inner) for inner in value] if isinstance(value, list) else value


def _created(name: str, wanted: ClassState) -> Change:
    lines = [f"+ class {name}"]
    lines += [f"+ field {name}.{key} {_shown(value)}" for key, value in sorted(wanted.fields.items())]
    lines += [f"+ permission {name}.{key} {_shown(value)}" for key, value in sorted((wanted.permissions or {}).items())]
    lines += [f"+ index {name}.{key} {_shown(value)}" for key, value in sorted(wanted.indexes.items())]
    body = {"className": name, **_body(wanted.fields, wanted.permissions, wanted.indexes)}
    return Change(name, lines, [("POST", body)])


def _changed(name: str, current: ClassState, wanted: ClassState) -> Change:
    gone = {key for key, known in current.fields.items() if _kind(known) != _kind(wanted.fields.get(key))}
    fields = {key: value for key, value in wanted.fields.items() if key in gone or value != current.fields.get(key)}
    before, after = current.permissions or {}, wanted.permissions or current.permissions or {}
    # What is on a field that goes has to go with it, even if it comes again.
    dropped = {key for key, known in current.indexes.items() if _on(known) & gone or _columns(known) != _columns(wanted.indexes.get(key))}
    indexes = {key: value for key, value in wanted.indexes.items() if key in dropped or key not in current.indexes}
    of_fields = dict(_lines(f"field {name}", current.fields, wanted.fields))
    lines = [*of_fields.values(), *dict(_lines(f"permission {name}", before, after)).values()]
    lines += dict(_lines(f"index {name}", current.indexes, wanted.indexes)).values()
    requests: list[tuple[str, Object | None]] = []
    if gone or dropped:
        requests.append(("PUT", _body(dict.fromkeys(gone, _DELETE), None, dict.fromkeys(dropped, _DELETE))))
    if fields or before != after or indexes:
        requests.append(("PUT", _body(fields, None if before == after else after, indexes)))
    return Change(name, lines, requests, [line for key, line in of_fields.items() if key in gone])


def _lines(what: str, current: Mapping[str, Json], wanted: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Each name of which something becomes, with the line that says what."""
    for key in sorted({*current, *wanted}):
        old, new = current.get(key), wanted.get(key)
        if key not in current:
            yield key, f"+ {what}.{key} {_shown(new)}"
        elif key not in wanted:
            yield key, f"- {what}.{key} {_shown(old)}"
        elif _shown(old) != _shown(new):
            yield key, f"~ {what}.{key} {_shown(old)} -> {_shown(new)}"


def _body(fields: Mapping[str, Json], permissions: Object | None, indexes: Mapping[str, Json]) -> Object:
    parts = {"fields": dict(fields), "classLevelPermissions": permissions, "indexes": dict(indexes)}
    return {key: part for key, part in parts.items() if part}


def _kind(column: Object | None) -> tuple[Json, Json] | None:
    """What of a field cannot be changed while objects have it."""
    return None if column is None else (column.get("type"), column.get("targetClass"))


def _on(index: Object) -> set[str]:
    """The fields that an index is on; on MongoDB the column of a pointer may be named as it is there."""
    return {column.removeprefix("_p_").partition(".")[0] for column in index}


def _columns(index: Object | None) -> list[tuple[str, Json]] | None:
    return None if index is None else list(index.items())


def _shown(value: Json) -> str:
    """A value on one line: a field by its type, where it has nothing more."""
    if isinstance(value, dict) and value.keys() == {"type"}:
        return str(value["type"])
    return json.dumps(value, ensure_ascii=False)
