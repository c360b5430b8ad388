"""The options of one app and of the process, already checked: what the rooms read instead of settings.

Names are Parse Server's, in snake case. Settings and options files become these records in `mbaas.settings` and
`mbaas.parse_config`; nothing below them knows where a value came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

LOOPBACK = ("127.0.0.1", "::1")
EVERYWHERE = ("0.0.0.0/0", "::/0")
SAFE_EXTENSIONS = (r"(?i)^(?!([xs]?html?(\+xml)?|xht|svg(z|\+xml)?|xml|xslt?(\+xml)?|xsd|rng|rdf(\+xml)?|owl|mathml(\+xml)?)$)",)
"""Refuses what Parse Server 9 refuses: extensions that a browser would run as a page of this origin."""


@dataclass(frozen=True, slots=True)
class FileUpload:
    """Who may upload, and what. `extensions` are regular expressions for the part after the last dot."""

    public: bool = False
    anonymous_user: bool = False
    authenticated_user: bool = True
    extensions: tuple[str, ...] = SAFE_EXTENSIONS
    allowed_url_domains: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class FileDownload:
    """Who may read stored files."""

    public: bool = True
    anonymous_user: bool = True
    authenticated_user: bool = True


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One entry of Parse Server's `rateLimit`: so many requests of a path in a window of time (ms)."""

    request_path: str
    request_time_window: float
    request_count: float
    request_methods: str | tuple[str, ...] | None = None
    """Names of methods, or a regular expression for them."""
    include_master_key: bool = False
    include_internal_requests: bool = False
    """Requests from 127.0.0.1 count, too."""
    error_response_message: str = "Too many requests."
    zone: Literal["ip", "global", "session", "user"] = "ip"


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a new password must be like, and how long it holds."""

    pattern: str | None = None
    """A regular expression that must be found in it."""
    error: str | None = None
    """What a password that does not match is answered; None: a text of the server's."""
    forbid_username: bool = False
    max_age_days: float | None = None
    history: int = 0
    """So many passwords, the present one included, may not be taken again."""
    reset_valid_s: float | None = None
    """How long the link of a mail lets one choose a new password; None: until it was used, or another one was sent."""
    reset_reuse: bool = False
    """A mail that is asked for again has the same link as the one before, while that is valid."""
    reset_silent: bool = True
    """Whoever asks for a mail for an address that nobody has is answered as if somebody had it."""


@dataclass(frozen=True, slots=True)
class AccountLockout:
    """After how many wrong passwords an account is closed, for how many minutes, and whether a new password by mail opens it."""

    duration_min: float
    threshold: int
    unlock_on_reset: bool = False


Algorithm = Literal["SHA1", "SHA256", "SHA512"]


@dataclass(frozen=True, slots=True)
class MfaOptions:
    """Second factors: codes of an authenticator app (`totp`), codes by text message (`sms`), and how the codes are made."""

    totp: bool = True
    sms: bool = False
    digits: int = 6
    period_s: int = 30
    algorithm: Algorithm = "SHA1"


@dataclass(frozen=True, slots=True)
class EmailVerification:
    """What becomes of addresses that nobody has proved to be hers yet."""

    wanted: bool = False
    """A new address is sent a mail with a link."""
    send: bool = True
    """False: there is a link, but its mail is sent when it is asked for by nobody but the app's own code."""
    prevent_login: bool = False
    prevent_signup: bool = False
    """A sign-up is answered with an error, once the user is there and the mail is sent."""
    valid_s: float | None = None
    reuse: bool = False
    silent: bool = True
    """As those of the password policy."""


@dataclass(frozen=True, slots=True)
class PagesOptions:
    """The pages that the links of mails lead to."""

    endpoint: str = "apps"
    """Below the mount."""
    folder: Path | None = None
    """Where the app's own pages are, as templates."""
    localized: bool = False
    """Redirects and the app's own pages are those of the `locale` that was asked for."""
    fallback_locale: str = "en"
    translations: Path | None = None
    """A JSON file with texts for the app's own pages, by locale."""
    placeholders: Mapping[str, Any] = field(default_factory=dict)
    custom_urls: Mapping[str, str] = field(default_factory=dict)
    """Addresses to send people to instead, by page."""
    frame_url: str | None = None
    """An address that stands in the links instead, and is told by `link` where they would have led."""
    force_redirect: bool = False
    encode_headers: bool = False


