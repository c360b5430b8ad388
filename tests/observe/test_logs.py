"""Logs are JSON with request ids, and never show a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextvars import copy_context
from io import StringIO
from typing import Any

import pytest

from mbaas.observe.logs import MASK, begin_request, get_logger, masked, request_id, start_logging

TOKEN = "r:" + "0123456789abcdef" * 2


@pytest.fixture
def lines() -> Iterator[Any]:
    """Starts logging; calling it gives what was logged."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = StringIO()
    start_logging("json", secrets=["the-master-key"], stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_is_one_json_object(lines: Any) -> None:
    get_logger("mbaas.test").info("saved", class_name="Post", count=3)
    [line] = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "saved", "level": "info", "logger": "mbaas.test", "class_name": "Post", "count": 3}


def test_libraries_log_in_the_same_form(lines: Any) -> None:
    logging.getLogger("some.library").warning("slow %s", "client", extra={"port": 1})
    [line] = lines()
    assert (line["event"], line["level"], line["port"]) == ("slow client", "warning", 1)


def test_a_library_does_not_say_how_the_console_is_put_together(lines: Any) -> None:
    logging.getLogger("starlette_admin.base").info("Admin initializing")
    logging.getLogger("starlette_admin.base").warning("something is wrong")
    assert [line["event"] for line in lines()] == ["something is wrong"]


def test_a_line_names_the_request_that_it_belongs_to(lines: Any) -> None:
    get_logger("mbaas").info("outside")

    def serve() -> str | None:
        begin_request("app")
        get_logger("mbaas").info("inside")
        return request_id()

    known = copy_context().run(serve)
    outside, inside = lines()
    assert known
    assert (inside["request_id"], inside["app_id"]) == (known, "app")
    assert "request_id" not in outside


def test_no_secret_is_shown_whatever_way_it_takes(lines: Any) -> None:
    """As a named field, deep in a body, within a text, in a traceback, in a database address."""
    log = get_logger("mbaas")
    log.info("login", password="p4ss", body={"authData": {"x": 1}, "nested": [{"sessionToken": "s"}]}, headers={"X-Parse-Master-Key": "m"})
    log.info(f"session {TOKEN} for mk_live_abc123 and pk_test_taxi_def456 at mongodb://user:pw123@host/db", note="the-master-key")
    try:
        raise ValueError(f"bad token {TOKEN} and the-master-key")
    except ValueError:
        log.exception("failed")
    text = json.dumps(lines())
    for secret in ("p4ss", '"x"', '"s"', '"m"', TOKEN, "abc123", "def456", "pw123", "the-master-key"):
        assert secret not in text
    assert "Traceback" in text


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("master_key", "k", MASK),
        ("javascriptKey", "k", MASK),
        ("key", "k", MASK),
        ("Authorization", "Bearer x", MASK),
        ("monkeys", 3, 3),
        ("keyboard", "qwerty", "qwerty"),
        ("token", None, None),
        ("revoke_token", True, True),
        ("list", ({"secret": 1},), [{"secret": MASK}]),
    ],
)
def test_a_field_is_masked_by_its_name(name: str, value: Any, shown: Any) -> None:
    assert masked(name, value) == shown


def test_request_ids_differ() -> None:
    def serve() -> str | None:
        begin_request()
        return request_id()

    assert len({copy_context().run(serve) for _ in range(1000)}) == 1000
