"""Keywords that no stored data may hold (`requestKeywordDenylist`): 105 if a key or value matches.

An entry names a key, a value, or both; each is a regular expression found anywhere in a text. `__proto__` as a column is
left to the schema, whose message is more exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object

_LITERAL = re.compile(r"[\w-]+$")
_ABSENT = object()


def refuse(denylist: Iterable[Mapping[str, Any]], data: Object, raw: bytes = b"") -> None:
    """Raise for the first entry found in the data. With the JSON text of it, most requests are told clean without a walk."""
    if raw and b"\\" not in raw and _clean(denylist, raw):
        return
    for entry in denylist:
        if _found(data, entry.get("key", _ABSENT), entry.get("value", _ABSENT)):
            text = orjson.dumps(dict(entry)).decode()
            raise ParseError(Code.INVALID_KEY_NAME, f"Prohibited keyword in request data: {text}.")


def _clean(denylist: Iterable[Mapping[str, Any]], raw: bytes) -> bool:
    for entry in denylist:
        word = entry.get("key", entry.get("value"))
        if not isinstance(word, str) or not _LITERAL.match(word) or word.encode() in raw:
            return False
    return True


def _found(data: Object, key: Any, value: Any) -> bool:
    pending: list[Json] = [{k: v for k, v in data.items() if k != "__proto__"}]
    while pending:
        here = pending.pop()
        for name, inner in here.items() if isinstance(here, dict) else ((str(i), v) for i, v in enumerate(here)):
            if (key is _ABSENT or _matches(name, key)) and (value is _ABSENT or _matches(inner, value)):
                return True
            if isinstance(inner, (dict, list)):
                pending.append(inner)
    return False


def _matches(text: Json, wanted: Any) -> bool:
    if isinstance(text, str) and isinstance(wanted, str):
        return bool(_compiled(wanted).search(text))
    return type(text) is type(wanted) and bool(text == wanted)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
