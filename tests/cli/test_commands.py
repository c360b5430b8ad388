"""The `mbaas` command, run as a user runs it."""

from __future__ import annotations

import io
import json
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mbaas.cli.dev import greet
from mbaas.configuration import configure
from mbaas.settings import Settings
from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer, clean_environment, mbaas

ROOT = Path(__file__).parents[2]
KEYS = {"MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY}


@pytest.fixture
def taken_port() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


class TestServe:
    def test_it_serves_until_it_is_told_to_stop(self, tmp_path: Path) -> None:
        server = TestServer(tmp_path).start()
        assert server.get("/livez") == (200, {"status": "ok"})
        assert server.get("/") == (200, {"parse": "/parse", "docs": "/docs"})
        assert server.get("/nowhere")[0] == 404
        assert f"{server.url}/parse" in server.log.read_text()
        assert server.get("/readyz") == (200, {"status": "ok"})
        assert server.stop() == 0
        events = [json.loads(line)["event"] for line in server.log.read_text().splitlines()]
        assert events == ["serving", "stopped"]

    def test_an_interrupt_from_the_keyboard_ends_it_quietly(self, tmp_path: Path) -> None:
        server = TestServer(tmp_path).start()
        assert server.process
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log.read_text()

    @pytest.mark.parametrize("missing", sorted(KEYS))
    def test_without_an_app_id_or_a_master_key_it_says_what_is_missing(self, tmp_path: Path, missing: str) -> None:
        run = mbaas(tmp_path, "serve", **{name: value for name, value in KEYS.items() if name != missing})
        assert run.returncode == 2
        assert missing in run.stderr
        assert "Traceback" not in run.stderr

    def test_a_data_folder_has_one_server(self, tmp_path: Path) -> None:
        with TestServer(tmp_path) as first:
            assert first.process
            run = mbaas(tmp_path, "serve", **KEYS, MBAAS_HOST="127.0.0.1", MBAAS_PORT="0", MBAAS_DATA_DIR=str(tmp_path / "data"))
            assert run.returncode == 2
            assert f"process id {first.process.pid}" in run.stderr
            assert "MBAAS_DATA_DIR" in run.stderr
        with TestServer(tmp_path) as again:
            assert again.get("/readyz")[0] == 200

    def test_a_taken_port_is_a_sentence(self, tmp_path: Path, taken_port: int) -> None:
        run = mbaas(tmp_path, "serve", **KEYS, MBAAS_HOST="127.0.0.1", MBAAS_PORT=str(taken_port))
        assert (run.returncode, run.stdout) == (2, "")
        assert "MBAAS_PORT" in run.stderr
        assert "Traceback" not in run.stderr

    @pytest.mark.parametrize(
        ("variables", "said"),
        [
            ({"MBAAS_DATABASE_URL": "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=1"}, "127.0.0.1:9: [Errno 111]"),
            ({"MBAAS_DATABASE_URL": "mongodb://127.0.0.1:nine/x"}, "Port contains non-digit characters"),
            ({"MBAAS_DATA_DIR": "file/data"}, "cannot be written to (Not a directory); choose another by MBAAS_DATA_DIR"),
            ({"MBAAS_DATA_DIR": "torn"}, "mbaas.db is damaged or no database: file is not a database; put a backup in its place"),
            ({"MBAAS_DATA_DIR": "shut"}, "mbaas.db cannot be opened for writing: unable to open database file; change its owner"),
            ({"MBAAS_DATA_DIR": "newer"}, "mbaas.db is of version 1000; this server knows"),
        ],
    )
    def test_what_keeps_it_from_starting_is_a_sentence(self, tmp_path: Path, variables: dict[str, str], said: str) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "torn").mkdir()
        (tmp_path / "torn/mbaas.db").write_text("no database " * 100)
        (tmp_path / "shut/mbaas.db").mkdir(parents=True)
        (tmp_path / "newer").mkdir()
        sqlite3.connect(tmp_path / "newer/mbaas.db").execute("PRAGMA user_version = 1000").connection.close()
        run = mbaas(tmp_path, "serve", **KEYS, **variables, MBAAS_HOST="127.0.0.1", MBAAS_PORT="0")
        assert run.returncode == 2
        assert run.stderr.startswith("error: ")
        assert said in run.stderr
        assert run.stderr.count("\n") == 1

    def test_an_env_file_that_is_no_utf8_is_a_sentence(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_bytes("MBAAS_APP_ID=für".encode("utf-16"))
        run = mbaas(tmp_path, "serve")
        assert (run.returncode, run.stderr) == (2, "error: .env is not UTF-8 text; save it as UTF-8\n")

    def test_it_takes_parse_servers_options_file(self, tmp_path: Path) -> None:
        (tmp_path / "options.json").write_text(json.dumps({"appId": "parse-app", "masterKey": "parse-master", "cloud": "./main.js"}))
        with TestServer(tmp_path, "serve", "--parse-config", "options.json", bare=True) as server:
            warning, serving = map(json.loads, server.log.read_text().splitlines())
        assert "cloud" in warning["event"]
        assert warning["level"] == "warning"
        assert serving["apps"] == ["parse-app"]

    def test_foreign_files_in_the_data_dir_do_no_harm(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "notes.txt").write_text("mine")
        with TestServer(tmp_path):
            pass
        assert (tmp_path / "data" / "notes.txt").read_text() == "mine"

    def test_metrics_are_for_this_machine_or_the_master_key(self, tmp_path: Path) -> None:
        with TestServer(tmp_path) as server:
            status, text = server.get("/metrics")
            assert status == 200
            assert "mbaas_http_requests_total" in text
            behind_proxy = {"X-Forwarded-For": "127.0.0.1"}
            assert server.get("/metrics", behind_proxy) == (403, {"error": "unauthorized"})
            assert server.get("/metrics", {**behind_proxy, "X-Parse-Master-Key": "wrong"})[0] == 403
            assert server.get("/metrics", {**behind_proxy, "X-Parse-Master-Key": MASTER_KEY})[0] == 200


class TestDev:
    def test_it_makes_keys_once_and_prints_what_an_app_needs(self, tmp_path: Path) -> None:
        seen = []
        for _ in range(2):
            with TestServer(tmp_path, "dev", settings={"host": "0.0.0.0"}, bare=True) as server:
                port = server.port
            seen.append((tmp_path / "server.out").read_text().replace(str(port), "PORT"))
        keys = json.loads((tmp_path / "data/keys.json").read_text())
        assert seen[0] == seen[1]
        assert stat.S_IMODE((tmp_path / "data/keys.json").stat().st_mode) == 0o600
        assert seen[0].count(keys["app_id"]) == 6  # itself, the link to the console and four snippets
        assert seen[0].count(keys["master_key"]) == 1  # no snippet holds it
        for word in ("10.0.2.2:PORT/parse", "JavaScript", "Swift", "Kotlin", "Dart", 'Parse.serverURL = "http://localhost:PORT/parse"'):
            assert word in seen[0]

    def test_given_keys_are_used_and_none_are_made(self, tmp_path: Path) -> None:
        with TestServer(tmp_path, "dev", settings={"client_key": "the-client-key"}):
            pass
        printed = (tmp_path / "server.out").read_text()
        assert f'applicationId: "{APP_ID}", clientKey: "the-client-key"' in printed
        assert not (tmp_path / "data/keys.json").exists()

    @pytest.mark.parametrize(
        ("host", "shown", "hidden"),
        [
            ("127.0.0.1", ("cannot reach 127.0.0.1", "MBAAS_HOST=0.0.0.0", "http://10.0.2.2:PORT"), "on a phone"),
            ("192.168.1.5", ("http://192.168.1.5:PORT/parse", "on a phone: http://192.168.1.5:PORT/parse"), "localhost"),
            ("::1", ("http://[::1]:PORT/parse", "cannot reach ::1"), "on a phone"),
        ],
    )
    def test_it_says_who_can_reach_it(self, host: str, shown: tuple[str, ...], hidden: str, tmp_path: Path) -> None:
        configuration = configure(Settings(host=host, app_id="a", master_key="m", data_dir=tmp_path))
        console = Console(record=True, width=200, file=io.StringIO())
        greet(console, configuration, keys_made=False)
        printed = console.export_text().replace(str(configuration.server.port), "PORT")
        assert all(text in printed for text in shown), printed
        assert hidden not in printed

    def test_the_log_never_shows_the_master_key(self, tmp_path: Path) -> None:
        with TestServer(tmp_path, "dev") as server:
            pass
        assert MASTER_KEY not in server.log.read_text()


class TestInit:
    def test_it_makes_a_project_that_can_be_served(self, tmp_path: Path) -> None:
        run = mbaas(tmp_path, "init", "taxi")
        assert run.returncode == 0, run.stderr
        assert {str(path.relative_to(tmp_path / "taxi")) for path in (tmp_path / "taxi").rglob("*") if path.is_file()} == {
            ".env.example",
            ".gitignore",
            "README.md",
            "functions/main.py",
        }
        keys = mbaas(tmp_path, "keys").stdout
        example = (tmp_path / "taxi/.env.example").read_text()
        (tmp_path / "taxi/.env").write_text(example.replace("MBAAS_APP_ID=\nMBAAS_MASTER_KEY=\n", keys))
        with TestServer(tmp_path / "taxi", bare=True, settings={"functions": "functions"}) as server:
            assert server.get("/readyz")[0] == 200
            app = {"X-Parse-Application-Id": keys.partition("MBAAS_APP_ID=")[2].split()[0]}
            assert server.call("POST", "/parse/functions/hello", {"name": "taxi"}, app) == (200, {"result": "hello taxi"})
            said = [json.loads(line) for line in server.log.read_text().splitlines()]
            assert [line["event"] for line in said if "isolation" not in line] == ["serving"]

    def test_it_overwrites_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "README.md").write_text("mine")
        run = mbaas(tmp_path, "init", ".")
        assert run.returncode == 2
        assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
        assert (tmp_path / "README.md").read_text() == "mine"


