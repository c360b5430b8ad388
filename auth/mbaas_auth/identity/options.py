"""The options of one provider, as they stand in `auth` of an options file: read, or refused with the name of what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Options = Mapping[str, Any]


class Lacking(Exception):
    """The provider cannot be configured so; the text says why, and begins with the name of the option."""


def text(options: Options, name: str) -> str:
    """An option that is a text and must be there."""
    found = options.get(name)
    if not isinstance(found, str) or not found:
        raise Lacking(f"{name} is missing" if found in (None, "") else f"{name} must be a text")
    return found


def texts(options: Options, name: str) -> frozenset[str]:
    """An option that is a text, or a list of some, and must be there."""
    found = options.get(name)
    if isinstance(found, str) and found:
        return frozenset({found})
    if not found:
        raise Lacking(f"{name} is missing")
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise Lacking(f"{name} must be a text or a list of texts")
    return frozenset(found)


def optional(options: Options, name: str, default: str) -> str:
    """An option that is a text, if it is there."""
    return text(options, name) if options.get(name) not in (None, "") else default


def flag(options: Options, name: str, default: bool = False) -> bool:
    """An option that is true or false, if it is there."""
    found = options.get(name, default)
    if not isinstance(found, bool):
        raise Lacking(f"{name} must be true or false")
    return found


def address(options: Options, name: str, default: str = "") -> str:
    """An http or https address without a slash at its end, which must be there unless there is a default."""
    found = optional(options, name, default) if default else text(options, name)
    if not found.startswith(("https://", "http://")):
        raise Lacking(f"{name} must begin with https://")
    return found.rstrip("/")
