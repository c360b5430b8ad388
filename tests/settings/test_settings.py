"""The environment becomes options: presets, keys, mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mbaas import configuration, settings
from mbaas.configuration import Configuration, configure
from mbaas.kernel.options import LOOPBACK, FileUpload, MfaOptions
from mbaas.quantities import duration_ms, size_bytes
from mbaas.settings import SettingsError

KEYS = {"MBAAS_APP_ID": "app", "MBAAS_MASTER_KEY": "master"}


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine that runs the tests."""
    import os

    for name in [name for name in os.environ if name.startswith("MBAAS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads the configuration that these variables make."""

    def read(preset: str = "production", parse_config: Path | None = None, **variables: str) -> Configuration:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return configure(settings.read(), preset=preset, parse_config=parse_config)

    return read


@pytest.mark.parametrize(
    ("preset", "creation", "permissions", "upload", "factor", "sanitized"),
    [
        ("production", False, "authenticated", FileUpload(False, False, True), 1, True),
        ("development", True, "public", FileUpload(True, True, True), 100, False),
        ("parse", True, "public", FileUpload(False, False, True), 0, True),
    ],
)
def test_preset(given: Any, preset: str, creation: bool, permissions: str, upload: FileUpload, factor: int, sanitized: bool) -> None:
    [app] = given(preset, **KEYS).apps
    assert (app.preset, app.allow_client_class_creation, app.new_class_permissions) == (preset, creation, permissions)
    assert (app.file_upload, app.rate_limit_factor, app.sanitized_errors, app.live_classes) == (upload, factor, sanitized, ("*",))


def test_a_preset_that_is_named_wins_over_the_commands_own(given: Any) -> None:
    configuration = given("development", **KEYS, MBAAS_PRESET="parse")
    assert configuration.apps[0].preset == "parse"
    assert not configuration.server.outbound_open


def test_every_value_finds_its_place(given: Any, tmp_path: Path) -> None:
    configuration = given(
        **KEYS,
        MBAAS_HOST="127.0.0.1",
        MBAAS_PORT="1400",
        MBAAS_DATA_DIR="kept",
        MBAAS_MOUNT="api/",
        MBAAS_PUBLIC_URL="https://api.example.com/",
        MBAAS_TRUSTED_PROXIES="10.0.0.0/8, ::1",
        MBAAS_REST_API_KEY="rest",
        MBAAS_MASTER_KEY_IPS="10.0.0.0/8",
        MBAAS_FEED_RETENTION="90m,2MiB",
        MBAAS_LIVE_PING="1.5m",
        MBAAS_LIMITS="3",
        MBAAS_MFA="sms, TOTP",
        MBAAS_SMS_URL="https://sms.example.com/",
        MBAAS_SIGN_IN_URL="myapp://sign-in",
        MBAAS_ERASE="Note,_File",
        MBAAS_AUDIT="all",
        MBAAS_AUDIT_KEPT="30d",
        MBAAS_BREACH_URL="https://api.example.com/range",
        MBAAS_CAPTCHA="altcha",
        MBAAS_DATABASE_URL="mongodb://localhost/x",
    )
    server, [app] = configuration.server, configuration.apps
    assert (server.host, server.port, server.data_dir, server.trusted_proxies) == (
        "127.0.0.1",
        1400,
        tmp_path / "kept",
        ("10.0.0.0/8", "::1"),
    )
    assert server.live_ping_ms == 90_000
    assert (app.mount, app.public_url, app.rest_api_key) == ("/api", "https://api.example.com/api", "rest")
    assert (app.master_key_ips, app.maintenance_key_ips) == (("10.0.0.0/8",), LOOPBACK)
    assert (app.feed_retention_ms, app.feed_retention_bytes) == (5_400_000, 2 * 1024**2)
    assert app.database_url == "mongodb://localhost/x"
    assert (app.rate_limit_factor, app.mfa, app.erase) == (3, MfaOptions(totp=True, sms=True), ("Note", "_File"))
    assert (app.sms_url, app.sign_in_url) == ("https://sms.example.com", "myapp://sign-in")
    assert (app.audit, app.audit_kept_ms, app.captcha) == ("all", 30 * 24 * 3600 * 1000, "altcha")
    assert app.breach_url == "https://api.example.com/range/"
    assert configuration.warnings == ()


@pytest.mark.parametrize(
    ("variables", "factors"),
    [
        ({}, MfaOptions()),
        ({"MBAAS_PRESET": "development"}, MfaOptions(totp=True, sms=True)),
        ({"MBAAS_PRESET": "parse"}, None),
        ({"MBAAS_MFA": "off"}, None),
        ({"MBAAS_PRESET": "parse", "MBAAS_MFA": "SMS"}, MfaOptions(totp=False, sms=True)),
    ],
)
def test_second_factors_are_those_of_the_preset_unless_named(given: Any, variables: dict[str, str], factors: MfaOptions | None) -> None:
    assert given(MBAAS_APP_ID="app", MBAAS_MASTER_KEY="master", **variables).apps[0].mfa == factors


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MBAAS_PROT": "1"}, "MBAAS_PROT is not a setting; the nearest is MBAAS_PORT"),
        ({"MBAAS_MASTERKEY": "x"}, "nearest is MBAAS_MASTER_KEY"),
        ({"MBAAS_PORT": "many"}, "MBAAS_PORT: "),
        ({"MBAAS_PORT": "65536"}, "MBAAS_PORT: "),
        ({"MBAAS_MASTER_KEY_IPS": "here"}, "MBAAS_MASTER_KEY_IPS: "),
        ({"MBAAS_PRESET": "open"}, "MBAAS_PRESET: "),
        ({"MBAAS_DATABASE_URL": "postgres://x"}, "leave it unset for SQLite"),
        ({"MBAAS_PUBLIC_URL": "example.com"}, "must begin with http"),
        ({"MBAAS_FEED_RETENTION": "long"}, "neither a duration"),
        ({"MBAAS_LIVE_PING": "soon"}, "must be a duration"),
        ({"MBAAS_LIVE_PING": "0"}, "MBAAS_LIVE_PING: "),
        ({"MBAAS_LIMITS": "-1"}, "MBAAS_LIMITS: "),
        ({"MBAAS_MFA": "TOTP,push"}, "must be TOTP, SMS, both"),
        ({"MBAAS_MFA": "off,TOTP"}, "must be TOTP, SMS, both"),
        ({"MBAAS_AUDIT": "some"}, "MBAAS_AUDIT: "),
        ({"MBAAS_BREACH_URL": "example.com"}, "must begin with http"),
        ({"MBAAS_CAPTCHA": "recaptcha"}, "must be altcha"),
        ({"MBAAS_APP_ID": ""}, "needs an application id"),
        ({"MBAAS_MASTER_KEY": ""}, "needs a master key"),
        ({"MBAAS_READ_ONLY_MASTER_KEY": "master"}, "must differ"),
        ({"MBAAS_APPS_FILE": "absent.json"}, "No such file"),
    ],
)
def test_mistake_is_named(given: Any, variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        given(**{**KEYS, **variables})


def test_all_mistakes_are_named_at_once(given: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        given(MBAAS_PROT="1", MBAAS_PORT="x", MBAAS_HSOT="y")
    assert len(str(caught.value).splitlines()) == 3


def test_names_of_the_tools_around_the_server_are_ignored(given: Any) -> None:
    assert given(**KEYS, MBAAS_CMD="x", MBAAS_TEST_EXAMPLES="5").warnings == ()


def test_env_file_is_read_below_the_environment(given: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MBAAS_APP_ID=file\nMBAAS_MASTER_KEY=file-master\nOTHER=1\n")
    [app] = given(MBAAS_APP_ID="env").apps
    assert (app.app_id, app.master_key) == ("env", "file-master")


def test_unknown_name_in_env_file_is_an_error(given: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MBAAS_APPID=file\n")
    with pytest.raises(SettingsError, match="MBAAS_APPID is not a setting"):
        given(**KEYS)


def test_apps_file_gives_each_app_a_folder_of_its_own(given: Any, tmp_path: Path) -> None:
    entries = [
        {"appId": "one", "masterKey": "m1", "allowClientClassCreation": True},
        {"appId": "../two", "masterKey": "m2", "mountPath": "/2"},
    ]
    (tmp_path / "apps.json").write_text(json.dumps(entries))
    one, two = given(MBAAS_APPS_FILE="apps.json").apps
    assert (one.allow_client_class_creation, two.allow_client_class_creation) == (True, False)
    assert one.data_dir == tmp_path / "data/apps/one"
    assert two.data_dir.parent == one.data_dir.parent
    assert (one.public_url, two.public_url) == ("http://localhost:1337/parse", "http://localhost:1337/2")


@pytest.mark.parametrize("entries", [[], {}, [1], [{"appId": "a"}], [{"appId": "a", "masterKey": "m"}] * 2])
def test_apps_file_that_makes_no_sense_is_refused(given: Any, tmp_path: Path, entries: Any) -> None:
    (tmp_path / "apps.json").write_text(json.dumps(entries))
    with pytest.raises(SettingsError):
        given(MBAAS_APPS_FILE="apps.json")


@pytest.mark.parametrize("variable", ["MBAAS_AUTH", "MBAAS_DATABASE_URL"])
def test_what_is_one_apps_is_not_taken_for_several(given: Any, tmp_path: Path, variable: str) -> None:
    """Nor silently dropped."""
    (tmp_path / "apps.json").write_text(json.dumps([{"appId": "a", "masterKey": "m"}]))
    value = {"MBAAS_AUTH": '{"google": {"clientId": "one"}}', "MBAAS_DATABASE_URL": "mongodb://127.0.0.1/one"}[variable]
    with pytest.raises(SettingsError, match=f"^{variable} .*give each app its own"):
        given(MBAAS_APPS_FILE="apps.json", **{variable: value})


def test_an_app_without_an_id_is_named_by_its_place(given: Any, tmp_path: Path) -> None:
    (tmp_path / "apps.json").write_text(json.dumps([{"appId": "a", "masterKey": "m"}, {"masterKey": "m"}]))
    with pytest.raises(SettingsError, match=r"^apps\.json, app 2 needs an application id \(appId\)$"):
        given(MBAAS_APPS_FILE="apps.json")


@pytest.mark.parametrize(
    ("text", "ms"), [("500ms", 500), ("90", 90_000), ("15m", 900_000), ("1.5h", 5_400_000), ("7d", 604_800_000), ("x", None)]
)
def test_duration(text: str, ms: int | None) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize(
    ("text", "size"), [("12", 12), ("20mb", 20 * 1024**2), ("1GiB", 1024**3), ("5k", 5120), ("1 tb", 1024**4), ("1x", None)]
)
def test_size(text: str, size: int | None) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("variables", "processors", "workers"),
    [
        ({}, 2, 2),
        ({}, 16, 4),
        ({"MBAAS_WORKERS": "16"}, 2, 16),
        ({"MBAAS_WORKERS": "1"}, 2, 1),
        ({"MBAAS_DATABASE_URL": "mongodb://127.0.0.1/db"}, 2, 1),
        ({"MBAAS_DATABASE_URL": "mongodb://127.0.0.1/db", "MBAAS_WORKERS": "2"}, 1, 2),
        ({"MBAAS_PRESET": "development"}, 2, 1),
        ({"MBAAS_PRESET": "parse"}, 2, 2),
    ],
)
def test_as_many_processes_serve_as_serve_best(
    given: Any, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], processors: int, workers: int
) -> None:
    monkeypatch.setattr(configuration, "processors", lambda: processors)
    assert given(**KEYS, **variables).server.workers == workers
