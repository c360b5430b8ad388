"""Files: what may be uploaded and by whom, how it is handed out, and that nothing handed out can run."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest
from pymongo import MongoClient

from tests.wire.conftest import Running
from tests.wire.scenarios import APP, MASTER, READ_ONLY, SDK, STRICT, Case, play

PLAIN = {**APP, "Content-Type": "text/plain"}
STREAM = {"X-Parse-Upload-Mode": "stream", "Content-Type": "text/plain"}


def _sdk(**more: object) -> bytes:
    return json.dumps({**SDK, **more}).encode()


REFUSED = (
    Case("no name", "POST", "/files", 400, ('"code":122',), sent=PLAIN, content=b"x"),
    Case("empty", "POST", "/files/e.txt", 400, ('"code":130', "Invalid file upload."), sent=PLAIN, content=b""),
    Case("without keys", "POST", "/files/k.txt", 403, ("unauthorized",), sent={}, content=b"x"),
    Case("by the public, where that is off", "POST", "/files/p.txt", 400, ("by public is disabled",), sent=STRICT, content=b"x"),
    Case("by the read-only key", "POST", "/files/p.txt", 403, ("read-only",), sent=READ_ONLY, content=b"x"),
    Case("bad base64", "POST", "/files/z.txt", 400, ('"code":130',), sent={}, content=_sdk(base64="***")),
    Case("base64 not a text", "POST", "/files/z.txt", 403, sent={}, content=_sdk(base64={"a": 1})),
    Case(
        "a folder by anybody",
        "POST",
        "/files/z.txt",
        400,
        ('"code":119',),
        sent={},
        content=_sdk(base64="AA==", fileData={"directory": "a"}),
    ),
    Case(
        "a folder by header",
        "POST",
        "/files/z.txt",
        400,
        ('"code":119',),
        sent={**APP, **STREAM, "X-Parse-File-Directory": "a"},
        content=b"x",
    ),
    Case(
        "a climbing folder",
        "POST",
        "/files/z.txt",
        400,
        ('"code":122',),
        sent={**MASTER, **STREAM, "X-Parse-File-Directory": "a/../b"},
        content=b"x",
    ),
    Case(
        "metadata not JSON",
        "POST",
        "/files/z.txt",
        400,
        ('"code":107',),
        sent={**APP, **STREAM, "X-Parse-File-Metadata": "{"},
        content=b"x",
    ),
    Case(
        "a forbidden keyword",
        "POST",
        "/files/z.txt",
        400,
        ('"code":105',),
        sent={},
        content=_sdk(base64="AA==", fileData={"tags": {"constructor": "x"}}),
    ),
    Case("a limit by anybody", "POST", "/files/z.txt", 403, sent={**APP, "X-Parse-File-Max-Upload-Size": "1gb"}, content=b"x"),
    Case(
        "above its own limit",
        "POST",
        "/files/z.txt",
        413,
        ("request entity too large",),
        sent={**MASTER, "X-Parse-File-Max-Upload-Size": "3b"},
        content=b"four",
    ),
    Case(
        "a stream above its own limit",
        "POST",
        "/files/z.txt",
        400,
        ('"code":130',),
        sent={**MASTER, **STREAM, "X-Parse-File-Max-Upload-Size": "3b"},
        content=b"four",
    ),
    Case("deleted by anybody", "DELETE", "/files/x.txt", 403, ("master key is required",)),
    Case("deleted, but not there", "DELETE", "/files/x.txt", 400, ('"code":153',), sent=MASTER),
    Case("not there", "GET", "/files/app/nosuch.txt", 404, ("File not found.",), sent={}, headers={"content-type": "text/plain"}),
    Case("of another app", "GET", "/files/nope/x.txt", 403, ("Permission denied",), sent={}),
    Case("metadata of nothing", "GET", "/files/app/metadata/x.txt", 200, ("{}",), sent={}),
    Case("climbing out", "GET", "/files/app/..%2f..%2f..%2fetc%2fpasswd", 404, lacks=("root:",), sent={}),
    Case("NUL", "GET", "/files/app/a%00b", 404, sent={}),
)
BAD_NAMES = (
    "ü.txt",
    ".hidden",
    "-a.txt",
    "a(1).txt",
    "a,b.txt",
    "a%2Fb.txt",
    "a%00b.txt",
    "a%0a.txt",
    "%2e%2e",
    "a%5cb.txt",
    "x" * 129,
    "a<b.txt",
    'a"b.txt',
)
SCRIPTS = (
    ("x.html", "text/html"),
    ("x.HTM", "text/plain"),
    ("x.svg", "image/png"),
    ("x.xml", "text/plain"),
    ("x.xhtml", "application/xhtml+xml"),
    ("x.shtml", "text/plain"),
    ("x", "text/html"),
    ("x", "image/svg+xml"),
    ("x", "image/svg+xml; charset=utf-8"),
    ("x", "svg"),
    ("x", "image/"),
    ("x", "text/plain,text/html"),
    ("x", "image//svg+xml"),
    ("x.", "text/html"),
    ("x.odd", "text/html"),
)
HANDED_OUT = (
    ("a.txt", "text/plain", "text/plain", True),
    ("a.png", "image/png", "image/png", True),
    ("a.txt", "text/html", "text/plain", True),
    ("a.js", "text/javascript", "text/javascript", False),
    ("a.exe", "application/octet-stream", "application/octet-stream", False),
    ("a.weird", "application/vnd.api+json", "application/vnd.api+json", False),
    ("a.weird", "", "text/plain", True),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_is_refused(http: httpx.Client, server: Running, case: Case) -> None:
    play(http, server.base, case)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_no_names(http: httpx.Client, server: Running, name: str) -> None:
    play(http, server.base, Case(name, "POST", f"/files/{name}", 400, ('"code":122',), sent=PLAIN, content=b"x"))


@pytest.mark.parametrize(("name", "kind"), SCRIPTS)
def test_what_could_run_script_is_not_taken(http: httpx.Client, server: Running, name: str, kind: str) -> None:
    play(
        http,
        server.base,
        Case(name, "POST", f"/files/{name}", 400, ('"code":130',), sent={**APP, "Content-Type": kind}, content=b"<script>"),
    )


@pytest.mark.parametrize(("name", "kind", "served", "shown"), HANDED_OUT)
def test_what_is_handed_out_cannot_run(http: httpx.Client, server: Running, name: str, kind: str, served: str, shown: bool) -> None:
    stored = http.post(f"{server.base}/files/{name}", headers={**APP, "Content-Type": kind}, content=b"<script>").json()
    answer = http.get(stored["url"])
    assert (answer.content, answer.headers["content-type"]) == (b"<script>", served)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert ("content-disposition" in answer.headers) is not shown


def test_html_of_the_master_key_is_a_download(http: httpx.Client, server: Running) -> None:
    stored = http.post(f"{server.base}/files/x.html", headers={**MASTER, "Content-Type": "text/html"}, content=b"<script>").json()
    assert http.get(stored["url"]).headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("asked", "status", "content", "said"),
    [
        ("bytes=0-4", 206, b"Hello", "bytes 0-4/12"),
        ("bytes=7-", 206, b"world", "bytes 7-11/12"),
        ("bytes=-5", 206, b"world", "bytes 7-11/12"),
        ("bytes=-500", 206, b"Hello, world", "bytes 0-11/12"),
        ("bytes=3-999", 206, b"lo, world", "bytes 3-11/12"),
        ("bytes=99-100", 416, b"", "bytes */12"),
        ("bytes=-0", 416, b"", "bytes */12"),
        ("bytes=5-2", 200, b"Hello, world", None),
        ("bytes=0-1,3-4", 200, b"Hello, world", None),
        ("bytes=" + "9" * 400 + "-", 416, b"", "bytes */12"),
        ("bytes=0-99999999999999999999", 206, b"Hello, world", "bytes 0-11/12"),
        ("bytes=-" + "9" * 5000, 206, b"Hello, world", "bytes 0-11/12"),
        ("bytes=" + "0" * 40 + "3-", 206, b"lo, world", "bytes 3-11/12"),
        ("lines=1-2", 200, b"Hello, world", None),
        ("bytes=-", 200, b"Hello, world", None),
    ],
)
def test_ranges(http: httpx.Client, server: Running, asked: str, status: int, content: bytes, said: str | None) -> None:
    stored = http.post(f"{server.base}/files/hello.txt", headers=PLAIN, content=b"Hello, world").json()
    answer = http.get(stored["url"], headers={"Range": asked})
    assert (answer.status_code, answer.content, answer.headers.get("content-range")) == (status, content, said)


def test_an_upload_is_streamed_both_ways_and_gone_after_delete(http: httpx.Client, server: Running) -> None:
    """Five megabytes in chunks, with metadata and a folder; the name on disk is none of the client's."""
    data = bytes(range(256)) * 20_000
    sent = {**MASTER, **STREAM, "X-Parse-File-Metadata": '{"a":1}', "X-Parse-File-Directory": "some/where"}
    answer = http.post(f"{server.base}/files/big.txt", headers=sent, content=(data[i : i + 60_000] for i in range(0, len(data), 60_000)))
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert answer.headers["location"] == stored["url"]
    assert stored["name"].startswith("some/where/")
    assert http.get(stored["url"]).content == data
    assert http.head(stored["url"]).headers["content-length"] == str(len(data))
    assert http.get(f"{server.base}/files/app/metadata/{stored['name']}").json() == {"metadata": {"a": 1}}
    folder = server.apps["app"].options.data_dir
    assert not [path for path in folder.rglob("*") if "big" in path.name or "some" in path.name]
    gone = http.delete(f"{server.base}/files/{stored['name']}", headers=MASTER)
    assert (gone.status_code, gone.content) == (200, b"")
    assert http.get(stored["url"]).status_code == 404


def test_a_broken_upload_leaves_nothing(server: Running) -> None:
    """A client that goes away in the middle leaves no contents behind."""
    address = urlsplit(server.base)
    options = server.apps["app"].options

    def kept() -> set[object]:
        if options.database_url is not None:
            with MongoClient[dict[str, object]](options.database_url) as client:
                return {part["_id"] for part in client.get_default_database()["fs.chunks"].find({}, {"_id": 1})}
        return {path for path in (options.data_dir / "files").rglob("*") if path.is_file()}

    def wait_until(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not done():
            assert time.monotonic() < deadline, kept()
            time.sleep(0.01)

    before = kept()
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as line:
        head = "POST /parse/files/half.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n"
        line.sendall((head + "".join(f"{k}: {v}\r\n" for k, v in PLAIN.items()) + "\r\n").encode() + b"x" * 1_500_000)
        if options.database_url is None:  # GridFS is sent a small file as a whole
            wait_until(lambda: kept() != before)
    wait_until(lambda: kept() == before)
