"""How a request says who asks and what it wants: keys, methods, bodies, CORS, and what malformed ones are told."""

from __future__ import annotations

import base64
import gzip
import json
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx
import pytest

from mbaas.kernel.errors import Code, ParseError, TooMany
from mbaas.storage.ports import Step, Written
from tests.wire.conftest import Running
from tests.wire.scenarios import APP, MASTER, READ_ONLY, SDK, STRICT, TEXT, Case, play

JSON = {**APP, "Content-Type": "application/json"}


def _basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def _sdk(**more: object) -> bytes:
    return json.dumps({**SDK, **more}).encode()


KEYS = (
    Case("no keys", "GET", "/classes/K", 403, ('"unauthorized"',), ("code",), {}, headers={"content-type": None}),
    Case("app id alone", "GET", "/classes/K", 403, sent={"X-Parse-Application-Id": "app"}),
    Case("one right key of two", "GET", "/classes/K", 200, sent={**APP, "X-Parse-REST-API-Key": "x", "X-Parse-Client-Key": "client"}),
    Case("basic auth", "GET", "/schemas", 200, sent=_basic("app:master")),
    Case("basic auth, script key", "GET", "/classes/K", 200, sent=_basic("app:javascript-key=js")),
    Case("basic auth, junk", "GET", "/classes/K", 403, sent={"Authorization": "Basic %%%"}),
    Case("keys in the query", "GET", "/classes/K?_ApplicationId=app&_MasterKey=master", 403, sent={}),
    Case(
        "wrong master key beside a right key", "GET", "/schemas", 403, ("master key is required",), sent={**APP, "X-Parse-Master-Key": "x"}
    ),
    Case("read-only master reads", "GET", "/schemas", 200, sent=READ_ONLY),
    Case("read-only master writes", "POST", "/schemas/Ro", 400, ('"code":119', "read-only"), sent=READ_ONLY, json={}),
    Case("master key from elsewhere", "GET", "/schemas", 403, ("unauthorized",), sent={**STRICT, "X-Parse-Master-Key": "master"}),
    Case(
        "master key with a forged address",
        "GET",
        "/schemas",
        403,
        sent={**STRICT, "X-Parse-Master-Key": "master", "X-Forwarded-For": "10.0.0.1"},
    ),
    Case("maintenance key from elsewhere", "GET", "/classes/K", 403, sent={**STRICT, "X-Parse-Maintenance-Key": "maint"}),
    Case("sanitized", "GET", "/schemas", 403, ("Permission denied",), ("master",), STRICT),
    Case("bad session", "GET", "/classes/K", 400, ('"code":209',), sent={**APP, "X-Parse-Session-Token": "r:nope"}),
    Case("bad session at login", "GET", "/login", 400, ('"code":200',), sent={**APP, "X-Parse-Session-Token": "r:nope"}),
    Case("bad session at LOGIN", "GET", "/LOGIN", 400, ('"code":200',), sent={**APP, "X-Parse-Session-Token": "r:nope"}),
    Case("context not an object", "GET", "/classes/K", 400, ('"code":107',), sent={**APP, "X-Parse-Cloud-Context": "[]"}),
)

SDK_BODIES = (
    Case("create", "POST", "/classes/S", 201, ("objectId",), sent=TEXT, content=_sdk(a=1)),
    Case("find", "POST", "/classes/S", 200, ('"a":1',), ("_ApplicationId", "_ClientVersion"), TEXT, content=_sdk(_method="GET", where={})),
    Case("unknown method", "POST", "/classes/S", 404, sent=TEXT, content=_sdk(_method="FOO")),
    Case("method not a text", "POST", "/classes/S", 201, sent=TEXT, content=_sdk(_method={"a": 1})),
    Case("_method on PUT", "PUT", "/classes/S/x", 400, ('"code":105',), sent=TEXT, content=_sdk(_method="GET")),
    Case("master key not a text", "POST", "/classes/S", 403, sent=TEXT, content=_sdk(_MasterKey={"$ne": 1})),
    Case("session not a text", "POST", "/classes/S", 403, sent=TEXT, content=_sdk(_SessionToken={"$ne": 1})),
    Case("wrong key", "POST", "/classes/S", 403, sent=TEXT, content=json.dumps({**SDK, "_JavaScriptKey": "x"}).encode()),
    Case("a list", "POST", "/classes/S", 403, sent=TEXT, content=b"[1]"),
    Case("context of the body", "POST", "/classes/S", 400, ('"code":107',), sent=TEXT, content=_sdk(_context='"x"')),
)

