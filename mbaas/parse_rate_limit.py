"""Parse Server's option `rateLimit`: one entry or a list of them, checked when the server starts."""

from __future__ import annotations

import re
from typing import Any

from mbaas.kernel.options import RateLimit
from mbaas.kernel.paths import path_pattern
from mbaas.kernel.values import is_number

_NAMES = {
    "requestPath": "request_path",
    "requestTimeWindow": "request_time_window",
    "requestCount": "request_count",
    "requestMethods": "request_methods",
    "includeMasterKey": "include_master_key",
    "includeInternalRequests": "include_internal_requests",
    "errorResponseMessage": "error_response_message",
    "zone": "zone",
    "redisUrl": "",
}
_ZONES = ("ip", "global", "session", "user")


def rate_limits(value: Any) -> tuple[RateLimit, ...]:
    """The entries of the option. ValueError says what is wrong with the first that is."""
    given = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, dict) for entry in given):
        raise ValueError("must be an object or a list of objects")
    return tuple(_entry(entry) for entry in given)


def _entry(given: dict[str, Any]) -> RateLimit:
    if unknown := next((name for name in given if name not in _NAMES), None):
        raise ValueError(f"has no option {unknown}")
    if not isinstance(given.get("requestPath"), str):
        raise ValueError("needs requestPath, which must be a string")
    for name in ("requestTimeWindow", "requestCount"):
        if not is_number(given.get(name)):
            raise ValueError(f"needs {name}, which must be a number")
    for name, kind, what in (
        ("includeMasterKey", bool, "a boolean"),
        ("includeInternalRequests", bool, "a boolean"),
        ("errorResponseMessage", str, "a string"),
    ):
        if not isinstance(given.get(name), kind | None):
            raise ValueError(f"has {name}, which must be {what}")
    if given.get("zone", "ip") not in _ZONES:
        raise ValueError(f"has zone, which must be one of {', '.join(_ZONES)}")
    path_pattern(given["requestPath"])
    methods = _methods(given.get("requestMethods"))
    entry = {_NAMES[name]: v for name, v in given.items() if v is not None and _NAMES[name]}
    return RateLimit(**{**entry, "request_methods": methods})


def _methods(given: Any) -> str | tuple[str, ...] | None:
    if isinstance(given, list) and all(isinstance(method, str) for method in given):
        return tuple(method.upper() for method in given)
    if given is not None and not isinstance(given, str):
        raise ValueError("has requestMethods, which must be a string or a list of strings")
    if given is not None:
        try:
            re.compile(given)
        except re.error:
            raise ValueError(f"has requestMethods, which is no regular expression: {given}") from None
    return given
