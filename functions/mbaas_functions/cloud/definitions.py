"""What `main.py` declares: functions, triggers and jobs, by their names, with the rules for who may call them and how."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from mbaas.kernel.triggers import CONNECT, FILES
from mbaas_functions.cloud.errors import Error
from mbaas_functions.cloud.objects import Object
from mbaas_functions.cloud.validators import Rules, rules_of
from mbaas_functions.cloud.values import File
from mbaas_functions.kinds import FUNCTION, HTTP, JOB, PROVIDER

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)

_PROVIDER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
METHODS = ("GET", "POST", "PUT", "DELETE")
_PATTERN = re.compile(r"/[A-Za-z0-9._~-]+(/(:\w+|[A-Za-z0-9._~-]+))*(/\*)?")
MISSED = ("once", "skip", "all")
_MOST_RETRIES = 100


@dataclass(frozen=True, slots=True)
class Definition:
    """One thing that the server may call. `timeout` is in seconds; None is the server's own. `retries`: how often a job that fails
    is tried again."""

    kind: str
    name: str
    handler: Handler
    rules: Rules
    timeout: float | None = None
    rate_limit: dict[str, Any] | None = None
    schedule: dict[str, Any] | None = None
    retries: int = 0

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.handler)


@dataclass(slots=True)
class Definitions:
    """All of them, by kind and name. A trigger's name is its class."""

    found: dict[tuple[str, str], Definition] = field(default_factory=dict)

    def add(self, definition: Definition) -> None:
        self.found[definition.kind, definition.name] = definition

    def manifest(self) -> list[dict[str, Any]]:
        """What the server has to know of them."""
        return [
            {
                "kind": each.kind,
                "name": each.name,
                "timeout": each.timeout,
                "rateLimit": each.rate_limit,
                "schedule": each.schedule,
                "retries": each.retries,
            }
            for each in self.found.values()
        ]


DEFINED = Definitions()


def define(
    name: str,
    *,
    params: Any = None,
    require_user: bool = False,
    require_master: bool = False,
    roles: Iterable[str] = (),
    rate_limit: dict[str, Any] | None = None,
    timeout: float | None = None,
) -> Callable[[H], H]:
    """A function that clients call by `POST /functions/<name>`.

    `params`: a pydantic model, Parse's validator options as a dict (`fields`, `requireUser`, …), a list of required names, or a
    function of the request that raises. `roles`: the user must have one of them. `rate_limit`: Parse's `requestTimeWindow` (ms),
    `requestCount`, `zone`. `timeout`: seconds.
    """
    rules = rules_of(params, require_user=require_user, require_master=require_master, roles=tuple(roles))
    own = params.get("rateLimit") if isinstance(params, dict) else None
    return _declare(FUNCTION, name, rules, timeout, rate_limit or own)


def http(
    method: str,
    path: str,
    *,
    require_user: bool = False,
    require_master: bool = False,
    roles: Iterable[str] = (),
    timeout: float | None = None,
) -> Callable[[H], H]:
    """An endpoint for a method (GET, POST, PUT, DELETE) and a path: `/report/:id`, with `/*` at its end for whatever follows.

    It is called by anybody who knows the address, `/api/v1/http/<app id>/report/5`: without keys, with a session where one is sent.
    """
    if method.upper() not in METHODS or not _PATTERN.fullmatch(path):
        raise ValueError(f"no endpoint: {method} {path}")
    rules = rules_of(None, require_user=require_user, require_master=require_master, roles=tuple(roles))
    return _declare(HTTP, f"{method.upper()} {path}", rules, timeout)


def job(name: str, *, timeout: float | None = None, retries: int = 0) -> Callable[[H], H]:
    """A job that the master key starts by `POST /jobs/<name>`.

    `retries`: how often it is tried again when it raises or does not end in its time; after a second first, then after twice as long
    each time, ten minutes at most.
    """
    if type(retries) is not int or not 0 <= retries <= _MOST_RETRIES:
        raise ValueError(f"retries is a whole number from 0 to {_MOST_RETRIES}")

    def declare(handler: H) -> H:
        scheduled = DEFINED.found.get((JOB, _name(handler)))
        DEFINED.found.pop((JOB, _name(handler)), None)
        plan = scheduled.schedule if scheduled is not None and scheduled.handler is handler else None
        DEFINED.add(Definition(JOB, name, handler, Rules(), timeout, schedule=plan and {**plan, "job": name}, retries=retries))
        return handler

    return declare


def schedule(cron: str, *, tz: str = "UTC", missed: str = "once") -> Callable[[H], H]:
    """A job, or what is declared as one above this, runs at each tick of a cron expression of five fields; a sixth before them is seconds.

    `tz`: the time zone that its hours are of. `missed`: what becomes of ticks while no server ran: "once" (one run for all of them),
    "skip" (none) or "all" (one for each).
    """
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=ZoneInfo(tz)))
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"no schedule: {cron!r} in {tz!r}: {error}") from error
    if missed not in MISSED:
        raise ValueError(f"missed is one of {', '.join(MISSED)}")

    def declare(handler: H) -> H:
        found = next((each for each in DEFINED.found.values() if each.kind == JOB and each.handler is handler), None)
        known = found or Definition(JOB, _name(handler), handler, Rules())
        DEFINED.add(replace(known, schedule={"job": known.name, "cron": cron, "tz": tz, "missed": missed}))
        return handler

    return declare


