"""What is open here that the defaults of `mbaas serve` keep shut: each in a sentence, with the option that shuts it again.

The names of options are those of an options file (Parse Server's); `MBAAS_*` where only a setting says so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from mbaas.configuration import Configuration
from mbaas.kernel.options import AppOptions, ServerOptions

_SAFE = AppOptions(app_id="", master_key="")
_BOUNDS = {
    "max_query_depth": ("requestComplexity.queryDepth", "levels of a query"),
    "max_subqueries": ("requestComplexity.subqueryDepth", "queries inside a query"),
    "max_include_depth": ("requestComplexity.includeDepth", "pointers followed one after another"),
    "max_includes": ("requestComplexity.includeCount", "pointers followed by a query"),
    "max_batch": ("requestComplexity.batchRequestLimit", "requests of a batch"),
}
_DANGEROUS = ("html", "svg", "xml", "xhtml")
"""Extensions that a browser would run as a page of the server's own origin."""


def loosened(configuration: Configuration) -> Iterator[str]:
    """A sentence for each, beginning with the app's id; none for a server with the defaults of production."""
    for sentence in _of_server(configuration.server):
        yield f"every app: {sentence}"
    for app in configuration.apps:
        for sentence in (*_who_may(app), *_who_asks(app), *_who_vouches(app), *_how_much(app), *_what_is_told(app)):
            yield f"{app.app_id}: {sentence}"


def _of_server(server: ServerOptions) -> Iterator[str]:
    if server.outbound_open:
        yield "the server's calls may go to loopback and by plain http; without --parse-config and outside development they may not"
    for host in server.outbound_allow:
        yield f"the server may call {host} wherever it is; take it out of MBAAS_OUTBOUND_ALLOW"
    for network in _wide(server.trusted_proxies):
        yield f"whoever comes from {network} says what address she has; name your proxies alone in MBAAS_TRUSTED_PROXIES"


def _who_may(app: AppOptions) -> Iterator[str]:
    """Permissions that objects, files and accounts start with."""
    if app.allow_client_class_creation:
        yield "a client makes a class by saving to it; set allowClientClassCreation to false"
    if app.new_class_permissions == "public":
        yield "everybody may read and write in new classes; run with MBAAS_PRESET=production"
    if not app.enforce_private_users:
        yield "new users can be read by everybody; set enforcePrivateUsers to true"
    if "email" not in app.protected_fields.get("_User", {}).get("*", ()):
        yield "whoever can read a user reads her email address; list it in protectedFields of _User for *"
    if app.allow_custom_object_id:
        yield "clients choose object ids; set allowCustomObjectId to false"
    if app.file_upload.public:
        yield "everybody may upload files; set fileUpload.enableForPublic to false"
    if app.file_upload.anonymous_user:
        yield "anonymous users may upload files; set fileUpload.enableForAnonymousUser to false"
    patterns = app.file_upload.extensions
    if allowed := [each for each in _DANGEROUS if "*" in patterns or any(re.search(pattern, each) for pattern in patterns)]:
        yield f"files that browsers run may be uploaded ({', '.join(allowed)}); take fileUpload.fileExtensions out"


def _who_asks(app: AppOptions) -> Iterator[str]:
    """Keys, sessions and proofs of identity."""
    for option, networks in (
        ("masterKeyIps", app.master_key_ips),
        ("maintenanceKeyIps", app.maintenance_key_ips),
        ("readOnlyMasterKeyIps", app.read_only_master_key_ips),
    ):
        for network in _outside(networks):
            yield f"{option} has {network}: the key is accepted from there; name the machines that need it alone"
    if app.allow_expired_auth_data_token:
        yield "proofs of identity that are over are accepted; set allowExpiredAuthDataToken to false"
    if not app.expire_inactive_sessions:
        yield "sessions never end; set expireInactiveSessions to true"
    elif app.session_length_s > _SAFE.session_length_s:
        yield f"sessions last {app.session_length_s // 86400} days; set sessionLength to a year at most"
    if not app.revoke_session_on_password_reset:
        yield "a new password leaves old sessions open; set revokeSessionOnPasswordReset to true"
    if app.smtp is not None and app.smtp.tls in ("offered", "never") and not _is_here(app.smtp.host):
        yield "mails may be handed over unencrypted; take tls= out of MBAAS_SMTP_URL"
    if app.audit == "off":
        yield "nobody can tell what was done with the master key; take MBAAS_AUDIT out"


def _who_vouches(app: AppOptions) -> Iterator[str]:
    """Identity providers that somebody between, or another app, could speak for."""
    for name, options in app.auth.items():
        if not isinstance(options, Mapping) or options.get("enabled") is False or options.get("module"):
            continue
        if options.get("oauth2") is True:
            if not options.get("appidField"):
                yield f"auth.{name} takes tokens that people gave to any other app; set appidField and appIds"
        elif options.get("type", name) == "ldap":
            tls, place = options.get("tlsOptions"), urlsplit(str(options.get("url")))
            if place.scheme != "ldaps" and not _is_here(place.hostname or ""):
                yield f"auth.{name} hands passwords over unencrypted; give it a url of ldaps://"
            elif isinstance(tls, Mapping) and tls.get("rejectUnauthorized") is False:
                yield f"auth.{name} hands passwords to whoever says that it is the directory; set tlsOptions.rejectUnauthorized to true"


def _how_much(app: AppOptions) -> Iterator[str]:
    """Bounds of what one caller may ask for."""
    if app.rate_limit_factor == 0:
        yield "there are no limits on sign-in, sign-up and mails; MBAAS_LIMITS=1 sets them"
    elif app.rate_limit_factor > 1:
        yield f"limits on sign-in, sign-up and mails are {app.rate_limit_factor} times as wide; MBAAS_LIMITS=1 narrows them"
    for name, (option, what) in _BOUNDS.items():
        if getattr(app, name) > getattr(_SAFE, name):
            yield f"more than {getattr(_SAFE, name)} {what} are allowed; take {option} out"
    missing = [each["key"] for each in _SAFE.request_keyword_denylist if each not in app.request_keyword_denylist]
    if missing:
        yield f"requests may have the keys {', '.join(missing)}; put them back into requestKeywordDenylist"


def _what_is_told(app: AppOptions) -> Iterator[str]:
    """What an answer gives away."""
    if not app.sanitized_errors:
        yield "a refusal says what was missing; set enableSanitizedErrorResponse to true"
    if app.allow_public_explain:
        yield "everybody may ask how a query is run; set databaseOptions.allowPublicExplain to false"
    if not app.password_policy.reset_silent:
        yield "a password reset tells whether an address has an account; set passwordPolicy.resetPasswordSuccessOnInvalidEmail to true"
    if app.email_verification.wanted and not app.email_verification.silent:
        yield "a verification mail tells whether an address has an account; set emailVerifySuccessOnInvalidEmail to true"


def _outside(networks: Iterable[str]) -> Iterator[str]:
    return (network for network in networks if not ipaddress.ip_network(network, strict=False).is_loopback)


def _wide(networks: Iterable[str]) -> Iterator[str]:
    """Those that hold everybody, or nearly."""
    return (network for network in networks if ipaddress.ip_network(network, strict=False).prefixlen < 8)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
