"""A database goes from Parse Server to this server, back again, and is sealed; the stock SDK finds everything each time.

One story, told in order: each stage begins where the one before it ended. Both servers stand at the same address, so their
answers are compared as they are, addresses of files included.
"""

from __future__ import annotations

import hashlib

import pytest
from bson import ObjectId

from tests.secantus import database
from tests.takeover.servers import Place, State, ask

HASH = "^[0-9a-f]{64}$"


class Story:
    """What was seen and said at each stage."""

    def __init__(self, place: Place) -> None:
        with place.theirs() as url:
            self.made: State = ask(url, "make")
            self.at_first = ask(url, "look", self.made)
        with place.ours() as url:
            self.taken_over = ask(url, "look", self.made)
            self.entered_here = ask(url, "enter", self.made)
            self.changed: State = ask(url, "change", self.made)
            self.written_here = ask(url, "write", self.changed)
            self.left_here = ask(url, "look", self.changed)
        with place.kept() as kept:
            self.users = list(kept["_User"].find())
            self.tokens = [session["_session_token"] for session in kept["_Session"].find()]
        with place.theirs() as url:
            self.back_there = ask(url, "look", self.changed)
            self.entered_there = ask(url, "enter", self.changed)
            self.written_there = ask(url, "write", self.changed)
            self.left_there = ask(url, "look", self.changed)
        self.seals = [place.seal(), place.seal()]
        with place.kept() as kept:
            self.plain_after_seal = kept["_Session"].count_documents({"_session_token": {"$not": {"$regex": HASH}}})
            self.hashed_after_seal = {session["_session_token"] for session in kept["_Session"].find()}
        with place.ours() as url:
            self.after_seal = ask(url, "look", self.changed)
            self.entered_at_last = ask(url, "enter", self.changed)
            self.written_at_last = ask(url, "write", self.changed)
        with place.kept() as kept:
            self.users_at_last = list(kept["_User"].find())
            self.plain_at_last = kept["_Session"].count_documents({"_session_token": {"$not": {"$regex": HASH}}})


