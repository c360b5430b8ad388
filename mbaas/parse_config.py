"""Parse Server 9's options file, translated: which of its names mean which of our options.

Every option name of Parse Server 9.10 is known here. Those in `LATER` have no counterpart (yet): they are accepted
and named in one warning. A name that Parse Server does not know either is an error that names the nearest known one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mbaas.kernel.options import EVERYWHERE, FileDownload, FileUpload, PagesOptions
from mbaas.parse_mail import PAGES, VERIFICATION, email_adapter, email_verification, own_pages
from mbaas.parse_policies import account_lockout, installation, mfa, password_policy
from mbaas.parse_rate_limit import rate_limits
from mbaas.parse_values import (
    DEEPEST,
    UNLIMITED,
    depth,
    flag,
    limit,
    mapping,
    mappings,
    mongo,
    most,
    mount,
    networks,
    number,
    patterns,
    positive,
    protected,
    proxies,
    size,
    text,
    texts,
    url,
)
from mbaas.settings import SettingsError, nearest
from mbaas_auth.identity.configured import reader

Reader = Callable[[Any], Any]


@dataclass(slots=True)
class Translated:
    """What a file said, by our names; `ignored` are options that have no effect."""

    app: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


SERVER: dict[str, tuple[str, Reader]] = {
    "host": ("host", text),
    "port": ("port", number),
    "trustProxy": ("trusted_proxies", proxies),
}

APP: dict[str, tuple[str, Reader]] = {
    "accountLockout": ("account_lockout", account_lockout),
    "allowAggregationForReadOnlyMasterKey": ("read_only_aggregation", flag),
    "allowClientClassCreation": ("allow_client_class_creation", flag),
    "allowCustomObjectId": ("allow_custom_object_id", flag),
    "allowExpiredAuthDataToken": ("allow_expired_auth_data_token", flag),
    "allowHeaders": ("allow_headers", texts),
    "allowOrigin": ("allow_origin", texts),
    "appId": ("app_id", text),
    "appName": ("app_name", text),
    "auth": ("auth", mapping),
    "clientKey": ("client_key", text),
    "collectionPrefix": ("collection_prefix", text),
    "convertEmailToLowercase": ("lowercase_email", flag),
    "convertUsernameToLowercase": ("lowercase_username", flag),
    "databaseURI": ("database_url", mongo),
    "defaultLimit": ("default_limit", positive),
    "dotNetKey": ("dotnet_key", text),
    "emailAdapter": ("email_adapter", email_adapter),
    "enableAnonymousUsers": ("enable_anonymous_users", flag),
    "enableSanitizedErrorResponse": ("sanitized_errors", flag),
    "enforcePrivateUsers": ("enforce_private_users", flag),
    "expireInactiveSessions": ("expire_inactive_sessions", flag),
    "extendSessionOnUse": ("extend_session_on_use", flag),
    "fileKey": ("file_key", text),
    "installation": ("installation", installation),
    "javascriptKey": ("javascript_key", text),
    "maintenanceKey": ("maintenance_key", text),
    "maintenanceKeyIps": ("maintenance_key_ips", networks),
    "masterKey": ("master_key", text),
    "masterKeyIps": ("master_key_ips", networks),
    "maxLimit": ("max_limit", positive),
    "maxUploadSize": ("max_upload_bytes", size),
    "mountPath": ("mount", mount),
    "objectIdSize": ("object_id_size", positive),
    "passwordPolicy": ("password_policy", password_policy),
    "preserveFileName": ("preserve_file_name", flag),
    "protectedFields": ("protected_fields", protected),
    "protectedFieldsOwnerExempt": ("protected_fields_owner_exempt", flag),
    "protectedFieldsSaveResponseExempt": ("protected_fields_save_response_exempt", flag),
    "protectedFieldsTriggerExempt": ("protected_fields_trigger_exempt", flag),
    "push": ("push", mapping),
    "rateLimit": ("rate_limits", rate_limits),
    "readOnlyMasterKey": ("read_only_master_key", text),
    "readOnlyMasterKeyIps": ("read_only_master_key_ips", networks),
    "requestKeywordDenylist": ("request_keyword_denylist", mappings),
    "restAPIKey": ("rest_api_key", text),
    "revokeSessionOnPasswordReset": ("revoke_session_on_password_reset", flag),
    "routeAllowList": ("route_allow_list", patterns),
    "schema": ("schema", mapping),
    "serverURL": ("public_url", url),
    "publicServerURL": ("public_url", url),
    "sessionLength": ("session_length_s", positive),
    "userSensitiveFields": ("protected_fields", texts),
    "webhookKey": ("webhook_key", text),
}

NESTED: dict[str, dict[str, tuple[str, Reader]]] = {
    "databaseOptions": {"allowPublicExplain": ("allow_public_explain", flag), "maxTimeMS": ("query_timeout_ms", positive)},
    "idempotencyOptions": {"paths": ("idempotency_paths", texts), "ttl": ("idempotency_ttl_s", positive)},
    "liveQuery": {"classNames": ("live_classes", texts)},
    "query": {
        "aggregationRawFieldNames": ("aggregation_raw_field_names", flag),
        "aggregationRawValues": ("aggregation_raw_values", flag),
    },
    "requestComplexity": {
        "allowRegex": ("allow_regex", flag),
        "batchRequestLimit": ("max_batch", limit),
        "includeCount": ("max_includes", limit),
        "includeDepth": ("max_include_depth", limit),
        "queryDepth": ("max_query_depth", depth),
        "subqueryDepth": ("max_subqueries", limit),
        "subqueryLimit": ("max_subquery_results", most),
    },
}

RECORDS: dict[str, tuple[str, type[Any], dict[str, tuple[str, Reader]]]] = {
    "fileUpload": (
        "file_upload",
        FileUpload,
        {
            "enableForPublic": ("public", flag),
            "enableForAnonymousUser": ("anonymous_user", flag),
            "enableForAuthenticatedUser": ("authenticated_user", flag),
            "fileExtensions": ("extensions", texts),
            "allowedFileUrlDomains": ("allowed_url_domains", texts),
        },
    ),
    "fileDownload": (
        "file_download",
        FileDownload,
        {
            "enableForPublic": ("public", flag),
            "enableForAnonymousUser": ("anonymous_user", flag),
            "enableForAuthenticatedUser": ("authenticated_user", flag),
        },
    ),
    "pages": ("pages", PagesOptions, PAGES),
}

DEFAULTS: dict[str, Any] = {
    "preset": "parse",
    "allow_client_class_creation": False,
    "new_class_permissions": "public",
    "rate_limit_factor": 0,
    "mfa": None,
    "erase": (),
    "read_only_master_key_ips": EVERYWHERE,
    "sanitized_errors": True,
    "live_classes": (),
    "live_sequences": False,
    "idempotency_paths": (),
    "max_query_depth": DEEPEST,
    "max_include_depth": UNLIMITED,
    "max_subqueries": UNLIMITED,
    "max_batch": UNLIMITED,
}
"""Parse Server 9's defaults, where ours differ."""

