"""What the body of `POST /push` asks for, checked. Fields and texts are those of Parse Server 9.10's push controller."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.push import TOPICS, check
from mbaas.kernel.values import Json, Object, is_number, js_text
from mbaas_push.topics import is_condition, is_topic

_ZONED = re.compile(r".+(Z|[+-]\d\d:?\d\d)$")
_EARLIEST_MS, _LATEST_MS = 0, 253_370_764_800_000
"""From 1970 to the year 9999: what can be told as a date, in every zone."""
RESEND, SKIP = "resend", "skip"
LOCALIZED = ("alert", "title")
"""What may be said in the language of a device."""
_APPLES = (
    "push_type",
    "collapse_id",
    "topic",
    "content-available",
    "mutable-content",
    "thread-id",
    "interruption-level",
    "relevance-score",
)
_TOPIC_BYTES = 2048
_BESIDE_DATA = "push_id" + "0" * 36 + "time" + "2026-01-31T09:05:00.123Z" + "data"
"""What Firebase counts besides the data: names, id and time."""


@dataclass(frozen=True, slots=True)
class Message:
    """A push as it was asked for. Times in ms.

    `at` is when it is to be sent, None for at once; with `local` it is the wall time, as if it were UTC, of each device.
    `expires` is when it is too late; `lasts` how long after `at` that is.
    """

    where: Json
    data: Object
    at: int | None
    local: bool
    expires: int | None
    lasts: int | None
    interval: float | None
    to: Object | None = None
    """Firebase's `topic` or `condition`, and what that is; `where` is None then."""
    on_ambiguous: str = RESEND
    """What becomes of what may have been sent, or not: it is sent once more under the same id, or left (`skip`)."""

    @property
    def push_time(self) -> str | None:
        """`at` as `_PushStatus` tells it: without a zone if it is local."""
        if self.at is None:
            return None
        return iso(self.at).removesuffix("Z") if self.local else iso(self.at)


def read(body: Object, now: int) -> Message:
    """Check a body. ParseError 115 names what cannot be."""
    check(body)
    expires, interval = _time(body, "expiration_time"), _interval(body)
    if expires is not None and interval is not None:
        raise _wrong("Both expiration_time and expiration_interval cannot be set")
    at = _time(body, "push_time")
    if at is not None and not _EARLIEST_MS <= at < _LATEST_MS:
        raise _wrong(f"{js_text(body['push_time'])} is not valid time.")
    lasts = None if interval is None else round(interval * 1000)
    if lasts is not None and at is None:
        expires = now + lasts
    data = body.get("data")
    data = data if isinstance(data, dict) else {}
    badge_of(data)
    given = body.get("push_time")
    local = isinstance(given, str) and not _ZONED.fullmatch(given)
    to = _to(body, data, local=local)
    where = None if to else body["where"] if "where" in body else {"channels": {"$in": body["channels"]}}
    return Message(where, data, at, local, expires, lasts, interval, to, on_ambiguous(body.get("on_ambiguous", RESEND)))


def _to(body: Object, data: Object, *, local: bool) -> Object | None:
    """The topics that a push is for, None if it is for a query. What is said to each device otherwise cannot be said to them."""
    name = next((name for name in TOPICS if name in body), None)
    if name is None:
        return None
    value = body[name]
    if not isinstance(value, str) or not (is_topic(value) if name == "topic" else is_condition(value)):
        raise _wrong(
            "topic is a name of up to 900 of a-z, A-Z, 0-9 and -_.~%; condition joins one to five: 'a' in topics && ('b' in topics || …)"
        )
    apples = [name for name in data if name in _APPLES or (name == "alert" and isinstance(data[name], dict))]
    if apples:
        raise _wrong(f"A push to topics goes to Firebase alone, and {apples[0]} of its data is Apple's")
    badge, own = badge_of(data), [name for name in data if _localized(name)]
    own += ["an increment of the badge"] if badge is not None and badge.adds else []
    own += ["a push_time of each device"] if local else []
    if own:
        raise _wrong(f"A push to topics is one for all who have subscribed: without {own[0]}")
    if (size := fcm_bytes(data)) > _TOPIC_BYTES:
        raise _wrong(f"The data has {size} bytes as Firebase counts; to topics it takes {_TOPIC_BYTES}")
    return {name: value}


def fcm_bytes(data: Object) -> int:
    """How many bytes Firebase counts of a message with this data."""
    return len(orjson.dumps(data)) + len(_BESIDE_DATA)


def on_ambiguous(given: Json) -> str:
    """What is to become of what may have been sent, or not. ParseError 115."""
    if given not in (RESEND, SKIP):
        raise _wrong(f"on_ambiguous is {RESEND} or {SKIP}")
    return str(given)


def _time(body: Object, name: str) -> int | None:
    """Milliseconds of a moment given in seconds or as ISO 8601."""
    if name not in body:
        return None
    given = body[name]
    if is_number(given) and abs(given) < 8.64e12:
        return round(given * 1000)
    moment = from_iso(given) if isinstance(given, str) else None
    if moment is None:
        raise _wrong(f"{js_text(given)} is not valid time.")
    return moment


def _interval(body: Object) -> float | None:
    if "expiration_interval" not in body:
        return None
    given = body["expiration_interval"]
    if not is_number(given) or given <= 0:
        raise _wrong("expiration_interval must be a number greater than 0")
    return float(given)


@dataclass(frozen=True, slots=True)
class Badge:
    """What a push does to the number on the app's icon: adds to that of each installation, or sets it."""

    adds: bool
    amount: Json


def badge_of(data: Object) -> Badge | None:
    """What the push says of the badge. ParseError 115 for what is neither a number nor an increment."""
    given = data.get("badge")
    if not given:
        return None
    if isinstance(given, str) and given.lower() == "increment":
        return Badge(True, 1)
    if isinstance(given, dict) and str(given.get("__op")).lower() == "increment" and is_number(given.get("amount")) and given["amount"]:
        return Badge(True, given["amount"])
    if is_number(given):
        return Badge(False, given)
    raise _wrong("Invalid value for badge, expected number or 'Increment' or {increment: number}")


def locales_of(data: Object) -> tuple[str, ...]:
    """The languages that `alert-xx` and `title-xx` name, in their order."""
    return tuple(dict.fromkeys(key.partition("-")[2] for key in data if _localized(key)))


def in_locale(data: Object, locales: Iterable[str], identifier: Json) -> Object:
    """The data for a device: of the first language with which its `localeIdentifier` begins, else that of no language."""
    plain = {key: value for key, value in data.items() if not _localized(key)}
    spoken = next((locale for locale in locales if isinstance(identifier, str) and identifier.startswith(locale)), None)
    if spoken is not None:
        plain |= {key: data[f"{key}-{spoken}"] for key in LOCALIZED if data.get(f"{key}-{spoken}")}
    return plain


def _localized(key: str) -> bool:
    return key.startswith(tuple(f"{name}-" for name in LOCALIZED))


def _wrong(text: str) -> ParseError:
    return ParseError(Code.PUSH_MISCONFIGURED, text)
