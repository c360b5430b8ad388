"""Servers as users start them, shared by the whole suite: each test makes classes and people of its own.

They are on SQLite; a sample of the attacks, those that a database could make a difference to, is made on MongoDB's store (SecantusDB)
as well, and with MBAAS_TEST_SECURITY_STORES=all, as `make nightly` has it, every one that uses them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from bson import ObjectId

from mbaas.testing.process import TestServer
from tests.secantus import GIVEN, database
from tests.security.attack import Target

KEYS = {"read_only_master_key": "read-only-key", "maintenance_key": "maintenance-key"}
EVERY = os.environ.get("MBAAS_TEST_SECURITY_STORES") == "all"
SAMPLE = frozenset(
    f"test_row{name}"
    for name in """
    _1_permissions_that_are_taken_away_end_the_events _7_who_loses_the_right_to_read_is_told_nothing_new
    _9_a_session_that_ended_is_nobodys _13_a_protected_field_does_not_sort
    _15_a_hidden_relation_cannot_be_followed _15_a_relation_tells_nothing_of_an_object_that_is_closed
    _16_redirects_do_not_lead_around_permissions _17_nobody_joins_a_role_through_its_relation
    _20_a_session_is_changed_by_its_user_alone _22_every_way_to_oneself_shows_the_same _25_operators_are_no_credentials
    _34_one_of_many_parallel_sign_ups_wins _42_operators_do_not_hide_in_values _54_one_odd_write_does_not_spoil_the_next
    _74_whatever_helps_to_write_asks_as_a_save_does _76_what_a_new_object_may_not_be_an_old_one_may_not_become
    _a1_who_may_not_change_an_account_learns_nothing_by_trying _a2_class_permissions_hold_for_sessions_too
    """.split()
)
"""Tests that are made on both stores in every run."""

NOT_BORNE = {
    "test_row_11_no_regular_expression_holds_the_server_up": "its patterns are Python's, which backtrack without an end",
    "test_row_44_what_is_searched_for_is_text": "it has no text index",
    "test_a_request_that_would_keep_everybody_waiting_is_refused": "it has no text index, and one of these asks for one",
}
"""Tests that are not made on SecantusDB, and why; on a real MongoDB (MBAAS_TEST_MONGO_URL) they are."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store" in metafunc.fixturenames:
        name = metafunc.function.__name__
        both = (EVERY and not (GIVEN is None and name in NOT_BORNE)) or name in SAMPLE
        metafunc.parametrize("store", ["sqlite", "mongodb"] if both else ["sqlite"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings by which a server uses the store."""
    if request.param == "sqlite":
        return {}
    return {"database_url": request.getfixturevalue("mongo")}


def started(folder: Any, store: Mapping[str, str], **settings: object) -> Iterator[Target]:
    """A server on the store, on MongoDB in a database of its own."""
    own = {name: database(url, f"security_{ObjectId()}") for name, url in store.items()}
    with TestServer(folder, "serve", settings={**KEYS, **own, **settings}) as server:
        target = Target(server)
        with target.http:
            yield target


@pytest.fixture(scope="session")
def parse(tmp_path_factory: pytest.TempPathFactory, store: dict[str, str]) -> Iterator[Target]:
    """A server as Parse Server's users know it: open classes, no limits."""
    yield from started(tmp_path_factory.mktemp("parse"), store, preset="parse")


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory, store: dict[str, str]) -> Iterator[Target]:
    """A server with the defaults of `mbaas serve`."""
    yield from started(tmp_path_factory.mktemp("production"), store)


@pytest.fixture(scope="session", params=["parse", "production"])
def target(request: pytest.FixtureRequest, store: dict[str, str]) -> Target:
    """Each of the two."""
    found: Target = request.getfixturevalue(request.param)
    return found
