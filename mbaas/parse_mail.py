"""Parse Server's options about mails: who is sent one, through what, and the pages that their links lead to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mbaas.kernel.options import EmailVerification, PagesOptions
from mbaas.kernel.values import is_number
from mbaas.parse_values import flag, mapping, text, url

_ENDPOINT = re.compile(r"[A-Za-z0-9_-]+")
_PAGES = (
    "passwordReset passwordResetLinkInvalid passwordResetSuccess emailVerificationLinkExpired emailVerificationLinkInvalid"
    " emailVerificationSendFail emailVerificationSendSuccess emailVerificationSuccess"
).split()
_OLD_PAGES = {
    "choosePassword": "passwordReset",
    "expiredVerificationLink": "emailVerificationLinkExpired",
    "invalidPasswordResetLink": "passwordResetLinkInvalid",
    "invalidVerificationLink": "emailVerificationLinkInvalid",
    "linkSendFail": "emailVerificationSendFail",
    "linkSendSuccess": "emailVerificationSendSuccess",
    "passwordResetSuccess": "passwordResetSuccess",
    "verifyEmailSuccess": "emailVerificationSuccess",
}
"""The pages of `customPages` by the names that `pages.customUrls` has for them."""


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _seconds(value: Any) -> float:
    if not is_number(value) or value <= 0:
        raise ValueError("must be a number of seconds above 0")
    return float(value)


def _endpoint(value: Any) -> str:
    if not _ENDPOINT.fullmatch(text(value)):
        raise ValueError("must be one part of a path: letters, digits, - and _")
    return str(value)


def _urls(value: Any) -> dict[str, str]:
    """Addresses by page. One that is no address is left to Parse Server's rule for them: it is passed over."""
    given = mapping(value)
    if unknown := next((name for name in given if name not in _PAGES), None):
        raise ValueError(f"has no page {unknown}")
    return {name: text(address) for name, address in given.items() if re.match("https?://", text(address))}


VERIFICATION: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "emailVerifySuccessOnInvalidEmail": ("silent", flag),
    "emailVerifyTokenReuseIfValid": ("reuse", _boolean),
    "emailVerifyTokenValidityDuration": ("valid_s", _seconds),
    "preventLoginWithUnverifiedEmail": ("prevent_login", flag),
    "preventSignupWithUnverifiedEmail": ("prevent_signup", flag),
    "sendUserEmailVerification": ("send", flag),
    "verifyUserEmails": ("wanted", flag),
}
PAGES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "customUrls": ("custom_urls", _urls),
    "enableLocalization": ("localized", _boolean),
    "encodePageParamHeaders": ("encode_headers", _boolean),
    "forceRedirect": ("force_redirect", _boolean),
    "localizationFallbackLocale": ("fallback_locale", text),
    "localizationJsonPath": ("translations", lambda value: Path(text(value))),
    "pagesEndpoint": ("endpoint", _endpoint),
    "pagesPath": ("folder", lambda value: Path(text(value))),
    "placeholders": ("placeholders", mapping),
}


def email_verification(document: Mapping[str, Any]) -> EmailVerification | None:
    """What the file says of addresses; None if that is nothing. ValueError names what cannot be."""
    given: dict[str, Any] = {}
    for name, (target, reader) in VERIFICATION.items():
        if document.get(name) is None:
            continue
        try:
            given[target] = reader(document[name])
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    if given.get("reuse") and "valid_s" not in given:
        raise ValueError("emailVerifyTokenReuseIfValid needs emailVerifyTokenValidityDuration")
    return EmailVerification(**given) if given else None


def email_adapter(value: Any) -> dict[str, Any]:
    """What mails are sent through: the name of a module, or an object with `module` and `options`."""
    given = {"module": value} if isinstance(value, str) else mapping(value)
    if given.get("module") == "http":
        try:
            url(mapping(given.get("options")).get("url"))
        except ValueError as error:
            raise ValueError(f"of the module http needs options.url, which {error}") from None
    return given


def own_pages(pages: PagesOptions, custom: Any) -> PagesOptions:
    """The pages with those of `customPages`; `pages.customUrls` wins. ValueError says what it may not have."""
    try:
        given = mapping(custom)
        frame = given.get("parseFrameURL")
        frame = None if frame is None else url(frame)
    except ValueError as error:
        raise ValueError(f"customPages {error}") from None
    known = {*_OLD_PAGES, "parseFrameURL", "invalidLink"}
    if unknown := next((name for name in given if name not in known), None):
        raise ValueError(f"customPages has no page {unknown}")
    old = {_OLD_PAGES[name]: address for name, address in given.items() if name in _OLD_PAGES and re.match("https?://", str(address))}
    return replace(pages, frame_url=frame, custom_urls={**old, **pages.custom_urls})
