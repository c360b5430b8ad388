"""What the console says of a campaign in plain sentences: whom it is for, when, who is held back and why, and what its states mean."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from mbaas.kernel.clock import from_iso
from mbaas.kernel.values import Object

HELD: dict[str, str] = {
    "no_address": "without a push token, so out of reach",
    "opted_out": "opted out of this category",
    "control": "in the control group, which gets nothing",
    "passed": "where the time has already passed",
    "missing_field": "without a field that the text needs",
    "too_long": "for whom the text would be too long",
    "quiet_hours": "in their quiet hours",
    "capped": "had as many messages as the cap allows",
    "expired": "not reached before it expired",
    "cancelled": "still to come when it was cancelled",
    "unregistered": "removed from the app before their turn",
}
"""What devices are held back for, after their number."""
FAILED: dict[str, str] = {
    "UNREGISTERED": "the app was removed from the device (UNREGISTERED)",
    "Unregistered": "the app was removed from the device (Unregistered)",
    "BadDeviceToken": "the device's token is of another environment, or none (BadDeviceToken)",
    "INVALID_ARGUMENT": "the provider did not understand it (INVALID_ARGUMENT)",
    "SENDER_ID_MISMATCH": "the token belongs to another Firebase project (SENDER_ID_MISMATCH)",
    "THIRD_PARTY_AUTH_ERROR": "the provider's own credentials are wrong (THIRD_PARTY_AUTH_ERROR)",
}
STATES: dict[str, tuple[str, str, str]] = {
    "draft": ("Draft", "secondary", "Being written. Nothing is sent."),
    "approved": ("Approved", "cyan", "This version may be sent, and has no place in the schedule yet."),
    "scheduled": ("Scheduled", "azure", "Waits for its time."),
    "materialising": ("Starting", "azure", "Looks up whom it is for."),
    "sending": ("Sending", "green", "Is being sent, or waits for zones whose time is still to come."),
    "paused": ("Paused", "yellow", "Nothing leaves until somebody resumes it."),
    "completed": ("Completed", "teal", "Everybody has been sent it, or is counted below with the reason."),
    "cancelled": ("Cancelled", "secondary", "Nothing more is sent."),
    "failed": ("Failed", "red", "Stopped by an error."),
    "expired": ("Expired", "orange", "Its time passed before it could begin."),
}
"""Label, colour and meaning of each state."""
_REPEATS = {"FREQ=DAILY": "every day", "FREQ=WEEKLY": "every week", "FREQ=MONTHLY": "every month"}
_PAST = {"next_day": "the next day at the same time", "send": "at once", "skip": "not at all"}


def number(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}"


def several(count: int, one: str, many: str = "") -> str:
    """`1 device`, `2 devices`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def day(text: str) -> str:
    """A date as it is read: `Tue 1 December 2026`."""
    found = from_iso(text[:10])
    if found is None:
        return text
    moment = datetime.fromtimestamp(found / 1000, UTC)
    return f"{moment:%a} {moment.day} {moment:%B %Y}"


def when(schedule: Object) -> str:
    """When it is sent, as the end of a sentence."""
    at: str = schedule["at"]
    if at == "now":
        return "as soon as it is launched"
    time = at[11:16] or "00:00"
    place = "local time, wherever each device is" if schedule.get("local") else schedule.get("zone", "UTC")
    said = f"on {day(at)} at {time}, {place}"
    if repeat := schedule.get("repeat"):
        until = f", until {day(schedule['until'])}" if schedule.get("until") else ""
        said = f"{_REPEATS.get(repeat, f'again and again ({repeat})')} at {time}, {place}, from {day(at)}{until}"
    return said


def review(definition: Object, told: Object) -> list[str]:
    """The campaign in a few sentences: how many people, from when, how many are held back and why. `told` is a forecast's."""
    part = told["looked"] < told["audience"]
    about = "about " if part else ""
    scale = told["audience"] / told["looked"] if told["looked"] else 1.0
    sends, people = round(told["sends"] * scale), round(told["people"] * scale)
    held = {reason: round(count * scale) for reason, count in told["suppressed"].items()}
    whose = "" if people == sends else f" on {several(sends, 'device')}"
    verb = "gets" if people == 1 else "get"
    first = f"{about}{several(people, 'person', 'people')} {verb} it{whose}, {when(definition['schedule'])}."
    sentences = [first[0].upper() + first[1:]]
    if held:
        each = "; ".join(f"{number(count)} {HELD.get(reason, reason)}" for reason, count in sorted(held.items(), key=lambda one: -one[1]))
        total = sum(held.values())
        sentences.append(f"{several(total, 'device')} {'is' if total == 1 else 'are'} held back: {each}.")
    else:
        sentences.append("Nobody is held back.")
    sentences += _more(definition, told["timeline"])
    if part:
        sentences.append(
            f"Counted on the first {number(told['looked'])} of {number(told['audience'])} devices, and taken to be so for all."
        )
    return sentences


def _more(definition: Object, timeline: list[Object]) -> list[str]:
    found: list[str] = []
    schedule = definition["schedule"]
    if schedule.get("local"):
        found.append(f"Where it is already past {schedule['at'][11:16]}, they get it {_PAST[schedule.get('past', 'skip')]}.")
    if len(definition["variants"]) > 1:
        weights = sum(variant["weight"] for variant in definition["variants"])
        shares = ", ".join(f"{variant['name']} {variant['weight'] / weights:.0%}" for variant in definition["variants"])
        found.append(f"Each person gets one of {len(definition['variants'])} messages: {shares}.")
    found += limits(definition)
    if pace := definition.get("perSecond"):
        total = sum(each["devices"] for each in timeline)
        found.append(f"At {pace:g} a second, all of it takes about {span(total / pace)}.")
    return found


def limits(definition: Object) -> list[str]:
    """Who has to wait, or has had enough: quiet hours and caps."""
    found: list[str] = []
    if quiet := definition.get("quietHours"):
        then = "wait until they are over" if quiet.get("then", "hold") == "hold" else "do not get it"
        found.append(f"Devices in their quiet hours ({quiet['from']} to {quiet['to']}) {then}.")
    category = definition["category"]
    found += [f"Nobody gets more than {cap['count']} of “{category}” in {cap['hours']} hours." for cap in definition.get("caps", ())]
    return found


def span(seconds: float) -> str:
    """A time that something takes."""
    if seconds < 90:
        return several(max(1, round(seconds)), "second")
    return several(round(seconds / 60), "minute") if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def reasons(counts: Mapping[str, int], says: Mapping[str, str]) -> list[Object]:
    """Reasons with what they mean, the most frequent first. A provider may say more behind its code and a colon."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return [{"reason": reason, "count": count, "says": _meaning(reason, says)} for reason, count in ordered]


def _meaning(reason: str, says: Mapping[str, str]) -> str:
    code, _, more = reason.partition(": ")
    meant = says.get(code, code or "for no reason that was told")
    return f"{meant}: {more}" if more and more != code else meant
