"""Text messages in development: printed."""

from __future__ import annotations

import sys


class ConsoleTexter:
    """Writes each message where the developer looks."""

    async def send(self, number: str, text: str) -> None:
        sys.stderr.write(f"\n  message to {number}: {text}\n\n")
        sys.stderr.flush()
