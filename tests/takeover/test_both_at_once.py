"""Parse Server and this server on one database at the same time: what one changes, the other knows soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from bson import ObjectId

from mbaas.testing.process import free_port
from tests.live.client import Client as LiveClient
from tests.secantus import database
from tests.takeover.servers import Place

SOON_SECONDS = 20.0
OPEN = {"*": {"read": True, "write": True}}


class Client:
    """One of the servers, asked over plain REST."""

    def __init__(self, url: str, http: httpx.Client) -> None:
        self.url, self._http = url, http

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None, master: bool = False) -> httpx.Response:
        """The answer to a request with a session's token, the master key or neither."""
        headers = {"X-Parse-Application-Id": "app", "X-Parse-JavaScript-Key": "js"}
        if token:
            headers["X-Parse-Session-Token"] = token
        if master:
            headers["X-Parse-Master-Key"] = "master"
        return self._http.request(method, self.url + path, json=body, headers=headers)

    def done(self, method: str, path: str, body: Any = None, *, token: str | None = None, master: bool = False) -> Any:
        """The body of an answer that must be a success."""
        answer = self.ask(method, path, body, token=token, master=master)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def place(mongo: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(database(mongo, f"both_{ObjectId()}"), tmp_path_factory.mktemp("both"))


@pytest.fixture(scope="module")
def both(place: Place) -> Iterator[tuple[Client, Client]]:
    """Parse Server, which made the database, and this server."""
    with httpx.Client(timeout=30) as http, place.theirs() as there, place.ours(free_port()) as here:
        yield Client(there, http), Client(here, http)


def soon(holds: Callable[[], bool]) -> bool:
    """True once it holds; False if it does not in a long while."""
    deadline = time.monotonic() + SOON_SECONDS
    while time.monotonic() < deadline:
        if holds():
            return True
    return False


def person(server: Client, name: str) -> tuple[str, str]:
    """Id and token of somebody who signs up."""
    made = server.done("POST", "/users", {"username": name, "password": "secret"})
    return made["objectId"], made["sessionToken"]


def member(user: str, op: str) -> Any:
    return {"users": {"__op": op, "objects": [{"__type": "Pointer", "className": "_User", "objectId": user}]}}


def test_a_session_that_ends_there_ends_here(both: tuple[Client, Client]) -> None:
    there, here = both
    _, token = person(there, "ann")
    assert here.done("GET", "/users/me", token=token)["username"] == "ann"
    there.done("POST", "/logout", {}, token=token)
    assert soon(lambda: here.ask("GET", "/users/me", token=token).json().get("code") == 209)


def test_a_session_that_ends_here_ends_there(both: tuple[Client, Client]) -> None:
    there, here = both
    _, token = person(here, "bea")
    here.done("POST", "/logout", {}, token=token)
    assert there.ask("GET", "/users/me", token=token).json()["code"] == 209


def test_who_joins_or_leaves_a_role_there_may_do_as_much_here(both: tuple[Client, Client]) -> None:
    """Members stand in a collection of their own, which is written after the role itself."""
    there, here = both
    user, token = person(there, "cleo")
    role = there.done("POST", "/roles", {"name": "crew", "ACL": OPEN}, master=True)["objectId"]
    plan = there.done("POST", "/classes/Plan", {"n": 1, "ACL": {"role:crew": {"read": True}}}, master=True)["objectId"]
    assert here.ask("GET", f"/classes/Plan/{plan}", token=token).status_code == 404
    there.done("PUT", f"/roles/{role}", member(user, "AddRelation"), master=True)
    assert soon(lambda: here.ask("GET", f"/classes/Plan/{plan}", token=token).status_code == 200)
    there.done("PUT", f"/roles/{role}", member(user, "RemoveRelation"), master=True)
    assert soon(lambda: here.ask("GET", f"/classes/Plan/{plan}", token=token).status_code == 404)


def test_classes_columns_and_permissions_made_there_hold_here(both: tuple[Client, Client]) -> None:
    there, here = both
    where = {"__type": "GeoPoint", "latitude": 1, "longitude": 2}
    made = there.done("POST", "/classes/Spot", {"where": where}, master=True)["objectId"]
    assert soon(lambda: here.done("GET", f"/classes/Spot/{made}").get("where") == where)
    there.done("PUT", "/schemas/Spot", {"className": "Spot", "classLevelPermissions": {"get": {}}}, master=True)
    assert soon(lambda: here.ask("GET", f"/classes/Spot/{made}").json().get("code") == 119)


def test_classes_made_there_get_the_indexes_that_this_server_searches_by(both: tuple[Client, Client], place: Place) -> None:
    """Without them every find would sort the whole class."""
    there, _ = both
    there.done("POST", "/classes/Sorted", {"n": 1}, master=True)
    with place.kept() as kept:
        assert soon(lambda: "mbaas_insertion" in kept["Sorted"].index_information())


def test_live_queries_here_tell_what_was_written_there(both: tuple[Client, Client]) -> None:
    """With the object before and after, as for this server's own writes."""
    there, here = both
    tick = there.done("POST", "/classes/Tick", {"n": 1}, master=True)["objectId"]
    assert soon(lambda: here.ask("GET", f"/classes/Tick/{tick}").is_success)
    with LiveClient(here.url.replace("http", "ws")) as client:
        assert client.connect(applicationId="app", javascriptKey="js")["op"] == "connected"
        assert client.subscribe("Tick", {"n": {"$lt": 3}})["op"] == "subscribed"
        events = []
        for n in (2, 3):
            there.done("PUT", f"/classes/Tick/{tick}", {"n": n}, master=True)
            # One by one: SecantusDB gives an updated object as it is when it is asked, a replica set as it was.
            events.append(client.receive())
    assert [(event["op"], event["object"]["n"], event["original"]["n"]) for event in events] == [("update", 2, 1), ("leave", 3, 2)]


def test_live_queries_here_follow_the_roles_that_are_changed_there(both: tuple[Client, Client], place: Place) -> None:
    """Who is put into a role while she watches gets what it may see, who is taken out gets no more of it. The members are
    written by hand, as Parse Server writes them: some time after the role itself."""
    there, here = both
    user, token = person(there, "dora")
    role = there.done("POST", "/roles", {"name": "watch", "ACL": OPEN}, master=True)["objectId"]
    tick = there.done("POST", "/classes/Tick", {"n": 1, "ACL": {"role:watch": {"read": True}}}, master=True)["objectId"]
    pair = {"owningId": role, "relatedId": user}
    with LiveClient(here.url.replace("http", "ws")) as client, place.kept() as kept:
        client.connect(applicationId="app", javascriptKey="js", sessionToken=token)
        client.subscribe("Tick", {"n": {"$lt": 100}})

        def hears() -> bool:
            """Whether she is told of a write there; `own` comes after it, to anybody."""
            there.done("PUT", f"/classes/Tick/{tick}", {"n": {"__op": "Increment", "amount": 1}}, master=True)
            own = there.done("POST", "/classes/Tick", {"n": 0}, master=True)["objectId"]
            before = client.until(lambda frame: frame["object"]["objectId"] == own)
            return bool(before)

        assert not hears()
        kept["_Join:users:_Role"].insert_one(pair)
        assert soon(hears)
        kept["_Join:users:_Role"].delete_one(pair)
        assert soon(lambda: not hears())


def test_columns_that_both_add_are_all_kept(both: tuple[Client, Client], place: Place) -> None:
    """Neither forgets a column that the other has added to the definition since it read it."""
    there, here = both
    for n in range(5):
        there.done("POST", "/classes/Wide", {f"t{n}": n}, master=True)
        here.done("POST", "/classes/Wide", {f"h{n}": {"__type": "Pointer", "className": "Spot", "objectId": "x"}}, master=True)
    with place.kept() as kept:
        kinds = kept["_SCHEMA"].find_one({"_id": "Wide"}) or {}
    wanted = {**{f"t{n}": "number" for n in range(5)}, **{f"h{n}": "*Spot" for n in range(5)}}
    assert {name: kinds.get(name) for name in wanted} == wanted


def test_a_config_that_is_changed_there_is_read_here_and_the_other_way(both: tuple[Client, Client]) -> None:
    there, here = both
    there.done("PUT", "/config", {"params": {"a": 1, "secret": 2}, "masterKeyOnly": {"secret": True}}, master=True)
    here.done("PUT", "/config", {"params": {"b": [1]}}, master=True)
    assert there.done("GET", "/config")["params"] == here.done("GET", "/config")["params"] == {"a": 1, "b": [1]}


def test_a_running_server_hears_that_the_database_was_sealed(both: tuple[Client, Client], place: Place) -> None:
    """From then on it keeps hashes; who was signed in stays so, and a hash signs nobody in."""
    there, here = both
    user, before = person(there, "zoe")
    assert here.done("GET", "/users/me", token=before)["username"] == "zoe"
    assert place.seal().returncode == 0
    with place.kept() as kept:

        def hashed() -> bool:
            here.done("POST", "/login", {"username": "zoe", "password": "secret"})
            newest = kept["_Session"].find({"_p_user": f"_User${user}"}).sort("_created_at", -1).limit(1).to_list()
            return not newest[0]["_session_token"].startswith("r:")

        assert soon(hashed)
        found = kept["_User"].find_one({"_id": user}) or {}
        assert found["_hashed_password"].startswith("$argon2id$")
        stored = [one["_session_token"] for one in kept["_Session"].find({"_p_user": f"_User${user}"})]
    assert here.done("GET", "/users/me", token=before)["username"] == "zoe"
    assert {here.ask("GET", "/users/me", token=token).json()["code"] for token in stored} == {209}
