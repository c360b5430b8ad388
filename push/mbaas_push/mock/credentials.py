"""Keys and certificates for a mock, and the settings by which a server uses it. They open nothing but a mock."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mbaas push mock")])
_YEARS = timedelta(days=3650)


def make(folder: Path) -> None:
    """Write what a mock and its senders need, unless it is there: `cert.pem`, `cert.key`, `apns.p8`, `webpush.pem`."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "cert.pem").exists():
        return
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _YEARS)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(folder / "cert.key", key)
    _write(folder / "apns.p8", ec.generate_private_key(ec.SECP256R1()))
    _write(folder / "webpush.pem", ec.generate_private_key(ec.SECP256R1()))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def settings(folder: Path, port: int) -> dict[str, str]:
    """The settings of a server that is to use the mock at that port."""
    origin = f"https://127.0.0.1:{port}"
    account = folder / "service-account.json"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    fields = {
        "type": "service_account",
        "project_id": "mock",
        "private_key_id": "mock",
        "private_key": _pem(key).decode(),
        "client_email": "mock@mock.iam.gserviceaccount.com",
        "token_uri": f"{origin}/token",
    }
    account.write_text(json.dumps(fields, indent=1))
    return {
        "MBAAS_FCM_ENDPOINT": origin,
        "MBAAS_FCM_CREDENTIALS": str(account),
        "MBAAS_APNS_ENDPOINT": origin,
        "MBAAS_APNS_KEY": str(folder / "apns.p8"),
        "MBAAS_APNS_KEY_ID": "MOCKKEY123",
        "MBAAS_APNS_TEAM_ID": "MOCKTEAM12",
        "MBAAS_APNS_TOPIC": "com.example.app",
        "MBAAS_WEBPUSH_KEY": str(folder / "webpush.pem"),
        "MBAAS_WEBPUSH_SUBJECT": "mailto:push@example.com",
        "MBAAS_PUSH_CA_FILE": str(folder / "cert.pem"),
    }


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(_pem(key))
