"""Patterns of paths as Parse Server's options spell them: `/functions/:name`, `/classes/*rest`, `/users{/me}`."""

from __future__ import annotations

import re

_PART = re.compile(
    r"\\(?P<escaped>.)|:(?P<one>[A-Za-z_]\w*)|\*(?P<rest>[A-Za-z_]\w*)?|(?P<open>\{)|(?P<close>\})|(?P<wrong>[()\[\]?+!:\\])|(?P<plain>.)",
    re.DOTALL,
)
_MEANS = {"one": "[^/]+", "rest": ".*", "open": "(?:", "close": ")?"}


def path_pattern(text: str) -> re.Pattern[str]:
    """What matches a path below the mount: any case, with or without a slash at its end. ValueError if it is no pattern."""
    made, depth = "", 0
    for found in _PART.finditer(text):
        kind = found.lastgroup or "rest"  # a lone star, as earlier versions spelled it
        if kind == "wrong":
            raise ValueError(f"has an unexpected {found[0]} in the path {text}")
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if depth < 0:
            break
        made += _MEANS.get(kind) or re.escape(found[kind])
    if depth:
        raise ValueError(f"has braces in the path {text} that do not match")
    return re.compile(rf"{made}/?\Z", re.IGNORECASE)
