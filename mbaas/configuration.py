"""From settings and options files to the options that the server is built with.

Order, the later winning: the preset, the environment, the options file. Where several apps are served, each has its
own keys and, without a `databaseURI`, its own folder in the data dir.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mbaas.kernel.options import AppOptions, EmailVerification, MfaOptions, PushOptions, ServerOptions
from mbaas.kernel.processors import processors
from mbaas.parse_config import DEFAULTS, Translated, translate
from mbaas.settings import PRESETS, Settings, SettingsError, installer_environment, retention
from mbaas.smtp_url import smtp_server
from mbaas_auth.identity.configured import configured, reader

KEYS = ("master_key", "read_only_master_key", "maintenance_key", "rest_api_key", "javascript_key", "client_key", "webhook_key")


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that a server is started with. `warnings` are whole sentences."""

    server: ServerOptions
    apps: tuple[AppOptions, ...]
    warnings: tuple[str, ...] = ()

    def listening_on(self, port: int) -> Configuration:
        """The same with the port that was bound, where any free one was asked for."""
        if self.server.port == port:
            return self

        def bound(url: str) -> str:
            return url.replace("http://localhost:0", f"http://localhost:{port}")

        apps = (replace(app, public_url=bound(app.public_url), link_url=app.link_url and bound(app.link_url)) for app in self.apps)
        return replace(self, server=replace(self.server, port=port), apps=tuple(apps))


def configure(
    settings: Settings, *, preset: str = "production", parse_config: Path | None = None, keys: Mapping[str, str] | None = None
) -> Configuration:
    """The options of the process and of its apps; `keys` fill in what neither settings nor a file name."""
    preset = settings.preset or preset
    file = translate(_json(parse_config), str(parse_config)) if parse_config else Translated()
    common = {**PRESETS[preset], "preset": preset, **(DEFAULTS if parse_config else {}), **_common(settings)}
    own = {**common, **_identity(settings, keys or {}), **({"database_url": settings.database_url} if settings.database_url else {})}
    server = _server(settings, file, pretty=preset == "development", outbound_open=bool(parse_config) or preset == "development")
    several = _from_apps_file(settings)
    own["auth"] = settings.auth
    if not parse_config:
        own |= {"app_name": settings.app_name or own.get("app_id"), "email_verification": EmailVerification(settings.verify_user_emails)}
    apps = [_app(own, file.app, server, server.data_dir)] if not several or parse_config or settings.app_id else []
    folder = server.data_dir / "apps"
    for position, entry in enumerate(several, 1):
        own_folder = folder / _folder(entry.app.get("app_id", ""))
        apps.append(_app(common, entry.app, server, own_folder, place=f"{settings.apps_file}, app {position}"))
    _distinct(apps)
    unsent = [sentence for app in apps if (sentence := _mail(app))]
    server = replace(server, workers=settings.workers or _workers(preset, apps))
    unvouched = [f"nobody can sign in with {name}: auth.{name}: {why}" for app in apps for name, why in configured(app.auth)[1].items()]
    nobodys = [f"auth.{name}" for name, given in settings.auth.items() if not given.get("module") and reader(name, given) is None]
    ignored = sorted({*file.ignored, *(name for entry in several for name in entry.ignored), *nobodys})
    return Configuration(server, tuple(apps), (*_warnings(ignored), *unsent, *dict.fromkeys(unvouched)))


def _server(settings: Settings, file: Translated, *, pretty: bool, outbound_open: bool) -> ServerOptions:
    return ServerOptions(
        host=file.server.get("host", settings.host),
        port=file.server.get("port", settings.port),
        trusted_proxies=file.server.get("trusted_proxies", settings.trusted_proxies),
        data_dir=settings.data_dir.absolute(),
        log_format="pretty" if pretty else "json",
        live_ping_ms=settings.live_ping,
        connections=settings.connections,
        client_timeout_ms=settings.client_timeout,
        outbound_allow=settings.outbound_allow,
        outbound_open=outbound_open,
        push=push_options(settings),
    )


def push_options(settings: Settings) -> PushOptions:
    """With what the providers are reached."""
    return PushOptions(
        fcm_endpoint=settings.fcm_endpoint,
        fcm_credentials=settings.fcm_credentials,
        apns_endpoint=settings.apns_endpoint,
        apns_sandbox_endpoint=settings.apns_sandbox_endpoint,
        apns_key=settings.apns_key,
        apns_key_id=settings.apns_key_id,
        apns_team_id=settings.apns_team_id,
        apns_topic=settings.apns_topic,
        webpush_key=settings.webpush_key,
        webpush_subject=settings.webpush_subject,
        ca_file=settings.push_ca_file,
        lane=settings.push_lane,
    )


_MOST_WORKERS = 4
"""Unless more are asked for: writes take turns, and each process needs memory."""


def _workers(preset: str, apps: list[AppOptions]) -> int:
    """As many processes as serve best: one for each processor, since one process keeps one busy.

    One for development, whose reader wants one log and one process to look into; and one on a MongoDB, where a process hears of
    the others' definitions a moment later.
    """
    if preset == "development" or any(app.database_url for app in apps):
        return 1
    return min(processors(), _MOST_WORKERS)


_OF_EVERY_APP = (
    "mount",
    "audit",
    "erase",
    "live_classes",
    "live_connections",
    "live_subscriptions",
    "live_queue_bytes",
    "master_key_ips",
    "maintenance_key_ips",
)
"""Settings that every app has unless its own entry says otherwise."""


