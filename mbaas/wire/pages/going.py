"""How somebody is shown a page, or sent on to it, as Parse Server 9 does: what the page is about is told in headers, too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from mbaas.data.app import App
from mbaas.wire.cors import Header
from mbaas.wire.pages import own, templates
from mbaas.wire.pages.locales import folder_of, language, locale_of
from mbaas.wire.pages.names import FILES, Page
from mbaas.wire.request import Answer, Request, parse_pairs

_TEXT, _HTML = b"text/plain; charset=utf-8", b"text/html; charset=utf-8"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PARAM = "x-parse-page-param-"
ASIDE: list[Header] = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
"""Nobody keeps a page with a token in it, nor tells of its address."""
NOT_FOUND = Answer(404, b"Not found.", [*ASIDE], _TEXT)


def wanted_locale(request: Request) -> str | None:
    """The locale that the request asks for, wherever it says so; None if that has not the form of one."""
    body = request.body if isinstance(request.body, dict) else {}
    given = parse_pairs(request.query).get("locale") or body.get("locale") or request.header(b"x-parse-page-param-locale")
    return locale_of(given)


def go(
    request: Request, app: App, page: Page, params: Mapping[str, str] | None = None, *, redirect: bool | None = None, token: str = ""
) -> Answer:
    """The page, or the way to it; forms are answered by a way, unless `redirect` says otherwise. `token` is for the page's own form."""
    options = app.options
    if not options.app_name or options.link_url is None:
        return NOT_FOUND
    told = {**(params or {}), "appId": options.app_id, "appName": options.app_name, "publicServerUrl": options.link_url}
    locale = wanted_locale(request)
    if locale is not None:
        told["locale"] = locale
    if page in options.pages.custom_urls:
        return _way(app, options.pages.custom_urls[page], told)
    if options.pages.force_redirect or (request.method == "POST" if redirect is None else redirect):
        folder = _folder(app, FILES[page], locale)
        return _way(app, "/".join(filter(None, (base(app), folder, FILES[page]))), told)
    return shown(request, app, page, told, locale, token=token)


def _folder(app: App, file: str, locale: str | None) -> str | None:
    """The folder that the address of a page has for a locale."""
    pages = app.options.pages
    if not pages.localized or locale is None:
        return None
    if pages.folder is not None:
        return next((name for name in (locale, locale.partition("-")[0]) if templates.found(pages, [name, file])), None)
    return folder_of(locale)


def base(app: App) -> str:
    """The address of all pages."""
    return f"{app.options.link_url}/{app.options.pages.endpoint}"


def shown(request: Request, app: App, page: Page, told: dict[str, str], locale: str | None, *, token: str = "") -> Answer:
    """A page of the app's own, or else of the server's."""
    pages = app.options.pages
    if path := templates.localized(pages, FILES[page], locale):
        data, kind = templates.filled(path, pages, locale, told)
        return Answer(200, data, [*ASIDE, *_headers(app, told)], kind)
    tongue = language(locale, request.header(b"accept-language") or "", pages.fallback_locale)
    html = own.render(page, tongue, {**told, **({"token": token} if token else {})}, base(app))
    policy = own.policy([app.options.link_url or "", *pages.custom_urls.values()])
    return Answer(200, html.encode(), [*ASIDE, (b"content-security-policy", policy.encode()), *_headers(app, told)], _HTML)


def _way(app: App, address: str, told: Mapping[str, str]) -> Answer:
    parts = urlsplit(address)
    query = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **told}
    location = urlunsplit((parts.scheme, parts.netloc, parts.path or "/", urlencode(query), parts.fragment))
    headers = [*ASIDE, (b"location", location.encode("ascii", "replace")), *_headers(app, told)]
    return Answer(303, f"Found. Redirecting to {location}".encode(), headers, _TEXT)


def _headers(app: App, told: Mapping[str, str]) -> list[Header]:
    """What a page is about, one header each; percent-encoded where the app wants that, or where no header could hold it."""
    out: list[Header] = []
    for name, value in told.items():
        plain = _CONTROL.sub("", value)
        if app.options.pages.encode_headers or not plain.isascii():
            plain = quote(plain, safe="!'()*-._~")
        out.append((f"{_PARAM}{name.lower()}".encode(), plain.encode("ascii")))
    return out
