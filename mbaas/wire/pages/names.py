"""The pages by Parse Server 9's names for them: what each is called in options, and the file that it is in an address."""

from __future__ import annotations

from typing import Literal

Page = Literal[
    "passwordReset",
    "passwordResetLinkInvalid",
    "passwordResetSuccess",
    "emailVerificationLinkExpired",
    "emailVerificationLinkInvalid",
    "emailVerificationSendFail",
    "emailVerificationSendSuccess",
    "emailVerificationSuccess",
]
FILES: dict[Page, str] = {
    "passwordReset": "password_reset.html",
    "passwordResetLinkInvalid": "password_reset_link_invalid.html",
    "passwordResetSuccess": "password_reset_success.html",
    "emailVerificationLinkExpired": "email_verification_link_expired.html",
    "emailVerificationLinkInvalid": "email_verification_link_invalid.html",
    "emailVerificationSendFail": "email_verification_send_fail.html",
    "emailVerificationSendSuccess": "email_verification_send_success.html",
    "emailVerificationSuccess": "email_verification_success.html",
}
BY_FILE: dict[str, Page] = {file: page for page, file in FILES.items()}
