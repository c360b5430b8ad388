"""Parse Server's options `passwordPolicy`, `accountLockout`, `auth.mfa` and `installation`, checked when the server starts."""

from __future__ import annotations

from typing import Any, cast, get_args

import regex

from mbaas.kernel.options import AccountLockout, Algorithm, InstallationOptions, MfaOptions, PasswordPolicy
from mbaas.kernel.values import is_number
from mbaas.parse_values import mapping

_RESET = ("resetTokenValidityDuration", "resetTokenReuseIfValid", "resetPasswordSuccessOnInvalidEmail")


def password_policy(value: Any) -> PasswordPolicy:
    """The rules that a new password must meet."""
    given = mapping(value)
    known = ("validatorPattern", "validationError", "doNotAllowUsername", "maxPasswordAge", "maxPasswordHistory", *_RESET)
    _known(given, (*known, "validatorCallback"))
    age, history, validity = (given.get(name) for name in ("maxPasswordAge", "maxPasswordHistory", "resetTokenValidityDuration"))
    if age is not None and (not is_number(age) or age < 0):
        raise ValueError("has maxPasswordAge, which must be a positive number")
    if validity is not None and (not is_number(validity) or validity <= 0):
        raise ValueError("has resetTokenValidityDuration, which must be a positive number")
    if history and not (isinstance(history, int) and 0 < history <= 20):
        raise ValueError("has maxPasswordHistory, which must be a whole number from 0 to 20")
    for name in ("doNotAllowUsername", "resetTokenReuseIfValid"):
        if given.get(name) and given[name] is not True:
            raise ValueError(f"has {name}, which must be true or false")
    if given.get("resetTokenReuseIfValid") and not validity:
        raise ValueError("has resetTokenReuseIfValid, which needs resetTokenValidityDuration")
    if not isinstance(given.get("resetPasswordSuccessOnInvalidEmail"), bool | None):
        raise ValueError("has resetPasswordSuccessOnInvalidEmail, which must be true or false")
    if given.get("validatorCallback"):
        raise ValueError("has validatorCallback, which a file cannot hold; use validatorPattern")
    return PasswordPolicy(
        pattern=_pattern(given.get("validatorPattern")),
        error=given.get("validationError") or None,
        forbid_username=bool(given.get("doNotAllowUsername")),
        max_age_days=float(age) if age else None,
        history=history or 0,
        reset_valid_s=None if validity is None else float(validity),
        reset_reuse=bool(given.get("resetTokenReuseIfValid")),
        reset_silent=given.get("resetPasswordSuccessOnInvalidEmail") is not False,
    )


def _pattern(given: Any) -> str | None:
    if not given:
        return None
    if not isinstance(given, str):
        raise ValueError("has validatorPattern, which must be the text of a regular expression")
    try:
        regex.compile(given)
    except regex.error:
        raise ValueError(f"has validatorPattern, which is no regular expression: {given}") from None
    return given


def account_lockout(value: Any) -> AccountLockout:
    """After how many wrong passwords an account is closed, and for how many minutes."""
    given = mapping(value)
    duration, threshold = given.get("duration"), given.get("threshold")
    if not is_number(duration) or not 0 < duration <= 99_999:
        raise ValueError("has duration, which must be more than 0 and less than 100000")
    if not isinstance(threshold, int) or isinstance(threshold, bool) or not 1 <= threshold <= 999:
        raise ValueError("has threshold, which must be a whole number from 1 to 999")
    if not isinstance(given.get("unlockOnPasswordReset"), bool | None):
        raise ValueError("has unlockOnPasswordReset, which must be true or false")
    return AccountLockout(duration, threshold, bool(given.get("unlockOnPasswordReset")))


def mfa(value: Any) -> MfaOptions | None:
    """Which second factors there are, and how their codes are made."""
    given = mapping(value)
    _known(given, ("options", "digits", "period", "algorithm", "enabled"))
    offered, digits, period = given.get("options"), given.get("digits") or 6, given.get("period") or 30
    if not isinstance(offered, list) or not {"SMS", "TOTP"}.intersection(name for name in offered if isinstance(name, str)):
        raise ValueError("has mfa.options, which must be a list with TOTP, SMS or both")
    if not isinstance(digits, int) or isinstance(digits, bool) or not 4 <= digits <= 10:
        raise ValueError("has mfa.digits, which must be a whole number from 4 to 10")
    if not isinstance(period, int) or isinstance(period, bool) or period < 10:
        raise ValueError("has mfa.period, which must be a whole number of seconds, 10 or more")
    algorithm = given.get("algorithm") or "SHA1"
    if algorithm not in get_args(Algorithm):
        raise ValueError("has mfa.algorithm, which must be SHA1, SHA256 or SHA512")
    if given.get("enabled") is False:
        return None
    return MfaOptions("TOTP" in offered, "SMS" in offered, digits, period, cast(Algorithm, algorithm))


def installation(value: Any) -> InstallationOptions:
    """What becomes of another installation that has the same device token."""
    given = mapping(value)
    _known(given, ("duplicateDeviceTokenActionEnforceAuth", "duplicateDeviceTokenAction", "duplicateDeviceTokenMergePriority"))
    enforce = given.get("duplicateDeviceTokenActionEnforceAuth", False)
    action = given.get("duplicateDeviceTokenAction", "delete")
    priority = given.get("duplicateDeviceTokenMergePriority", "deviceToken")
    if not isinstance(enforce, bool):
        raise ValueError("has duplicateDeviceTokenActionEnforceAuth, which must be true or false")
    if action not in ("delete", "update"):
        raise ValueError("has duplicateDeviceTokenAction, which must be delete or update")
    if priority not in ("deviceToken", "installationId"):
        raise ValueError("has duplicateDeviceTokenMergePriority, which must be deviceToken or installationId")
    return InstallationOptions(enforce_auth=enforce, action=action, priority=priority)


def _known(given: dict[str, Any], names: tuple[str, ...]) -> None:
    if unknown := next((name for name in given if name not in names), None):
        raise ValueError(f"has no option {unknown}")
