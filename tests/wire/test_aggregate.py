"""Whatever a pipeline holds, the answer is its result or an error with a code: never a server error, and never long work."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.data.aggregate.expressions import _PLAIN, _SPECIAL
from mbaas.data.aggregate.stages import _STAGES
from tests.wire.conftest import Running
from tests.wire.scenarios import MASTER

MATCHING = "$eq $ne $gt $gte $lt $lte $in $nin $all $exists $regex $options $not $size $elemMatch $mod $and $or $nor $expr".split()
NAMED = ["groupBy", "boundaries", "path", "includeArrayIndex", "newRoot", "input", "in", "cond", "vars", "if", "from", "_id", "as", "size"]
DATE = {"__type": "Date", "iso": "2026-01-02T03:04:05.000Z"}
OBJECTS = (
    {"n": 3, "text": "cab", "list": [3, "a", None, {"k": 1}], "o": {"deep": [1]}, "big": 2**53, "at": DATE},
    {"n": -1.5, "text": "", "list": [], "flag": True, "none": None},
)


@pytest.fixture(scope="module")
def rows(server: Running, http: httpx.Client) -> None:
    for body in OBJECTS:
        assert http.post(f"{server.base}/classes/Odd", headers=MASTER, json=body).status_code == 201


def run(http: httpx.Client, server: Running, pipeline: Any, **named: bool) -> httpx.Response:
    options = {name: json.dumps(value) for name, value in {"pipeline": pipeline, **named}.items()}
    return http.get(f"{server.base}/aggregate/Odd", headers=MASTER, params=options)


def project(expression: Any) -> list[Any]:
    return [{"$project": {"a": expression}}]


@pytest.mark.parametrize(
    "pipeline",
    [
        [{"$match": {"a": {"$mod": ["$n", 0]}}}],
        [{"$match": {"n": {"$mod": [0, 0]}}}],
        [{"$match": {"n": {"$elemMatch": 3}}}],
        project({"$pow": [10, 400]}),
        project({"$pow": [10, 10**12]}),
        project({"$pow": [-1, 0.5]}),
        project({"$round": [1.5, -(10**12)]}),
        project({"$trunc": [1.5, 10**12]}),
        project({"$arrayToObject": [[{"k": 1, "v": 1}]]}),
        project({"$mergeObjects": [[[1, 2]]]}),
        project({"$switch": {"branches": [3]}}),
        project({"$let": {"vars": 3, "in": 1}}),
        project({"$reduce": {"input": {"$literal": [0] * 60}, "initialValue": "a", "in": {"$concat": ["$$value", "$$value"]}}}),
        project({"$reduce": {"input": {"$literal": [0] * 300}, "initialValue": 0, "in": {"a": "$$value"}}}),
        [{"$addFields": {"a": {"$pow": [-1, 0.5]}}}],
        [{"$set": {"a": {"$pow": [-1, 0.5]}}}],
        [{"$replaceRoot": {"newRoot": {"a": {"$pow": [-1, 0.5]}}}}],
        [{"$sortByCount": {"$pow": [-1, 0.5]}}],
        [{"$facet": {"groupBy": "$n", "boundaries": [0, 10, 20]}}],
        [{"$facet": {"a": [3]}}],
        [{"$unwind": {"path": "$list", "includeArrayIndex": [3]}}],
        [{"$group": {"_id": None, "a": {"$mergeObjects": "$n"}}}],
    ],
    ids=lambda pipeline: json.dumps(pipeline)[:60],
)
@pytest.mark.usefixtures("rows")
def test_what_cannot_be_computed_is_an_invalid_query(server: Running, http: httpx.Client, pipeline: list[Any]) -> None:
    answer = run(http, server, pipeline)
    assert (answer.status_code, answer.json().get("code")) == (400, 102), answer.text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"$pow": [2, 62]}, 2**62),
        ({"$pow": [2, -1]}, 0.5),
        ({"$pow": [2, 100]}, 2.0**100),
        ({"$pow": [1, 10**12]}, 1),
        ({"$add": [2**62, 2**62]}, 2.0**63),
        ({"$multiply": [2**62, 4]}, 2.0**64),
        ({"$trunc": [-1.29, 1]}, -1.2),
        ({"$round": [1250, -2]}, 1200),
    ],
)
@pytest.mark.usefixtures("rows")
def test_numbers_beyond_64_bits_are_floating(server: Running, http: httpx.Client, expression: Any, value: float) -> None:
    assert [row["a"] for row in run(http, server, project(expression)).json()["results"]] == [value, value]


scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 3, 400, 10**12, 2**63 - 1, -(2**63), 0.5, 1e308, "", "$n", "$list", "$o.deep", "$$ROOT", "$none", "a.b"])
    | st.sampled_from(["$text", "$at", "$$this", "$$NOW", "$", "$$", ".", "list.²", "n", "2026-01-02T03:04:05.000Z", "(", "%Y%"])
)
operators = st.sampled_from(sorted({*_PLAIN, *_SPECIAL, *MATCHING, "$sum", "$push", "$literal", "$date"}))
arguments = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(operators, inner, min_size=1, max_size=1)
        | st.dictionaries(st.sampled_from([*NAMED, "a", "n", "list", "o.deep", "a..b", ""]), inner, max_size=3)
    ),
    max_leaves=8,
)
stages = st.dictionaries(st.sampled_from([*_STAGES, "$facet", "$lookup"]), arguments, min_size=1, max_size=1)
expressions = st.tuples(operators, st.lists(arguments, max_size=3) | arguments).map(lambda pair: {pair[0]: pair[1]})


@pytest.mark.usefixtures("rows")
@given(
    st.lists(stages, min_size=1, max_size=3)
    | expressions.map(project)
    | expressions.map(lambda given: [{"$match": {"n": given}}])
    | expressions.map(lambda given: [{"$group": {"_id": "$flag", "a": given}}])
    | expressions.map(lambda given: [{"$sortByCount": given}]),
    st.booleans(),
    st.booleans(),
)
def test_no_pipeline_makes_a_server_error(server: Running, http: httpx.Client, pipeline: list[Any], values: bool, names: bool) -> None:
    answer = run(http, server, pipeline, rawValues=values, rawFieldNames=names)
    assert answer.status_code < 500, (pipeline, answer.text)
    assert answer.status_code == 200 or answer.json()["code"], answer.text
