"""Bytes of any kind at the door are never answered with a server error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas.app import open_app
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.services import Services
from mbaas.wire.asgi import Wire
from mbaas.wire.json_text import why
from mbaas.wire.v1.dialect import BASE, told
from mbaas.wire.v1.table import table as v1_table
from tests.wire.scenarios import options

NAMES = ["application-id", "master-key", "rest-api-key", "session-token", "cloud-context", "request-id", "installation-id"]
PATHS = [
    "/classes/F",
    "/classes/F/x",
    "/batch",
    "/users",
    "/login",
    "/config",
    "/schemas/F",
    "/files/a.txt",
    "/functions/f",
    "/sessions/me",
]
values = st.sampled_from([b"app", b"rest", b"master", b"ro"]) | st.binary(max_size=40)
headers = st.dictionaries(
    st.sampled_from([f"x-parse-{name}".encode() for name in NAMES])
    | st.sampled_from([b"authorization", b"content-type", b"content-encoding", b"range", b"x-parse-upload-mode", b"if-match"]),
    values,
    max_size=5,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["__op", "__type", "_method", "where", "requests", "$ne"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
keyed = json_values.map(
    lambda value: _encode({"_ApplicationId": "app", "_JavaScriptKey": "js", "x": value, **(value if isinstance(value, dict) else {})})
)
bodies = st.binary(max_size=80) | keyed | json_values.map(lambda value: _encode(value))


def _encode(value: Any) -> bytes:
    import json

    return json.dumps(value).encode("utf-8", "surrogatepass")


async def _ask(wire: Wire, method: str, path: str, query: bytes, sent: dict[bytes, bytes], body: bytes) -> int:
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [*sent.items(), (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
    }
    await wire(scope, receive, send)
    return status


Ask = Callable[..., int]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """The status that a server in this process answers with."""
    with asyncio.Runner() as runner:
        kept = AppOptions(**options(data_dir=tmp_path_factory.mktemp("fuzz")))
        app = runner.run(open_app(kept, Services(ServerOptions(), {"app": kept})))
        wire = Wire({"app": app})
        beside = Wire({"app": app}, mount=BASE, routes=v1_table(), keyring=wire.keyring, told=told)
        yield lambda method, path, *more: runner.run(_ask(beside if path.startswith(BASE) else wire, method, path, *more))
        runner.run(app.close())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
    path=st.sampled_from(PATHS) | st.text(st.characters(codec="ascii", exclude_characters="?#"), max_size=20).map(lambda text: "/" + text),
    query=st.binary(max_size=30) | st.sampled_from([b"where={", b"limit=x&order=", b"where[a]=1&where=2", b"include=%ff"]),
    sent=headers,
    body=bodies,
)
def test_no_request_makes_a_server_error(ask: Ask, method: str, path: str, query: bytes, sent: dict[bytes, bytes], body: bytes) -> None:
    keys = {b"x-parse-application-id": b"app", b"x-parse-rest-api-key": b"rest"} if body[:1] != b"{" or b"_Appl" not in body else {}
    assert 200 <= ask(method, "/parse" + path, query, {**keys, **sent}, body) < 500


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "_method": st.just("GET"),
        "className": st.sampled_from(["F", "_User", "_Session", "_Role"]) | json_values,
        "since": st.sampled_from(["", ".", "-.-", "0-000000000000", "8" * 40]) | json_values,
        "where": st.sampled_from(["{}", "{", '{"a":{"$gt":1}}']) | json_values,
        "limit": st.integers() | json_values,
    },
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=CHANGES, query=st.binary(max_size=30) | CHANGES.map(lambda asked: urlencode(asked, errors="replace").encode()))
def test_no_question_for_changes_makes_a_server_error(ask: Ask, asked: dict[str, Any], query: bytes) -> None:
    keys = {b"x-parse-application-id": b"app", b"x-parse-rest-api-key": b"rest"}
    assert 200 <= ask("POST", f"{BASE}/changes", query, keys, _encode(asked)) < 500
    assert 200 <= ask("GET", f"{BASE}/changes", query, keys, b"") < 500


@given(st.text(max_size=60) | st.text('{}[]",:\\u01-.eE+ tfn', max_size=30))
def test_any_text_is_judged(text: str) -> None:
    """The judge of malformed JSON comes to an end, with a message or without."""
    found = why(text)
    assert found is None or found