ZIPPED = gzip.compress(b'{"a":1}')
MALFORMED = (
    Case("broken", "POST", "/classes/M", 400, ("Unexpected end of JSON input",), ("code",), JSON, content=b'{"a":'),
    Case("a text", "POST", "/classes/M", 400, ("Unexpected token '\\\"'",), sent=JSON, content=b'"x"'),
    Case("not UTF-8", "POST", "/classes/M", 400, ("not valid UTF-8",), sent=JSON, content=b'{"a":"\xff"}'),
    Case("lone surrogate", "POST", "/classes/M", 400, ('"code":107', "surrogate"), sent=JSON, content=b'{"a":"\\ud800"}'),
    Case("endless number", "POST", "/classes/M", 400, ('"code":107', "too large"), sent=JSON, content=b'{"a":1e999}'),
    Case("deep", "POST", "/classes/M", 400, ('"code":107', "200 levels"), sent=JSON, content=b'{"a":' + b"[" * 500 + b"]" * 500 + b"}"),
    Case("deeper", "POST", "/classes/M", 400, ("200 levels",), sent=JSON, content=b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    Case("long and broken", "POST", "/classes/M", 400, ("not JSON: trailing comma",), sent=JSON, content=b"[" + b"1," * 20_000 + b"]"),
    Case("byte order mark", "POST", "/classes/M", 201, sent=JSON, content=b'\xef\xbb\xbf{"a":3}'),
    Case("path not UTF-8", "GET", "/classes/%ff", 400),
    Case("too large", "POST", "/classes/M", 413, ("request entity too large",), sent=STRICT, content=b"{" + b" " * 3000 + b"}"),
    Case(
        "too large for the app in the body",
        "POST",
        "/classes/M",
        413,
        sent=TEXT,
        content=json.dumps({**SDK, "_ApplicationId": "strict", "a": "x" * 3000}).encode(),
    ),
    Case("not gzip", "POST", "/classes/M", 400, sent={**JSON, "Content-Encoding": "gzip"}, content=b"{}"),
    Case("gzip", "POST", "/classes/M", 201, sent={**JSON, "Content-Encoding": "gzip"}, content=ZIPPED),
    Case("gzip cut short", "POST", "/classes/M", 400, ("cut short",), sent={**JSON, "Content-Encoding": "gzip"}, content=ZIPPED[:-9]),
    Case("gzip with more", "POST", "/classes/M", 400, ("cut short",), sent={**JSON, "Content-Encoding": "gzip"}, content=ZIPPED + b"x"),
    Case("unknown encoding", "POST", "/classes/M", 415, sent={**JSON, "Content-Encoding": "br"}, content=b"{}"),
    Case("no such route", "PATCH", "/classes/M", 404),
    Case("nothing", "GET", "", 404),
    Case("slashes", "GET", "//classes/M/?limit=0", 200, ('"results":[]',)),
    Case("an empty part", "GET", "/classes//M?limit=0", 404, ("Cannot GET ",)),
    Case("an empty part at the end", "GET", "/classes/M//?limit=0", 404),
    Case("health", "PATCH", "/health/x", 200, ('{"status":"ok"}',), sent={}),
)

CORS = (
    Case("preflight", "OPTIONS", "/nope", 200, sent={}, headers={"access-control-allow-methods": "GET,PUT,POST,DELETE,OPTIONS"}),
    Case(
        "exposed",
        "GET",
        "/classes/C",
        200,
        headers={"access-control-expose-headers": "X-Parse-Job-Status-Id, X-Parse-Push-Status-Id", "access-control-allow-origin": "*"},
    ),
    Case(
        "one of two origins",
        "GET",
        "/classes/C",
        400,
        sent={**STRICT, "Origin": "https://b.example", "X-Parse-Session-Token": "x"},
        headers={"access-control-allow-origin": "https://b.example", "vary": "Origin"},
    ),
    Case(
        "another origin",
        "GET",
        "/classes/C",
        400,
        sent={**STRICT, "Origin": "https://evil.example", "X-Parse-Session-Token": "x"},
        headers={"access-control-allow-origin": "https://a.example"},
    ),
)


@pytest.mark.parametrize("case", [*KEYS, *SDK_BODIES, *MALFORMED, *CORS], ids=lambda case: case.name)
def test_a_request_is_answered_as_clients_expect(http: httpx.Client, server: Running, case: Case) -> None:
    play(http, server.base, case)


def test_a_compressed_body_is_read_but_not_without_end(http: httpx.Client, server: Running) -> None:
    """A few bytes that unfold to gigabytes are refused."""
    import zlib

    packed = zlib.compressobj(wbits=31)
    data = packed.compress(b'{"a":1}') + packed.flush()
    sent = {**JSON, "Content-Encoding": "gzip"}
    play(http, server.base, Case("gzip", "POST", "/classes/Z", 201, sent=sent, content=data))
    bomb = zlib.compress(b" " * 30_000_000)
    play(http, server.base, Case("bomb", "POST", "/classes/Z", 413, sent={**JSON, "Content-Encoding": "deflate"}, content=bomb))


def test_a_request_id_works_once(http: httpx.Client, server: Running) -> None:
    """Also for a request that was refused, and on another path."""
    first = {**JSON, "X-Parse-Request-Id": "r-1"}
    made = play(http, server.base, Case("first", "POST", "/classes/I", 201, sent=first, json={"a": 1})).json()["objectId"]
    play(http, server.base, Case("again", "POST", "/classes/I", 400, ('"code":159', "Duplicate request"), sent=first, json={"a": 1}))
    play(http, server.base, Case("elsewhere", "PUT", f"/classes/I/{made}", 400, ('"code":159',), sent=first, json={"a": 2}))
    second = {**JSON, "X-Parse-Request-Id": "r-2"}
    play(http, server.base, Case("refused", "POST", "/classes/I", 400, ('"code":111',), sent=second, json={"a": "x"}))
    play(http, server.base, Case("refused again", "POST", "/classes/I", 400, ('"code":159',), sent=second, json={"a": 1}))
    play(http, server.base, Case("reads are free", "GET", "/classes/I?count=1&limit=0", 200, ('"count":1',), sent=first))
    play(http, server.base, Case("master, too", "POST", "/classes/I", 400, ('"code":159',), sent={**MASTER, **second}, json={}))


def test_a_request_that_failed_for_now_may_be_made_again_with_its_id(
    http: httpx.Client, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SDKs do so by themselves after a 500."""
    documents = server.apps["app"].store.documents
    commit, answers = documents.commit, iter([ParseError(Code.INTERNAL_SERVER_ERROR, "not now"), TooMany("not now", 1)])

    async def failing(steps: Sequence[Step]) -> list[Written]:
        if error := next(answers, None):
            raise error
        return await commit(steps)

    monkeypatch.setattr(documents, "commit", failing)
    sent = {**JSON, "X-Parse-Request-Id": "r-3"}
    codes = [http.post(f"{server.base}/classes/I", headers=sent, json={"a": 1}).status_code for _ in range(4)]
    assert codes == [500, 429, 201, 400]


def _raw(server: Running, head: str) -> tuple[str, dict[str, str], str]:
    """Send a request by hand and read until the server closes."""
    address = urlsplit(server.base)
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as line:
        line.sendall((head + "".join(f"{name}: {value}\r\n" for name, value in APP.items()) + "\r\n").encode())
        got = b""
        while part := line.recv(65536):
            got += part
    top, _, body = got.decode().partition("\r\n\r\n")
    first, *lines = top.split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("path", ["/parse/classes/Fast", "/parse/classes/Fast/nosuch", "/parse/nope"])
def test_an_answer_is_the_same_in_one_piece_and_in_two(server: Running, path: str) -> None:
    """Connections that stay open are answered by the short way, others by the server's own."""
    closing = _raw(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
    with httpx.Client() as client:
        staying = client.get(server.base.removesuffix("/parse") + path, headers=APP)
    assert closing[0] == f"HTTP/1.1 {staying.status_code} {staying.reason_phrase}"
    assert closing[2] == staying.text
    varying = {"date", "connection"}
    assert {k: v for k, v in closing[1].items() if k not in varying} == {k: v for k, v in staying.headers.items() if k not in varying}


def test_requests_sent_together_are_answered_in_order(server: Running) -> None:
    """A client that does not wait for answers gets them one after the other."""
    keys = "".join(f"{name}: {value}\r\n" for name, value in APP.items())
    body = json.dumps({"a": 1})
    create = f"POST /parse/classes/Pipe HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{keys}\r\n{body}"
    address = urlsplit(server.base)
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as line:
        last = f"GET /parse/classes/Pipe?count=1&limit=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{keys}\r\n"
        line.sendall((create * 5 + last).encode())
        got = b""
        while part := line.recv(65536):
            got += part
    assert got.count(b"HTTP/1.1 201 Created") == 5
    assert got.endswith(b'{"results":[],"count":5}')
