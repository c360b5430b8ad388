"""Mails in development: printed, so that the link can be opened without a mail server."""

from __future__ import annotations

import sys

from mbaas_auth.mail.ports import Letter
from mbaas_auth.mail.texts import compose


class ConsoleMailer:
    """Writes each mail where the developer looks."""

    async def send(self, letter: Letter) -> None:
        subject, text = compose(letter)
        said = f"{letter.code} {letter.link}".strip() or text
        sys.stderr.write(f"\n  mail to {letter.to}: {subject}\n  {said}\n\n")
        sys.stderr.flush()
