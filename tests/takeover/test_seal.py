"""`mbaas migrate --seal`: long, interrupted, repeated, and where it makes no sense."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from mbaas.kernel.errors import MbaasError
from mbaas.storage.mongo.seal import seal
from mbaas.storage.mongo.store import open_store
from mbaas.testing.clock import FakeClock
from tests.secantus import database
from tests.takeover.servers import migrate

MANY, BATCH = 25, 10
ANN = {"_id": "ann", "username": "ann", "_hashed_password": "$2y$10$x"}


@pytest.fixture
def address(mongo: str) -> str:
    return database(mongo, f"seal_{ObjectId()}")


@pytest.fixture
def kept(address: str) -> Iterator[Database[dict[str, Any]]]:
    """A database as Parse Server leaves it: many sessions, a user who has asked for a new password, one who has none."""
    with MongoClient[dict[str, Any]](address) as client:
        made = client.get_default_database()
        made["_SCHEMA"].insert_one({"_id": "_User", "objectId": "string", "username": "string"})
        asked = {**ANN, "_perishable_token": "p", "_perishable_token_expires_at": 1}
        made["_User"].insert_many([asked, {"_id": "eve", "username": "eve", "_auth_data_anonymous": {"id": "e"}}])
        made["_Session"].insert_many({"_id": f"s{n:05}", "_session_token": f"r:{n}", "_p_user": "_User$ann"} for n in range(MANY))
        made["_Session"].insert_one({"_id": "odd", "_p_user": "_User$ann"})
        yield made


class Stopped(Exception):
    """What a person who interrupts it would do."""


def plain(kept: Database[dict[str, Any]]) -> int:
    return kept["_Session"].count_documents({"_session_token": {"$regex": "^r:"}})


async def test_what_was_interrupted_goes_on_where_it_stopped(
    address: str, kept: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbaas.storage.mongo.seal._BATCH", BATCH)

    def stop(done: int, total: int) -> None:
        raise Stopped(f"{done} of {total}")

    with pytest.raises(Stopped, match=f"{BATCH} of {MANY}"):
        await seal(address, FakeClock(), stop)
    assert plain(kept) == MANY - BATCH

    steps: list[tuple[int, int]] = []
    done = await seal(address, FakeClock(), lambda *step: steps.append(step))
    assert steps == [(BATCH, MANY - BATCH), (MANY - BATCH, MANY - BATCH)]
    assert (done.earlier, done.sessions, done.resets, done.users) == (False, MANY - BATCH, 1, 1)
    assert plain(kept) == 0
    for n in (0, BATCH - 1, BATCH, MANY - 1):
        found = kept["_Session"].find_one({"_id": f"s{n:05}"}) or {}
        assert found["_session_token"] == hashlib.sha256(f"r:{n}".encode()).hexdigest()
    assert kept["_User"].find_one({"_id": "ann"}) == ANN

    again = await seal(address, FakeClock(), lambda *step: steps.append(step))
    assert (again.earlier, again.sessions, again.resets, again.users) == (True, 0, 0, 1)
    assert len(steps) == 2


async def test_between_the_mark_and_the_end_sessions_of_both_kinds_hold(address: str, kept: Database[dict[str, Any]]) -> None:
    """A server that starts while a seal is interrupted writes no token in plain any more, and still knows those that are there."""

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        await seal(address, FakeClock(), stop)
    store = await open_store(address, FakeClock())
    assert (store.sharing.shared, store.sharing.plain) == (False, True)
    await store.close()


async def test_a_sealed_database_cannot_be_shared_again(address: str, kept: Database[dict[str, Any]]) -> None:
    await seal(address, FakeClock(), lambda *_: None)
    with pytest.raises(MbaasError, match="was sealed, and Parse Server cannot use it any more; take MBAAS_MONGO_SHARED out"):
        await open_store(address, FakeClock(), shared=True)
    store = await open_store(address, FakeClock())
    assert (store.sharing.shared, store.sharing.plain) == (False, False)
    await store.close()


@pytest.mark.parametrize(("wanted", "shared"), [(None, True), (True, True), (False, False)])
async def test_what_parse_server_made_is_shared_unless_the_operator_says_no(
    address: str, kept: Database[dict[str, Any]], wanted: bool | None, shared: bool
) -> None:
    """Sessions of Parse Server are found either way."""
    store = await open_store(address, FakeClock(), shared=wanted)
    assert (store.sharing.shared, store.sharing.plain) == (shared, True)
    await store.close()


async def test_a_new_database_is_shared_only_if_the_operator_says_so(address: str) -> None:
    """Once it was, it stays so until it is sealed, whatever is left out of the settings later."""
    for wanted, shared in ((None, False), (None, False), (True, True), (None, True)):
        store = await open_store(address, FakeClock(), shared=wanted)
        assert store.sharing.shared is shared
        await store.close()


def told(folder: Path, *arguments: str, **settings: str) -> str:
    """The one sentence that the command ends with."""
    done = migrate(folder, *arguments, **settings)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_on_sqlite_there_is_nothing_to_seal(tmp_path: Path) -> None:
    assert "there is nothing to seal: the data is in SQLite" in told(tmp_path, "--seal")


def test_without_saying_what_to_do_nothing_is_done(tmp_path: Path) -> None:
    assert "say what to do: `mbaas migrate --seal`" in told(tmp_path)


def test_a_database_of_another_kind_is_left_alone(tmp_path: Path, address: str) -> None:
    with MongoClient[dict[str, Any]](address) as client:
        client.get_default_database()["orders"].insert_one({"n": 1})
        assert "holds nothing of Parse Server (no _SCHEMA); correct MBAAS_DATABASE_URL" in told(tmp_path, "--seal", database_url=address)
        assert client.get_default_database().list_collection_names() == ["orders"]


async def test_a_database_of_this_server_s_own_needs_no_seal(tmp_path: Path, address: str) -> None:
    store = await open_store(address, FakeClock())
    await store.close()
    assert "was never shared with Parse Server: its secrets are hashed already" in told(tmp_path, "--seal", database_url=address)


async def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    nowhere = quote(str(tmp_path / "mongodb.sock"), safe="")
    with pytest.raises(MbaasError, match=r"MongoDB does not answer .* run the command again when it does"):
        await seal(f"mongodb://{nowhere}/x", FakeClock(), lambda *_: None, timeout_ms=50)
