"""Who may call a function or trigger, and with what: Parse's validator options, a pydantic model, or a function of one's own.

Source of rules and texts: Parse Server 9.10's answers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mbaas_functions.cloud.errors import VALIDATION_ERROR, Error
from mbaas_functions.cloud.requests import FunctionRequest, JobRequest, Request, TriggerRequest

_TYPES: dict[Any, str] = {str: "string", int: "number", float: "number", bool: "boolean", list: "array", dict: "object"}
_LOG_IN = "Validation failed. Please login to continue."


@dataclass(frozen=True, slots=True)
class Rules:
    """Parse's validator options. `fields` and `user_keys` are lists of required names, or options by name."""

    require_user: bool = False
    require_master: bool = False
    any_roles: Any = ()
    all_roles: Any = ()
    user_keys: Any = ()
    fields: Any = ()
    validate_master_key: bool = False
    model: Any = None
    own: Callable[..., Any] | None = field(default=None)


def rules_of(given: Any, *, require_user: bool = False, require_master: bool = False, roles: tuple[str, ...] = ()) -> Rules:
    """The rules that `params`, or a trigger's validator, stands for."""
    own: dict[str, Any] = {"require_user": require_user, "require_master": require_master, "any_roles": roles}
    if given is None:
        return Rules(**own)
    if isinstance(given, (list, tuple)):
        return Rules(**own, fields=list(given))
    if isinstance(given, Mapping):
        return Rules(
            require_user=require_user or bool(given.get("requireUser")),
            require_master=require_master or bool(given.get("requireMaster")),
            any_roles=roles or given.get("requireAnyUserRoles") or (),
            all_roles=given.get("requireAllUserRoles") or (),
            user_keys=given.get("requireUserKeys") or (),
            fields=given.get("fields") or (),
            validate_master_key=bool(given.get("validateMasterKey")),
        )
    if hasattr(given, "model_validate"):
        return Rules(**own, model=given)
    if callable(given):
        return Rules(**own, own=given)
    raise TypeError(f"params are a pydantic model, a dict, a list or a function, not a {type(given).__name__}")


async def check(rules: Rules, request: Request) -> None:
    """Error 142 unless the request keeps the rules; fills in defaults."""
    if rules.own is not None:
        await _own(rules.own, request)
    if not request.master or rules.validate_master_key:
        await _check(rules, request)
    if rules.model is not None and isinstance(request, FunctionRequest):
        request.model = _modelled(rules.model, request.params)


async def _own(validator: Callable[..., Any], request: Request) -> None:
    try:
        await _called(validator, request)
    except Error as error:
        raise Error(error.message, VALIDATION_ERROR if error.code == Error().code else error.code) from error
    except Exception as error:
        raise Error(str(error) or "Validation failed.", VALIDATION_ERROR) from error


async def _called(function: Callable[..., Any], *arguments: Any) -> Any:
    result = function(*arguments)
    return await result if inspect.isawaitable(result) else result


async def _check(rules: Rules, request: Request) -> None:
    user: Any = request.user
    if user is None and isinstance(request, TriggerRequest) and request.object.class_name == "_User" and not request.object.existed():
        user = request.object
    if user is None and (rules.require_user or rules.any_roles or rules.all_roles):
        raise _refused(_LOG_IN)
    if rules.require_master and not request.master:
        raise _refused("Validation failed. Master key is required to complete this request.")
    await _fields(rules.fields, request)
    wanted = await _called(rules.any_roles) if callable(rules.any_roles) else rules.any_roles
    if wanted and not any(name in request.roles for name in wanted):
        raise _refused("Validation failed. User does not match the required roles.")
    wanted = await _called(rules.all_roles) if callable(rules.all_roles) else rules.all_roles
    if not all(name in request.roles for name in wanted):
        raise _refused("Validation failed. User does not match all the required roles.")
    for name in rules.user_keys:
        if user is None:
            raise _refused("Please login to make this request.")
        options = rules.user_keys[name] if isinstance(rules.user_keys, Mapping) else None
        if options is None:
            if user.get(name) is None:
                raise _refused(f"Validation failed. Please set data for {name} on your account.")
        elif "options" in options:
            await _one_of(options, name, user.get(name))


async def _fields(fields: Any, request: Request) -> None:
    holder = _Holder(request)
    if not isinstance(fields, Mapping):
        for name in fields:
            holder.need(name)
        return
    for name, options in fields.items():
        if not isinstance(options, Mapping):
            holder.need(name)
            continue
        value = holder.get(name)
        if value is None and options.get("default") is not None:
            value = options["default"]
            holder.put(name, value)
        if options.get("constant"):
            holder.keep(name, options.get("default"))
        if options.get("required"):
            holder.need(name)
        if not options.get("required") and not holder.has(name):
            continue
        if kind := options.get("type"):
            expected = _TYPES.get(kind) or str(kind).lower()
            if _type_of(value) != expected:
                raise _refused(f"Validation failed. Invalid type for {name}. Expected: {expected}")
        if "options" in options:
            await _one_of(options, name, value)


class _Holder:
    """The values that are checked: a function's params, or the fields of a trigger's object."""

    def __init__(self, request: Request) -> None:
        self._object = request.object if isinstance(request, TriggerRequest) else None
        self._original = request.original if isinstance(request, TriggerRequest) else None
        self._params: dict[str, Any] = request.params if isinstance(request, (FunctionRequest, JobRequest)) else {}

    def get(self, name: str) -> Any:
        return self._params.get(name) if self._object is None else self._object.get(name)

    def has(self, name: str) -> bool:
        return name in self._params if self._object is None else name in self._object.fields()

    def need(self, name: str) -> None:
        if self.get(name) is None:
            raise _refused(f"Validation failed. Please specify data for {name}.")

    def put(self, name: str, value: Any) -> None:
        if self._object is not None:
            self._object.set(name, value)
        else:
            self._params[name] = value

    def keep(self, name: str, default: Any) -> None:
        """A constant field stays what it was."""
        if self._object is None:
            return
        if self._original is not None:
            self._object.revert(name)
        elif default is not None:
            self._object.set(name, default)


def _type_of(value: Any) -> str:
    return "object" if value is None else _TYPES.get(type(value), "object")


async def _one_of(options: Mapping[str, Any], name: str, value: Any) -> None:
    allowed, told = options["options"], options.get("error")
    if callable(allowed):
        try:
            right = await _called(allowed, value)
        except Exception as error:
            raise _refused(told or str(error) or f"Validation failed. Invalid value for {name}.") from error
        if right is not None and not right:
            raise _refused(told or f"Validation failed. Invalid value for {name}.")
        return
    wanted = allowed if isinstance(allowed, (list, tuple)) else [allowed]
    if value not in wanted:
        raise _refused(told or f"Validation failed. Invalid option for {name}. Expected: {', '.join(map(str, wanted))}")


def _modelled(model: Any, params: dict[str, Any]) -> Any:
    try:
        return model.model_validate(params)
    except ValueError as error:
        errors = error.errors() if hasattr(error, "errors") else []
        where = ".".join(map(str, errors[0]["loc"])) if errors else ""
        raise _refused(f"Validation failed. {where}: {errors[0]['msg']}" if errors else "Validation failed.") from error


def _refused(text: str) -> Error:
    return Error(text, VALIDATION_ERROR)
