"""One app's options, already checked: what the rooms read instead of settings. Names are Parse Server's, in snake case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class FileUpload:
    """Who may upload, and what. `extensions` are regular expressions for the part after the last dot."""

    public: bool = False
    anonymous_user: bool = False
    authenticated_user: bool = True
    extensions: tuple[str, ...] = ("^(?![xXsS]?[hH][tT][mM][lL]?$)",)


@dataclass(frozen=True, slots=True)
class AppOptions:
    """Everything that may differ between two apps of one process. Keys that are None are not configured."""

    app_id: str
    master_key: str
    read_only_master_key: str | None = None
    maintenance_key: str | None = None
    rest_api_key: str | None = None
    javascript_key: str | None = None
    client_key: str | None = None
    dotnet_key: str | None = None
    webhook_key: str | None = None
    master_key_ips: tuple[str, ...] = LOOPBACK
    maintenance_key_ips: tuple[str, ...] = LOOPBACK

    preset: Literal["production", "development", "parse"] = "production"
    mount: str = "/parse"
    public_url: str = "http://localhost:1337/parse"
    """The address of the mount as clients see it: Location headers, file URLs, mail links."""
    data_dir: Path = Path("data")
    database_url: str | None = None
    functions: Path | None = None

    allow_client_class_creation: bool = False
    allow_custom_object_id: bool = False
    new_class_permissions: Literal["public", "authenticated"] = "authenticated"
    enable_anonymous_users: bool = True
    enforce_private_users: bool = True
    protected_fields: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=lambda: {"_User": {"*": ("email",)}})
    protected_fields_owner_exempt: bool = True
    sanitized_errors: bool = True
    allow_public_explain: bool = False
    allow_expired_auth_data_token: bool = False
    allow_origin: tuple[str, ...] = ("*",)
    allow_headers: tuple[str, ...] = ()
    request_keyword_denylist: tuple[Mapping[str, Any], ...] = (
        {"key": "_bsontype", "value": "Code"},
        {"key": "constructor"},
        {"key": "__proto__"},
    )
    default_limit: int = 100
    max_limit: int | None = None
    max_upload_bytes: int = 20 * 1024 * 1024
    file_upload: FileUpload = FileUpload()
    session_length_s: int = 365 * 24 * 3600
    expire_inactive_sessions: bool = True
    extend_session_on_use: bool = False
    revoke_session_on_password_reset: bool = True
    idempotency_paths: tuple[str, ...] = (".*",)
    idempotency_ttl_s: int = 300
    live_classes: tuple[str, ...] = ("*",)
    rate_limits: tuple[Mapping[str, Any], ...] = ()
    account_lockout: Mapping[str, Any] | None = None
    password_policy: Mapping[str, Any] | None = None
    auth: Mapping[str, Any] = field(default_factory=dict)
    feed_retention_ms: int = 24 * 3600 * 1000
    feed_retention_bytes: int = 1024**3
    query_timeout_ms: int = 30_000
    max_query_depth: int = 20
    max_subqueries: int = 10
    max_include_depth: int = 10
    max_batch: int = 1000
