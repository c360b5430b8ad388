"""Mails by SMTP. The library is loaded by the first mail, not by the start of a server that sends none."""

from __future__ import annotations

import asyncio
import email.policy
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import cache

from mbaas.kernel.options import SmtpServer
from mbaas_auth.mail.ports import Letter, Undelivered
from mbaas_auth.mail.texts import compose, line

_PERMANENT = range(500, 600)
_POLICY = email.policy.SMTP.clone(max_line_length=500)
"""Long enough that no link is broken."""


class SmtpMailer:
    """Hands each mail to the server over a connection of its own."""

    def __init__(self, server: SmtpServer, host: str) -> None:
        """`host` is the app's public one: mails are from it where the server's address names nobody."""
        self._server, self._host = server, host

    async def send(self, letter: Letter) -> None:
        import aiosmtplib

        server = self._server
        message = self._message(letter)
        try:
            async with asyncio.timeout(server.timeout_s):
                await aiosmtplib.send(
                    message,
                    hostname=server.host,
                    port=server.port,
                    username=server.user,
                    password=server.password,
                    timeout=server.timeout_s,
                    use_tls=server.tls == "always",
                    start_tls={"required": True, "offered": None}.get(server.tls, False),
                    tls_context=_proved() if server.tls in ("always", "required") else _unproved(),
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [each.code for each in error.recipients]
            raise Undelivered(f"the recipient was refused: {codes}", again=any(code not in _PERMANENT for code in codes)) from error
        except aiosmtplib.SMTPResponseException as error:
            # A wrong password is the operator's mistake, which she may put right before the mail is too old.
            lasting = error.code in _PERMANENT and not isinstance(error, aiosmtplib.SMTPAuthenticationError)
            raise Undelivered(f"{type(error).__name__}: {error.code}", again=not lasting) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise Undelivered(f"{type(error).__name__}: {error}"[:300], again=True) from error

    def _message(self, letter: Letter) -> EmailMessage:
        subject, text = compose(letter)
        message = EmailMessage(_POLICY)
        try:
            # One mailbox: an address with a comma in it must not become two.
            message["To"] = Address(addr_spec=letter.to)
            sender = self._server.sender or f"noreply@{self._host}"
            message["From"] = sender if "<" in sender else Address(line(letter.app_name), addr_spec=sender)
        except Exception as error:
            # The library's reader of addresses stumbles in many ways.
            raise Undelivered("it has no address that a mail can be sent to, or from", again=False) from error
        message["Subject"] = subject
        message["Date"] = format_datetime(email.utils.localtime())
        message["Message-ID"] = make_msgid(domain=self._host)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message


@cache
def _proved() -> ssl.SSLContext:
    """Made once: to read the authorities' certificates takes long, and nothing else is done meanwhile."""
    return ssl.create_default_context()


@cache
def _unproved() -> ssl.SSLContext:
    """For a server that need not have TLS at all: what it offers is taken as it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
