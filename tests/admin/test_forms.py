"""Forms and what they say: the rows of audiences, the composer's form, the sentences of the review."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.admin.composition import Problems, composition_of, definition_of
from mbaas.admin.rows import OPS, RowError, audience_of, rows_of
from mbaas.admin.sentences import FAILED, reasons, review
from mbaas.kernel.schema import Field

TYPES = {"city": "String", "age": "Number", "vip": "Boolean", "born": "Date", "teams": "Array"}
FIELDS = {of: {name: Field(kind) for name, kind in TYPES.items()} for of in ("installation", "user")}
NUMBERS = st.integers(0, 400)


def values(kind: str, op: str) -> st.SearchStrategy[Any]:
    if op in ("set", "unset", "yes", "no"):
        return st.just("")
    if kind == "Number":
        return st.integers(-1000, 1000)
    if kind == "Date":
        return NUMBERS
    words = st.text("abc é\\E", min_size=1, max_size=8).map(lambda text: f"x{text.strip()}".replace("\\E", ""))
    return st.lists(words.filter(lambda word: "," not in word), min_size=1, max_size=3).map(", ".join) if op == "oneof" else words


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    of = draw(st.sampled_from(["installation", "user", "event"]))
    if of != "event" and draw(st.integers(0, 3)) == 0:
        alternatives = st.lists(st.lists(conditions(of), min_size=1, max_size=2), min_size=1, max_size=3)
        return {"of": of, "any": draw(alternatives)}
    if of == "event":
        return {
            "of": of,
            "field": "Bought",
            "op": draw(st.sampled_from(["atleast", "atmost"])),
            "value": draw(NUMBERS),
            "days": draw(st.integers(1, 400)),
        }
    return draw(conditions(of))


@st.composite
def conditions(draw: st.DrawFn, of: str) -> dict[str, Any]:
    name = draw(st.sampled_from(list(TYPES)))
    op = draw(st.sampled_from(OPS[TYPES[name]]))
    return {"of": of, "field": name, "op": op, "value": draw(values(TYPES[name], op))}


@given(st.lists(rows(), max_size=5))
def test_rows_come_back_as_they_were(given_rows: list[dict[str, Any]]) -> None:
    """In the order of installations, users, events."""
    ordered = sorted(given_rows, key=lambda row: ["installation", "user", "event"].index(row["of"]))
    assert rows_of(audience_of(given_rows, FIELDS), FIELDS) == ordered


@pytest.mark.parametrize(
    "audience",
    [
        {"where": {"$or": [{"city": "Rome"}, {"$or": [{"city": "Oslo"}]}]}},
        {"where": {"$or": [{"city": "Rome"}, {}]}},
        {"where": {"$or": []}},
        {"where": {"$or": [{"city": "Rome"}, {"hidden": 1}]}},
        {"where": {"$nor": [{"city": "Rome"}]}},
        {"where": {"$and": []}},
        {"where": {"$or": [{"city": "Rome"}, {"$and": []}]}},
        {"where": {"$or": [{"city": "Rome"}], "$and": [{"vip": True}]}},
        {"events": [{"name": " Bought", "days": 3, "atLeast": 1}]},
        {"where": {"hidden": 1}},
        {"where": {"city": {"$regex": "^Ro", "$options": "i"}}},
        {"where": {"city": {"$nin": ["Rome"]}}},
        {"users": {"age": {"$gt": 3}}},
        {"users": {"born": {"$gt": {"__type": "Date", "iso": "2020-01-01T00:00:00.000Z"}}}},
        {"events": [{"name": "Bought", "days": 3, "atLeast": 1, "atMost": 2}]},
        {"events": [{"name": "Bought", "days": 3, "atLeast": 1, "where": {"sku": "x"}}]},
        {"where": {"$and": [{"city": "Rome"}], "age": 3}},
        {"where": {"city": {"$in": ["a,b"]}}},
        {"where": {"vip": False}},
    ],
)
def test_what_rows_cannot_say_is_left_as_it_is(audience: dict[str, Any]) -> None:
    assert rows_of(audience, FIELDS) is None
    definition = {**DEFINITION, "audience": audience}
    assert definition_of(composition_of(definition, FIELDS), FIELDS)["audience"] == audience


@pytest.mark.parametrize(
    "audience",
    [
        {"where": 5},
        {"where": "x"},
        {"users": [[]]},
        {"events": 5},
        {"events": [5]},
        {"events": [[[]]]},
        {"where": {"city": "Rome"}, "beside": {"age": 3}},
    ],
)
def test_what_is_no_audience_has_no_rows(audience: dict[str, Any]) -> None:
    """Other tools write them, too; what is not understood is not shown as everybody."""
    assert rows_of(audience, FIELDS) is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "Choose what is asked."),
        ({"of": []}, "Choose what is asked."),
        ({"of": "user", "field": "nothing", "op": "is", "value": "x"}, "Choose what is asked."),
        ({"of": "user", "field": "city", "op": "atleast", "value": "x"}, "Choose how it is compared."),
        ({"of": "user", "field": "city", "op": "is", "value": " "}, "Fill in a value."),
        ({"of": "user", "field": "age", "op": "is", "value": "many"}, "Fill in a number."),
        ({"of": "user", "field": "age", "op": "is", "value": "nan"}, "Fill in a number."),
        ({"of": "user", "field": "born", "op": "within", "value": 401}, "Fill in a whole number up to 400."),
        ({"of": "event", "field": "", "op": "atleast", "value": 1, "days": 1}, "Choose what they have done."),
        ({"of": "event", "field": "Bought", "op": "atleast", "value": 1, "days": 0}, "In how many days? At least 1."),
    ],
)
def test_a_row_that_says_nothing_is_told_why(row: dict[str, Any], said: str) -> None:
    with pytest.raises(RowError) as raised:
        audience_of([row], FIELDS)
    assert (raised.value.place, raised.value.text) == ("0", said)


def test_an_or_opens_as_a_group_of_alternatives() -> None:
    where = {"age": {"$gte": 3}, "$or": [{"city": "Rome", "vip": True}, {"city": {"$in": ["Oslo", "Bern"]}}]}
    shown = rows_of({"where": where}, FIELDS)
    assert shown == [
        {"of": "installation", "field": "age", "op": "atleast", "value": 3},
        {
            "of": "installation",
            "any": [
                [
                    {"of": "installation", "field": "city", "op": "is", "value": "Rome"},
                    {"of": "installation", "field": "vip", "op": "yes", "value": ""},
                ],
                [{"of": "installation", "field": "city", "op": "oneof", "value": "Oslo, Bern"}],
            ],
        },
    ]
    assert audience_of(shown, FIELDS) == {"where": where}
    # Two groups have to hold both.
    both = audience_of([shown[1], shown[1]], FIELDS)
    assert both == {"where": {"$and": [{"$or": where["$or"]}, {"$or": where["$or"]}]}}
    assert rows_of(both, FIELDS) == [shown[1], shown[1]]


@pytest.mark.parametrize(
    ("group", "place"),
    [
        ([], "1"),
        ("x", "1"),
        ([[]], "1.0.0"),
        ([[{"field": "city", "op": "is", "value": "Rome"}], [{"field": "nothing"}]], "1.1.0"),
        ([[{"field": "city", "op": "is", "value": "Rome"}, "x"]], "1.0.1"),
        ([[{"field": "city", "op": "is", "value": "x"}] * 15] * 2, "0"),
    ],
)
def test_a_group_that_says_nothing_is_told_where(group: Any, place: str) -> None:
    first = {"of": "user", "field": "city", "op": "is", "value": "x"}
    with pytest.raises(RowError) as raised:
        audience_of([first, {"of": "user", "any": group}], FIELDS)
    assert raised.value.place == place


DEFINITION: dict[str, Any] = {
    "name": "Sale",
    "category": "promo",
    "zone": "Europe/Paris",
    "audience": {"users": {"city": "Rome"}},
    "variants": [
        {
            "name": "A",
            "weight": 3,
            "content": {"title": "Hi", "locales": {"de": {"title": "Hallo", "buttons": [{"id": "x", "title": "Ja"}]}}, "badge": 1},
        },
        {"name": "B", "weight": 1, "content": {"body": "Come", "data": {"sku": "x"}, "strict": True}},
    ],
    "schedule": {
        "at": "2030-04-03T09:00:00",
        "local": True,
        "past": "send",
        "repeat": "FREQ=DAILY",
        "until": "2030-05-01",
        "times": 4,
        "late": "1h",
    },
    "quietHours": {"from": "22:00", "to": "08:00", "then": "skip"},
    "caps": [{"count": 2, "hours": 24}, {"count": 5, "hours": 168}],
    "control": 10,
    "perSecond": 5,
    "expires": "8h",
    "onAmbiguous": "skip",
}


def test_a_campaign_comes_back_from_the_composer_as_it_was() -> None:
    assert definition_of(composition_of(DEFINITION, FIELDS), FIELDS) == DEFINITION


@pytest.mark.parametrize(
    ("schedule", "back"),
    [
        ({"at": "now"}, {"at": "now"}),
        ({"at": "2030-01-01T09:00:00", "zone": "Asia/Tokyo"}, {"at": "2030-01-01T09:00:00", "zone": "Asia/Tokyo"}),
        ({"at": "2030-01-01T09:00:00+02:00"}, {"at": "2030-01-01T07:00:00", "zone": "UTC"}),
    ],
)
def test_a_time_comes_back_as_the_same_moment(schedule: dict[str, Any], back: dict[str, Any]) -> None:
    assert definition_of(composition_of({**DEFINITION, "schedule": schedule}, FIELDS), FIELDS)["schedule"] == back


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"variants": [{"name": "A", "weight": 1, "texts": {}}]}, "variants.A.default.body"),
        ({"variants": [{"name": "A", "weight": 0, "texts": {"default": {"title": "x"}}}]}, "variants.A.weight"),
        (
            {"variants": [{"name": "A", "weight": 1, "texts": {"default": {"title": "x"}, "no language": {}}}]},
            "variants.A.no language.body",
        ),
        ({"schedule": {"when": "local", "date": "", "time": "09:00"}}, "schedule.date"),
        ({"schedule": {"when": "local", "date": "2030-01-01", "time": "9 o'clock"}}, "schedule.time"),
        ({"schedule": {"when": "zone", "date": "2030-01-01", "time": "09:00", "zone": "Mars"}}, "schedule.zone"),
        ({"quiet": {"from": "", "to": "08:00"}}, "quiet.from"),
        ({"cap": {"count": "0", "hours": "24"}}, "cap.count"),
        ({"control": "100"}, "control"),
        ({"category": "two words"}, "category"),
        ({"perSecond": "fast"}, "perSecond"),
        ({"audience": {"rows": [{"of": "user"}]}}, "audience.0"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Problems) as raised:
        definition_of({**composition_of(DEFINITION, FIELDS), **change}, FIELDS)
    assert list(raised.value.found) == [field]


def forecast(**more: Any) -> dict[str, Any]:
    return {"audience": 10, "looked": 10, "sends": 7, "people": 6, "suppressed": {"control": 1, "opted_out": 2}, "timeline": [], **more}


def test_the_review_says_how_many_when_and_who_is_held_back() -> None:
    first, held, *rest = review(DEFINITION, forecast())
    assert first == (
        "6 people get it on 7 devices, every day at 09:00, local time, wherever each device is, "
        "from Wed 3 April 2030, until Wed 1 May 2030."
    )
    assert held == "3 devices are held back: 2 opted out of this category; 1 in the control group, which gets nothing."
    assert "Where it is already past 09:00, they get it at once." in rest
    assert "Each person gets one of 2 messages: A 75%, B 25%." in rest


def test_the_review_of_a_part_says_that_it_is_one() -> None:
    first, *_, last = review({**DEFINITION, "schedule": {"at": "now"}}, forecast(audience=1000))
    assert first == "About 600 people get it on 700 devices, as soon as it is launched."
    assert last == "Counted on the first 10 of 1,000 devices, and taken to be so for all."


def test_what_a_provider_says_behind_its_code_is_shown_unless_it_is_the_code_again() -> None:
    said = reasons({"INVALID_ARGUMENT: INVALID_ARGUMENT": 3, "INVALID_ARGUMENT: no such token": 2, "ODD: why": 1}, FAILED)
    meant = FAILED["INVALID_ARGUMENT"]
    assert [each["says"] for each in said] == [meant, f"{meant}: no such token", "ODD: why"]
