"""Rows 45, 46 and 48: what is uploaded cannot run, odd requests for files do no harm, and no path leads out of the folder."""

from __future__ import annotations

import itertools
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from mbaas.testing.process import APP_ID
from tests.security.attack import ANON, MASTER, Target, User

SCRIPT = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
NAMES = (
    "x.html", "x.HTM", "x.hTmL", "x.xhtml", "x.xht", "x.svg", "x.SVG", "x.svgz", "x.xml", "x.xsl", "x.xslt", "x.shtml", "x.rdf", "x.owl",
    "x.mathml", "x.html.", "x.html..", "x.svg.", "x.html ", "x.txt.html", "x.jpg.svg", "x", "x.odd", "x.html.txt", "x.png", "x.pdf", "x.js",
    "x.css", "x.swf", "x.mht", "x.hta", "x.xul", "x.json", "x.wasm",
)  # fmt: skip
TYPES = (
    "text/html", "TEXT/HTML", "text/html; charset=utf-8", "text/html;a=b", "image/svg+xml", "image/svg+xml;x", "application/xml",
    "text/xml", "application/xhtml+xml", "text/html,text/plain", "text/plain, text/html", "text/plain", "image/png", "", "text", "/",
    ";", "html",
    "multipart/form-data", "application/x-www-form-urlencoded", "text/html\t;x", "application/rdf+xml", "application/mathml+xml",
    "text/xsl",
)  # fmt: skip
PAIRS = [(name, kind) for n, (name, kind) in enumerate(itertools.product(NAMES, TYPES)) if n % 13 == 0 or "." not in name]
RUNS = ("html", "svg", "xml", "xsl", "javascript", "ecmascript", "mathml", "rdf", "shockwave")
INLINE = ("text/plain", "image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/", "application/pdf", "application/json")


@pytest.fixture(scope="module")
def uploader(production: Target) -> User:
    return production.user()


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@pytest.mark.parametrize("master", [False, True])
def test_row_45_what_is_uploaded_cannot_run(production: Target, uploader: User, name: str, kind: str, master: bool) -> None:
    """It is refused, or handed out as something that a browser does not run; whoever stored it."""
    sent = {**(MASTER if master else uploader.sent), "Content-Type": kind}
    stored = production.raw("POST", f"/files/{name}", content=SCRIPT, headers=sent)
    if stored.status_code != 201:
        assert stored.status_code in (400, 404), stored.text
        return
    served = production.http.get(stored.json()["url"])
    shown = served.headers["content-type"].lower()
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in served.headers["content-security-policy"]
    attached = served.headers.get("content-disposition", "").startswith("attachment")
    assert attached or shown.startswith(INLINE), (shown, served.headers)
    assert attached or not any(word in shown for word in RUNS), shown


RANGES = (
    "bytes=0-0", "bytes=-1", "bytes=5-", "bytes=9-2", "bytes=-", "bytes=--1", "bytes=0-1-2", "bytes=a-b",
    "bytes=0-999999999999999999999999",
    "bytes=99999999999999999999-", "bytes=-99999999999999999999", "bytes=0-1,2-3,4-5", "bytes=" + "0-1," * 2000, "bytes=1e3-", "bytes= 0-1",
    "Bytes=0-1", "bytes:0-1", "items=0-1", "", "=", "bytes", "bytes=0x0-0x1", "bytes=\u0661-", "bytes=0-1 x", "bytes=+1-2", "bytes=-0",
)  # fmt: skip


@pytest.fixture(scope="module")
def stored(production: Target, uploader: User) -> str:
    answer = production.raw("POST", "/files/ten.txt", content=b"0123456789", headers={**uploader.sent, "Content-Type": "text/plain"})
    return str(answer.json()["url"])


@pytest.mark.parametrize("asked", RANGES, ids=lambda asked: asked[:24] or "empty")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_row_46_odd_ranges_are_answered_by_the_rules(production: Target, stored: str, asked: str, method: str) -> None:
    answer = production.http.request(method, stored, headers=httpx.Headers({b"Range": asked.encode("utf-8")}))
    assert answer.status_code in (200, 206, 416)
    if method == "GET" and answer.status_code == 206:
        first, last = answer.headers["content-range"].removeprefix("bytes ").removesuffix("/10").split("-")
        assert answer.content == b"0123456789"[int(first) : int(last) + 1]
    elif method == "GET":
        assert answer.content == (b"0123456789" if answer.status_code == 200 else b"")
    assert production.ask("GET", "/health").status == 200