_LATER = """
    analyticsAdapter cacheAdapter cacheMaxSize cacheTTL cloud cluster databaseAdapter directAccess
    enableCollationCaseComparison enableExpressErrorHandler enableInsecureAuthAdapters enableProductPurchaseLegacyApi encryptionKey
    filesAdapter graphQLPath graphQLPublicIntrospection graphQLSchema jsonLogs liveQueryServerOptions
    logLevel logLevels loggerAdapter logsFolder masterKeyTtl maxLogFiles middleware mountGraphQL mountPlayground playgroundPath
    requestContextMiddleware scheduledPush security serverCloseComplete silent startLiveQueryServer verbose verifyServerUrl
    pages.customRoutes pages.enableRouter
    liveQuery.pubSubAdapter liveQuery.redisOptions liveQuery.redisURL liveQuery.regexTimeout liveQuery.wssAdapter
    requestComplexity.graphQLDepth requestComplexity.graphQLFields
"""
_UNREAD = """
    allowExpiredAuthDataToken schema
"""
"""Translated already, but read by no room: whoever builds the part that does takes its option out of here (a test sees to it)."""
_DATABASE = """
    appName authMechanism authMechanismProperties authSource autoSelectFamily autoSelectFamilyAttemptTimeout batchSize clientMetadata
    compressors connectTimeoutMS createIndexAuthDataUniqueness createIndexRoleName createIndexUserEmail
    createIndexUserEmailCaseInsensitive createIndexUserEmailVerifyToken createIndexUserPasswordResetToken createIndexUserUsername
    createIndexUserUsernameCaseInsensitive directConnection disableIndexFieldValidation enableSchemaHooks forceServerObjectId
    heartbeatFrequencyMS loadBalanced localThresholdMS logClientEvents maxConnecting maxIdleTimeMS maxPoolSize maxStalenessSeconds
    minPoolSize proxyHost proxyPassword proxyPort proxyUsername readConcernLevel readPreference readPreferenceTags replicaSet
    retryReads retryWrites schemaCacheTtl serverMonitoringMode serverSelectionTimeoutMS socketTimeoutMS srvMaxHosts srvServiceName ssl
    tls tlsAllowInvalidCertificates tlsAllowInvalidHostnames tlsCAFile tlsCertificateKeyFile tlsCertificateKeyFilePassword tlsInsecure
    waitQueueTimeoutMS zlibCompressionLevel
"""
LATER = frozenset(_LATER.split()) | frozenset(_UNREAD.split()) | {f"databaseOptions.{name}" for name in _DATABASE.split()}
"""Options that have no effect, and are named in the warning; those that `APP` also knows are kept for the part to come."""


