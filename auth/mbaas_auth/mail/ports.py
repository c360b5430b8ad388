"""What a mail is, and what sends it: the port that SMTP, the console and an HTTP service fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from mbaas.kernel.values import Object

Kind = Literal["verification", "reset", "sign-in"]
"""Mails with a link, or a code."""
Notice = Literal["linked", "unlinked"]
"""Mails that say what was done, with none."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail: of which kind, to whom, with which link ("" for none) or code, or about which provider. `user` is the person as the
    master key sees her."""

    kind: Kind | Notice
    to: str
    link: str
    app_name: str
    user: Object
    locale: str
    code: str = ""
    about: str = ""


class Undelivered(Exception):
    """A mail was not taken. `again`: it may be taken later; else it never will be. `reason` is for the operator."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason, self.again = reason, again


class Mailer(Protocol):
    """Something that takes mails."""

    async def send(self, letter: Letter) -> None:
        """Hand the mail over; when this returns, somebody else is answerable for it. Undelivered if not, within a bounded time."""
        ...
