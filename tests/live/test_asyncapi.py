"""The published protocol is the spoken one: its form, its messages against the code, and what travels over a real socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import Draft7Validator
from websockets.exceptions import ConnectionClosed

from mbaas.realtime.events import Op
from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from mbaas.wire.live.messages import SHAPES, Told, complaint
from tests.live.client import Client, Frame, gone
from tests.live.contract import DOCUMENT, FROM_CLIENT, FROM_SERVER, at, names

ROOT = Path(__file__).parents[2]
SPECIFICATION = ROOT / "tests/compat/node_modules/@asyncapi/specs/schemas/3.0.0.json"
MASTER = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}


class Witness(Client):
    """A client that keeps what was said on either side."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.sent: list[Frame] = []
        self.received: list[Frame] = []

    def send(self, frame: Any) -> None:
        self.sent.append(frame)
        super().send(frame)

    def receive(self, seconds: float = 10) -> Frame:
        self.received.append(super().receive(seconds))
        return self.received[-1]


def references(part: Any) -> Iterator[str]:
    """Every reference in a part of the document."""
    if isinstance(part, dict):
        yield from (value for name, value in part.items() if name == "$ref")
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from references(value)


def ops(validators: dict[str, Draft7Validator]) -> list[str]:
    return [DOCUMENT["components"]["messages"][name]["payload"]["properties"]["op"]["const"] for name in validators]


def test_the_document_has_the_form_of_asyncapi_3() -> None:
    form = Draft7Validator(json.loads(SPECIFICATION.read_text(encoding="utf-8")))
    assert [error.message for error in form.iter_errors(DOCUMENT)] == []
    assert all(at(reference) for reference in references(DOCUMENT))


def test_each_message_is_said_by_one_side() -> None:
    assert not FROM_CLIENT.keys() & FROM_SERVER.keys()
    messages = DOCUMENT["components"]["messages"]
    assert FROM_CLIENT.keys() | FROM_SERVER.keys() == messages.keys() == DOCUMENT["channels"]["live"]["messages"].keys()


@pytest.mark.parametrize("name", sorted({**FROM_CLIENT, **FROM_SERVER}))
def test_examples_are_what_they_stand_for(name: str) -> None:
    among = FROM_CLIENT if name in FROM_CLIENT else FROM_SERVER
    examples = DOCUMENT["components"]["messages"][name]["examples"]
    assert [names(example["payload"], among) for example in examples] == [[name]] * len(examples)
    assert examples


def test_every_op_that_is_understood_or_sent_is_in_the_document() -> None:
    """What is sent is typed, so that nothing else can be."""
    assert sorted(ops(FROM_CLIENT)) == sorted(SHAPES)
    assert sorted(ops(FROM_SERVER)) == sorted(get_args(Told) + get_args(Op))


LISTS = st.lists(st.sampled_from(["a", "b", 1]), max_size=3)
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), LISTS, st.just({}))
NAMED = st.lists(st.sampled_from("abc"), min_size=1, max_size=3)


def mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda n: right if n else ANYTHING)


