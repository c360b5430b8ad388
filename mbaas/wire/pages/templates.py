"""The app's own pages (`pages.pagesPath`): files with placeholders, `{{name}}` escaped and `{{{name}}}` as it is.

Nothing outside the folder is read, whatever an address says.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from mbaas.kernel.options import PagesOptions
from mbaas.kernel.values import read_json
from mbaas.observe.logs import get_logger

_PLACEHOLDER = re.compile(r"\{\{\{\s*([\w.-]+)\s*\}\}\}|\{\{\s*(&?)\s*([\w.-]+)\s*\}\}")
_PART = re.compile(r"[^/\\\0]+")


def found(options: PagesOptions, parts: Sequence[str]) -> Path | None:
    """The file of an address below the folder, if there is one."""
    if options.folder is None or not parts or any(part in (".", "..") or not _PART.fullmatch(part) for part in parts):
        return None
    folder = options.folder.resolve()
    try:
        path = folder.joinpath(*parts).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError):
        return None


def localized(options: PagesOptions, file: str, locale: str | None) -> Path | None:
    """The file of a page: in the folder of the locale, in that of its language, or in none."""
    places = [[locale, file], [locale.partition("-")[0], file]] if options.localized and locale else []
    return next((path for parts in (*places, [file]) if (path := found(options, parts))), None)


def filled(path: Path, options: PagesOptions, locale: str | None, params: Mapping[str, str]) -> tuple[bytes, bytes]:
    """The contents of a file and their type; in HTML the placeholders are filled."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    data = path.read_bytes()
    if kind != "text/html":
        return data, (f"{kind}; charset=utf-8" if kind.startswith("text/") else kind).encode()
    values = {**params, **options.placeholders, **_translation(options, locale, params)}
    return fill(data.decode("utf-8", "replace"), values).encode(), b"text/html; charset=utf-8"


def fill(text: str, values: Mapping[str, Any]) -> str:
    """The text with its placeholders filled; one that nobody knows becomes nothing."""

    def value(match: re.Match[str]) -> str:
        plain, ampersand, name = match.groups()
        known = values.get(plain or name)
        made = "" if known is None else str(known)
        return made if plain or ampersand else escape(made)

    return _PLACEHOLDER.sub(value, text)


def _translation(options: PagesOptions, locale: str | None, params: Mapping[str, str]) -> dict[str, str]:
    """The app's texts for the locale, its language, or the app's own locale, with placeholders of theirs filled."""
    if not options.localized or options.translations is None:
        return {}
    try:
        texts = read_json(options.translations.read_bytes())
    except (OSError, ValueError) as error:
        get_logger(__name__).error("the texts of the pages cannot be read", file=str(options.translations), reason=str(error))
        return {}
    wanted = locale or options.fallback_locale
    for name in (wanted, wanted.partition("-")[0], options.fallback_locale):
        known = texts.get(name) if isinstance(texts, dict) else None
        if isinstance(known, dict) and isinstance(known.get("translation"), dict):
            return {key: fill(str(text), params) for key, text in known["translation"].items()}
    return {}