class TestDoctor:
    def test_a_healthy_place(self, tmp_path: Path) -> None:
        run = mbaas(tmp_path, "doctor", **KEYS, MBAAS_PORT="0")
        assert run.returncode == 0, run.stdout
        assert run.stdout.endswith("all is well\n")
        assert list(tmp_path.iterdir()) == []  # it only looks

    @pytest.mark.parametrize(
        ("variables", "wrong", "mend"),
        [
            ({"MBAAS_PROT": "1"}, "nearest is MBAAS_PORT", "spell it so"),
            ({"MBAAS_PORT": "many"}, "MBAAS_PORT: ", "correct MBAAS_PORT in"),
            ({"MBAAS_PRESET": "open"}, "MBAAS_PRESET: ", "correct MBAAS_PRESET in"),
            ({"MBAAS_DATABASE_URL": "postgres://x"}, "MBAAS_DATABASE_URL: must begin", "leave it unset"),
            ({"MBAAS_READ_ONLY_MASTER_KEY": MASTER_KEY}, "must differ", "a value of its own"),
            ({"MBAAS_APPS_FILE": "absent.json"}, "absent.json: No such file", "correct that file"),
            ({"MBAAS_HOST": "192.0.2.1", "MBAAS_PORT": "0"}, "cannot listen on 192.0.2.1", "set MBAAS_HOST to an address of this machine"),
            ({"MBAAS_DATA_DIR": "file/data"}, "cannot be written", "MBAAS_DATA_DIR"),
            ({"MBAAS_DATABASE_URL": "mongodb://127.0.0.1:9/x"}, "MongoDB does not answer", "MBAAS_DATABASE_URL"),
        ],
    )
    def test_the_first_wrong_thing_is_named_with_its_remedy(self, tmp_path: Path, variables: dict[str, str], wrong: str, mend: str) -> None:
        (tmp_path / "file").write_text("")
        run = mbaas(tmp_path, "doctor", **{**KEYS, **variables})
        *_, what, remedy = run.stdout.splitlines()
        assert run.returncode == 1
        assert what.startswith("wrong  ")
        assert wrong in what
        assert remedy.startswith("mend   ")
        assert mend in remedy

    @pytest.mark.parametrize(
        ("variables", "said"),
        [
            ({"MBAAS_LIMITS": "0"}, "there are no limits on sign-in"),
            ({"MBAAS_LIMITS": "7"}, "are 7 times as wide"),
            ({"MBAAS_PRESET": "parse"}, "there are no limits on sign-in"),
            ({}, ""),
        ],
    )
    def test_what_was_loosened_is_named(self, tmp_path: Path, variables: dict[str, str], said: str) -> None:
        run = mbaas(tmp_path, "doctor", **{**KEYS, **variables}, MBAAS_PORT="0")
        assert run.returncode == 0, run.stdout
        lines = [line for line in run.stdout.splitlines() if "MBAAS_LIMITS" in line]
        assert [said in line for line in lines] == ([True] if said else [])

    def test_a_place_without_keys_is_fit_for_development(self, tmp_path: Path) -> None:
        run = mbaas(tmp_path, "doctor", MBAAS_PORT="0")
        assert run.returncode == 0, run.stdout
        assert "all is well for `mbaas dev`; `mbaas serve` needs MBAAS_APP_ID and MBAAS_MASTER_KEY" in run.stdout
        assert list(tmp_path.iterdir()) == []

    def test_a_taken_port(self, tmp_path: Path, taken_port: int) -> None:
        run = mbaas(tmp_path, "doctor", **KEYS, MBAAS_HOST="127.0.0.1", MBAAS_PORT=str(taken_port))
        assert run.returncode == 1
        assert f"port {taken_port}" in run.stdout


def test_the_demo_does_not_take_another_server_for_its_own(tmp_path: Path, taken_port: int) -> None:
    command = [sys.executable, str(ROOT / "examples/demo/demo.py")]
    environment = clean_environment({"MBAAS_PORT": str(taken_port)})
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(f"Something listens on port {taken_port} already")
    assert list(tmp_path.iterdir()) == []


def test_a_mock_provider_whose_port_is_taken_says_so(tmp_path: Path, taken_port: int) -> None:
    run = mbaas(tmp_path, "push", "mock", "--port", str(taken_port))
    assert run.returncode == 2
    assert run.stderr.startswith("error: the mock cannot be started")
    assert f"port {taken_port}" in run.stderr


def test_help_names_every_command(tmp_path: Path) -> None:
    run = mbaas(tmp_path, "--help")
    assert run.returncode == 0
    assert all(name in run.stdout for name in ("serve", "dev", "init", "doctor", "schema", "keys", "version"))
