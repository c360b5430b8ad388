"""The settings: every `MBAAS_*` variable, what it may be, and how they become options.

The only module that reads the environment. A name that is not known is an error that names the nearest known one; a
setting whose part of the server is not built yet is accepted and named in one warning.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from mbaas.kernel.options import LOOPBACK, FileUpload, MfaOptions
from mbaas.quantities import duration_ms, size_bytes
from mbaas.smtp_url import smtp_server

PREFIX = "MBAAS_"
OTHERS = (f"{PREFIX}CMD", f"{PREFIX}TEST_")
"""Names that belong to the tools around the server: ignored."""

Preset = Literal["production", "development", "parse"]

PRESETS: dict[str, dict[str, Any]] = {
    "production": {
        "allow_client_class_creation": False,
        "new_class_permissions": "authenticated",
        "file_upload": FileUpload(),
        "rate_limit_factor": 1,
        "mfa": MfaOptions(),
        "sanitized_errors": True,
    },
    "development": {
        "allow_client_class_creation": True,
        "new_class_permissions": "public",
        "file_upload": FileUpload(public=True, anonymous_user=True, authenticated_user=True),
        "rate_limit_factor": 100,
        "mfa": MfaOptions(totp=True, sms=True),
        "sanitized_errors": False,
    },
    "parse": {
        "allow_client_class_creation": True,
        "new_class_permissions": "public",
        "file_upload": FileUpload(),
        "rate_limit_factor": 0,
        "sanitized_errors": True,
    },
}
"""What `MBAAS_PRESET` changes in each app's options."""


