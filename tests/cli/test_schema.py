"""`mbaas schema`: what one server has, another one gets, on either store."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

from mbaas.cli.remote import Remote
from mbaas.cli.schema import pull, push
from mbaas.data.class_permissions import OPERATIONS
from mbaas.settings import SettingsError
from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, mbaas
from tests.secantus import database
from tests.wire.people import Person, fresh

KEYS = {"MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY}
READ_ONLY = "test-read-only-key"
EVERYTHING = {
    "classLevelPermissions": {
        "find": {"*": True},
        "get": {"requiresAuthentication": True},
        "create": {"role:editors": True, "abc123": True},
        "update": {"pointerFields": ["author"]},
        "readUserFields": ["author"],
        "protectedFields": {"*": ["secret"], "role:editors": []},
    },
    "fields": {
        "title": {"type": "String", "required": True},
        "count": {"type": "Number", "defaultValue": 3},
        "done": {"type": "Boolean", "required": True, "defaultValue": False},
        "due": {"type": "Date"},
        "more": {"type": "Object", "defaultValue": {"b": 1, "a": [2]}},
        "tags": {"type": "Array"},
        "place": {"type": "GeoPoint"},
        "shape": {"type": "Polygon"},
        "paper": {"type": "File"},
        "raw": {"type": "Bytes"},
        "author": {"type": "Pointer", "targetClass": "_User"},
        "readers": {"type": "Relation", "targetClass": "_User"},
        "secret": {"type": "String"},
    },
    "indexes": {"later": {"count": -1, "author": 1}, "a": {"due": 1}, "near": {"place": "2dsphere"}},
}


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def settings(request: pytest.FixtureRequest) -> dict[str, object]:
    """A store that nobody has used, and two processes."""
    own = {} if request.param == "embedded" else {"database_url": database(request.getfixturevalue("mongo"), f"schema_{ObjectId()}")}
    return {"read_only_master_key": READ_ONLY, "workers": 2, **own}


@pytest.fixture(scope="module")
def server(settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("server"), settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def beside(server: TestServer, settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """Another machine on the same database, where there may be one."""
    if "database_url" not in settings:
        yield server
        return
    with TestServer(tmp_path_factory.mktemp("beside"), settings=settings) as running:
        yield running


@pytest.fixture
def source(tmp_path: Path) -> Iterator[TestServer]:
    """Where classes come from, with other defaults than where they go."""
    with TestServer(tmp_path / "source", settings={"preset": "parse"}) as running:
        yield running


def schema(folder: Path, server: TestServer, *arguments: str, said: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """The command's end: exit code and what it printed. Only what it takes from the settings may be different for a server."""
    return mbaas(folder, "schema", *arguments, "--server", f"{server.url}/parse", said=said, **{**KEYS, **variables})


def made(server: TestServer, body: dict[str, Any]) -> str:
    name = fresh("Made")
    status, answer = Person.master(server).call("POST", f"/schemas/{name}", body)
    assert status == 200, answer
    return name


def of(server: TestServer, name: str) -> Any:
    return Person.master(server).call("GET", f"/schemas/{name}")[1]


def asking(server: TestServer) -> Remote:
    return Remote(f"{server.url}/parse", APP_ID, MASTER_KEY)


def file_with(folder: Path, classes: dict[str, Any]) -> Path:
    path = folder / f"{fresh('schema')}.json"
    path.write_text(json.dumps({"classes": classes}))
    return path


def had(server: TestServer, folder: Path) -> dict[str, Any]:
    """The classes as they are now, to put others beside them."""
    path = folder / f"{fresh('had')}.json"
    pull(asking(server), path)
    classes: dict[str, Any] = json.loads(path.read_text())["classes"]
    return classes


