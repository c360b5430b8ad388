"""The triggers of live queries, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mbaas.testing.process import APP_ID, TestServer
from tests.functions.conftest import APPS
from tests.functions.test_jobs import until
from tests.live.client import Client
from tests.wire.people import Object, Person, fresh

EVERYBODY = {what: {"*": True} for what in ("find", "get", "count", "create", "update", "delete", "addField")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("live"), settings={"preset": "parse", "functions": APPS / "seams"}) as running:
        fields = {"secret": {"type": "String"}, "owner": {"type": "Pointer", "targetClass": "_User"}}
        hidden = {"*": ["secret"], "userField:owner": []}
        body = {"className": "Watched", "fields": fields, "classLevelPermissions": {**EVERYBODY, "protectedFields": hidden}}
        assert Person.master(running).call("POST", "/schemas/Watched", body)[0] == 200
        yield running


@contextmanager
def watching(who: Person, where: Object, class_name: str = "Watched", **members: Any) -> Iterator[Client]:
    """A client that is subscribed as somebody."""
    token = {"sessionToken": who.headers["X-Parse-Session-Token"]} if who.id else {}
    with Client(f"ws://127.0.0.1:{who.server.port}/parse") as client:
        assert client.connect(applicationId=APP_ID, **token, **members)["op"] == "connected"
        assert client.subscribe(class_name, where)["op"] == "subscribed"
        yield client


def test_a_connection_may_be_refused(server: TestServer) -> None:
    ann, master = Person.signed_up(server), Person.master(server)
    token = ann.headers["X-Parse-Session-Token"]
    with Client(f"ws://127.0.0.1:{server.port}/parse") as client:
        told = client.connect(applicationId=APP_ID, installationId="banned")
        assert (told["op"], told["code"], told["error"], told["reconnect"]) == ("error", 4711, "not from there", False)
        assert client.subscribe("Thing")["code"] == 2
        made = client.connect(applicationId=APP_ID, installationId="counting", sessionToken=token)
        assert made["op"] == "connected"
    [row] = master.find("Note", f'{{"what": "connected", "client": "{made["clientId"]}"}}')
    assert (row["user"][:4], row["clients"]) == ("user", 0)


def test_a_subscription_may_be_changed_or_refused(server: TestServer) -> None:
    public, topic = Person(server), fresh("t")
    with watching(public, {"topic": topic, "how": "narrowed"}) as client:
        told = client.subscribe("Watched", {"how": "refused"}, 2)
        assert (told["op"], told["code"], told["error"], told["requestId"]) == ("error", 4711, "not this", 2)
        for n, is_open in enumerate((False, True)):
            public.save("Watched", {"topic": topic, "how": "narrowed", "open": is_open, "n": n})
        event = client.receive()["object"]
        assert (event["n"], "topic" in event) == (1, False)


def test_a_trigger_gives_no_subscription_what_its_client_may_not_ask(server: TestServer) -> None:
    with watching(Person(server), {"topic": fresh("t")}) as client:
        assert client.subscribe("Watched", {"how": "by secret"}, 2)["code"] == 119


def test_an_event_is_sent_as_its_trigger_leaves_it(server: TestServer) -> None:
    ann, topic = Person.signed_up(server), fresh("t")
    name = ann.call("GET", "/users/me")[1]["username"]
    with watching(ann, {"topic": topic}, installationId="i1") as client:
        made = ann.save("Watched", {"topic": topic, "how": "told", "n": 1})
        ann.change("Watched", made["objectId"], {"n": 2})
        ann.remove("Watched", made["objectId"])
        frames = [client.receive() for _ in range(3)]
    assert [frame["op"] for frame in frames] == ["create", "update", "delete"]
    assert [frame["object"]["heard"] for frame in frames] == [[op, name, "i1"] for op in ("create", "update", "delete")]
    assert (frames[1]["object"]["was"], frames[1]["original"]["n"], "heard" in frames[1]["original"]) == (1, 1, False)
    assert all("seq" in frame for frame in frames)


def test_an_event_may_be_kept_back_or_fail(server: TestServer) -> None:
    public, topic = Person(server), fresh("t")
    with watching(public, {"topic": topic}) as client:
        for n in (1, 2):
            public.save("Watched", {"topic": topic, "how": "quiet", "n": n})
        assert client.receive()["object"]["n"] == 2
        public.save("Watched", {"topic": topic, "how": "fails"})
        told = client.receive()
        assert (told["op"], told["code"], told["error"], told["requestId"]) == ("error", 4711, "cannot tell", 1)


def test_events_keep_their_order_and_hold_up_nobody_else(server: TestServer) -> None:
    public, topic = Person(server), fresh("t")
    with watching(public, {"topic": topic}) as client, watching(public, {"topic": topic}, "Other") as other:
        for n in range(30):
            public.save("Watched", {"topic": topic, "how": "slow", "n": n})
        public.save("Watched", {"topic": topic, "how": "gated", "n": 30})
        public.save("Other", {"topic": topic})
        assert other.receive()["op"] == "create"
        public.save("Gate", {"topic": topic})
        assert [client.receive()["object"]["n"] for _ in range(31)] == list(range(31))


def test_nothing_that_is_hidden_gets_out_by_a_trigger(server: TestServer) -> None:
    ann, topic = Person.signed_up(server), fresh("t")
    with watching(ann, {"topic": topic}) as client:
        Person.master(server).save("Watched", {"topic": topic, "how": "leaky", "secret": "stored"})
        event = client.receive()["object"]
    assert (event["copy"], event["owner"]["objectId"], "secret" in event) == ("shown", ann.id, False)


def test_rights_that_end_while_an_event_waits_have_ended(server: TestServer) -> None:
    ann, public, topic = Person.signed_up(server), Person(server), fresh("t")
    own = {ann.id: {"read": True, "write": True}}
    with watching(ann, {"topic": topic}) as client:
        ann.save("Watched", {"topic": topic, "how": "gated", "ACL": own})
        until(lambda: public.find("Note", f'{{"what": "waiting", "topic": "{topic}"}}'))
        assert ann.call("POST", "/logout", {})[0] == 200
        # An event that comes later says that the end of the session has been heard of.
        with watching(public, {"topic": topic}, "Other") as other:
            public.save("Other", {"topic": topic})
            assert other.receive()["op"] == "create"
        public.save("Gate", {"topic": topic})
        public.save("Watched", {"topic": topic, "how": "public"})
        assert client.receive()["object"]["how"] == "public"


def test_what_was_missed_passes_the_trigger_before_what_comes(server: TestServer) -> None:
    public, topic = Person(server), fresh("t")
    since = public.position("Watched")
    for n in range(20):
        public.save("Watched", {"topic": topic, "how": "slow" if n % 2 else "told", "n": n})
    with Client(f"ws://127.0.0.1:{server.port}/parse") as client:
        client.connect(applicationId=APP_ID)
        assert client.subscribe("Watched", {"topic": topic}, since=since)["op"] == "subscribed"
        public.save("Watched", {"topic": topic, "how": "told", "n": 20})
        frames = [client.receive() for _ in range(21)]
    assert [frame["object"]["n"] for frame in frames] == list(range(21))
    assert all("heard" in frame["object"] for frame in frames if frame["object"]["how"] == "told")


def test_a_client_whose_events_wait_for_too_long_is_told_to_begin_anew(server: TestServer) -> None:
    public, topic = Person(server), fresh("t")
    with watching(public, {"topic": topic}) as client:
        public.save("Watched", {"topic": topic, "how": "gated"})
        part = {"method": "POST", "path": "/parse/classes/Watched", "body": {"topic": topic, "how": "plain"}}
        for _ in range(11):
            assert public.call("POST", "/batch", {"requests": [part] * 100})[0] == 200
        public.save("Gate", {"topic": topic})
        assert {"resync", "create"} == {client.receive()["op"] for _ in range(3)}