class SettingsError(Exception):
    """The server cannot start as configured; the text says which setting and why, one problem a line."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for network in value:
        ipaddress.ip_network(network, strict=False)
    return value


def _milliseconds(value: object) -> object:
    found = duration_ms(value) if isinstance(value, str) else value
    if found is None:
        raise ValueError("must be a duration, such as 30s")
    return found


def _json_object(value: object) -> object:
    """A JSON object, from its text or from a file."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value if value.lstrip().startswith("{") else Path(value).read_bytes())
    except OSError as error:
        raise ValueError(f"is neither a JSON object nor a file that can be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError("is not valid JSON") from error
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise ValueError("must be a JSON object with an object for each provider")
    return found


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(lambda value: _networks(_split(value)))]
Duration = Annotated[int, BeforeValidator(_milliseconds)]
Key = Annotated[str | None, Field(default=None, repr=False)]


class Settings(BaseSettings):
    """The variables, by their names without `MBAAS_`. The descriptions are what `docs/settings.md` must cover."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", env_file_encoding="utf-8")

    host: str = Field("0.0.0.0", description="Address to listen on")
    port: int = Field(1337, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    data_dir: Path = Field(Path("data"), description="Folder of the embedded store, files and keys")
    database_url: str | None = Field(None, description="mongodb://… ; unset: SQLite in the data dir", repr=False)
    mongo_shared: bool | None = Field(None, description="The MongoDB is used by Parse Server too; unset: found out")
    mongo_standalone: Literal["allow"] | None = Field(None, description="Accept a MongoDB that is no replica set")
    workers: int | None = Field(None, ge=1, le=64, description="Server processes; unset: as many as serve best here")
    mount: str = Field("/parse", description="Path of the Parse API")
    public_url: str | None = Field(None, description="The server's address as clients see it")
    connections: int = Field(10_000, ge=1, description="HTTP connections of a process at the same time")
    client_timeout: Duration = Field(20_000, gt=0, description="How long a client may take to send a request's head, or stand still")
    trusted_proxies: Networks = Field((), description="Proxies whose X-Forwarded-For is believed")

    app_id: str | None = Field(None, description="Application id")
    app_name: str | None = Field(None, description="What the app is called in mails and on their pages; unset: its id")
    verify_user_emails: bool = Field(False, description="Whoever gives a new address is sent a mail with a link that proves it")
    master_key: Key = Field(description="Passes every permission")
    read_only_master_key: Key = Field(description="Reads everything, writes nothing")
    maintenance_key: Key = Field(description="Passes permissions on objects, sets their times")
    master_key_ips: Networks = Field(LOOPBACK, description="From where the master key is accepted")
    maintenance_key_ips: Networks = Field(LOOPBACK, description="From where the maintenance key is accepted")
    rest_api_key: Key = Field(description="Key of plain REST clients")
    javascript_key: Key = Field(description="Key of the JavaScript SDK")
    client_key: Key = Field(description="Key of the mobile SDKs")
    webhook_key: Key = Field(description="Sent with calls to webhooks, so that they know who calls")
    preset: Preset | None = Field(None, description="Defaults: production, development, parse")
    limits: int | None = Field(None, ge=0, description="How many times wider than in production limits on sign-in are; 0: none")
    live_classes: Names = Field(("*",), description="Classes with live queries")
    live_connections: int = Field(20_000, ge=1, description="Live-query sockets of an app at the same time")
    live_subscriptions: int = Field(200, ge=1, description="Subscriptions of one live-query socket")
    live_queue_bytes: int = Field(1024 * 1024, ge=1024, description="What may wait to be sent to one live-query socket")
    audit: Literal["admin", "all", "off"] = Field("admin", description="Which acts with the master key are noted: admin, all, off")
    audit_kept: Duration = Field(400 * 24 * 3600 * 1000, gt=0, description="How long they are kept")
    breach_url: str | None = Field(None, description="Range API that says whether a new password was stolen elsewhere; unset: not asked")
    captcha: str | None = Field(None, description="altcha, or a siteverify URL: asked for by sign-ups and mails; unset: none")
    captcha_secret: Key = Field(description="What that service knows the app by")
    erase: Names = Field(("_File",), description="Classes whose objects go with the user who alone may write them; _File: her uploads")
    functions: Path | None = Field(None, description="Folder with the cloud functions' main.py")
    functions_isolation: Literal["strict"] | None = Field(None, description="strict: no functions where a layer of isolation is missing")
    live_ping: Duration = Field(30_000, gt=0, description="How often an idle live-query socket is pinged, and how long it has to answer")
    event_retention: Duration = Field(400 * 24 * 3600 * 1000, gt=0, description="How long events that apps track are kept")
    feed_retention: str = Field("24h,1GiB", description="How long, and how much, of the change feed is kept")
    outbound_allow: Names = Field((), description="Hosts that may be called wherever they are, by http, and at any port")
    auth: Annotated[dict[str, Any], NoDecode, BeforeValidator(_json_object)] = Field(
        default_factory=dict, description="Identity providers: a JSON object as `auth` of an options file, or the path of one", repr=False
    )
    mfa: Names | None = Field(None, description="Second factors: TOTP, SMS, or off; unset: TOTP, in development both")
    sms_url: str | None = Field(None, description="Service that text messages are posted to", repr=False)
    sign_in_url: str | None = Field(None, description="The app's page that mails' links to sign in lead to")
    smtp_url: str | None = Field(None, description="Mail server, smtp://user:password@host:587?from=…", repr=False)
    fcm_endpoint: str = Field("https://fcm.googleapis.com", description="Origin of Firebase Cloud Messaging")
    apns_endpoint: str = Field("https://api.push.apple.com", description="Origin of Apple's push service")
    apns_sandbox_endpoint: str | None = Field(None, description="Origin of Apple's sandbox, for devices that the other one does not know")
    fcm_credentials: Path | None = Field(None, description="Service-account JSON")
    apns_key: Path | None = Field(None, description="Apple's .p8 key")
    apns_key_id: str | None = Field(None, description="Id of that key")
    apns_team_id: str | None = Field(None, description="Apple team")
    apns_topic: str | None = Field(None, description="Bundle id")
    webpush_key: Path | None = Field(None, description="PEM P-256 key")
    webpush_subject: str | None = Field(None, description="mailto: or https: contact")
    push_ca_file: Path | None = Field(None, description="Certificate authorities for the push endpoints")
    push_lane: Literal["curl", "h2"] = Field("h2", description="What pushes leave by: its own HTTP/2 (h2), or libcurl")
    apps_file: Path | None = Field(None, description="JSON list of apps, each as an options file of --parse-config")

    @field_validator("mount")
    @classmethod
    def _mount(cls, value: str) -> str:
        return "/" + value.strip("/") if value.strip("/") else ""

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str | None) -> str | None:
        if value and not value.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must begin with mongodb:// or mongodb+srv://; leave it unset for SQLite")
        return value

    @field_validator("public_url", "breach_url", "sms_url")
    @classmethod
    def _public_url(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value and value.rstrip("/")

    @field_validator("smtp_url")
    @classmethod
    def _smtp_url(cls, value: str | None) -> str | None:
        if value:
            smtp_server(value)
        return value

    @field_validator("mfa")
    @classmethod
    def _mfa(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and value != ("off",) and not {name.upper() for name in value} <= {"TOTP", "SMS"}:
            raise ValueError("must be TOTP, SMS, both with a comma between, or off")
        return value

    @field_validator("captcha")
    @classmethod
    def _captcha(cls, value: str | None) -> str | None:
        if value and value != "altcha" and not value.startswith(("http://", "https://")):
            raise ValueError("must be altcha, or begin with https://")
        return value

    @field_validator("feed_retention")
    @classmethod
    def _feed_retention(cls, value: str) -> str:
        retention(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *others: Any, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, named["env_settings"], named["dotenv_settings"])


def variables() -> list[str]:
    """The names of all settings as they are spelled in the environment."""
    return [PREFIX + name.upper() for name in Settings.model_fields]


def read(env_file: Path | None = Path(".env")) -> Settings:
    """The settings from the environment and, below it, from a `.env` file in the current folder."""
    env_file = env_file if env_file and env_file.is_file() else None
    problems = unknown_names([*os.environ, *_names_in(env_file)])
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        problems += [f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


_OF_INSTALLERS = re.compile(r"PATH|HOME|LANG|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|(https?|all|no)_proxy|PIP_.*", re.IGNORECASE)


def installer_environment() -> dict[str, str]:
    """What an installer of packages needs of the environment: where to find them, and none of the server's keys."""
    return {name: value for name, value in os.environ.items() if _OF_INSTALLERS.fullmatch(name)}


def _names_in(env_file: Path | None) -> list[str]:
    from dotenv import dotenv_values

    try:
        return list(dotenv_values(env_file)) if env_file else []
    except (OSError, UnicodeDecodeError) as error:
        why = "is not UTF-8 text; save it as UTF-8" if isinstance(error, UnicodeDecodeError) else f"cannot be read: {error.strerror}"
        raise SettingsError(f"{env_file} {why}") from error


def unknown_names(names: Iterable[str]) -> list[str]:
    """One sentence for each `MBAAS_*` name that is no setting, with the nearest one that is."""
    known = variables()
    wrong = sorted({n for n in names if n.upper().startswith(PREFIX) and n.upper() not in known and not n.upper().startswith(OTHERS)})
    return [f"{name} is not a setting{nearest(name.upper(), known)}" for name in wrong]


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the most similar known name, or nothing."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
    return f"; the nearest is {found[0]}" if found else ""


def retention(text: str) -> tuple[int, int]:
    """Milliseconds and bytes of `24h,1GiB`; either part may be left out."""
    kept_ms, kept_bytes = 24 * 3600 * 1000, 1024**3
    for part in filter(None, (p.strip() for p in text.split(","))):
        if (ms := duration_ms(part)) is not None:
            kept_ms = ms
        elif (size := size_bytes(part)) is not None:
            kept_bytes = size
        else:
            raise ValueError(f"{part!r} is neither a duration (24h) nor a size (1GiB)")
    return kept_ms, kept_bytes
