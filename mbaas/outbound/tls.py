"""Client certificates: who the server says it is where the other end asks (mutual TLS), and whom it believes there."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_MOST = 256


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, in PEM. `authorities`: who may have signed the other end's; those of the system unless given."""

    certificate: str
    key: str
    authorities: str = ""


@lru_cache(maxsize=_MOST)
def context(certificate: Certificate) -> ssl.SSLContext:
    """What connections are made with; the same one each time, so that connections are kept. ValueError says what cannot be used."""
    try:
        made = ssl.create_default_context(cadata=certificate.authorities or None)
        with tempfile.TemporaryDirectory() as folder:
            # OpenSSL takes them from a file alone; nobody else may enter the folder, and it is gone at once.
            file = Path(folder, "pem")
            file.write_text(f"{certificate.certificate}\n{certificate.key}\n", encoding="ascii")
            made.load_cert_chain(file, password=_nothing)
    except (ssl.SSLError, OSError, UnicodeEncodeError) as error:
        raise ValueError(f"the certificate, its key or the authorities cannot be used: {error}") from error
    return made


def _nothing() -> str:
    """Of a key that has a password: it is not asked for on the terminal."""
    return ""
