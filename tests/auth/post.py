"""A mail server on this machine, as a mail server behaves: what it was handed, and how it was told to behave."""

from __future__ import annotations

import email
import email.policy
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from threading import Event
from typing import Any

from aiosmtpd.controller import Controller

from mbaas.testing.process import free_port

LINK = re.compile(r"https?://\S+")


class Post:
    """`answers` are given to the next recipients, one each; then all are taken. Unless `free` is set, no mail is taken.

    Into a `folder` each mail is written, as `<address>.<number>`.
    """

    def __init__(self, port: int, folder: Path | None = None) -> None:
        self.port, self.folder = port, folder
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.answers: list[str] = []
        self.asked = 0
        self.free = Event()
        self.free.set()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        self.asked += 1
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        while not self.free.is_set():
            await server.loop.run_in_executor(None, self.free.wait, 0.05)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.recipients.append(envelope.rcpt_tos)
        self.mails.append(message)
        if self.folder is not None:
            number = sum(mail["To"] == message["To"] for mail in self.mails)
            part = self.folder / f".{len(self.mails)}"
            part.write_text(message.get_content())
            part.rename(self.folder / f"{message['To']}.{number}")
        return "250 taken"

    def until(self, count: int) -> list[EmailMessage]:
        """The mails, once there are so many."""
        deadline = time.monotonic() + 20
        while len(self.mails) < count:
            assert time.monotonic() < deadline, f"{len(self.mails)} mails, not {count}"
            time.sleep(0.01)
        return self.mails

    def link(self, count: int) -> str:
        """The link in the mail of that number."""
        return link_in(self.until(count)[count - 1])


def link_in(message: EmailMessage) -> str:
    """The one link of a mail."""
    [found] = LINK.findall(message.get_content())
    return str(found)


@contextmanager
def post(port: int | None = None, folder: Path | None = None) -> Iterator[Post]:
    """A mail server on a free port, or on this one."""
    made = Post(port or free_port(), folder)
    controller = Controller(made, hostname="127.0.0.1", port=made.port)
    controller.start()
    try:
        yield made
    finally:
        made.free.set()
        controller.stop()