def auth_provider(name: str, *, timeout: float | None = None) -> Callable[[H], H]:
    """Who vouches for users that come with `authData` of this name.

    Called with the data, whose `id` is a text that is not empty, the options of `auth.<name>` of an options file, and the request. What it
    raises refuses the sign-up, sign-in or link. It has to make sure that the id belongs to whoever asks: the data is the client's.
    """
    if not _PROVIDER.fullmatch(name) or name == "anonymous":
        raise ValueError(f"no provider can be called {name!r}")
    return _declare(PROVIDER, name, Rules(), timeout)


def _name(handler: Handler) -> str:
    return getattr(handler, "__name__", "job")


def _declare(
    kind: str, name: str, rules: Rules, timeout: float | None = None, rate_limit: dict[str, Any] | None = None
) -> Callable[[H], H]:
    def declare(handler: H) -> H:
        DEFINED.add(Definition(kind, name, handler, rules, timeout, rate_limit))
        return handler

    return declare


def _class_name(given: str | type[Object] | type[File]) -> str:
    name = given if isinstance(given, str) else getattr(given, "fixed_class", None)
    if not name:
        raise Error("a trigger needs the name of a class", code=103)
    return name


def _of_class(kind: str, what: str) -> Callable[..., Callable[[H], H]]:
    def declare(class_name: str | type[Object] | type[File], validator: Any = None, *, timeout: float | None = None) -> Callable[[H], H]:
        if class_name is File:
            return _declare(f"{kind}File", FILES, rules_of(validator), timeout)
        return _declare(kind, _class_name(class_name), rules_of(validator), timeout)

    declare.__doc__ = f"Called {what}. `validator` as `params` of `define`; `timeout` in seconds."
    return declare


def _after_write(kind: str, what: str) -> Callable[..., Callable[[H], H]]:
    at_once = _of_class(kind, what)

    def declare(
        class_name: str | type[Object] | type[File], validator: Any = None, *, durable: bool = False, timeout: float | None = None
    ) -> Callable[[H], H]:
        if not durable:
            return at_once(class_name, validator, timeout=timeout)
        return _declare(f"durable{kind[0].upper()}{kind[1:]}", _class_name(class_name), rules_of(validator), timeout)

    declare.__doc__ = f"""Called {what}. `validator` as `params` of `define`; `timeout` in seconds.

    `durable`: not in the request but soon after it, at least once, in order for each object, whatever becomes of processes.
    """
    return declare


def _of_one(kind: str, class_name: str, what: str) -> Callable[..., Callable[[H], H]]:
    def declare(validator: Any = None, *, timeout: float | None = None) -> Callable[[H], H]:
        return _declare(kind, class_name, rules_of(validator), timeout)

    declare.__doc__ = f"Called {what}. `validator` as `params` of `define`; `timeout` in seconds."
    return declare


before_save = _of_class("beforeSave", "before an object of the class is saved; may change or refuse it")
after_save = _after_write("afterSave", "after an object of the class was saved")
before_delete = _of_class("beforeDelete", "before an object of the class is deleted; may refuse it")
after_delete = _after_write("afterDelete", "after an object of the class was deleted")
before_find = _of_class("beforeFind", "before a search in the class; may change, answer or refuse it")
after_find = _of_class("afterFind", "with what a search in the class found; may change it")
before_login = _of_one("beforeLogin", "_User", "before a user who gave the right password is signed in; may refuse it")
after_login = _of_one("afterLogin", "_User", "after a user was signed in")
after_logout = _of_one("afterLogout", "_Session", "after a session was ended by its user")
before_password_reset_request = _of_one(
    "beforePasswordResetRequest", "_User", "before a user is sent a mail to choose a new password; may refuse it"
)
before_save_file = _of_one("beforeSaveFile", FILES, "before a file is stored; may change it, put another in its place, or refuse it")
after_save_file = _of_one("afterSaveFile", FILES, "after a file was stored")
before_delete_file = _of_one("beforeDeleteFile", FILES, "before a file is deleted; may refuse it")
after_delete_file = _of_one("afterDeleteFile", FILES, "after a file was deleted")
before_find_file = _of_one("beforeFindFile", FILES, "before a file is read; may name another one, or refuse it")
after_find_file = _of_one("afterFindFile", FILES, "with a file that is read; may change what is sent, or refuse it")
before_connect = _of_one("beforeConnect", CONNECT, "before somebody connects to live queries; may refuse it")
before_subscribe = _of_class("beforeSubscribe", "before somebody subscribes to the class; may change `request.query` or refuse it")
after_live_query_event = _of_class("afterEvent", "with each event before it is sent; may change what is sent, or send nothing")
