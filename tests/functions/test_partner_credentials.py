"""How a company's own system knows the server: basic, bearer, mutual TLS; and that nobody is told by what."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.functions.partnership import Partnership
from tests.functions.web import respond

BASIC = {"kind": "basic", "username": "mbaas", "password": "pass:word"}
BEARER = {"kind": "bearer", "token": "t0ken"}
NOW = datetime.datetime.now(datetime.UTC)


class Authority:
    """Signs certificates."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.pem = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))

    def issue(self, name: str) -> tuple[str, str]:
        """A certificate for this machine and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = self._signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, place)
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return certificate, key.private_bytes(serialization.Encoding.PEM, *plain).decode()

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> str:
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(NOW - datetime.timedelta(days=1)).not_valid_after(NOW + datetime.timedelta(days=1))
        made = builder.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def guarded(authority: Authority, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A server that asks for certificates of the authority: its URL, and whose it was shown."""
    names: list[str] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            shown: Any = self.connection
            [[(_, name)]] = shown.getpeercert()["subject"]
            names.append(name)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            respond(self, 200, b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that the library gives it
            pass

    pem, trusted = tmp_path / "server.pem", tmp_path / "authority.pem"
    pem.write_text("".join(authority.issue("server")))
    trusted.write_text(authority.pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=trusted)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(pem)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}", names
        server.shutdown()


async def internal(partners: Partnership, auth: Any, url: str | None = None) -> dict[str, Any]:
    return await partners.partner(kind="internal", live={"url": url or partners.elsewhere.url("/taxi"), "auth": auth})


async def test_basic_and_bearer_are_sent_beside_the_signature(partners: Partnership) -> None:
    await internal(partners, BASIC)
    assert (await partners.call()).status_code == 200
    await partners.desk("PATCH", "/taxi", {"live": {"auth": BEARER}})
    assert (await partners.call()).status_code == 200
    await partners.desk("PATCH", "/taxi", {"live": {"auth": None}})
    assert (await partners.call()).status_code == 200
    received = partners.elsewhere.to("/taxi/offer")
    pair = base64.b64encode(b"mbaas:pass:word").decode()
    assert [each.headers.get("Authorization") for each in received] == [f"Basic {pair}", "Bearer t0ken", None]
    assert all("webhook-signature" in each.headers for each in received)


async def test_what_was_set_stays_and_is_not_told(partners: Partnership, authority: Authority) -> None:
    certificate, key = authority.issue("mbaas")
    made = await internal(partners, BASIC)
    assert made["live"]["auth"] == {"kind": "basic", "username": "mbaas"}
    mtls = {"kind": "mtls", "certificate": certificate, "key": key, "authorities": authority.pem}
    told = [made, await partners.desk("PUT", "/taxi", {"live": {"url": partners.elsewhere.url("/taxi")}}), await partners.desk("GET", "")]
    told += [await partners.desk("PATCH", "/taxi", {"live": {"auth": BEARER}}), await partners.desk("GET", "/taxi")]
    told.append(await partners.desk("PATCH", "/taxi", {"live": {"url": "https://127.0.0.1:9", "auth": mtls}}))
    assert [each["live"]["auth"]["kind"] for each in (told[1], told[3], told[5])] == ["basic", "bearer", "mtls"]
    assert told[5]["live"]["auth"]["expiresAt"][:10] == (NOW + datetime.timedelta(days=1)).isoformat()[:10]
    text = json.dumps(told)
    assert not [secret for secret in ("pass:word", "t0ken", key.splitlines()[1], "PRIVATE") if secret in text]


async def test_a_certificate_is_shown_to_who_asks_for_one(
    partners: Partnership, authority: Authority, guarded: tuple[str, list[str]]
) -> None:
    url, names = guarded
    certificate, key = authority.issue("mbaas")
    mtls = {"kind": "mtls", "certificate": certificate, "key": key, "authorities": authority.pem}
    await internal(partners, mtls, url)
    for _ in range(2):
        assert (await partners.call()).json() == {"result": {}}
    assert names == ["mbaas", "mbaas"]
    stranger = Authority()
    for wrong in (
        {**mtls, "authorities": stranger.pem},  # the other end is not whom it says
        dict(zip(("certificate", "key"), stranger.issue("mbaas"), strict=True)) | {"kind": "mtls", "authorities": authority.pem},
    ):
        await partners.desk("PATCH", "/taxi", {"live": {"auth": wrong}})
        assert (await partners.call()).json()["error"] == "taxi.offer failed: it cannot be reached."
    await partners.desk("PATCH", "/taxi", {"live": {"auth": None}})
    assert (await partners.call()).status_code == 400
    assert names == ["mbaas", "mbaas"]


async def test_no_param_passes_for_what_the_server_says_itself(partners: Partnership) -> None:
    places = [{"name": name, "in": "header", "schema": {"type": "string"}} for name in ("authorization", "Host", "Webhook-Id", "X-Own")]
    document = {
        "openapi": "3.1.0",
        "paths": {"/offer": {"post": {"operationId": "offer", "parameters": places, "responses": {"200": {}}}}},
    }
    await partners.partner(manifest=document, kind="internal", live={"url": partners.elsewhere.url("/taxi"), "auth": BEARER})
    params = {"authorization": "Bearer other", "Host": "evil.example", "Webhook-Id": "mine", "X-Own": "yes"}
    assert (await partners.call(params=params)).status_code == 200
    [received] = partners.elsewhere.to("/taxi/offer")
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert (headers["authorization"], headers["x-own"]) == ("Bearer t0ken", "yes")
    assert headers["host"].startswith("127.0.0.1")
    assert headers["webhook-id"].startswith("msg_")


async def test_auth_that_makes_no_sense_is_refused(partners: Partnership, authority: Authority) -> None:
    certificate, key = authority.issue("mbaas")
    other = authority.issue("other")[1]
    await internal(partners, BASIC)
    for wrong in (
        5, {}, {"kind": "digest"}, {"kind": "basic", "username": "a"}, {**BASIC, "more": "x"},
        {**BASIC, "username": "a:b"}, {**BASIC, "password": 5},
        {"kind": "bearer", "token": "a\r\nX: y"}, {"kind": "bearer", "token": ""}, {"kind": "mtls", "certificate": certificate},
        {"kind": "mtls", "certificate": certificate, "key": "none"}, {"kind": "mtls", "certificate": certificate, "key": other},
        {"kind": "mtls", "certificate": certificate, "key": key},  # by plain http
    ):  # fmt: skip
        assert await partners.refused("PATCH", "/taxi", {"live": {"auth": wrong}}) == (400, 142), wrong
    given = {"name": "bus", "manifest": {"operations": {"offer": {}}}, "live": {"url": "https://example.com", "auth": BEARER}}
    assert await partners.refused("POST", "", given) == (400, 142)