@pytest.fixture(scope="module")
def story(mongo: str, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(Place(database(mongo, f"takeover_{ObjectId()}"), tmp_path_factory.mktemp("takeover")))


def people(state: State) -> dict[str, str]:
    """Everybody's id by name."""
    return {name: who["id"] for name, who in state["people"].items()}


def right_ones(state: State, entered: State) -> dict[str, str]:
    """Whom the names and passwords belonged to; the wrong passwords were refused, and so was the session that had ended."""
    assert entered["ended"] == 209
    assert {code for name, code in entered.items() if name.endswith(", wrong")} == {101}
    return {name: entered[name] for name in state["people"]}


def test_there_is_something_to_take_over(story: Story) -> None:
    """Every type is there, and permissions tell people apart: else the comparisons below would compare nothing."""
    columns = story.at_first["schema Everything"]["fields"].values()
    assert {"String", "Number", "Boolean", "Date", "Object", "Array", "GeoPoint", "Polygon", "File", "Bytes", "ACL"} <= {
        column["type"] for column in columns
    }
    assert [one["text"] for one in story.at_first["bob Locked"]] == ["for the team"]
    assert [one["text"] for one in story.at_first["cid Locked"]] == ["for the team"]
    assert story.at_first["ann Locked"] == 119
    assert [one.get("secret") for name in ("ann", "bob") for one in story.at_first[f"{name} Veiled"]] == [None, "b"]
    assert len(story.at_first["ann Friend"]) == len(story.at_first["bob Friend"]) + 1
    assert (story.at_first["public config"]["greeting"], "hidden" in story.at_first["public config"]) == ("hello", False)
    assert len(story.at_first["master _Session"]) == 4
    assert sorted(value for name, value in story.at_first.items() if name.startswith("contents ")) == ["file 1", "file 2"]


def test_this_server_answers_as_parse_server_did(story: Story) -> None:
    """Same ids, values, permissions, classes, files and config; the sessions of Parse Server hold."""
    assert story.taken_over == story.at_first


def test_people_sign_in_with_the_passwords_that_parse_server_hashed(story: Story) -> None:
    assert right_ones(story.made, story.entered_here) == people(story.made)


def test_what_was_changed_here_is_there(story: Story) -> None:
    """So that the way back has something to find."""
    assert len(story.left_here["master _User"]) == len(story.at_first["master _User"]) + 2
    assert [one["n"] for one in story.left_here["dan Later"]] == [1]
    assert sorted(one["text"] for one in story.left_here["dan Locked"]) == ["by dan", "for the team"]
    assert story.left_here["outer users"] == [story.changed["people"]["dan"]["id"]]
    assert sorted(story.left_here[f"contents {id}"] for id in story.changed["things"]) == ["file 1", "file 2", "file 3"]
    first = next(one for one in story.left_here["public Everything"] if one["objectId"] == story.changed["things"][0])
    assert (first["whole"], first["list"][-1], "yes" in first, first["object"]["deep"]["added"]) == (6, "more", False, 1)
    assert story.left_here["public config"]["greeting"] == "good day"


def test_secrets_are_kept_as_parse_server_keeps_them(story: Story) -> None:
    """No hash was made anew by a sign-in, and new ones are bcrypt; every token is there as it was handed out."""
    hashes = {user["_id"]: user["_hashed_password"] for user in story.users if "_hashed_password" in user}
    assert {value[:7] for value in hashes.values()} <= {"$2a$10$", "$2b$10$", "$2y$10$"}
    assert len(hashes) == 4
    assert {who["token"] for who in story.changed["people"].values()} <= set(story.tokens)
    assert all(token.startswith("r:") for token in story.tokens)


def test_back_on_parse_server_everything_is_found(story: Story) -> None:
    """What this server wrote, and what it left alone; sessions that were made here hold there."""
    assert story.back_there == story.left_here


def test_parse_server_signs_in_those_who_signed_up_here(story: Story) -> None:
    assert right_ones(story.changed, story.entered_there) == people(story.changed)


def test_permissions_hold_on_both_servers(story: Story) -> None:
    """Owners and members of the role, however deep, may write; others may not."""
    first, second, third = story.changed["things"]
    members = {"bob", "cid", "dan"}
    owners = {(first, "ann"), (second, "bob"), (third, "dan")}
    names = story.changed["people"]
    wanted = {f"{name} {id}": True if name in members or (id, name) in owners else 101 for name in names for id in (first, second, third)}
    assert story.written_here == story.written_there == story.written_at_last == wanted


def test_sealing_says_what_it_did_and_a_second_time_does_nothing(story: Story) -> None:
    first, second = story.seals
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "is sealed: Parse Server must not use it any more" in first.stdout
    assert f"session tokens hashed: {len(story.hashed_after_seal)}" in first.stdout
    assert "when they log in next: 4" in first.stdout
    assert f"session tokens: {len(story.hashed_after_seal)} of {len(story.hashed_after_seal)}" in first.stderr
    assert "was sealed before" in second.stdout
    assert "session tokens hashed: 0" in second.stdout


def test_a_sealed_database_holds_no_token(story: Story) -> None:
    """But the hash of each; and they stay away."""
    assert (story.plain_after_seal, story.plain_at_last) == (0, 0)
    tokens = [who["token"] for who in story.changed["people"].values()]
    assert {hashlib.sha256(token.encode()).hexdigest() for token in tokens} <= story.hashed_after_seal


def test_after_the_seal_all_is_as_it_was(story: Story) -> None:
    """Sessions of both servers still hold."""
    assert story.after_seal == story.left_there


def test_after_the_seal_passwords_are_argon2id_at_the_next_sign_in(story: Story) -> None:
    assert right_ones(story.changed, story.entered_at_last) == people(story.changed)
    hashes = [user["_hashed_password"] for user in story.users_at_last if "_hashed_password" in user]
    assert [value[:10] for value in hashes] == ["$argon2id$"] * 4
