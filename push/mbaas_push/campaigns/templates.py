"""Texts with places for what is known of a recipient: `Hi {{user.name | there}}`. A path and a fallback, and no code.

`{{ user.name | default: "there" }}` is the same. A value that is no text, number or truth is none; without one and without a fallback
the place is empty, or, where the campaign is strict, nobody is sent the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, is_number, js_text

ROOTS = ("user", "installation", "moment", "offer")
"""Whose fields a text may name. The last two are known in plays alone."""
_PLACE = re.compile(r"\{\{([^{}]*)\}\}")
_PATH = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")
_DEFAULT = re.compile(r"default:\s*(.*)", re.DOTALL)
_LONGEST_VALUE = 1000


class Missing(Exception):
    """A text needs a field that the recipient has not."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value goes. `fallback` None: there is none."""

    path: str
    fallback: str | None


@dataclass(frozen=True, slots=True)
class Template:
    """A text that has been read."""

    parts: tuple[str | Place, ...]

    @property
    def paths(self) -> frozenset[str]:
        """The fields that it names."""
        return frozenset(part.path for part in self.parts if isinstance(part, Place))

    def render(self, values: Mapping[str, Json], *, strict: bool = False) -> str:
        """The text for one who has these values, by path. Missing, if strict, where one of them is not there."""
        return "".join(part if isinstance(part, str) else _filled(part, values, strict) for part in self.parts)


@lru_cache(maxsize=1024)
def parse(text: str) -> Template:
    """Read a text. ParseError 142 says what is wrong with it."""
    parts: list[str | Place] = []
    at = 0
    for found in _PLACE.finditer(text):
        parts += [text[at : found.start()], _place(found[1])]
        at = found.end()
    parts.append(text[at:])
    if any("{{" in part or "}}" in part for part in parts if isinstance(part, str)):
        raise _wrong("a {{ without its }}, or the other way round")
    return Template(tuple(part for part in parts if part != ""))


def value_at(roots: Mapping[str, Object], path: str) -> Json:
    """The value at a path of `{"user": …, "installation": …}`, if it is one that a text can show; else None."""
    at: Json = roots
    for key in path.split("."):
        at = at.get(key) if isinstance(at, Mapping) else None
    shown = isinstance(at, (str, bool)) or is_number(at)
    return (at[:_LONGEST_VALUE] if isinstance(at, str) else at) if shown and at != "" else None


def _place(inside: str) -> Place:
    path, bar, fallback = inside.partition("|")
    path = path.strip()
    if not _PATH.fullmatch(path) or path.split(".")[0] not in ROOTS:
        raise _wrong(f"{{{{{inside}}}}} is no field: {' or '.join(f'{root}.<column>' for root in ROOTS)}")
    if not bar:
        return Place(path, None)
    text = fallback.strip()
    if (named := _DEFAULT.fullmatch(text)) is not None:
        text = named[1]
    return Place(path, text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text)


def _filled(place: Place, values: Mapping[str, Json], strict: bool) -> str:
    value = values.get(place.path)
    if value is not None:
        return js_text(value)
    if place.fallback is None and strict:
        raise Missing(place.path)
    return place.fallback or ""


def _wrong(text: str) -> ParseError:
    return ParseError(Code.VALIDATION_ERROR, f"A text cannot be read: {text}.")
