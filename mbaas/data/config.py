"""Global config: named parameters, some for the master key only. One row per app; operators work as on a document.

The names of parameters that are not private stay listed in `masterKeyOnly` (as false) even after they are deleted, as in
Parse Server 9.10.
"""

from __future__ import annotations

import re

from mbaas.data.app import App
from mbaas.kernel import ops
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, is_number
from mbaas.storage.ports import Row

_TABLE, _KEY = "config", "global"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_LISTS: dict[str, type[ops.Add | ops.AddUnique | ops.Remove]] = {"Add": ops.Add, "AddUnique": ops.AddUnique, "Remove": ops.Remove}


async def read(app: App, caller: Caller) -> Object:
    """`{params, masterKeyOnly}`; private parameters for the master key only. `masterKeyOnly` is left out while it is empty."""
    row = await app.store.rows.get(_TABLE, _KEY)
    if row is None:
        return {"params": {}}
    params: Object = row.value["params"]
    private: Object = row.value["masterKeyOnly"]
    if not caller.omnipotent:
        params = {name: value for name, value in params.items() if not private.get(name)}
        private = {name: flag for name, flag in private.items() if not flag}
    return {"params": params, "masterKeyOnly": private} if private else {"params": params}


async def change(app: App, caller: Caller, body: Object) -> Object:
    """Set parameters, or apply operators to them. A parameter set without a flag becomes public."""
    params, flags = body.get("params") or {}, body.get("masterKeyOnly") or {}
    if not isinstance(params, dict) or not isinstance(flags, dict):
        raise ParseError(Code.INVALID_JSON, "params and masterKeyOnly must be objects.")
    app.keywords.refuse(params)
    steps = [_operator(name, value) for name, value in params.items()]

    def changed(row: Row | None) -> Row:
        before: Object = row.value if row else {"params": {}, "masterKeyOnly": {}}
        private = {**before["masterKeyOnly"], **{name: bool(flags.get(name)) for name in params}}
        return Row(_KEY, {"params": ops.apply(steps, before["params"]), "masterKeyOnly": private})

    await app.store.rows.alter(_TABLE, _KEY, changed)
    return {"result": True}


def _operator(name: str, value: Json) -> ops.Op:
    """The operator that a parameter's new value stands for."""
    if not _NAME.match(name):
        raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name: {name}.")
    kind = value.get("__op") if isinstance(value, dict) else None
    if kind is None:
        return ops.Set((name,), value)
    if kind == "Delete":
        return ops.Unset((name,))
    if kind in ("Increment", "Decrement"):
        amount = value.get("amount")
        if not is_number(amount):
            raise ParseError(Code.INVALID_JSON, "incrementing must provide a number")
        return ops.Increment((name,), amount if kind == "Increment" else -amount)
    made = _LISTS.get(kind) if isinstance(kind, str) else None
    if made is None:
        raise ParseError(Code.COMMAND_UNAVAILABLE, f"The {kind} operator is not supported in the config.")
    objects = value.get("objects")
    if not isinstance(objects, list):
        raise ParseError(Code.INVALID_JSON, "objects to add must be an array")
    return made((name,), tuple(objects))
