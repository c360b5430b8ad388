"""Web Authentication as the library `webauthn` speaks it: options out, answers of authenticators in.

Loaded by the first who needs it. Whatever the library trips over in what a client made up is no proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import webauthn
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import (
    base64url_to_bytes,
    options_to_json_dict,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from mbaas.kernel.values import Object
from mbaas_auth.identity.passkeys import CHALLENGE_SECONDS, text
from mbaas_auth.identity.ports import NotVouched

_MS = CHALLENGE_SECONDS * 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A passkey that is to be made: for which domain and app, for whom, and which she has."""

    domain: str
    app: str
    handle: str
    user: str
    present: list[str]


@dataclass(frozen=True, slots=True)
class Made:
    """One that was made: its id, and what is kept of it."""

    id: bytes
    about: Object


def to_sign_in(domain: str, challenge: bytes, verification: str) -> Object:
    """Options of `navigator.credentials.get`; which passkeys there are is told to nobody."""
    asked = webauthn.generate_authentication_options(
        rp_id=domain, challenge=challenge, timeout=_MS, user_verification=UserVerificationRequirement(verification)
    )
    return options_to_json_dict(asked)


def to_register(wanted: Wanted, challenge: bytes, verification: str) -> Object:
    """Options of `navigator.credentials.create`, for a passkey that names its user itself."""
    selection = AuthenticatorSelectionCriteria(
        resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement(verification)
    )
    asked = webauthn.generate_registration_options(
        rp_id=wanted.domain,
        rp_name=wanted.app,
        user_id=wanted.handle.encode(),
        user_name=wanted.user,
        challenge=challenge,
        timeout=_MS,
        authenticator_selection=selection,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(each)) for each in wanted.present],
    )
    return options_to_json_dict(asked)


@contextmanager
def _proof() -> Iterator[None]:
    try:
        yield
    except NotVouched:
        raise
    except Exception as error:
        raise NotVouched(f"{type(error).__name__}: {error}") from error


def challenge_of(data: Object) -> bytes:
    """The challenge that an answer says to be of. NotVouched for an answer that was made inside a page of somebody else."""
    with _proof():
        said = parse_client_data_json(base64url_to_bytes(_part(data, "clientDataJSON")))
        if said.cross_origin:
            raise NotVouched("it was asked for in a frame of another origin")
        return said.challenge


def id_of(data: Object) -> bytes:
    """The id of the passkey."""
    with _proof():
        return base64url_to_bytes(str(data["id"]))


def handle_of(data: Object) -> bytes | None:
    """Whose the passkey says that it is."""
    with _proof():
        return base64url_to_bytes(_part(data, "userHandle")) if data["response"].get("userHandle") else None


def _part(data: Object, name: str) -> str:
    return str(data["response"][name])


def signed(data: Object, kept: Object, expected: dict[str, Any]) -> VerifiedAuthentication:
    """The answer of a passkey, verified with the key that is kept of it. Its counter is looked at where it is kept."""
    verify: Callable[..., VerifiedAuthentication] = webauthn.verify_authentication_response
    with _proof():
        key = base64url_to_bytes(str(kept["key"]))
        return verify(credential=data, credential_public_key=key, credential_current_sign_count=0, **expected)


def registered(data: Object, expected: dict[str, Any]) -> Made:
    """A new passkey, verified. Who made the authenticator is not asked for, and not believed."""
    verify: Callable[..., Any] = webauthn.verify_registration_response
    with _proof():
        made = verify(credential=data, **expected)
        sent = parse_registration_credential_json(data).response
        synced = made.credential_device_type == CredentialDeviceType.MULTI_DEVICE
        transports = sorted({each.value for each in sent.transports or ()})
        about: Object = {
            "key": text(made.credential_public_key),
            "count": made.sign_count,
            "aaguid": made.aaguid,
            "synced": synced,
            "backedUp": made.credential_backed_up,
            "transports": [*transports],
        }
        return Made(made.credential_id, about)
