"""Mails through a real mail server: what they say, and that none is lost, held up or sent to somebody else."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.kernel.options import SmtpServer
from mbaas.smtp_url import smtp_server
from mbaas.testing.process import TestServer, free_port
from mbaas_auth.mail.ports import Letter, Undelivered
from mbaas_auth.mail.smtp import SmtpMailer
from tests.auth.post import Post, link_in, post

KEYS = {"X-Parse-Application-Id": "test-app"}
MASTER = {**KEYS, "X-Parse-Master-Key": "test-master-key"}
SETTINGS = {"public_url": "https://api.example.com", "verify_user_emails": "true", "app_name": "Gärten"}


def started(folder: Path, smtp_url: str, **more: Any) -> TestServer:
    """A server that sends mails, with no limits on how many."""
    settings = {name: value for name, value in {**SETTINGS, "preset": "parse", "smtp_url": smtp_url, **more}.items() if value is not None}
    return TestServer(folder, "serve", settings=settings)


def sign_up(server: TestServer, name: str, address: str = "", **fields: str) -> None:
    body = {"username": name, "password": "pw", "email": address or f"{name}@example.org", **fields}
    status, answer = server.call("POST", "/parse/users", body, KEYS)
    assert status == 201, answer


@pytest.fixture(scope="module")
def office() -> Iterator[Post]:
    with post() as made:
        yield made


@pytest.fixture(scope="module")
def server(office: Post, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with started(tmp_path_factory.mktemp("mail"), f"{office.url}?from=Gärtner <garden@example.com>") as running:
        yield running


@pytest.mark.parametrize(
    ("locale", "subject", "greeting"),
    [
        ("", "Please verify your e-mail for Gärten", "Hello"),
        ("de_AT", "Please verify your e-mail for Gärten", "Hello"),
        ("de-AT", "Bitte bestätigen Sie Ihre E-Mail-Adresse für Gärten", "Guten Tag"),
        ("es", "Confirma tu correo electrónico para Gärten", "Hola"),
        ("fr-CA", "Confirmez votre adresse e-mail pour Gärten", "Bonjour"),
    ],
)
def test_a_mail_is_in_the_persons_language(server: TestServer, office: Post, locale: str, subject: str, greeting: str) -> None:
    """It has one link, at the server's public address, and says that nobody is to answer it."""
    before = len(office.mails)
    server.call("POST", "/parse/schemas/_User", None, MASTER)
    server.call("PUT", "/parse/schemas/_User", {"fields": {"locale": {"type": "String"}}}, MASTER)
    sign_up(server, f"person{before}", **({"locale": locale} if locale else {}))
    mail = office.until(before + 1)[before]
    assert (mail["To"], mail["From"], mail["Subject"]) == (f"person{before}@example.org", "Gärtner <garden@example.com>", subject)
    assert (mail["Auto-Submitted"], bool(mail["Message-ID"]), bool(mail["Date"])) == ("auto-generated", True, True)
    assert mail.get_content().startswith(greeting)
    assert re.fullmatch(r"https://api\.example\.com/parse/apps/test-app/verify_email\?token=[A-Za-z0-9]{50,}", link_in(mail))


def test_no_line_of_a_mail_is_a_strangers(server: TestServer, office: Post) -> None:
    """What people call themselves is one line in a mail to whoever they say they are."""
    before = len(office.mails)
    sign_up(server, "Eve\r\nBcc: all@example.org\r\n\r\nhttps://evil.example", f"victim{before}@example.org")
    office.until(before + 1)
    server.call("POST", "/parse/requestPasswordReset", {"email": f"victim{before}@example.org"}, KEYS)
    mail = office.until(before + 2)[before + 1]
    assert mail["Bcc"] is None
    assert office.recipients[before + 1] == [f"victim{before}@example.org"]
    assert not any(line.startswith(("Bcc", "https://evil")) for line in mail.get_content().splitlines())


@pytest.mark.parametrize("address", ["a@example.org, b@example.org", "a@example.org\r\nBcc: b@example.org", "<a@example.org> b@x", "@"])
async def test_an_address_is_one_mailbox_or_none(address: str) -> None:
    """One that is none is given up at once, without a word to the mail server."""
    mailer = SmtpMailer(SmtpServer("127.0.0.1", 1, "never", sender="x@example.org"), "example.org")
    with pytest.raises(Undelivered) as caught:
        await mailer.send(Letter("reset", address, "https://x", "App", {}, "en"))
    assert not caught.value.again


def test_a_slow_mail_server_holds_up_nobody(tmp_path: Path) -> None:
    """Sign-ups are answered while it takes nothing; later it takes all."""
    with post() as office, started(tmp_path, office.url) as server:
        office.free.clear()
        began = time.monotonic()
        for n in range(20):
            sign_up(server, f"person{n}")
        assert time.monotonic() - began < 10
        assert office.mails == []
        office.free.set()
        assert len({mail["To"] for mail in office.until(20)}) == 20


