"""An options file of Parse Server 9 becomes ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mbaas.configuration import configure
from mbaas.kernel.options import (
    AccountLockout,
    AppOptions,
    EmailVerification,
    FileDownload,
    InstallationOptions,
    MfaOptions,
    PagesOptions,
    PasswordPolicy,
    RateLimit,
)
from mbaas.parse_config import APP, LATER, NESTED, RECORDS, SERVER, translate
from mbaas.settings import Settings, SettingsError
from tests.house.source import product, short

KEYS = {"appId": "app", "masterKey": "master"}
HTTP = {"module": "http", "options": {"url": "http://h"}}
GOLDEN = Path(__file__).parents[1] / "compat/golden"


def served(document: dict[str, Any], folder: Path, **given: Any) -> Any:
    """The configuration of this file, beside these settings."""
    path = folder / "options.json"
    path.write_text(json.dumps({**KEYS, **document}))
    return configure(Settings(**given), parse_config=path)


def test_defaults_are_those_of_parse_server_9(tmp_path: Path) -> None:
    configuration = served({}, tmp_path)
    [app] = configuration.apps
    assert (app.allow_client_class_creation, app.new_class_permissions, app.sanitized_errors) == (False, "public", True)
    assert (app.live_classes, app.idempotency_paths, app.rate_limit_factor) == ((), (), 0)
    assert (app.file_upload.public, app.file_upload.anonymous_user, app.file_upload.authenticated_user) == (False, False, True)
    assert configuration.server.outbound_open
    assert configuration.warnings == ()


@pytest.mark.parametrize(
    ("option", "value", "field", "expected"),
    [
        ("allowClientClassCreation", "true", "allow_client_class_creation", True),
        ("maxUploadSize", "5mb", "max_upload_bytes", 5 * 1024**2),
        ("masterKeyIps", ["0.0.0.0/0", "::0"], "master_key_ips", ("0.0.0.0/0", "::/0")),
        ("mountPath", "/api/", "mount", "/api"),
        ("serverURL", "http://h:1/parse/", "public_url", "http://h:1/parse"),
        ("sessionLength", 60, "session_length_s", 60),
        ("protectedFields", {"Post": {"*": ["secret"]}}, "protected_fields", {"Post": {"*": ("secret",)}, "_User": {"*": ("email",)}}),
        ("protectedFields", {"_User": {"*": []}}, "protected_fields", {"_User": {"*": ("email",)}}),
        ("userSensitiveFields", ["taxId"], "protected_fields", {"_User": {"*": ("email", "taxId")}}),
        ("passwordPolicy", {"validatorPattern": "^.{8}", "maxPasswordHistory": 3}, "password_policy", PasswordPolicy("^.{8}", history=3)),
        (
            "passwordPolicy",
            {"resetTokenValidityDuration": 60, "resetTokenReuseIfValid": True, "resetPasswordSuccessOnInvalidEmail": False},
            "password_policy",
            PasswordPolicy(reset_valid_s=60, reset_reuse=True, reset_silent=False),
        ),
        ("auth", {"mfa": {"options": ["TOTP"]}}, "mfa", MfaOptions()),
        ("auth", {"mfa": {"options": ["TOTP", "SMS"], "digits": 8, "period": 60}}, "mfa", MfaOptions(sms=True, digits=8, period_s=60)),
        ("auth", {"mfa": {"options": ["TOTP"], "enabled": False}}, "mfa", None),
        ("accountLockout", {"duration": 5, "threshold": 3}, "account_lockout", AccountLockout(5, 3)),
        ("preventLoginWithUnverifiedEmail", True, "email_verification", EmailVerification(prevent_login=True)),
        ("emailVerifySuccessOnInvalidEmail", False, "email_verification", EmailVerification(silent=False)),
        (
            "emailAdapter",
            {"module": "http", "options": {"url": "http://h"}},
            "email_adapter",
            {"module": "http", "options": {"url": "http://h"}},
        ),
        ("pages", {"pagesPath": "own", "enableLocalization": True}, "pages", PagesOptions(folder=Path("own"), localized=True)),
        (
            "customPages",
            {"choosePassword": "http://h/x", "parseFrameURL": "http://f"},
            "pages",
            PagesOptions(frame_url="http://f", custom_urls={"passwordReset": "http://h/x"}),
        ),
        ("publicServerURL", "https://h/parse", "link_url", "https://h/parse"),
        ("serverURL", "https://h/parse", "link_url", None),
        ("installation", {"duplicateDeviceTokenAction": "update"}, "installation", InstallationOptions(action="update")),
        ("fileDownload", {"enableForPublic": False}, "file_download", FileDownload(public=False)),
        ("idempotencyOptions", {"paths": ["functions/.*"], "ttl": 5}, "idempotency_paths", ("functions/.*",)),
        ("liveQuery", {"classNames": ["Post"]}, "live_classes", ("Post",)),
        ("requestComplexity", {"includeDepth": 3, "subqueryDepth": -1}, "max_include_depth", 3),
        ("databaseOptions", {"maxTimeMS": 50, "replicaSet": "rs"}, "query_timeout_ms", 50),
        ("databaseURI", "mongodb://h/db", "database_url", "mongodb://h/db"),
        (
            "rateLimit",
            {"requestPath": "/classes/*rest", "requestTimeWindow": 1000, "requestCount": 2, "requestMethods": ["get"], "zone": "user"},
            "rate_limits",
            (RateLimit("/classes/*rest", 1000, 2, ("GET",), zone="user"),),
        ),
    ],
)
def test_option_is_understood(tmp_path: Path, option: str, value: Any, field: str, expected: Any) -> None:
    [app] = served({option: value}, tmp_path).apps
    assert getattr(app, field) == expected


def test_what_everybody_may_not_see_of_users_stands_as_it_is_where_owners_are_no_exception(tmp_path: Path) -> None:
    """Parse Server adds `email` to a list for everybody, unless protectedFieldsOwnerExempt is false."""
    given = {"protectedFields": {"_User": {"*": ["taxId"]}}, "protectedFieldsOwnerExempt": False}
    assert served(given, tmp_path).apps[0].protected_fields == {"_User": {"*": ("taxId",)}}


def test_the_public_address_wins_over_the_internal_one(tmp_path: Path) -> None:
    [app] = served({"serverURL": "http://internal/parse", "publicServerURL": "https://public/parse"}, tmp_path).apps
    assert app.public_url == "https://public/parse"


def test_the_file_wins_for_what_it_names_and_the_environment_fills_in(tmp_path: Path) -> None:
    configuration = served({"port": 1500, "clientKey": "file"}, tmp_path, port=1, host="::1", client_key="env", rest_api_key="env")
    [app] = configuration.apps
    assert (configuration.server.port, configuration.server.host) == (1500, "::1")
    assert (app.client_key, app.rest_api_key) == ("file", "env")


def test_an_environment_database_holds_where_the_file_names_none(tmp_path: Path) -> None:
    assert served({}, tmp_path, database_url="mongodb://env/db").apps[0].database_url == "mongodb://env/db"
    assert (
        served({"databaseURI": "mongodb://file/db"}, tmp_path, database_url="mongodb://env/db").apps[0].database_url == "mongodb://file/db"
    )


def test_a_mail_adapter_that_is_not_here_is_named_in_a_warning(tmp_path: Path) -> None:
    """Unless a mail server does its work."""
    given = {"emailAdapter": "@parse/simple-mailgun-adapter", "verifyUserEmails": True, "appName": "x", "publicServerURL": "https://h"}
    [warning] = served(given, tmp_path).warnings
    assert "@parse/simple-mailgun-adapter" in warning
    assert served(given, tmp_path, smtp_url="smtp://localhost").warnings == ()


def test_options_without_effect_are_named_in_one_warning(tmp_path: Path) -> None:
    [warning] = served({"cloud": "./main.js", "verbose": True, "databaseOptions": {"ssl": True}}, tmp_path).warnings
    assert warning.endswith("cloud, databaseOptions.ssl, verbose")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"appID": "x"}, "appID is not an option of Parse Server 9; the nearest is appId"),
        ({"fileUpload": {"enableForPubic": True}}, "fileUpload has no option 'enableForPubic'; the nearest is enableForPublic"),
        ({"port": "many"}, "port must be a whole number"),
        ({"allowCustomObjectId": "maybe"}, "allowCustomObjectId must be true or false"),
        ({"masterKeyIps": ["nowhere"]}, "masterKeyIps"),
        ({"databaseURI": "postgres://h/db"}, "databaseURI must begin with mongodb://"),
        ({"databaseURI": ""}, "databaseURI must not be empty"),
        ({"sessionLength": 0}, "sessionLength must be more than 0"),
        ({"auth": []}, "auth must be an object"),
        ({"auth": {"mfa": {"options": "TOTP"}}}, "auth has mfa.options"),
        ({"auth": {"mfa": {"options": ["TOTP"], "digits": 3}}}, "auth has mfa.digits"),
        ({"auth": {"mfa": {"options": ["TOTP"], "period": 5}}}, "auth has mfa.period"),
        ({"auth": {"mfa": {"options": ["TOTP"], "algorithm": "MD5"}}}, "auth has mfa.algorithm"),
        ({"auth": {"mfa": {"options": ["TOTP"], "sendSMS": "x"}}}, "no option sendSMS"),
        ({"accountLockout": {"duration": 0, "threshold": 5}}, "accountLockout has duration"),
        ({"accountLockout": {"duration": 5, "threshold": 1000}}, "accountLockout has threshold"),
        ({"accountLockout": {"duration": 5, "threshold": 5, "unlockOnPasswordReset": 1}}, "accountLockout has unlockOnPasswordReset"),
        ({"passwordPolicy": {"maxPasswordAge": -1}}, "passwordPolicy has maxPasswordAge"),
        ({"passwordPolicy": {"maxPasswordHistory": 21}}, "passwordPolicy has maxPasswordHistory"),
        ({"passwordPolicy": {"validatorPattern": "("}}, "passwordPolicy has validatorPattern"),
        ({"passwordPolicy": {"doNotAllowUsername": "no"}}, "passwordPolicy has doNotAllowUsername"),
        ({"passwordPolicy": {"resetTokenReuseIfValid": True}}, "needs resetTokenValidityDuration"),
        ({"emailVerifyTokenValidityDuration": 0}, "emailVerifyTokenValidityDuration must be a number of seconds"),
        ({"emailVerifyTokenReuseIfValid": True}, "emailVerifyTokenReuseIfValid needs"),
        ({"verifyUserEmails": True}, "needs a mail server"),
        ({"verifyUserEmails": True, "emailAdapter": HTTP}, "needs a name of the app"),
        ({"verifyUserEmails": True, "emailAdapter": HTTP, "appName": "x"}, "needs the server's address"),
        ({"emailAdapter": {"module": "http"}}, "emailAdapter of the module http needs options.url"),
        ({"pages": {"customUrls": {"passwordRest": "http://h"}}}, "pages has customUrls, which has no page passwordRest"),
        ({"pages": {"pagesEndpoint": "a/b"}}, "pages has pagesEndpoint, which must be one part"),
        ({"pages": {"enableLocalization": "a"}}, "pages has enableLocalization, which must be true or false"),
        ({"customPages": {"choosePasswort": "http://h"}}, "customPages has no page choosePasswort"),
        ({"passwordPolicy": {"minimum": 8}}, "passwordPolicy has no option minimum"),
        ({"installation": {"duplicateDeviceTokenAction": "keep"}}, "installation has duplicateDeviceTokenAction"),
        ({"installation": {"merge": True}}, "installation has no option merge"),
        ({"masterKey": 5}, "masterKey must be a string"),
    ],
)
def test_mistake_is_named(tmp_path: Path, document: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        served(document, tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_file_that_is_no_options_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "options.json"
    path.write_text(text)
    with pytest.raises(SettingsError):
        configure(Settings(), parse_config=path)


def test_every_option_leads_to_a_field_that_exists() -> None:
    fields = set(AppOptions.__dataclass_fields__)
    assert {field for field, _ in APP.values()} <= fields
    assert {field for options in NESTED.values() for field, _ in options.values()} <= fields
    assert {field for field, _, _ in RECORDS.values()} <= fields
    assert set(SERVER) == {"host", "port", "trustProxy"}


@pytest.mark.parametrize("name", ["server.json", "server-sanitized.json"])
def test_the_golden_servers_options_are_all_known(name: str) -> None:
    found = translate(json.loads((GOLDEN / name).read_text()))
    assert found.ignored == []
    assert found.app["sanitized_errors"] is (name != "server.json")


def test_an_option_that_no_room_reads_is_named_in_the_warning() -> None:
    """Nothing is accepted in silence and then ignored."""
    silent = {"mbaas/kernel/options.py", "mbaas/parse_config.py", "mbaas/configuration.py", "mbaas/settings.py"}
    text = "\n".join(path.read_text() for path in product() if short(path) not in silent)
    nested = {f"{name}.{inner}": field for name, fields in NESTED.items() for inner, (field, _) in fields.items()}
    mapped = {name: field for name, (field, _) in APP.items()} | {name: field for name, (field, _, _) in RECORDS.items()} | nested
    unread = {name for name, field in mapped.items() if not re.search(rf"\.{field}\b", text)}
    assert unread - LATER == set()