def object_of(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """An object with some of these members, and now and then another one."""
    return st.fixed_dictionaries({}, optional={**members, "other": ANYTHING}) | st.fixed_dictionaries(members)


QUERIES = object_of({"className": mostly(st.text()), "where": mostly(st.just({"a": 1})), "keys": mostly(NAMED), "watch": mostly(NAMED)})
MEMBERS = {
    "connect": dict.fromkeys(SHAPES["connect"].members, mostly(st.text(max_size=3))),
    "unsubscribe": {"requestId": mostly(st.integers() | st.floats(allow_nan=False, allow_infinity=False))},
}
MEMBERS["subscribe"] = MEMBERS["update"] = {
    **MEMBERS["unsubscribe"],
    "query": mostly(QUERIES),
    "sessionToken": mostly(st.text()),
    "since": mostly(st.none() | st.text()),
}
MESSAGES = st.one_of(*(object_of({**MEMBERS[op], "op": st.just(op)}) for op in SHAPES), object_of({"op": ANYTHING}), ANYTHING)


@given(message=MESSAGES)
def test_a_message_is_refused_as_malformed_if_it_is_none_of_the_document(message: Any) -> None:
    assert len(names(message, FROM_CLIENT)) == (complaint(message) is None)


def live(witness: Witness, server: TestServer) -> None:
    """Say everything that can be said, and have everything told."""

    def write(method: str, path: str, body: Any = None) -> Any:
        status, answer = server.call(method, f"/parse{path}", body, MASTER)
        assert status < 300, answer
        return answer

    name = f"C{uuid4().hex}"
    assert witness.connect(applicationId="nobody's")["code"] == 4
    witness.connect(applicationId=APP_ID, installationId="phone")
    witness.subscribe(name, {"n": {"$gt": 0}}, since=None, keys=["n"], watch=["n"])
    place = f"/classes/{name}/{write('POST', f'/classes/{name}', {'n': 1})['objectId']}"
    for n in (2, 0, 3):
        write("PUT", place, {"n": n})
    write("DELETE", place)
    assert [frame["op"] for frame in witness.due()] == ["create", "update", "leave", "enter", "delete"]
    witness.send({"op": "update", "requestId": 1, "query": {"className": name, "where": {}}, "sessionToken": "nobody's"})
    assert witness.receive()["op"] == "subscribed"
    write("PUT", f"/schemas/{name}", {"classLevelPermissions": {"find": {}}})
    write("POST", f"/classes/{name}", {})
    assert [frame["code"] for frame in witness.due()] == [119]
    for answer in ("unsubscribed", "error"):
        witness.send({"op": "unsubscribe", "requestId": 1})
        assert witness.receive()["op"] == answer
    assert witness.subscribe(f"{name}2", {"a": {"$inQuery": {"className": name, "where": {}}}})["code"] == 102
    witness.subscribe(f"{name}2", since="nonsense")
    assert [frame["op"] for frame in witness.due()] == ["resync"]
    witness.connect(applicationId=APP_ID)
    witness.subscribe(f"{name}2")
    write("POST", f"/classes/{name}2", {})
    assert [frame["op"] for frame in witness.due()] == ["create"]


@pytest.mark.parametrize("path", ["/parse", "/"])
def test_everything_that_is_said_is_in_the_document_and_the_other_way_round(server: TestServer, path: str) -> None:
    with Witness(f"ws://127.0.0.1:{server.port}{path}") as witness:
        live(witness, server)
    for said, among in ((witness.sent, FROM_CLIENT), (witness.received, FROM_SERVER)):
        found = [names(frame, among) for frame in said]
        assert [frame for frame, name in zip(said, found, strict=True) if len(name) != 1] == []
        assert {name for [name] in found} == among.keys()


def test_clients_of_parse_server_are_told_what_is_in_the_document(tmp_path: Path) -> None:
    """Without `seq`, unless they say `since`."""
    options = {"appId": APP_ID, "masterKey": MASTER_KEY, "allowClientClassCreation": True, "liveQuery": {"classNames": [".*"]}}
    with TestServer.with_parse_options(tmp_path, options) as server, Witness(f"ws://127.0.0.1:{server.port}/parse") as witness:
        live(witness, server)
    events = [frame for frame in witness.received if "object" in frame]
    assert ["seq" in frame for frame in events] == [True] * 5 + [False]


def test_the_codes_that_connections_are_closed_with_are_in_the_document(tmp_path: Path) -> None:
    settings = {"preset": "parse", "live_connections": 1, "live_ping": "1s", "client_timeout": "3s", "workers": 1}
    with TestServer(tmp_path, settings=settings) as server:
        url = f"ws://127.0.0.1:{server.port}/parse"
        with Client(url) as first, Client(url) as second:
            assert first.connect(applicationId=APP_ID)["op"] == "connected"
            found = [closed(second)]
        for said in (b"", TOO_LONG):
            gone(server)
            found.append(rude(server.port, said))
        gone(server)
        with Client(url) as silent:
            found.append(closed(silent))
        gone(server)
        with Client(url) as last:
            assert last.connect(applicationId=APP_ID)["op"] == "connected"
            server.stop()
            found.append(closed(last))
    assert sorted(found) == [described["code"] for described in DOCUMENT["channels"]["live"]["x-close-codes"]]


def closed(client: Client) -> int:
    """What the server closes a connection with."""
    with pytest.raises(ConnectionClosed) as told:
        client.until(lambda frame: False)
    assert told.value.rcvd is not None
    return told.value.rcvd.code


TOO_LONG = bytes((0x81, 0xFF)) + (1024 * 1024 + 1).to_bytes(8, "big") + b"mask"
"""The head of a text of more than 1 MiB. What would follow might keep the client from hearing why it is closed."""


def rude(port: int, said: bytes) -> int:
    """The same for a client that answers no ping, and says what no library would."""
    request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    with socket.create_connection(("127.0.0.1", port), 30) as line, line.makefile("rb") as answer:
        line.sendall(f"{request}Sec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
        assert b"101" in answer.readline()
        while answer.readline() != b"\r\n":
            pass  # The rest of the answer's head.
        line.sendall(said)
        frames = answer.read()
    return int.from_bytes(frames.rpartition(b"\x88")[2][1:3], "big")
