"""Firebase's topics: how they are called, and which devices a condition over them is about. Who has subscribed Firebase knows alone.

Source: FCM's reference of topic subscriptions, and what it says of sending to topics.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_NAME = re.compile(r"[a-zA-Z0-9\-_.~%]{1,900}")
_NAMED = re.compile(r"'([^']*)'\s+in\s+topics\b")
_REST = re.compile(r"[\s()!&|]*")
_STEP = re.compile(r"\(([01])\)|!([01])|(?<![&|!])([01])(&&|\|\|)([01])")
_MOST_TOPICS, _LONGEST, _MOST_SIGNS = 5, 6000, 100


def is_topic(name: str) -> bool:
    """True if a topic may be called so."""
    return _NAME.fullmatch(name) is not None


def is_condition(text: str) -> bool:
    """True if it is one, over one to five topics."""
    names = _NAMED.findall(text[:_LONGEST])
    if len(text) > _LONGEST or not 0 < len(names) <= _MOST_TOPICS or not all(map(is_topic, names)):
        return False
    try:
        holds(text, ())
    except ValueError:
        return False
    return True


def holds(condition: str, topics: Collection[str]) -> bool:
    """True for a device that has subscribed to these. ValueError for what is no condition.

    As Firebase reads it: first what is in parentheses, then from left to right, whatever the operators are.
    """
    left = "".join(_NAMED.sub(lambda named: str(int(named[1] in topics)), condition).split())
    if not _REST.fullmatch(_NAMED.sub("", condition)) or not 0 < len(left) <= _MOST_SIGNS:
        raise ValueError(condition)
    while len(left) > 1:
        shorter = _STEP.sub(_value, left, count=1)
        if shorter == left:
            raise ValueError(condition)
        left = shorter
    return left == "1"


def _value(step: re.Match[str]) -> str:
    """What a step comes to: of what stands in parentheses, is denied, or is joined."""
    alone, denied, one, operator, other = step.groups()
    if alone or denied:
        return alone or str(1 - int(denied))
    return max(one, other) if operator == "||" else min(one, other)