def test_what_is_pushed_to_an_empty_server_is_pulled_as_the_same_bytes(
    source: TestServer, settings: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = made(source, EVERYTHING)
    made(source, {})
    master = Person.master(source)
    user = {"fields": {"nick": {"type": "String"}}, "indexes": {"nick": {"nick": 1}}}
    assert master.call("PUT", "/schemas/_User", user)[0] == 200
    closed = {"classLevelPermissions": {"create": {"*": True}}}
    assert master.call("POST", "/schemas/_Installation", closed)[0] == 200
    # Columns that come with objects, and a class of the server's own.
    master.save(name, {"title": "a", "done": True, "grown": [1]})
    master.save("_JobStatus", {"status": "running", "own": 1})
    assert schema(tmp_path, source, "pull", "first.json").returncode == 0
    written = (tmp_path / "first.json").read_text()
    assert sorted(json.loads(written)["classes"]) == list(json.loads(written)["classes"])
    assert {name, "_User", "_Installation"} <= set(json.loads(written)["classes"])
    assert not {"_JobStatus", "_Role", "_Session"} & set(json.loads(written)["classes"])
    own = {} if "database_url" not in settings else {"database_url": database(request.getfixturevalue("mongo"), f"schema_{ObjectId()}")}
    with TestServer(tmp_path / "empty", settings=own) as empty:
        pushed = schema(tmp_path, empty, "push", "first.json", "--yes")
        assert pushed.returncode == 0, pushed.stderr
        assert f"+ class {name}\n" in pushed.stdout
        assert schema(tmp_path, empty, "pull", "second.json").returncode == 0
        assert (tmp_path / "second.json").read_text() == written
        for command in ("diff", "push"):
            again = schema(tmp_path, empty, command, "first.json")
            assert (again.returncode, again.stdout) == (0, f"{empty.url}/parse is as first.json says\n")


def test_a_difference_is_shown_and_changes_nothing(server: TestServer, tmp_path: Path) -> None:
    name = made(server, {"fields": {"n": {"type": "Number"}, "old": {"type": "String"}}, "indexes": {"by_n": {"n": 1}}})
    before = of(server, name)
    fields = {"n": {"type": "String"}, "new": {"type": "Pointer", "targetClass": "_User"}}
    permissions = {**before["classLevelPermissions"], "find": {}, "get": {"*": True}}
    classes = {**had(server, tmp_path), name: {"fields": fields, "classLevelPermissions": permissions, "indexes": {"by_n": {"n": -1}}}}
    run = schema(tmp_path, server, "diff", str(file_with(tmp_path, classes)))
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.splitlines() == [
        f"~ field {name}.n Number -> String   (its data goes, too)",
        f'+ field {name}.new {{"targetClass": "_User", "type": "Pointer"}}',
        f"- field {name}.old String   (its data goes, too)",
        f'~ permission {name}.find {{"requiresAuthentication": true}} -> {{}}',
        f'~ permission {name}.get {{"requiresAuthentication": true}} -> {{"*": true}}',
        f'~ index {name}.by_n {{"n": 1}} -> {{"n": -1}}',
    ]
    assert of(server, name) == before


def test_what_takes_data_away_needs_to_be_said(server: TestServer, tmp_path: Path) -> None:
    name = made(server, {"fields": {"n": {"type": "Number"}, "old": {"type": "String"}}, "indexes": {"both": {"old": 1, "n": 1}}})
    master = Person.master(server)
    kept = master.save(name, {"n": 1, "old": "x"})["objectId"]
    before = of(server, name)
    classes = {**had(server, tmp_path), name: {"fields": {"n": {"type": "String"}, "new": {"type": "Date"}}}}
    file = str(file_with(tmp_path, classes))
    run = schema(tmp_path, server, "push", file, "--yes")
    assert (run.returncode, run.stdout.count("(its data goes, too)")) == (2, 2)
    assert run.stderr == "error: objects would lose data by that, so nothing was changed; `mbaas schema push --destructive` does it\n"
    assert of(server, name) == before
    run = schema(tmp_path, server, "push", file, "--yes", "--destructive")
    assert run.returncode == 0, run.stderr
    found = master.call("GET", f"/classes/{name}/{kept}")[1]
    assert (found.get("n"), found.get("old")) == (None, None)
    after = of(server, name)
    assert (after["fields"]["n"], "old" in after["fields"], "both" in after.get("indexes", {})) == ({"type": "String"}, False, False)
    # Nothing was said of permissions, so they stay.
    assert after["classLevelPermissions"] == before["classLevelPermissions"]


def test_an_index_on_a_field_whose_type_changes_is_made_anew(server: TestServer, tmp_path: Path) -> None:
    name = made(server, {"fields": {"n": {"type": "Number"}, "m": {"type": "Number"}}, "indexes": {"both": {"m": 1, "n": -1}}})
    classes = had(server, tmp_path)
    classes[name]["fields"]["n"] = {"type": "Pointer", "targetClass": "_User"}
    push(asking(server), file_with(tmp_path, classes), destructive=True, sure=True)
    assert list(of(server, name)["indexes"]["both"].items()) == [("m", 1), ("n", -1)]


def test_a_class_with_objects_is_not_dropped(server: TestServer, tmp_path: Path) -> None:
    full, empty = made(server, {}), made(server, {})
    held = Person.master(server).save(full, {"n": 1})["objectId"]
    classes = {name: one for name, one in had(server, tmp_path).items() if name not in (full, empty)}
    file = file_with(tmp_path, classes)
    with pytest.raises(SettingsError, match="nothing was changed; `mbaas schema push --destructive`"):
        push(asking(server), file, destructive=False, sure=True)
    with pytest.raises(SettingsError, match=f"{full} has 1 objects, so nothing was changed; delete them first"):
        push(asking(server), file, destructive=True, sure=True)
    assert of(server, empty)["className"] == empty
    Person.master(server).remove(full, held)
    push(asking(server), file, destructive=True, sure=True)
    assert {of(server, name)["code"] for name in (full, empty)} == {103}


def test_whoever_says_no_changes_nothing(server: TestServer, tmp_path: Path) -> None:
    name = fresh()
    file = file_with(tmp_path, {**had(server, tmp_path), name: {}})
    run = schema(tmp_path, server, "push", str(file), said="n\n")
    assert (run.returncode, run.stdout.startswith(f"+ class {name}\n")) == (1, True)
    assert of(server, name)["code"] == 103
    assert schema(tmp_path, server, "push", str(file), said="y\n").returncode == 0
    assert of(server, name)["className"] == name


def state(chance: random.Random, names: list[str]) -> dict[str, Any]:
    """Classes of which no two files have the same."""
    types = ["String", "Number", "Boolean", "Date", "Object", "Array", "Pointer", "Relation"]
    classes: dict[str, Any] = {}
    for name in chance.sample(names, chance.randrange(len(names) + 1)):
        kinds = {f"f{n}": chance.choice(types) for n in chance.sample(range(5), chance.randrange(5))}
        fields: dict[str, Any] = {key: {"type": kind} for key, kind in kinds.items()}
        for key, kind in kinds.items():
            if kind in ("Pointer", "Relation"):
                fields[key]["targetClass"] = chance.choice(["_User", *names])
            elif chance.random() < 0.3:
                fields[key]["required"] = True
        columns = [key for key, kind in kinds.items() if kind != "Relation"]
        one: dict[str, Any] = {"fields": fields, "classLevelPermissions": permissions(chance, list(kinds))}
        if columns:
            # Each begins with another column, since no two may be on the same.
            firsts = chance.sample(columns, chance.randrange(len(columns) + 1))
            one["indexes"] = {
                f"i{n}": {key: chance.choice([1, -1]) for key in dict.fromkeys([first, chance.choice(columns)])}
                for n, first in enumerate(firsts)
            }
        classes[name] = one
    return classes


def permissions(chance: random.Random, fields: list[str]) -> dict[str, Any]:
    who = [{}, {"*": True}, {"requiresAuthentication": True}, {"role:r": True, "*": True}]
    granted: dict[str, Any] = {operation: chance.choice(who) for operation in OPERATIONS}
    return {**granted, "protectedFields": {"*": chance.sample(fields, chance.randrange(len(fields) + 1))}}


@pytest.mark.parametrize("seed", range(2))
def test_whatever_a_server_has_a_push_makes_it_what_the_file_says(server: TestServer, tmp_path: Path, seed: int) -> None:
    """Five states, one after the other, each beside what other tests left."""
    chance = random.Random(seed)
    names = [fresh("Any") for _ in range(4)]
    others = had(server, tmp_path)
    for _ in range(5):
        file = file_with(tmp_path, {**others, **state(chance, names)})
        push(asking(server), file, destructive=True, sure=True)
        found = had(server, tmp_path)
        again = file_with(tmp_path, found)
        push(asking(server), again, destructive=False, sure=True)
        wanted = json.loads(file.read_text())["classes"]
        assert {name for name in found if name in names} == {name for name in wanted if name in names}
        for name in wanted.keys() & set(names):
            assert {"indexes": {}, **found[name]} == {"indexes": {}, **wanted[name]}


def test_two_who_push_at_once_leave_each_class_with_the_permissions_of_one_of_them(
    server: TestServer, beside: TestServer, tmp_path: Path
) -> None:
    names = [fresh("Both") for _ in range(4)]
    others = had(server, tmp_path)
    chance = random.Random(3)

    def try_push(to: TestServer, file: Path) -> str:
        try:
            push(asking(to), file, destructive=True, sure=True)
        except SettingsError as error:
            return str(error)
        return ""

    for _ in range(3):
        two = [
            {name: {"fields": {"n": {"type": "Number"}}, "classLevelPermissions": permissions(chance, ["n"])} for name in names}
            for _ in range(2)
        ]
        files = [file_with(tmp_path, {**others, **one}) for one in two]
        with ThreadPoolExecutor(2) as pool:
            refused = list(pool.map(try_push, (server, beside), files))
        found = {name: one for name, one in had(server, tmp_path).items() if name in names}
        for name in names:
            assert found[name] in [one[name] for one in two]
        assert found in two or any(refused)
        assert all("push again" in text for text in refused if text)
        push(asking(server), files[0], destructive=True, sure=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", 'must be {"classes": {…}}; `mbaas schema pull` writes one'),
        ('{"classes": {}, "more": 1}', 'must be {"classes": {…}}'),
        ('{"classes": {"_JobStatus": {}}}', "_JobStatus is the server's own; take it out"),
        ('{"classes": {"A": {"field": {}}}}', "A must be an object that has nothing but the objects fields, "),
        ('{"classes": {"A": {"fields": []}}}', "A must be an object that has nothing but"),
        ('{"classes": {"A": {"fields": {"n": "Number"}}}}', "n of A must be an object"),
    ],
)
def test_a_file_that_makes_no_sense_is_a_sentence(server: TestServer, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "schema.json").write_text(text)
    run = schema(tmp_path, server, "push", "--yes")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("error: schema.json: ")
    assert said in run.stderr