LINES = (
    "POST /parse/files/ HTTP/1.1\r\nContent-Length: 1\r\n{keys}\r\nx",
    "POST /parse/files HTTP/1.1\r\nContent-Length: 1\r\n{keys}\r\nx",
    "POST /parse/files/x HTTP/1.1\r\nContent-Length: 0\r\n{keys}\r\n",
    "POST /parse/files/x.txt HTTP/1.1\r\nContent-Length: -1\r\n{keys}\r\nx",
    "POST /parse/files/x.txt HTTP/1.1\r\nContent-Length: 1e9\r\n{keys}\r\nx",
    "POST /parse/files/x.txt HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n{keys}\r\nx",
    "POST /parse/files/x.txt HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{keys}\r\nZZ\r\n",
    "POST /parse/files/x.txt HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n{keys}\r\n0\r\n\r\n",
    "POST /parse/files/x.txt HTTP/1.1\r\nContent-Length: 5\r\n{keys}\r\nx",
    "GET /parse/files HTTP/1.1\r\n{keys}\r\n",
    "GET /parse/files/ HTTP/1.1\r\n{keys}\r\n",
    "GET /parse/files/test-app HTTP/1.1\r\n{keys}\r\n",
    "GET /parse/files/test-app/ HTTP/1.1\r\n{keys}\r\n",
    "GET /parse/files/test-app/metadata HTTP/1.1\r\n{keys}\r\n",
    "DELETE /parse/files/ HTTP/1.1\r\n{keys}\r\n",
    "GET /parse/files/%ff/%fe HTTP/1.1\r\n{keys}\r\n",
    "GET /parse/files/test-app/a%00b HTTP/1.1\r\n{keys}\r\n",
    "GET /parse/files/test-app/%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\n{keys}\r\n",
)


@pytest.mark.parametrize("lines", LINES, ids=lambda lines: lines[:60])
def test_row_46_odd_requests_leave_the_server_alive(production: Target, lines: str) -> None:
    """The connection may end; the process does not."""
    address = urlsplit(production.server.url)
    keys = "Host: x\r\nConnection: close\r\n" + "".join(f"{name}: {value}\r\n" for name, value in ANON.items())
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20) as line:
        line.sendall(lines.format(keys=keys).encode())
        line.shutdown(socket.SHUT_WR)
        got = b""
        while part := line.recv(65536):
            got += part
    assert not got or got.split()[1][:1] in (b"4", b"2"), got[:200]
    assert b"set-cookie" not in got.lower().partition(b"\r\n\r\n")[0]
    assert production.ask("GET", "/health").status == 200


CLIMBS = (
    "..%2f..%2f..%2fetc%2fpasswd", "../../../etc/passwd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "..%5c..%5cetc%5cpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "....//....//etc/passwd", "a/../../../etc/passwd", "..%00/etc/passwd",
    "%c0%ae%c0%ae/etc/passwd",
    "file:///etc/passwd", "..;/etc/passwd", "keys.json", "../keys.json", "..%2fdata.sqlite", "%2e%2e%2f%2e%2e%2fserver.log",
)  # fmt: skip


@pytest.mark.parametrize("path", CLIMBS)
@pytest.mark.parametrize("route", [f"/files/{APP_ID}/", f"/files/{APP_ID}/metadata/", "/files/", "/", "/classes/", "/functions/"])
def test_row_48_no_path_leads_out(production: Target, route: str, path: str) -> None:
    address = urlsplit(production.server.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=20) as line:
        head = f"GET /parse{route}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Parse-Application-Id: {APP_ID}\r\n\r\n"
        line.sendall(head.encode())
        got = b""
        while part := line.recv(65536):
            got += part
    assert int(got.split()[1]) in (200, 400, 403, 404), got[:100]
    assert b"root:" not in got
    assert b"SQLite format" not in got
    assert b"serving" not in got


@pytest.mark.parametrize("locale", ["../../x", "..%2f..%2fetc", "/etc/passwd", "%00", "a" * 5000])
def test_row_48_parameters_lead_nowhere(production: Target, locale: str) -> None:
    for path in ("/docs", "/openapi.json", "/livez", "/parse/health", "/parse/apps/test-app/verify_email"):
        answer = httpx.get(f"{production.server.url}{path}?locale={locale}", timeout=30)
        assert answer.status_code in (200, 403, 404)
        assert "root:" not in answer.text


@pytest.mark.parametrize(
    "name", ["../x.txt", "..%2fx.txt", "a%2fb.txt", "%2e%2e", "a%00.txt", "%0d%0aX: y.txt", "a\\b.txt", ".htaccess", "x" * 400]
)
@pytest.mark.parametrize("master", [False, True])
def test_row_48_no_name_climbs(production: Target, uploader: User, name: str, master: bool) -> None:
    sent = {**(MASTER if master else uploader.sent), "Content-Type": "text/plain"}
    answer = production.raw("POST", f"/files/{name}", content=b"x", headers=sent)
    assert answer.status_code in (400, 404), answer.text
