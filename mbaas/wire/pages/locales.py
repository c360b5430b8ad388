"""Which language a page is in: the one that is asked for, the first of the browser's that there is, or the app's."""

from __future__ import annotations

import re

from mbaas.kernel.values import Json
from mbaas.wire.pages.texts import TEXTS

_LOCALE = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*")
_MOST = 35
_ACCEPTED = 10
"""So many of a browser's languages are looked at."""
FOLDERS = {**{language: language for language in TEXTS}, "de-at": "de-AT"}
"""The folders that the server's own pages have in addresses, by their names in lower case: Parse Server's, and our languages."""


def locale_of(given: Json) -> str | None:
    """A locale as it was asked for; None for what has not the form of one."""
    return given if isinstance(given, str) and len(given) <= _MOST and _LOCALE.fullmatch(given) else None


def folder_of(locale: str) -> str | None:
    """The folder of our pages for a locale, or for its language."""
    return FOLDERS.get(locale.lower()) or FOLDERS.get(locale.partition("-")[0].lower())


def language(locale: str | None, accepted: str, fallback: str) -> str:
    """The language of one of our pages. `accepted` is the header Accept-Language."""
    for wanted in (locale, *_preferred(accepted), fallback):
        if wanted and (found := wanted.partition("-")[0].lower()) in TEXTS:
            return found
    return "en"


def _preferred(accepted: str) -> list[str]:
    """The languages of the header, the most wanted first."""
    found: list[tuple[float, str]] = []
    for part in accepted[:500].split(",")[:_ACCEPTED]:
        name, _, weight = part.partition(";")
        number = re.search(r"q=([01](?:\.\d{1,3})?)", weight)
        if locale := locale_of(name.strip()):
            found.append((float(number[1]) if number else 1.0, locale))
    return [locale for weight, locale in sorted(found, key=lambda each: -each[0]) if weight > 0]