def test_what_the_server_refuses_is_told_with_the_class(server: TestServer, tmp_path: Path) -> None:
    name = fresh()
    file = file_with(tmp_path, {**had(server, tmp_path), name: {"fields": {"a": {"type": "Colour"}}}})
    with pytest.raises(SettingsError, match=rf"{name} cannot be changed so.*invalid field type: Colour \(111\)"):
        push(asking(server), file, destructive=False, sure=True)


def test_a_server_that_cannot_be_asked_is_a_sentence(server: TestServer, tmp_path: Path) -> None:
    assert "schema.json is not there; `mbaas schema pull` writes it" in schema(tmp_path, server, "diff").stderr
    wrong = schema(tmp_path, server, "pull", MBAAS_MASTER_KEY="wrong")
    assert (wrong.returncode, "set MBAAS_APP_ID and MBAAS_MASTER_KEY to those of that server" in wrong.stderr) == (2, True)
    with pytest.raises(SettingsError, match="answers 404; name the Parse API by --server, as in"):
        pull(Remote(server.url, APP_ID, MASTER_KEY), tmp_path / "x.json")
    server_gone = "http://127.0.0.1:9/parse does not answer (.*); start the server"
    with pytest.raises(SettingsError, match=server_gone):
        pull(Remote("http://127.0.0.1:9/parse", APP_ID, MASTER_KEY), tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_two_indexes_on_the_same_columns_are_refused(server: TestServer, tmp_path: Path) -> None:
    """MongoDB has no such, so no server has."""
    one = {"fields": {"a": {"type": "Number"}}, "indexes": {"x": {"a": 1}, "y": {"a": 1}}}
    with pytest.raises(SettingsError, match=r"Index x is on the same columns, cannot add index y\. \(102\)"):
        push(asking(server), file_with(tmp_path, {**had(server, tmp_path), fresh(): one}), destructive=False, sure=True)


def test_the_read_only_master_key_pulls_and_does_not_push(server: TestServer, tmp_path: Path) -> None:
    file = file_with(tmp_path, {**had(server, tmp_path), fresh(): {}})
    reader = Remote(f"{server.url}/parse", APP_ID, READ_ONLY)
    pull(reader, tmp_path / "read.json")
    with pytest.raises(SettingsError, match=r"\(119\)"):
        push(reader, file, destructive=False, sure=True)


def test_a_development_server_is_found_with_the_keys_that_it_keeps(tmp_path: Path) -> None:
    with TestServer(tmp_path, "dev", bare=True) as server:
        run = mbaas(tmp_path, "schema", "pull", MBAAS_PORT=str(server.port))
    assert (run.returncode, run.stdout) == (0, "wrote schema.json\n")
    assert json.loads((tmp_path / "schema.json").read_text()) == {"classes": {}}


def test_an_app_among_several_is_asked_with_its_own_keys(tmp_path: Path) -> None:
    apps = [{"appId": name, "masterKey": f"key of {name}"} for name in ("one", "two")]
    (tmp_path / "apps.json").write_text(json.dumps(apps))
    with TestServer(tmp_path, settings={"apps_file": "apps.json"}, bare=True) as server:
        keys = {"X-Parse-Application-Id": "two", "X-Parse-Master-Key": "key of two"}
        assert server.call("POST", "/parse/schemas/OnlyHere", {}, keys)[0] == 200

        def pulled(*arguments: str) -> subprocess.CompletedProcess[str]:
            return mbaas(tmp_path, "schema", "pull", *arguments, MBAAS_PORT=str(server.port), MBAAS_APPS_FILE="apps.json")

        for name, classes in (("one", []), ("two", ["OnlyHere"])):
            assert pulled(f"{name}.json", "--app", name).returncode == 0
            assert list(json.loads((tmp_path / f"{name}.json").read_text())["classes"]) == classes
        assert pulled("--app", "three").stderr == "error: there is no app three in the settings here; there is one, two\n"


def test_a_class_that_a_client_may_not_make_names_the_command_in_the_log(server: TestServer) -> None:
    name = fresh()
    for _ in range(2):
        assert Person(server).call("POST", f"/classes/{name}", {"n": 1}) == (400, {"code": 119, "error": "Permission denied"})
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if name in line]
    told = [line for line in lines if "`mbaas schema push`" in line["event"]]
    assert len(told) in (1, 2)  # once for each process that was asked
