"""Two thousand people over real time zones, and what they did with an app: made up, and the same at every start."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

PHONES = 2000
MY_PHONE = "my-phone"
WHERE = (
    # zone, language, city, how many of a hundred
    ("Europe/Berlin", "de-DE", "Berlin", 16),
    ("Europe/Vienna", "de-AT", "Vienna", 4),
    ("Europe/Paris", "fr-FR", "Paris", 9),
    ("Europe/London", "en-GB", "London", 11),
    ("Europe/Madrid", "es-ES", "Madrid", 5),
    ("Europe/Warsaw", "pl-PL", "Warsaw", 3),
    ("Europe/Istanbul", "tr-TR", "Istanbul", 3),
    ("America/New_York", "en-US", "New York", 12),
    ("America/Chicago", "en-US", "Chicago", 5),
    ("America/Los_Angeles", "en-US", "Los Angeles", 8),
    ("America/Sao_Paulo", "pt-BR", "São Paulo", 6),
    ("America/St_Johns", "en-CA", "St. John's", 1),
    ("Africa/Lagos", "en-NG", "Lagos", 2),
    ("Asia/Dubai", "en-AE", "Dubai", 1),
    ("Asia/Kolkata", "en-IN", "Mumbai", 5),
    ("Asia/Kathmandu", "ne-NP", "Kathmandu", 1),
    ("Asia/Tokyo", "ja-JP", "Tokyo", 4),
    ("Australia/Sydney", "en-AU", "Sydney", 2),
    ("Pacific/Auckland", "en-NZ", "Auckland", 1),
    ("Pacific/Honolulu", "en-US", "Honolulu", 1),
)
NAMES = (
    "Ada Ben Chloe Deniz Emil Fatima Giulia Hana Ivan Jonas Kim Lena Mateo Nora Oskar Priya Quentin Rosa Sven Tomo Uma Vera Wim Yuki"
).split()
_NOW = datetime.now(UTC)
_DICE = random.Random(2000)  # noqa: S311 -- nothing of it is a secret


def users() -> Iterator[dict[str, Any]]:
    """Bodies of `_User`s: three of four phones have one."""
    for number in range(PHONES * 3 // 4):
        place = _place(number)
        yield {
            "authData": {"anonymous": {"id": f"demo-{number}"}},
            "email": f"demo{number}@example.com",
            "firstName": NAMES[number % len(NAMES)],
            "city": place[2],
            "plan": "plus" if number % 5 == 0 else "free",
            "points": (number * 37) % 1200,
        }


def phones(user_ids: list[str]) -> Iterator[dict[str, Any]]:
    """Bodies of `_Installation`s. Some have opted out, some have no token any more."""
    for number in range(PHONES):
        zone, locale, _, _ = _place(number)
        kind = ("ios", "android", "android", "ios", "android")[number % 5]
        body: dict[str, Any] = {
            "installationId": f"demo-{number:05}",
            "deviceType": kind,
            "localeIdentifier": locale,
            "appVersion": ("3.2", "3.1", "2.9")[number % 7 % 3],
            "channels": ["news"] if number % 3 else ["news", "sports"],
        }
        if number % 33:
            body["deviceToken"] = f"{number:064x}" if kind == "ios" else f"demo-token-{number:05}"
        if number % 50:
            body["timeZone"] = zone
        if number % 14 == 0:
            body["optOuts"] = ["promo"]
        if number < len(user_ids):
            body["user"] = {"__type": "Pointer", "className": "_User", "objectId": user_ids[number]}
        yield body
    yield {
        "installationId": MY_PHONE,
        "deviceType": "android",
        "deviceToken": MY_PHONE,
        "localeIdentifier": "de-DE",
        "timeZone": "Europe/Berlin",
        "appVersion": "3.2",
    }


def events(user_ids: list[str]) -> Iterator[dict[str, Any]]:
    """What they did in the last sixty days."""
    for number, user in enumerate(user_ids):
        for _ in range(_DICE.randrange(0, 8)):
            yield _event("AppOpened", user, {})
        if number % 3 == 0:
            yield _event("Bought", user, {"sku": _DICE.choice(["shirt", "mug", "ticket"])})


def _event(name: str, user: str, dimensions: dict[str, str]) -> dict[str, Any]:
    at = _NOW - timedelta(minutes=_DICE.randrange(1, 60 * 24 * 60))
    return {"name": name, "user": user, "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "dimensions": dimensions}


def _place(number: int) -> tuple[str, str, str, int]:
    """Where somebody lives: the shares of a hundred, spread evenly."""
    share = number * 61 % 100
    for place in WHERE:
        share -= place[3]
        if share < 0:
            return place
    return WHERE[0]


def dead_tokens() -> list[str]:
    """Phones whose app was removed, which nobody knows yet."""
    return [f"demo-token-{number:05}" for number in range(1, PHONES, 67) if number % 5 in (1, 2, 4)]
