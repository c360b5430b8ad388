"""The parts of a campaign that need no server: texts, languages, recurrence, quiet hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import ParseError
from mbaas_push import local_time
from mbaas_push.campaigns import content, recurrence
from mbaas_push.campaigns.quiet_hours import QuietHours
from mbaas_push.campaigns.schedule import Schedule, check
from mbaas_push.campaigns.templates import Missing, parse, value_at

DAY_MS = 86_400_000


def ms(text: str) -> int:
    found = from_iso(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "values", "says"),
    [
        ("plain", {}, "plain"),
        ("Hi {{user.name}}!", {"user.name": "Ann"}, "Hi Ann!"),
        ("Hi {{ user.name | there }}!", {}, "Hi there!"),
        ('Hi {{user.name | default: "you, there"}}', {}, "Hi you, there"),
        ("{{user.age}} {{installation.vip}}", {"user.age": 30, "installation.vip": True}, "30 true"),
        ("a{{user.name}}b", {}, "ab"),
        ("{ not a place }", {}, "{ not a place }"),
        ("{{user.name|}}", {}, ""),
        ("{{user.name}}", {"user.name": "{{user.secret}}"}, "{{user.secret}}"),
    ],
)
def test_a_text_is_filled_in(text: str, values: dict[str, object], says: str) -> None:
    assert parse(text).render(values) == says


def test_a_strict_text_is_not_sent_with_a_hole_in_it() -> None:
    with pytest.raises(Missing, match=r"user\.name"):
        parse("Hi {{user.name}}").render({}, strict=True)
    assert parse("Hi {{user.name | you}}").render({}, strict=True) == "Hi you"


@pytest.mark.parametrize("text", ["{{", "}} x", "{{user}}", "{{name}}", "{{user.__class__}}", "{{user.name()}}", "{{1+1}}"])
def test_a_text_holds_no_code(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text)


@given(st.text(max_size=20), st.dictionaries(st.just("user.name"), st.text(max_size=10)))
def test_any_text_is_read_or_refused(text: str, values: dict[str, str]) -> None:
    try:
        parse(text).render(values)
    except ParseError:
        assert "{{" in text or "}}" in text


@pytest.mark.parametrize("value", [None, "", {}, [1], {"__type": "Date"}])
def test_what_a_text_cannot_show_counts_as_missing(value: object) -> None:
    assert value_at({"user": {"x": value}}, "user.x") is None


@pytest.mark.parametrize(
    ("identifier", "locale"),
    [("pt-BR", "pt-BR"), ("pt_BR", "pt-BR"), ("pt", "pt"), ("pt-PT", "pt"), ("de-AT", "default"), (None, "default")],
)
def test_the_nearest_language_is_spoken(identifier: str | None, locale: str) -> None:
    assert content.locale_of({"locales": {"pt": {}, "pt-BR": {}}}, identifier) == locale


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=DAILY", ["2026-01-30", "2026-01-31", "2026-02-01"]),
        ("FREQ=DAILY;INTERVAL=3;COUNT=2", ["2026-01-30", "2026-02-02"]),
        ("FREQ=DAILY;BYDAY=MO,TU", ["2026-02-02", "2026-02-03", "2026-02-09"]),
        ("RRULE:FREQ=WEEKLY", ["2026-01-30", "2026-02-06", "2026-02-13"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", ["2026-01-30", "2026-02-09", "2026-02-13"]),
        ("FREQ=WEEKLY;UNTIL=20260206", ["2026-01-30", "2026-02-06"]),
        ("FREQ=MONTHLY", ["2026-01-30", "2026-03-30", "2026-04-30"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("FREQ=MONTHLY;BYDAY=1MO,-1FR", ["2026-01-30", "2026-02-02", "2026-02-27"]),
        ("0 9 * * 1", ["2026-02-02", "2026-02-09", "2026-02-16"]),
    ],
)
def test_it_recurs_as_the_rule_says(rule: str, days: list[str]) -> None:
    first, found = ms("2026-01-30T09:00"), list[str]()
    recurrence.check(rule)
    at = recurrence.next_wall(rule, first, None)
    while at is not None and len(found) < 3:
        found.append(iso(at))
        at = recurrence.next_wall(rule, first, at)
    assert found == [f"{day}T09:00:00.000Z" for day in days]


@pytest.mark.parametrize("rule", ["FREQ=HOURLY", "FREQ=DAILY;BYHOUR=3", "FREQ=WEEKLY;BYDAY=1MO", "FREQ=DAILY;COUNT=0", "every day", ""])
def test_a_rule_that_is_not_known_is_refused(rule: str) -> None:
    with pytest.raises(ParseError):
        recurrence.check(rule)


@given(
    st.sampled_from(["Europe/Dublin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "UTC"]),
    st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
    st.integers(0, 23 * 60 + 59),
)
def test_each_day_has_its_occurrence_once_in_every_zone(zone: str, start: datetime, minute: int) -> None:
    """Also where clocks jump by half an hour, or a whole day is left out: never twice, and never backwards."""
    first = ms(f"{start:%Y-%m-%d}T{minute // 60:02d}:{minute % 60:02d}")
    schedule = Schedule.of(check({"at": iso(first).removesuffix("Z"), "zone": zone, "repeat": "FREQ=DAILY"}))
    walls = [first]
    for _ in range(9):
        following = schedule.following(first, walls[-1], len(walls))
        assert following is not None
        walls.append(following)
    assert [b - a for a, b in pairwise(walls)] == [DAY_MS] * 9
    dues = [schedule.due(wall) for wall in walls]
    assert dues == sorted(dues)
    shown = [local_time.wall(due, zone) for due in dues]
    assert all(0 <= after - wall <= DAY_MS for wall, after in zip(walls, shown, strict=True))


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 2 * 366 * 1440), st.sampled_from(["Europe/Paris", "Asia/Tokyo", "UTC"]))
def test_nobody_is_disturbed_in_her_quiet_hours(since: int, to: int, minutes: int, zone: str) -> None:
    if since == to:
        return
    quiet = QuietHours(since * 60_000, to * 60_000, "hold")
    moment = ms("2026-01-01") + minutes * 60_000
    awake = quiet.over(moment, zone)
    assert moment <= awake <= moment + DAY_MS + 3_600_000
    assert quiet.over(awake, zone) == awake or zone == "Europe/Paris"
    if awake > moment:
        assert local_time.wall(awake, zone) % DAY_MS >= to * 60_000


def test_the_rule_of_a_month_has_the_days_that_a_calendar_has() -> None:
    rule = recurrence.read_rule("FREQ=MONTHLY;BYDAY=2TU")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    second = [day for day in (start + timedelta(days=n) for n in range(400)) if day.weekday() == 1 and 8 <= day.day <= 14]
    assert list(islice(recurrence._days(rule, start.date(), 0), 12)) == [day.date() for day in second[:12]]


@pytest.mark.parametrize(
    "rule", ["FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=MONTHLY;BYDAY=1MO"]
)
@pytest.mark.parametrize("zone", [{"zone": "Europe/Paris"}, {"local": True}])
def test_what_recurs_since_long_ago_goes_on_as_if_each_time_had_been_counted(rule: str, zone: Any) -> None:
    schedule = Schedule.of(check({"at": "2015-01-04T09:00:00", "repeat": rule, **zone}))
    assert schedule.first is not None
    for day in range(0, 400, 7):
        now = ms("2019-01-01T12:00:00Z") + day * DAY_MS
        step = schedule.following(schedule.first, None, 0)
        while step is not None and schedule.missed(step, now):
            step = schedule.following(schedule.first, step, 0)
        assert schedule.upcoming(schedule.first, now) == step


def test_what_recurs_each_minute_for_centuries_is_found_at_once() -> None:
    schedule = Schedule.of(check({"at": "1970-01-01T00:00:00Z", "repeat": "* * * * *"}))
    now = ms("2026-01-31T09:05:30Z")
    assert schedule.upcoming(0, now) == now - 30_000 - 5 * 60_000 + 60_000


@pytest.mark.parametrize("rule", ["FREQ=DAILY;INTERVAL=700;BYDAY=MO", "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31"])
def test_what_never_comes_is_looked_for_in_vain(rule: str) -> None:
    assert recurrence.next_wall(rule, ms("2027-02-02T09:00:00Z"), None) is None


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59", "0001-01-01T00:00:00"])
def test_a_time_that_no_clock_shows_is_refused(at: str) -> None:
    for schedule in (
        {"at": at, "local": True},
        {"at": at, "zone": "Asia/Tokyo"},
        {"at": "2027-01-01T00:00:00Z", "repeat": "FREQ=DAILY", "until": at},
    ):
        with pytest.raises(ParseError):
            check(schedule)


def test_what_was_launched_is_not_launched_again_by_an_edit_within_the_time_that_it_may_be_late() -> None:
    schedule = Schedule.of(check({"at": "2026-01-31T09:00:00", "zone": "Europe/Paris", "repeat": "FREQ=DAILY", "late": "1h"}))
    assert schedule.first is not None
    launched = schedule.due(schedule.first)
    assert schedule.upcoming(schedule.first, launched + 60_000) == schedule.first
    assert schedule.upcoming(schedule.first, launched + 60_000, launched) == schedule.first + DAY_MS


def test_a_time_that_clocks_left_out_is_not_too_late_in_the_last_moment() -> None:
    """Lord Howe goes from 2:00 to 2:30."""
    schedule = Schedule.of(check({"at": "2026-10-04T02:15:00", "zone": "Australia/Lord_Howe", "repeat": "FREQ=DAILY"}))
    assert schedule.first is not None
    due = schedule.due(schedule.first)
    assert local_time.wall(due, "Australia/Lord_Howe") == ms("2026-10-04T02:30:00Z")
    assert schedule.upcoming(schedule.first, due + 5 * 60_000) == schedule.first
    assert schedule.upcoming(schedule.first, due + 5 * 60_000 + 1) == schedule.first + DAY_MS