def known() -> set[str]:
    """Every name that a file may use, nested ones with a dot."""
    nested = {**NESTED, **{name: fields for name, (_, _, fields) in RECORDS.items()}}
    return {
        *SERVER,
        *APP,
        *LATER,
        *VERIFICATION,
        "customPages",
        *nested,
        *(f"{name}.{inner}" for name, fields in nested.items() for inner in fields),
    }


def translate(document: Any, source: str = "the options file") -> Translated:
    """The options of one app. SettingsError lists every unknown name and every value that cannot be."""
    if not isinstance(document, dict):
        raise SettingsError(f"{source}: must be a JSON object of Parse Server options")
    out = Translated()
    problems: list[str] = []
    for name, value in sorted(document.items()):  # serverURL comes after publicServerURL, and must not win over it
        if value is None or (name == "serverURL" and document.get("publicServerURL")):
            continue
        try:
            _option(name, value, out)
        except ValueError as error:
            problems.append(f"{source}: {name} {error}")
    if problems:
        raise SettingsError("\n".join(problems))
    _mail(document, source, out)
    if "protected_fields" in out.app:
        out.app["protected_fields"] = _protected(document, keep=out.app.get("protected_fields_owner_exempt") is False)
    return out


def _mail(document: Mapping[str, Any], source: str, out: Translated) -> None:
    """What several options say together: who is sent which mails, and where their links lead."""
    if document.get("publicServerURL"):
        out.app["link_url"] = out.app["public_url"]
    try:
        if verification := email_verification(document):
            out.app["email_verification"] = verification
        if custom := document.get("customPages"):
            out.app["pages"] = own_pages(out.app.get("pages", PagesOptions()), custom)
    except ValueError as error:
        raise SettingsError(f"{source}: {error}") from None


def _protected(document: Mapping[str, Any], keep: bool) -> dict[str, dict[str, tuple[str, ...]]]:
    """`protectedFields`, with the older `userSensitiveFields` and the `email` that Parse Server adds for `_User`.

    `keep`: where owners do not see their own protected fields, what is said of everybody stands as it is.
    """
    classes = protected(document.get("protectedFields") or {})
    users = classes.setdefault("_User", {})
    if sensitive := document.get("userSensitiveFields"):
        users["*"] = tuple(dict.fromkeys((*users.get("*", ()), "email", *texts(sensitive))))
    if not (keep and users.get("*") is not None):
        users["*"] = tuple(dict.fromkeys((*users.get("*", ()), "email")))
    return classes


def _option(name: str, value: Any, out: Translated) -> None:
    if name in LATER:
        out.ignored.append(name)
    if name == "auth":
        ours = {provider for provider, given in mapping(value).items() if mapping(given).get("module") or reader(provider, given)}
        out.ignored += [f"auth.{provider}" for provider in value if provider not in ours and provider != "mfa"]
        if second := mapping(value).get("mfa"):
            out.app["mfa"] = mfa(second)
    if name in RECORDS:
        target, record, fields = RECORDS[name]
        into: dict[str, Any] = {}
        _fields(name, mapping(value), fields, into, out)
        out.app[target] = record(**into)
    elif name in NESTED:
        _fields(name, mapping(value), NESTED[name], out.app, out)
    elif name in SERVER:
        _put(SERVER[name], value, out.server)
    elif name in APP:
        _put(APP[name], value, out.app)
    elif name not in LATER and name not in VERIFICATION and name != "customPages":
        raise ValueError(f"is not an option of Parse Server 9{nearest(name, {n for n in known() if '.' not in n})}")


def _fields(name: str, value: Mapping[str, Any], fields: Mapping[str, tuple[str, Reader]], into: dict[str, Any], out: Translated) -> None:
    for inner, inner_value in value.items():
        if f"{name}.{inner}" in LATER:
            out.ignored.append(f"{name}.{inner}")
        if inner in fields:
            try:
                _put(fields[inner], inner_value, into)
            except ValueError as error:
                raise ValueError(f"has {inner}, which {error}") from None
        elif f"{name}.{inner}" not in LATER:
            raise ValueError(f"has no option {inner!r}{nearest(inner, fields)}")


def _put(option: tuple[str, Reader], value: Any, into: dict[str, Any]) -> None:
    target, reader = option
    into[target] = reader(value)