def _common(settings: Settings) -> dict[str, Any]:
    """What holds for every app of the process, as far as it was given."""
    given = settings.model_fields_set
    kept_ms, kept_bytes = retention(settings.feed_retention)
    out: dict[str, Any] = {"feed_retention_ms": kept_ms, "feed_retention_bytes": kept_bytes, "functions": settings.functions}
    out["event_retention_ms"] = settings.event_retention
    out["functions_isolation"] = settings.functions_isolation
    out["installer_environment"] = installer_environment()
    for name in _OF_EVERY_APP:
        if name in given:
            out[name] = getattr(settings, name)
    if "master_key_ips" in given:
        out["read_only_master_key_ips"] = settings.master_key_ips
    if settings.public_url:
        out["public_url"] = settings.public_url
    if settings.limits is not None:
        out["rate_limit_factor"] = settings.limits
    if settings.mfa is not None:
        factors = {name.upper() for name in settings.mfa}
        out["mfa"] = MfaOptions(totp="TOTP" in factors, sms="SMS" in factors) if factors != {"OFF"} else None
    out["captcha"], out["captcha_secret"] = settings.captcha, settings.captcha_secret
    out["breach_url"] = f"{settings.breach_url}/" if settings.breach_url else None
    out["audit_kept_ms"] = settings.audit_kept
    out["sms_url"], out["sign_in_url"] = settings.sms_url, settings.sign_in_url
    if settings.smtp_url:
        out["smtp"] = smtp_server(settings.smtp_url)
    out["database_shared"] = settings.mongo_shared
    out["database_standalone"] = settings.mongo_standalone == "allow"
    return out


def _identity(settings: Settings, keys: Mapping[str, str]) -> dict[str, Any]:
    """The app id and keys of the app that the environment describes."""
    named = {name: getattr(settings, name) or keys.get(name) for name in ("app_id", *KEYS)}
    return {name: value for name, value in named.items() if value}


_NEEDED = {
    "app_id": ("an application id (MBAAS_APP_ID, or appId in an options file)", "an application id (appId)"),
    "master_key": ("a master key (MBAAS_MASTER_KEY, or masterKey in an options file)", "a master key (masterKey)"),
}
"""What no app can do without: as it is called in the environment, and in a file of several apps."""


def _app(common: Mapping[str, Any], own: Mapping[str, Any], server: ServerOptions, data_dir: Path, *, place: str = "") -> AppOptions:
    """One app's options, or a SettingsError that names what is missing; `place` is where in a file of several apps it stands."""
    merged = {**common, "data_dir": data_dir, **own}
    if missing := [name for name in ("app_id", "master_key") if not merged.get(name)]:
        whose = f"{place} needs" if place else "the server needs"
        raise SettingsError("\n".join(f"{whose} {_NEEDED[name][bool(place)]}" for name in missing))
    secrets = [merged[name] for name in ("master_key", "read_only_master_key", "maintenance_key") if merged.get(name)]
    if len(set(secrets)) < len(secrets):
        raise SettingsError("the master key, the read-only master key and the maintenance key must differ from each other")
    mount = merged.setdefault("mount", "/parse")
    merged["public_url_given"] = "public_url" in merged
    if "public_url" not in own:
        origin = merged.get("public_url") or f"http://localhost:{server.port}"
        merged["public_url"] = origin if mount and origin.endswith(mount) else origin + mount
        if "public_url" in common or merged["preset"] == "development":
            merged.setdefault("link_url", merged["public_url"])
    return AppOptions(**merged)


def _mail(app: AppOptions) -> str | None:
    """What to say of an app that is to send mails and cannot, if it is. A SettingsError where Parse Server would not start, either."""
    adapter = app.email_adapter
    sends = app.smtp is not None or app.preset == "development" or (adapter is not None and adapter.get("module") == "http")
    if app.email_verification.wanted:
        needed = None if sends or adapter is not None else "a mail server: MBAAS_SMTP_URL, or emailAdapter"
        needed = needed or (None if app.app_name else "a name of the app: appName")
        needed = needed or (None if app.link_url else "the server's address as people see it: MBAAS_PUBLIC_URL, or publicServerURL")
        if needed:
            raise SettingsError(f"addresses are to be verified (verifyUserEmails), which needs {needed}")
    if adapter is not None and not sends:
        return f"no mail is sent: emailAdapter {adapter.get('module')!r} has no counterpart here; name a mail server by MBAAS_SMTP_URL"
    return None


def _from_apps_file(settings: Settings) -> list[Translated]:
    if not settings.apps_file:
        return []
    entries = _json(settings.apps_file)
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"{settings.apps_file}: must be a JSON list with one object per app")
    if settings.database_url:
        raise SettingsError("MBAAS_DATABASE_URL names one database; with MBAAS_APPS_FILE give each app its own databaseURI")
    if settings.auth and not settings.app_id:
        raise SettingsError("MBAAS_AUTH is of the app that MBAAS_APP_ID names; with MBAAS_APPS_FILE give each app its own auth")
    return [translate(entry, f"{settings.apps_file}, app {position}") for position, entry in enumerate(entries, 1)]


def _distinct(apps: list[AppOptions]) -> None:
    """No two apps may share an id or a database."""
    for what, values in (("application id", [a.app_id for a in apps]), ("databaseURI", [a.database_url for a in apps if a.database_url])):
        if twice := [value for value, count in Counter(values).items() if count > 1]:
            shown = twice[0] if what == "application id" else "(not shown)"
            raise SettingsError(f"two apps have the same {what} {shown}")


def _folder(app_id: str) -> str:
    """A folder name for any application id, never one that leads elsewhere."""
    return quote(app_id, safe="").replace(".", "%2E") or "app"


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path}: {os.strerror(error.errno or 0)}") from error
    except ValueError as error:
        raise SettingsError(f"{path}: not valid JSON ({error})") from error


def _warnings(options: list[str]) -> list[str]:
    """At most one sentence for the options of a file."""
    return [f"options of Parse Server without effect here: {', '.join(options)}"] if options else []
