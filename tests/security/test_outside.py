"""Rows 47, 56, 63, 67 and 68: what an app's own code does, and what the server is led to call, ends and opens nothing."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, mbaas
from tests.functions.web import Web, respond, web
from tests.security.attack import ANON, MASTER, WAYS, Target, Way
from tests.security.test_live import EVERYBODY, watching

CLOUD = Path(__file__).parent / "cloud"


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with code that breaks whatever it can break."""
    settings = {"preset": "parse", "functions": CLOUD, "outbound_allow": "127.0.0.1"}
    with TestServer(tmp_path_factory.mktemp("coded"), settings=settings) as server:
        made = Target(server)
        with made.http:
            yield made


@pytest.fixture(scope="module")
def somebody() -> Iterator[Web]:
    """A server of somebody else's."""
    with web() as running:
        yield running


def test_row_47_what_is_known_of_a_file_is_told_by_no_other_door(coded: Target) -> None:
    """A trigger that keeps a file shut keeps its metadata shut, too."""
    made = coded.http.post(f"{coded.base}/files/shut.txt", content=b"secret", headers={**MASTER, "Content-Type": "text/plain"})
    assert made.status_code == 201, made.text
    name = made.json()["name"]
    for path in (f"/files/{APP_ID}/{name}", f"/files/{APP_ID}/metadata/{name}", f"/files/{APP_ID}/metadata/%73hut/../{name}"):
        for sent in ({}, ANON):
            answer = coded.http.get(f"{coded.base}{path}", headers=sent)
            assert answer.status_code >= 400 or answer.json() == {}, (path, answer.text)
            assert "secret" not in answer.text


@pytest.mark.parametrize("way", WAYS)
def test_row_56_code_that_breaks_ends_its_own_call(coded: Target, way: Way) -> None:
    for name in ("raising", "exiting", "recursing", "endless_answer"):
        answer = coded.ask("POST", f"/functions/{name}", {}, ANON, way)
        assert answer.code in (141, 124, 116), (name, answer.text)
        assert coded.server.get("/livez")[0] == 200
    assert coded.ask("POST", "/functions/fine", {}, ANON, way).body == {"result": "fine"}


def test_row_56_nor_does_a_job_or_a_trigger_of_live_queries(coded: Target) -> None:
    name = "Breaking"
    coded.schema(name, classLevelPermissions=EVERYBODY)
    with watching(coded, name) as client:
        coded.make(name, {"a": 1})
        client.due()
    assert coded.ask("POST", "/jobs/breaking", {}, MASTER).code is None
    assert coded.server.get("/readyz")[0] == 200
    assert coded.ask("POST", "/functions/fine").body == {"result": "fine"}
    assert coded.server.process is not None
    assert coded.server.process.poll() is None


def _places(port: int) -> dict[str, str]:
    """One door of this machine, by its many names."""
    return {
        "loopback": f"http://127.0.0.1:{port}/",
        "a name": f"http://localhost:{port}/",
        "decimal": f"http://2130706433:{port}/",
        "hexadecimal": f"http://0x7f000001:{port}/",
        "short": f"http://127.1:{port}/",
        "IPv6": f"http://[::1]:{port}/",
        "IPv4 in IPv6": f"http://[::ffff:127.0.0.1]:{port}/",
        "any": f"http://0.0.0.0:{port}/",
        "https": f"https://127.0.0.1:{port}/",
        "with a user": f"http://example.com@127.0.0.1:{port}/",
        "metadata of clouds": "http://169.254.169.254/latest/meta-data/",
        "a file": "file:///etc/passwd",
        "another scheme": f"gopher://127.0.0.1:{port}/_x",
    }


@pytest.mark.parametrize("place", _places(1))
def test_row_63_the_server_is_led_to_no_door_of_its_own(production: Target, somebody: Web, place: str) -> None:
    somebody.received.clear()
    url, name = _places(somebody.port)[place], production.name("hooked")
    made = production.ask("POST", "/hooks/functions", {"functionName": name, "url": url}, MASTER)
    if made.code is None:
        answer = production.ask("POST", f"/functions/{name}", {})
        assert answer.code == 141, answer.text
        assert "root:" not in answer.text
    assert somebody.received == []


def test_row_67_what_development_opens_is_named_and_fails_where_that_is_asked(tmp_path: Path) -> None:
    keys = {"MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY, "MBAAS_PORT": "0"}
    told = mbaas(tmp_path, "doctor", "--security", **keys, MBAAS_PRESET="development")
    assert told.returncode == 1
    for opened in ("in new classes", "100 times as wide", "may go to loopback", "a client makes a class", "everybody may upload"):
        assert opened in told.stdout, told.stdout


def test_row_67_development_asks_for_the_same_keys_and_sessions(tmp_path: Path) -> None:
    with TestServer(tmp_path, settings={"preset": "development"}) as server:
        made = Target(server)
        with made.http:
            for sent in (ANON, {**ANON, "X-Parse-Master-Key": "wrong"}):
                for path in ("/schemas", "/serverInfo", "/config/x"):
                    assert made.ask("GET", path, None, sent).code in (-403, -404, 119)
            assert made.ask("GET", "/users/me", None, {**ANON, "X-Parse-Session-Token": "r:x"}).code == 209


def _said(encoding: str, body: bytes) -> Any:
    def answer(to: BaseHTTPRequestHandler, _: Any) -> None:
        to.send_response(200)
        to.send_header("Content-Encoding", encoding)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)

    return answer


@pytest.mark.parametrize("encoding", ["br", "gzip", "deflate", "zstd"])
def test_row_68_nothing_compressed_is_asked_for_or_unpacked(coded: Target, somebody: Web, encoding: str) -> None:
    """So that no bomb goes off in the server."""
    bomb, path = gzip.compress(b"\0" * 50_000_000), f"/bomb-{encoding}"
    somebody.on[path] = _said(encoding, bomb)
    name = coded.name("bomb")
    assert coded.ask("POST", "/hooks/functions", {"functionName": name, "url": somebody.url(path)}, MASTER).code is None
    assert coded.ask("POST", f"/functions/{name}", {}).code == 141
    [asked] = somebody.to(path)
    assert asked.headers.get("Accept-Encoding") == "identity"


def test_row_68_an_answer_without_an_end_is_left(coded: Target, somebody: Web) -> None:
    somebody.on["/long"] = lambda to, _: respond(to, 200, b"x" * 30_000_000)
    name = coded.name("long")
    assert coded.ask("POST", "/hooks/functions", {"functionName": name, "url": somebody.url("/long")}, MASTER).code is None
    assert coded.ask("POST", f"/functions/{name}", {}).code == 141
