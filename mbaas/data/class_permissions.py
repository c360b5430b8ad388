"""Class-level permissions as they are sent: which keys and values they may have. Parse Server's texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mbaas.kernel.acl import GROUPS
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import DEFAULT_FIELDS, Field
from mbaas.kernel.values import Json, Object, js_text

OPERATIONS = ("find", "count", "get", "create", "update", "delete", "addField")
_USER_FIELDS = ("readUserFields", "writeUserFields")
_VALID = frozenset({"ACL", *OPERATIONS, *_USER_FIELDS, "protectedFields"})
_USER_ID = re.compile(r"[a-zA-Z0-9]+\Z")


def check_permissions(given: Object, fields: Mapping[str, Field], custom_ids: bool) -> None:
    """107 for the first thing in `given` that class-level permissions do not know."""
    for operation, granted in given.items():
        if operation not in _VALID:
            raise _wrong(f"{operation} is not a valid operation for class level permissions")
        if operation in _USER_FIELDS:
            if not isinstance(granted, list):
                raise _wrong(f"'{js_text(granted)}' is not a valid value for class level permissions {operation} - must be an array")
            for name in granted:
                _check_pointer(name, fields, operation)
            continue
        if isinstance(granted, list):
            granted = {str(i): value for i, value in enumerate(granted)}
        if not isinstance(granted, dict):
            raise _wrong(f"'{js_text(granted)}' is not a valid value for class level permissions {operation} - must be an object")
        for who, value in granted.items():
            if operation == "protectedFields":
                _check_protected(who, value, fields, custom_ids)
            else:
                _check_grant(operation, who, value, fields, custom_ids)


def _check_grant(operation: str, who: str, value: Json, fields: Mapping[str, Field], custom_ids: bool) -> None:
    if operation == "ACL":
        if who != "currentUser":
            _check_key(who, GROUPS, ("*",), custom_ids)
        _check_access(value)
        return
    if who == "pointerFields":
        if not isinstance(value, list):
            raise _wrong(f"'{js_text(value)}' is not a valid value for {operation}[{who}] - expected an array.")
        for name in value:
            _check_pointer(name, fields, "[object Object]")
        return
    if value is not True or not who.isdigit():
        if not who.isdigit():
            _check_key(who, GROUPS, ("*", "requiresAuthentication"), custom_ids)
        if value is not True:
            raise _wrong(f"'{js_text(value)}' is not a valid value for class level permissions acl {operation}:{who}")


def _check_access(value: Json) -> None:
    if not isinstance(value, dict):
        raise _wrong(f"'{js_text(value)}' is not a valid value for class level permissions acl")
    keys = [key for key in value if key not in ("read", "write")]
    if keys:
        raise _wrong(f"'{','.join(keys)}' is not a valid key for class level permissions acl")
    values = [js_text(v) for v in value.values() if not isinstance(v, bool)]
    if values:
        raise _wrong(f"'{','.join(values)}' is not a valid value for class level permissions acl")


def _check_protected(who: str, value: Json, fields: Mapping[str, Field], custom_ids: bool) -> None:
    _check_key(who, ("userField:", *GROUPS), ("*", "authenticated"), custom_ids)
    if not isinstance(value, list):
        raise _wrong(f"'{js_text(value)}' is not a valid value for protectedFields[{who}] - expected an array.")
    for name in value:
        if isinstance(name, str) and name in DEFAULT_FIELDS:
            raise _wrong(f"Default field '{name}' can not be protected")
        if not isinstance(name, str) or name not in fields:
            raise _wrong(f"Field '{js_text(name)}' in protectedFields:{who} does not exist")


def _check_key(who: str, prefixes: tuple[str, ...], names: tuple[str, ...], custom_ids: bool) -> None:
    if who in names or who.startswith(prefixes) or (bool(who) if custom_ids else _USER_ID.match(who)):
        return
    raise _wrong(f"'{who}' is not a valid key for class level permissions")


def _check_pointer(name: Json, fields: Mapping[str, Field], where: str) -> None:
    column = fields.get(name) if isinstance(name, str) else None
    if column is None or not (column.type == "Array" or (column.type == "Pointer" and column.target == "_User")):
        raise _wrong(f"'{js_text(name)}' is not a valid column for class level pointer permissions {where}")


def _wrong(text: str) -> ParseError:
    return ParseError(Code.INVALID_JSON, text)
