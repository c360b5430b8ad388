"""The values of Parse Server's options: each reader takes what JSON has and gives what we keep, or raises ValueError."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from mbaas.quantities import size_bytes

UNLIMITED = 1_000_000_000
DEEPEST = 200
"""How deep a condition may nest where Parse Server sets no limit: enough for any client, and no danger to the stack."""


def text(value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not value:
        raise ValueError("must not be empty; leave it out instead")
    return value


def flag(value: Any) -> bool:
    """A boolean, also in the spelling that Parse Server takes from the environment."""
    if isinstance(value, bool):
        return value
    if value in ("true", "1", 1, "false", "0", 0):
        return value in ("true", "1", 1)
    raise ValueError("must be true or false")


def number(value: Any) -> int:
    """A whole number that is not negative."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0 or value != int(value):
        raise ValueError("must be a whole number, 0 or more")
    return int(value)


def positive(value: Any) -> int:
    """A whole number above 0."""
    found = number(value)
    if found == 0:
        raise ValueError("must be more than 0")
    return found


def limit(value: Any) -> int:
    """A bound, where -1 stands for none."""
    return UNLIMITED if value in (-1, "-1") else number(value)


def most(value: Any) -> int | None:
    """A bound on a number of things, where 0 and less stand for none."""
    return found if (found := number(value)) > 0 else None


def depth(value: Any) -> int:
    """A bound on nesting, where -1 stands for none."""
    return min(limit(value), DEEPEST)


def texts(value: Any) -> tuple[str, ...]:
    """A list of strings, or one string with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be a list of strings")
    return tuple(part.strip() for part in parts)


def networks(value: Any) -> tuple[str, ...]:
    """A list of addresses and CIDR ranges; `::0`, as Parse Server writes it, is every IPv6 address."""
    found = tuple("::/0" if part in ("::0", "::/0") else part for part in texts(value))
    for part in found:
        ipaddress.ip_network(part, strict=False)
    return found


def size(value: Any) -> int:
    """Bytes: a number, or `20mb`."""
    found = size_bytes(value) if isinstance(value, str) else number(value)
    if found is None:
        raise ValueError("must be a size such as 20mb")
    return found


def mapping(value: Any) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value


def patterns(value: Any) -> tuple[str, ...]:
    """A list of regular expressions."""
    found = texts(value)
    for part in found:
        try:
            re.compile(part)
        except re.error:
            raise ValueError(f"must be a list of regular expressions, and this is none: {part}") from None
    return found


def mappings(value: Any) -> tuple[dict[str, Any], ...]:
    """A list of objects."""
    if not isinstance(value, list):
        raise ValueError("must be a list of objects")
    return tuple(mapping(part) for part in value)


def proxies(value: Any) -> tuple[str, ...]:
    """`trustProxy` as Express reads it: true trusts every hop, a string or list the named networks."""
    if isinstance(value, bool):
        return ("0.0.0.0/0", "::/0") if value else ()
    named = {"loopback": ["127.0.0.0/8", "::1/128"], "linklocal": ["169.254.0.0/16", "fe80::/10"]}
    named["uniquelocal"] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
    return networks([network for part in texts(value) for network in named.get(part, [part])])


def protected(value: Any) -> dict[str, dict[str, tuple[str, ...]]]:
    """`protectedFields`: class → who → field names."""
    return {name: {who: texts(fields) for who, fields in mapping(groups).items()} for name, groups in mapping(value).items()}


def mount(value: Any) -> str:
    """A path with a slash before and none behind."""
    return "/" + text(value).strip("/") if text(value).strip("/") else ""


def url(value: Any) -> str:
    """An http or https address without a slash at its end."""
    if not text(value).startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return str(value).rstrip("/")


def mongo(value: Any) -> str:
    """A MongoDB address; the other databases that Parse Server knows are not ours."""
    if not text(value).startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must begin with mongodb:// or mongodb+srv://; leave it out for the embedded store")
    return str(value)
