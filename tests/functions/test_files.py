"""The triggers around files, on both stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from mbaas.testing.process import APP_ID, TestServer
from tests.functions.conftest import on_either
from tests.wire.people import Person, fresh


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    yield from on_either(request, tmp_path_factory.mktemp(request.param), "seams")


class Client:
    """Files as somebody sends and reads them."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.http = httpx.Client(base_url=f"{person.server.url}/parse/files", headers=person.headers, timeout=60)

    def put(self, name: str, data: bytes, kind: str = "text/plain", **headers: str) -> tuple[int, Any]:
        answer = self.http.post(f"/{name}", content=data, headers={"Content-Type": kind, **headers})
        return answer.status_code, answer.json()

    def get(self, name: str, **headers: str) -> httpx.Response:
        return self.http.get(f"/{APP_ID}/{name}", headers=headers)

    def told(self, what: str, name: str) -> Any:
        """What the trigger after it wrote down."""
        [row] = Person.master(self.person.server).find("Note", f'{{"what": "{what}", "name": "{name}"}}')
        return row


def contents(server: TestServer) -> list[bytes]:
    """All contents of files that the server keeps."""
    if url := server.environment.get("MBAAS_DATABASE_URL"):
        with MongoClient[dict[str, Any]](url) as client:
            return [bytes(chunk["data"]) for chunk in client.get_default_database()["fs.chunks"].find()]
    return [path.read_bytes() for path in (server.folder / "data" / "files").rglob("*") if path.is_file()]


@pytest.fixture
def ann(server: TestServer) -> Iterator[Client]:
    client = Client(Person.signed_up(server))
    with client.http:
        yield client


@pytest.fixture
def master(server: TestServer) -> Iterator[Client]:
    client = Client(Person.master(server))
    with client.http:
        yield client


def test_a_trigger_says_where_a_file_goes_and_what_is_kept_of_it(ann: Client) -> None:
    status, made = ann.put("plain.txt", b"hello")
    assert status == 201
    assert made["name"].startswith("plain/files/")
    got = ann.get(made["name"])
    assert (got.status_code, got.content) == (200, b"hello")
    metadata = ann.http.get(f"/{APP_ID}/metadata/{made['name']}").json()["metadata"]
    assert (metadata["size"], metadata["by"][:4]) == (5, "user")
    told = ann.told("saved", made["name"])
    assert (told["size"], told["url"], told["tags"], told["metadata"]) == (5, made["url"], {"kind": "plain"}, metadata)


def test_a_file_that_is_refused_leaves_nothing(ann: Client) -> None:
    assert ann.put("refused.txt", b"x") == (400, {"code": 4711, "error": "not this one"})
    assert ann.put("broken.txt", b"x") == (400, {"code": 130, "error": "it broke"})
    assert ann.put("nothing.txt", b"x") == (400, {"code": 130, "error": "a file to be saved needs data"})
    assert b"x" not in contents(ann.person.server)
    ann.put("other.txt", b"y")
    assert b"y" in contents(ann.person.server)


@pytest.mark.parametrize("mode", ["buffer", "stream"])
def test_another_file_is_stored_instead(ann: Client, mode: str) -> None:
    """Also of one that is streamed the trigger may read the contents, however many they are."""
    data = b"la " * 3_000_000
    status, made = ann.put("shout.txt", data, **({"X-Parse-Upload-Mode": "stream"} if mode == "stream" else {}))
    assert (status, made["name"][-9:]) == (201, "_loud.txt")
    assert ann.told("saved", made["name"])["size"] == len(data)
    got = ann.get(made["name"])
    assert (got.content[:13], len(got.content)) == (b"quiet: la la ", len(data) + 7)
    assert ann.get(made["name"], Range="bytes=0-4").content == b"quiet"
    assert ann.get(made["name"], **{"If-None-Match": got.headers["etag"]}).status_code == 304


def test_a_file_that_is_stored_already_is_the_answer(ann: Client) -> None:
    status, made = ann.put("known.txt", b"mine")
    assert status == 201
    assert ann.get(made["name"]).content == b"known to all"
    sizes = [row.get("size") for row in Person.master(ann.person.server).find("Note", f'{{"what": "saved", "name": "{made["name"]}"}}')]
    assert sorted(sizes, key=str) == [12, None]


def test_who_reads_a_file_is_asked(ann: Client, server: TestServer) -> None:
    for name in ("secret.txt", "metadata/secret.txt"):
        told = httpx.get(f"{server.url}/parse/files/{APP_ID}/{name}")
        assert (told.status_code, told.json()) == (403, {"code": 119, "error": "sign in first"})
    token = ann.person.headers["X-Parse-Session-Token"]
    assert httpx.get(f"{server.url}/parse/files/{APP_ID}/secret.txt", headers={"X-Parse-Session-Token": token}).status_code == 404
    assert ann.get("secret.txt").status_code == 404


def test_another_file_may_be_read_instead_and_how_it_is_handed_out_is_the_triggers_to_say(ann: Client) -> None:
    _, made = ann.put("plain.txt", b"hello")
    _, loud = ann.put("other.txt", b"other")
    got = ann.get(f"alias_{loud['name']}")
    assert (got.content, "content-disposition" in got.headers) == (b"other", False)
    got = ann.get(made["name"])
    assert got.headers["content-disposition"] == f'attachment; filename="{made["name"].rpartition("/")[2]}"'
    assert (got.headers["x-size"], got.headers["x-content-type-options"]) == ("5", "nosniff")


def test_a_delete_has_triggers_around_it(master: Client) -> None:
    _, made = master.put("gone.txt", b"hello")
    assert master.http.delete(f"/{made['name']}").status_code == 200
    assert master.told("deleted", made["name"])["master"] is True
    assert master.get(made["name"]).status_code == 404
    _, loud = master.put("shout.txt", b"hello")
    answer = master.http.delete(f"/{loud['name']}")
    assert (answer.status_code, answer.json()) == (400, {"code": 153, "error": "it stays"})
    assert master.get(loud["name"]).status_code == 200


def test_a_function_reads_a_file(ann: Client) -> None:
    _, made = ann.put(f"{fresh('long')}.bin", b"x" * 9_000_000, "application/octet-stream")
    assert ann.person.call("POST", "/functions/read", {"name": made["name"]})[1] == {"result": 9_000_000}
    assert ann.person.call("POST", "/functions/read", {"name": "none.txt"})[1]["code"] == 101
