"""The server's own pages as HTML: no script, nothing from elsewhere, every value escaped."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote, urlsplit

from mbaas.wire.pages.names import Page
from mbaas.wire.pages.texts import TEXTS, Texts
from mbaas_auth.password_reset import EXPIRED, INVALID

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d0d7de;--ground:#f3f5f7;--card:#fff;--main:#1668c7;--bad:#b3261e}
@media(prefers-color-scheme:dark){
:root{--ink:#e9edf1;--soft:#9aa4ae;--line:#3b434c;--ground:#14171a;--card:#1e2328;--main:#2f78d0;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;background:var(--ground);color:var(--ink);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:26rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:2rem 1.75rem}
.app{margin:0 0 1.25rem;color:var(--soft);font-weight:600;overflow-wrap:anywhere}
h1{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25;overflow-wrap:anywhere}
p{margin:0;color:var(--soft);overflow-wrap:anywhere}
.error{margin-top:1rem;padding:.65rem .85rem;border:1px solid var(--bad);border-radius:.6rem;color:var(--bad)}
form{margin-top:1.5rem;display:grid;gap:1rem}
label{display:grid;gap:.35rem;font-weight:600;font-size:.95rem}
input{width:100%;min-height:3rem;padding:0 .85rem;font:inherit;font-weight:400;color:inherit;background:transparent;
border:1px solid var(--line);border-radius:.6rem}
input:focus-visible,button:focus-visible{outline:3px solid color-mix(in srgb,var(--main) 45%,transparent);outline-offset:1px}
button{min-height:3rem;padding:0 1rem;font:inherit;font-weight:600;color:#fff;background:var(--main);border:0;
border-radius:.6rem;cursor:pointer}
button:hover{filter:brightness(1.08)}
"""
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def policy(targets: Iterable[str]) -> str:
    """The content security policy. Forms may be sent to the origins of these addresses, and lead on to them."""
    origins = " ".join(sorted({"{}://{}".format(*urlsplit(target)[:2]) for target in targets}))
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self' {origins}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def render(page: Page, language: str, params: Mapping[str, str], base: str) -> str:
    """A page. `params` are what it is about: `appName`, `appId`, `token`, `locale`, `error`; `base` is the address of all pages."""
    texts = TEXTS[language]
    heading, text = texts.pages[page]
    title = texts.reset_title if page.startswith("password") else texts.verify_title
    app_name = f'<p class="app">{escape(params["appName"])}</p>' if params.get("appName") else ""
    error = params.get("error")
    said = f'<p class="error" role="alert">{escape(texts.errors.get(error, error))}</p>' if error else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">'
        f'<meta name="robots" content="noindex"><link rel="icon" href="data:,"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main>{app_name}<h1>{escape(heading)}</h1><p>{escape(text)}</p>{said}"
        f"{_form(page, texts, params, base)}</main></body></html>"
    )


def _form(page: Page, texts: Texts, params: Mapping[str, str], base: str) -> str:
    if not params.get("token") or not params.get("appId") or params.get("error") in (INVALID, EXPIRED):
        return ""
    if page == "passwordReset":
        return _post(params, f"{base}/{quote(params['appId'], safe='')}/request_password_reset", texts.choose, _passwords(texts))
    if page in ("emailVerificationLinkInvalid", "emailVerificationLinkExpired"):
        return _post(params, f"{base}/{quote(params['appId'], safe='')}/resend_verification_email", texts.resend, "")
    return ""


def _post(params: Mapping[str, str], action: str, button: str, inside: str) -> str:
    names = (name for name in ("token", "locale", "username") if params.get(name))
    kept = "".join(f'<input type="hidden" name="{name}" value="{escape(params[name])}">' for name in names)
    return f'<form method="post" action="{escape(action)}">{kept}{inside}<button>{escape(button)}</button></form>'


def _passwords(texts: Texts) -> str:
    fields = {"new_password": texts.new_password, "confirm_new_password": texts.once_more}
    form = '<label>{}<input type="password" name="{}" autocomplete="new-password" required></label>'
    return "".join(form.format(escape(label), name) for name, label in fields.items())
