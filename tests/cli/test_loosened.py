"""`mbaas doctor` names each thing that is open and that production keeps shut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mbaas.cli.loosened import loosened
from mbaas.configuration import configure
from mbaas.settings import Settings
from mbaas.testing.process import APP_ID, MASTER_KEY, mbaas

KEYS = {"MBAAS_APP_ID": APP_ID, "MBAAS_MASTER_KEY": MASTER_KEY, "MBAAS_PORT": "0"}
SHUT: dict[str, Any] = {
    "appId": "app",
    "masterKey": "master-key",
    "readOnlyMasterKeyIps": ["127.0.0.1"],
    "requestComplexity": {"queryDepth": 20, "includeDepth": 10, "subqueryDepth": 10, "batchRequestLimit": 1000},
}
"""Options of Parse Server that close what it leaves open."""
USUAL = {"run with MBAAS_PRESET=production", "MBAAS_LIMITS=1 sets them", "the server's calls may go to loopback"}
"""What no options file says: an app that was Parse Server's keeps that server's ways."""


def test_a_fresh_production_server_has_nothing_open(tmp_path: Path) -> None:
    run = mbaas(tmp_path, "doctor", "--security", **KEYS)
    assert run.returncode == 0, run.stdout
    assert "ok     nothing is loosened\nall is well\n" in run.stdout


def test_what_is_open_is_listed_and_fails_only_where_that_is_asked(tmp_path: Path) -> None:
    variables = {**KEYS, "MBAAS_MASTER_KEY_IPS": "127.0.0.1,0.0.0.0/0", "MBAAS_OUTBOUND_ALLOW": "printer.local"}
    told = [mbaas(tmp_path, "doctor", *more, **variables) for more in ((), ("--security",))]
    assert [run.returncode for run in told] == [0, 1]
    for run in told:
        assert [line for line in run.stdout.splitlines() if line.startswith("loose")] == [
            "loose  every app: the server may call printer.local wherever it is; take it out of MBAAS_OUTBOUND_ALLOW",
            f"loose  {APP_ID}: masterKeyIps has 0.0.0.0/0: the key is accepted from there; name the machines that need it alone",
            f"loose  {APP_ID}: readOnlyMasterKeyIps has 0.0.0.0/0: the key is accepted from there; name the machines that need it alone",
        ]
    assert told[1].stdout.endswith("what is loose is open to attack; the server runs all the same\n")


def found(folder: Path, **options: Any) -> list[str]:
    file = folder / "options.json"
    file.write_text(json.dumps({**SHUT, **options}))
    every = loosened(configure(Settings(), parse_config=file))
    return [sentence for sentence in every if not any(usual in sentence for usual in USUAL)]


def test_a_file_of_parse_server_may_be_as_strict(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    directory = {"url": "ldaps://d.example.com", "suffix": "o=x"}
    asked = {"oauth2": True, "tokenIntrospectionEndpointUrl": "https://id.example.com/i", "appidField": "client_id", "appIds": ["ours"]}
    assert found(tmp_path, auth={"ldap": directory, "here": {**directory, "type": "ldap", "url": "ldap://127.0.0.1"}, "asked": asked}) == []


def test_an_audit_that_is_off_is_named() -> None:
    settings = Settings(app_id="app", master_key="master-key", public_url="https://example.org", audit="off")
    assert any("MBAAS_AUDIT" in sentence for sentence in loosened(configure(settings)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"allowClientClassCreation": True}, "allowClientClassCreation"),
        ({"enforcePrivateUsers": False}, "enforcePrivateUsers"),
        ({"protectedFields": {"_User": {"*": ["phone"]}}, "protectedFieldsOwnerExempt": False}, "protectedFields"),
        ({"allowCustomObjectId": True}, "allowCustomObjectId"),
        ({"fileUpload": {"enableForPublic": True}}, "enableForPublic"),
        ({"fileUpload": {"enableForAnonymousUser": True}}, "enableForAnonymousUser"),
        ({"fileUpload": {"fileExtensions": ["*"]}}, "(html, svg, xml, xhtml)"),
        ({"fileUpload": {"fileExtensions": ["^(png|svg)$"]}}, "(svg)"),
        ({"masterKeyIps": ["10.0.0.0/8"]}, "masterKeyIps has 10.0.0.0/8"),
        ({"maintenanceKeyIps": ["::/0"]}, "maintenanceKeyIps has ::/0"),
        ({"readOnlyMasterKeyIps": ["0.0.0.0/0"]}, "readOnlyMasterKeyIps has 0.0.0.0/0"),
        ({"allowExpiredAuthDataToken": True}, "allowExpiredAuthDataToken"),
        ({"expireInactiveSessions": False}, "expireInactiveSessions"),
        ({"sessionLength": 400 * 86400}, "sessions last 400 days"),
        ({"revokeSessionOnPasswordReset": False}, "revokeSessionOnPasswordReset"),
        ({"requestComplexity": {**SHUT["requestComplexity"], "queryDepth": 200}}, "requestComplexity.queryDepth"),
        ({"requestComplexity": {**SHUT["requestComplexity"], "batchRequestLimit": -1}}, "requestComplexity.batchRequestLimit"),
        ({"requestKeywordDenylist": []}, "_bsontype, constructor, __proto__"),
        ({"enableSanitizedErrorResponse": False}, "enableSanitizedErrorResponse"),
        ({"databaseOptions": {"allowPublicExplain": True}}, "allowPublicExplain"),
        ({"passwordPolicy": {"resetPasswordSuccessOnInvalidEmail": False}}, "resetPasswordSuccessOnInvalidEmail"),
        ({"auth": {"asked": {"oauth2": True, "tokenIntrospectionEndpointUrl": "https://id.example.com/i"}}}, "appidField"),
        (
            {"auth": {"staff": {"type": "ldap", "url": "ldap://dir.example.com", "suffix": "o=x"}}},
            "auth.staff hands passwords over unencrypted",
        ),
        ({"auth": {"ldap": {"url": "ldaps://d.example.com", "tlsOptions": {"rejectUnauthorized": False}}}}, "rejectUnauthorized"),
        ({"trustProxy": ["0.0.0.0/0"]}, "0.0.0.0/0 says what address she has"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_option_that_opens_something(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    [sentence] = found(tmp_path, **options)
    assert said in sentence


@pytest.mark.parametrize(
    ("url", "open_"),
    [("smtp://mail.example.org?tls=offered", True), ("smtp://mail.example.org", False), ("smtp://localhost", False)],
)
def test_mails_are_handed_over_encrypted(url: str, open_: bool) -> None:
    settings = Settings(app_id="app", master_key="master-key", public_url="https://example.org", smtp_url=url)
    assert any("mails may be handed over" in sentence for sentence in loosened(configure(settings))) is open_