Tls = Literal["always", "required", "offered", "never"]


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mails are handed over. `tls`: from the first byte, by STARTTLS or not at all, by STARTTLS if it is offered, never."""

    host: str
    port: int
    tls: Tls
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str | None = None
    """Whom mails are from; None: `noreply` at the host of the app's public address."""
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class InstallationOptions:
    """What becomes of an installation when another one comes with its device token."""

    enforce_auth: bool = False
    """Only where the caller may do to it what is done."""
    action: Literal["delete", "update"] = "delete"
    """It goes, or it loses what it shares with the other."""
    priority: Literal["deviceToken", "installationId"] = "deviceToken"
    """Which of two rows for one device stays: the one found by this."""


@dataclass(frozen=True, slots=True)
class PushOptions:
    """With what, and where, the server reaches the push providers. Endpoints are origins; the provider's own path follows."""

    fcm_endpoint: str = "https://fcm.googleapis.com"
    fcm_credentials: Path | None = None
    """A service account's JSON file."""
    apns_endpoint: str = "https://api.push.apple.com"
    apns_sandbox_endpoint: str | None = None
    """Where a device is tried once that the other one does not know."""
    apns_key: Path | None = None
    """Apple's .p8 file."""
    apns_key_id: str | None = None
    apns_team_id: str | None = None
    apns_topic: str | None = None
    webpush_key: Path | None = None
    """A P-256 key, as PEM."""
    webpush_subject: str | None = None
    ca_file: Path | None = None
    lane: Literal["curl", "h2"] = "h2"

    @property
    def configured(self) -> bool:
        """True if there is any provider to send with."""
        return bool(self.fcm_credentials or self.apns_key or self.webpush_key)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What belongs to the process and not to one of its apps."""

    host: str = "0.0.0.0"
    port: int = 1337
    workers: int = 1
    trusted_proxies: tuple[str, ...] = ()
    data_dir: Path = Path("data")
    log_format: Literal["json", "pretty"] = "json"
    live_ping_ms: int = 30_000
    """How often an idle live-query socket is asked whether it is still there, and how long it has to answer."""
    connections: int = 10_000
    """HTTP connections of one process at the same time."""
    client_timeout_ms: int = 20_000
    """How long a client may take for the head of a request, or stand still amid a body or an answer."""
    outbound_allow: tuple[str, ...] = ()
    outbound_open: bool = False
    """Calls to loopback and plain http are allowed (development, and a Parse Server being replaced)."""
    push: PushOptions = PushOptions()


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
    file_key: str | None = None
    """The key of the app's files at parse.com, for those that are still there."""
    master_key_ips: tuple[str, ...] = LOOPBACK
    maintenance_key_ips: tuple[str, ...] = LOOPBACK
    read_only_master_key_ips: tuple[str, ...] = LOOPBACK
    app_name: str | None = None

    preset: Literal["production", "development", "parse"] = "production"
    mount: str = "/parse"
    public_url: str = "http://localhost:1337/parse"
    """The address of the mount as clients see it: Location headers, file URLs, mail links."""
    public_url_given: bool = False
    """False: nobody said, and whoever asks is answered with the address that she used."""
    link_url: str | None = None
    """The address of the mount in mails, and on the pages that they lead to; None: nobody said, and no mail can be sent."""
    data_dir: Path = Path("data")
    database_url: str | None = None
    database_shared: bool | None = None
    """A MongoDB that Parse Server uses too; None: found out by looking for its `_SCHEMA`."""
    database_standalone: bool = False
    """A MongoDB that is no replica set will do."""
    functions: Path | None = None
    functions_isolation: Literal["strict"] | None = None
    """Strict: no code runs where a layer of its workers' isolation is missing."""
    installer_environment: Mapping[str, str] = field(default_factory=dict)
    """What the installer of a deployment's packages is shown of the server's environment."""

    allow_client_class_creation: bool = False
    allow_custom_object_id: bool = False
    new_class_permissions: Literal["public", "authenticated"] = "authenticated"
    enable_anonymous_users: bool = True
    enforce_private_users: bool = True
    protected_fields: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=lambda: {"_User": {"*": ("email",)}})
    protected_fields_owner_exempt: bool = True
    protected_fields_save_response_exempt: bool = True
    protected_fields_trigger_exempt: bool = False
    lowercase_email: bool = False
    lowercase_username: bool = False
    object_id_size: int = 10
    preserve_file_name: bool = False
    read_only_aggregation: bool = True
    aggregation_raw_field_names: bool = False
    aggregation_raw_values: bool = False
    collection_prefix: str = ""
    """What the names of collections start with in pipelines that were written for Parse Server."""
    route_allow_list: tuple[str, ...] | None = None
    installation: InstallationOptions = InstallationOptions()
    schema: Mapping[str, Any] | None = None
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
    file_download: FileDownload = FileDownload()
    audit: Literal["admin", "all", "off"] = "admin"
    """Which requests with the master or maintenance key are noted: all that change something but data, all that do, or none."""
    audit_kept_ms: int | None = 400 * 24 * 3600 * 1000
    """How long that is kept; None: for ever."""
    erase: tuple[str, ...] = ("_File",)
    """Classes whose objects go with the user who alone may write them; `_File` stands for the files that she has uploaded."""
    session_length_s: int = 365 * 24 * 3600
    expire_inactive_sessions: bool = True
    extend_session_on_use: bool = False
    revoke_session_on_password_reset: bool = True
    idempotency_paths: tuple[str, ...] = (".*",)
    idempotency_ttl_s: int = 300
    live_classes: tuple[str, ...] = ("*",)
    """Patterns of the names of classes whose writes are published; `*` is all."""
    live_sequences: bool = True
    """Events of live queries carry `seq`, whoever subscribed; else only for those who sent `since`."""
    live_connections: int = 20_000
    """Sockets of the app at the same time."""
    live_subscriptions: int = 200
    """Subscriptions of one socket."""
    live_queue_bytes: int = 1024 * 1024
    """Characters that may wait to be sent to one socket."""
    rate_limits: tuple[RateLimit, ...] = ()
    rate_limit_factor: int = 1
    """How much wider than in production the server's own limits are; 0: they are off."""
    account_lockout: AccountLockout | None = None
    password_policy: PasswordPolicy = PasswordPolicy()
    captcha: str | None = None
    """`altcha`, or where a service says what an answer to its captcha is worth; None: nobody is asked for one."""
    captcha_secret: str | None = field(default=None, repr=False)
    breach_url: str | None = None
    """Where it is looked up whether a new password was stolen elsewhere; None: nowhere."""
    auth: Mapping[str, Any] = field(default_factory=dict)
    mfa: MfaOptions | None = None
    """None: nobody is asked for a second factor, and nobody can have one."""
    sms_url: str | None = field(default=None, repr=False)
    """A service that text messages are posted to."""
    email_verification: EmailVerification = EmailVerification()
    email_adapter: Mapping[str, Any] | None = None
    smtp: SmtpServer | None = None
    sign_in_url: str | None = None
    """The app's own page, or what opens the app, that links which sign somebody in lead to; None: mails have a code alone."""
    pages: PagesOptions = PagesOptions()
    push: Mapping[str, Any] | None = None
    feed_retention_ms: int = 24 * 3600 * 1000
    feed_retention_bytes: int = 1024**3
    event_retention_ms: int = 400 * 24 * 3600 * 1000
    """How long events that apps track are kept."""
    query_timeout_ms: int = 30_000
    allow_regex: bool = True
    max_query_depth: int = 20
    max_subqueries: int = 10
    max_subquery_results: int | None = None
    max_include_depth: int = 10
    max_includes: int = 100
    max_batch: int = 1000