def test_a_mail_outlasts_a_crash(tmp_path: Path) -> None:
    """Nobody takes mails when it is asked for; the server is killed; the next one sends it, once."""
    port = free_port()
    with started(tmp_path, f"smtp://127.0.0.1:{port}") as server:
        sign_up(server, "ann")
        server.kill()
    with post(port) as office, started(tmp_path, office.url) as server:
        link = office.link(1)
        path = link.removeprefix("https://api.example.com")
        assert server.get(path)[0] == 200
        [user] = server.get("/parse/users", MASTER)[1]["results"]
        assert user["emailVerified"] is True
        sign_up(server, "bob")
        assert [mail["To"] for mail in office.until(2)] == ["ann@example.org", "bob@example.org"]


def test_what_is_not_taken_now_is_tried_again_and_what_never_is_given_up(tmp_path: Path) -> None:
    """The log names nobody's address."""
    with post() as office, started(tmp_path, office.url) as server:
        office.answers += ["451 later", "550 no such mailbox"]
        sign_up(server, "ann")
        sign_up(server, "bob")
        deadline = time.monotonic() + 20
        while len(office.mails) < 1 or "given up" not in server.log.read_text():
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.02)
        log = server.log.read_text()
        assert office.asked == 3
        assert "a mail was not taken; it is tried again" in log
    assert len(office.mails) == 1
    assert "@example.org" not in log


def test_a_copy_of_the_store_opens_no_link(tmp_path: Path) -> None:
    """Neither the token nor what can be made of it is kept, while its mail waits and afterwards."""
    with post() as office, started(tmp_path, office.url) as server:
        office.free.clear()
        sign_up(server, "ann")
        server.call("POST", "/parse/requestPasswordReset", {"email": "ann@example.org"}, KEYS)
        waiting = _everything(tmp_path)
        office.free.set()
        tokens = [office.link(n).partition("token=")[2] for n in (1, 2)]
        for kept in (waiting, _everything(tmp_path)):
            for token in tokens:
                assert token.encode() not in kept
                assert token[:25].encode() in kept
                assert token[25:].encode() not in kept
        for token in tokens:
            path = f"/parse/apps/test-app/request_password_reset?token={token[:25]}"
            assert "<form" not in server.get(path)[1]


def _everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((folder / "data").rglob("*")) if path.is_file())


def test_development_prints_the_link(tmp_path: Path) -> None:
    with TestServer(tmp_path, "dev", settings={"verify_user_emails": "true"}) as server:
        sign_up(server, "ann")
        deadline = time.monotonic() + 10
        while not (found := re.search(r"mail to ann@example.org: .*\n\s+(http://localhost:\d+/parse/apps/\S+)", server.log.read_text())):
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.02)
        assert server.get(found[1].partition(str(server.port))[2])[0] == 200
        [user] = server.get("/parse/users", MASTER)[1]["results"]
        assert user["emailVerified"] is True


@pytest.mark.parametrize("given", [{"public_url": "https://api.example.com"}, {"smtp_url": "smtp://127.0.0.1:1"}])
def test_without_a_mail_server_or_an_address_no_mail_is_asked_for(tmp_path: Path, given: dict[str, str]) -> None:
    with TestServer(tmp_path, settings=given) as server:
        for path in ("requestPasswordReset", "verificationEmailRequest"):
            status, answer = server.call("POST", f"/parse/{path}", {"email": "a@example.org"}, KEYS)
            assert (status, answer["code"]) == (500, 1)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", SmtpServer("mail.example.com", 587, "required")),
        ("smtp://localhost:25", SmtpServer("localhost", 25, "offered")),
        ("smtps://u%40x:p%3Aw@h", SmtpServer("h", 465, "always", "u@x", "p:w")),
        ("smtp://h:2?tls=never&from=a@b&timeout=2s", SmtpServer("h", 2, "never", sender="a@b", timeout_s=2)),
    ],
)
def test_an_address_of_a_mail_server_is_understood(url: str, expected: SmtpServer) -> None:
    assert smtp_server(url) == expected


@pytest.mark.parametrize(
    "url", ["mail.example.com", "http://h", "smtp://", "smtp://h:x", "smtp://h?tls=maybe", "smtp://h?to=x", "smtp://h?timeout=0"]
)
def test_an_address_of_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be|may say|has"):
        smtp_server(url)


async def test_nothing_is_sent_in_plain_where_tls_is_required(office: Post) -> None:
    before = office.asked
    mailer = SmtpMailer(SmtpServer("127.0.0.1", office.port, "required", sender="x@example.org"), "example.org")
    with pytest.raises(Undelivered) as caught:
        await mailer.send(Letter("reset", "ann@example.org", "https://x", "App", {}, "en"))
    assert caught.value.again
    assert office.asked == before


async def test_a_mail_takes_no_longer_than_it_may() -> None:
    """A mail server that says nothing is given up after a while, and the mail is tried again."""

    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        mailer = SmtpMailer(SmtpServer("127.0.0.1", port, "never", sender="x@example.org", timeout_s=0.2), "example.org")
        with pytest.raises(Undelivered) as caught:
            await mailer.send(Letter("reset", "ann@example.org", "https://x", "App", {}, "en"))
        assert caught.value.again
        await left.wait()
